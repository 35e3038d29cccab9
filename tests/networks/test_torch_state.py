"""Our networks by PyTorch's names, against what PyTorch's pickles hold."""

import json

import numpy as np
import pytest

import networks
from dnnlib.errors import UserError
from dnnlib.pickles import torch_networks
from generation import convert
from networks import torch_state
from tests import golden
from tests.dnnlib.pickles import torch_networks_complete as complete

FOLDER = "ada/torch_pickles"


def same(made, wanted):
    assert sorted(made) == sorted(wanted)
    for name, array in wanted.items():
        close = 6e-8 if name.endswith("affine.bias") else 0
        np.testing.assert_allclose(made[name], array, rtol=0, atol=close, err_msg=name)
        assert (made[name].shape, made[name].dtype) == (array.shape, np.float32)


@pytest.mark.parametrize("tag", ["ta", "tb", "te", "ts", "va_converted"])
def test_back_to_where_they_came_from(tag):
    path = golden.path(f"{FOLDER}/{tag}.pkl")
    recorded = torch_networks.read(path.read_bytes()).networks
    for role, network in zip(("G", "D", "G_ema"), networks.load(path)):
        arrays, wanted = network.arrays(), recorded[role].tensors()
        made = torch_state.state_dict(network.func_name, network.options, arrays)
        same(made, wanted)
        if tag != "te":  # whose frozen weights come after the filters
            assert set(made) == set(wanted)
        kwargs = torch_state.init_kwargs(network.func_name, network.options, arrays)
        for key, value in recorded[role].init_kwargs.items():
            plain = value is not None and not isinstance(value, dict)  # None: a default
            if plain and key != "num_fp16_res" and key in kwargs:
                assert kwargs[key] == value, key


@pytest.mark.parametrize("architecture", ["orig", "skip", "resnet"])
def test_a_file_for_load_state_dict(architecture, tmp_path):
    settings = dict(architecture=architecture, labels=2, layers=2, channels=1)
    entries = dict(
        D=complete.discriminator(**settings), G_ema=complete.generator(**settings, embed=4)
    )
    (tmp_path / "x.pkl").write_bytes(complete.file(**entries))
    assert convert.convert(tmp_path / "x.pkl", tmp_path / "x.npz") == f"Wrote {tmp_path / 'x.npz'}"
    recorded = torch_networks.read((tmp_path / "x.pkl").read_bytes()).networks
    with np.load(tmp_path / "x.npz", allow_pickle=False) as file:
        for role, network in recorded.items():
            made = {key: file[key] for key in file if key.startswith(f"{role}/")}
            kwargs = json.loads(str(made.pop(f"{role}/init_kwargs")))
            wanted = network.tensors()
            made = {key[len(role) + 1 :]: array for key, array in made.items()}
            assert set(made) == set(wanted)
            for tensors in (made, wanted):  # the assembled ones have one filter everywhere
                for name in [name for name in tensors if name.endswith("resample_filter")]:
                    del tensors[name]
            same(made, wanted)
            assert (kwargs["c_dim"], kwargs["img_resolution"], kwargs["img_channels"]) == (2, 8, 1)
    assert not list(tmp_path.glob(".tmp*"))


SMALL = dict(resolution=8, fmap_base=32, fmap_max=8)
NARROW = dict(latent_size=4, dlatent_size=4, mapping_fmaps=4, mapping_layers=2)


def test_stylegan2s_networks(tmp_path):
    G = networks.build("G_main", family="stylegan2", seed=1, **SMALL, **NARROW)
    D = networks.build("D_stylegan2", seed=1, **SMALL)
    networks.save(tmp_path / "x.safetensors", Gs=G, D=D)
    convert.convert(tmp_path / "x.safetensors", tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz", allow_pickle=False) as file:
        assert file["G_ema/synthesis.b8.conv0.weight"].shape == (8, 8, 3, 3)
        np.testing.assert_array_equal(file["D/b4.out.weight"], D.named["Output/weight"].numpy().T)


def test_networks_that_pytorch_has_not(tmp_path):
    labels = networks.build("G_main", family="stylegan2", seed=1, label_size=2, **SMALL, **NARROW)
    style = networks.build("G_style", seed=1, **SMALL, **NARROW)
    for network, reason in (
        (labels, "G_ema: labels are embedded"),
        (style, "G_ema: a G_style, wh"),
    ):
        path = tmp_path / f"{network.func_name}.safetensors"
        networks.save(path, Gs=network)
        with pytest.raises(UserError, match=reason):
            convert.convert(path, tmp_path / "y.npz")
        assert not (tmp_path / "y.npz").exists()
    for options in (dict(fmap_decay=0.5), dict(fmap_min=5)):
        D = networks.build("D_stylegan2", seed=1, **SMALL, **options)
        with pytest.raises(ValueError, match=r"fmap_decay|feature maps at 4x4, not"):
            torch_state.state_dict(D.func_name, {**D.options, "fmap_max": 3}, D.arrays())
    with pytest.raises(UserError, match=r"noise=none: \.npz holds no noise mode"):
        convert.convert(path, tmp_path / "y.npz", noise="none")
