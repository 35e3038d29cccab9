"""Weights from another run: what fits is taken, and every difference is said."""

import numpy as np
import pytest

import networks
from dnnlib.errors import UserError
from training.state import create_state
from training.transfer import transfer

ADAM = dict(beta1=0.0, beta2=0.99, epsilon=1e-8)
pytestmark = pytest.mark.conformance


def make_state(resolution=16, label_size=0, seed=1, **options):
    common = dict(
        resolution=resolution,
        label_size=label_size,
        num_channels=1,
        fmap_base=32,
        fmap_max=8,
        **options,
    )
    G = dict(func_name="G_style", latent_size=8, dlatent_size=8, mapping_fmaps=8, **common)
    return create_state(G, dict(func_name="D_basic", **common), ADAM, ADAM, seed=seed)


def save(state, path, *roles):
    networks.save(path, **{role: getattr(state, role) for role in roles or ("G", "D", "Gs")})
    return path


def test_the_same_networks_are_taken_over_whole(tmp_path):
    source, target = make_state(seed=1), make_state(seed=2)
    source.set_lod(2)
    lines = transfer(target, save(source, tmp_path / "a.safetensors"))
    assert len(lines) == 3
    assert all("taken over" in line for line in lines)
    for role in ("G", "D", "Gs"):
        given, taken = (getattr(state, role).arrays() for state in (source, target))
        for name, array in given.items():
            if name.endswith("lod"):
                assert taken[name] == 0  # where training stands is not a weight
            else:
                np.testing.assert_array_equal(taken[name], array)


@pytest.mark.parametrize(("resolution", "shift"), [(32, 1), (8, -1)])
def test_another_resolution_matches_layers_by_size(tmp_path, resolution, shift):
    source, target = make_state(16, seed=1), make_state(resolution, seed=2)
    lines = transfer(target, save(source, tmp_path / "a.safetensors"))
    rgb = "ToRGB_lod{}/weight".format
    np.testing.assert_array_equal(
        target.G.synthesis.arrays()[rgb(max(shift, 0))],
        source.G.synthesis.arrays()[rgb(max(-shift, 0))],
    )
    np.testing.assert_array_equal(
        target.D.arrays()["8x8/Conv0/weight"], source.D.arrays()["8x8/Conv0/weight"]
    )
    text = "\n".join(lines)
    if shift > 0:
        assert "new here" in text
        assert "32x32/Conv0_up/weight" in text
        assert "noise6" in text
    else:
        assert "not used" in text
        assert "16x16/Conv1/weight" in text
    assert "another shape" not in text


def test_other_labels_keep_the_rest(tmp_path):
    source, target = make_state(label_size=0, seed=1), make_state(label_size=3, seed=2)
    text = "\n".join(transfer(target, save(source, tmp_path / "a.safetensors")))
    assert "G_mapping/LabelConcat/weight" in text
    assert "G_mapping/Dense0/weight [8, 8] → [16, 8]" in text
    assert "4x4/Dense1/weight [8, 1] → [8, 3]" in text
    for name in ("G_mapping/Dense1/weight", "G_synthesis/16x16/Conv1/weight", "dlatent_avg"):
        np.testing.assert_array_equal(target.Gs.arrays()[name], source.Gs.arrays()[name])


def test_a_snapshot_of_gs_alone_serves_both_generators(tmp_path):
    source, target = make_state(seed=1), make_state(seed=2)
    lines = transfer(target, save(source, tmp_path / "a.safetensors", "Gs"))
    assert "D: not in the snapshot; starts anew" in lines
    name = "G_synthesis/4x4/Conv/weight"
    for network in (target.G, target.Gs):
        np.testing.assert_array_equal(network.arrays()[name], source.Gs.arrays()[name])


def test_kernels_are_mirrored_between_fused_and_unfused(tmp_path):
    source, target = make_state(seed=1), make_state(seed=2, fused_scale=True)
    transfer(target, save(source, tmp_path / "a.safetensors"))
    z = np.random.RandomState(0).randn(2, 8).astype(np.float32)
    images = [state.Gs(z, noise="fixed").numpy() for state in (source, target)]
    np.testing.assert_allclose(*images, rtol=1e-4, atol=1e-5)


def test_nothing_that_fits_is_an_error(tmp_path):
    mapping = networks.build("G_mapping", latent_size=4, dlatent_size=4, mapping_fmaps=4)
    networks.save(tmp_path / "a.safetensors", Gs=mapping)
    with pytest.raises(UserError, match="nothing in it fits"):
        transfer(make_state(), tmp_path / "a.safetensors")


def test_a_file_that_is_no_snapshot_is_named(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"no snapshot")
    with pytest.raises(UserError, match=r"a\.safetensors"):
        transfer(make_state(), path)
