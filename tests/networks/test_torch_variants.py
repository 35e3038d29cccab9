"""PyTorch's networks of every architecture, with labels, of one channel: all of them are built."""

import numpy as np
import pytest

import networks
from tests.dnnlib.pickles import torch_networks_complete as complete

GENERATORS = {
    "orig": (dict(architecture="orig"), {}),
    "resnet": (dict(architecture="resnet", noise=False), dict(use_noise=False)),
    "labels": (dict(labels=3, layers=3, hidden=5, embed=4), dict(label_fmaps=4, mapping_fmaps=5)),
    "labels, one layer": (dict(labels=1), dict(label_size=1, label_fmaps=3)),
    "gray": (dict(channels=1, layers=2), dict(num_channels=1, mapping_fmaps=3)),
}
DISCRIMINATORS = {
    "orig": (dict(architecture="orig", group=None), dict(mbstd_group_size=None)),
    "skip": (dict(architecture="skip"), dict(clamp_last_from_rgb=False, conv_clamp=256)),
    "skip, gray": (dict(architecture="skip", channels=1, features=2), dict(mbstd_num_features=2)),
    "relu at the end": (dict(final="relu"), dict(final_nonlinearity="relu", nonlinearity="lrelu")),
    "no deviation": (dict(features=0), dict(mbstd_num_features=0)),
    "labels": (dict(labels=3, layers=8), dict(cmap_dim=2, mapping_layers=8, mapping_lrmul=0.01)),
    "labels, converted": (dict(labels=3, layers=0, cmap=4), dict(cmap_dim=4, mapping_layers=0)),
    "labels, widths": (
        dict(labels=2, layers=3, hidden=5, embed=6, cmap=7),
        dict(cmap_dim=7, mapping_fmaps=5, label_fmaps=6),
    ),
}


def opened(tmp_path, **entries):
    path = tmp_path / "network.pkl"
    path.write_bytes(complete.file(**entries))
    return networks.load(path)


@pytest.mark.parametrize("case", GENERATORS)
def test_generators(case, tmp_path):
    settings, options = GENERATORS[case]
    _, _, Gs = opened(tmp_path, G_ema=complete.generator(**settings))
    assert Gs.func_name == "G_ada"
    assert {key: Gs.options[key] for key in options} == options
    labels = np.eye(settings["labels"], dtype=np.float32)[:1] if "labels" in settings else None
    images = Gs(np.ones([1, 2], np.float32), labels, noise="fixed").numpy()
    assert images.shape == (1, 8, 8, settings.get("channels", 3))
    assert np.isfinite(images).all()


@pytest.mark.parametrize("case", DISCRIMINATORS)
def test_discriminators(case, tmp_path):
    settings, options = DISCRIMINATORS[case]
    _, D, _ = opened(tmp_path, D=complete.discriminator(**settings))
    assert D.func_name == "D_ada"
    assert {key: D.options[key] for key in options} == options
    count = settings.get("labels", 0)
    labels = np.eye(count, dtype=np.float32)[[0, 1]] if count else None
    images = np.ones([2, 8, 8, settings.get("channels", 3)], np.float32)
    scores = D(images, labels).numpy()
    assert scores.shape == (2, 1)
    assert np.isfinite(scores).all()
