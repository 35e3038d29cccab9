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
        **{"num_channels": 1, "fmap_base": 32, "fmap_max": 8, **options},
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
    first = "G_mapping/Dense0/weight"  # z comes first, and the scale is by √inputs
    given, taken = source.G.arrays()[first], target.G.arrays()[first]
    np.testing.assert_allclose(taken[:8], np.sqrt(2) * given, rtol=1e-6)
    assert not taken[8:].any()
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


def test_between_gray_and_colours_pictures_and_scores_stay(tmp_path):
    gray, colours, again = (make_state(num_channels=n, seed=n) for n in (1, 3, 1))
    z = np.random.RandomState(0).randn(2, 8).astype(np.float32)
    lines = transfer(colours, save(gray, tmp_path / "gray.safetensors"))
    fitted = [line for line in lines if "made to fit other colours" in line]
    assert [line.split(" of them ")[0] for line in fitted] == ["G: 6", "D: 3", "Gs: 6"]
    assert "ToRGB_lod2/weight [1, 1, 8, 1] → [1, 1, 8, 3]" in fitted[0]
    assert not any("another shape" in line for line in lines)
    expected = gray.Gs(z, noise="fixed").numpy()
    images = colours.Gs(z, noise="fixed").numpy()
    np.testing.assert_allclose(images, np.repeat(expected, 3, axis=-1), rtol=0, atol=1e-6)
    scores = gray.D(expected).numpy()
    np.testing.assert_allclose(colours.D(images).numpy(), scores, rtol=0, atol=1e-5)
    transfer(again, save(colours, tmp_path / "colours.safetensors"))
    np.testing.assert_allclose(again.Gs(z, noise="fixed").numpy(), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(again.D(expected).numpy(), scores, rtol=0, atol=1e-5)


def test_g_alone_serves_both_generators_and_d_none(tmp_path):
    source, target = make_state(seed=1), make_state(seed=2)
    lines = transfer(target, save(source, tmp_path / "g.safetensors", "G"))
    assert "Gs: from the file's G" in lines
    assert "D: not in the snapshot; starts anew" in lines
    name, anew = "G_synthesis/4x4/Conv/weight", "4x4/Conv/weight"
    for network in (target.G, target.Gs):
        np.testing.assert_array_equal(network.arrays()[name], source.G.arrays()[name])
    of_D = target.D.arrays()[anew]
    np.testing.assert_array_equal(of_D, make_state(seed=2).D.arrays()[anew])
    lines = transfer(target, save(source, tmp_path / "d.safetensors", "D"))
    assert lines[::2] == [f"{role}: not in the snapshot; starts anew" for role in ("G", "Gs")]
    np.testing.assert_array_equal(target.D.arrays()[anew], source.D.arrays()[anew])


def test_options_of_the_file_are_told_as_flags(tmp_path):
    path = save(make_state(seed=1), tmp_path / "a.safetensors")
    text = "\n".join(transfer(make_state(seed=2, fmap_max=4, blur_filter=None), path))
    wanted = "these are: --set {0}.fmap_max=8 --set {0}.blur_filter=[1,2,1]"
    assert f"G: its options are not the file's; {wanted.format('G')}" in text
    assert f"D: its options are not the file's; {wanted.format('D')}" in text
    assert "Gs: its options" not in text  # they are G's
    # The same widths by other numbers are no other options.
    wide = make_state(seed=2, fmap_base=2**20)
    assert "options" not in "\n".join(transfer(wide, save(wide, tmp_path / "b.safetensors")))


def test_a_network_of_another_family_starts_anew(tmp_path):
    source, target = make_state(seed=1), make_state(seed=2)
    G = networks.build("G_main", resolution=16, num_channels=1, fmap_base=32, fmap_max=8)
    networks.save(tmp_path / "a.safetensors", G=G, D=source.D)
    lines = transfer(target, tmp_path / "a.safetensors")
    for role in ("G", "Gs"):
        (line,) = (line for line in lines if line.startswith(f"{role}: starts anew"))
        assert "it is a G_main: StyleGAN2's networks scale weights by styles" in line
    networks.save(tmp_path / "b.safetensors", Gs=G)
    with pytest.raises(UserError, match=r"nothing in it fits .*G_main: StyleGAN2's networks"):
        transfer(target, tmp_path / "b.safetensors")


def test_nothing_that_fits_is_an_error(tmp_path):
    mapping = networks.build("G_mapping", latent_size=4, dlatent_size=4, mapping_fmaps=4)
    networks.save(tmp_path / "a.safetensors", Gs=mapping)
    with pytest.raises(UserError, match="nothing in it fits"):
        transfer(make_state(), tmp_path / "a.safetensors")


def test_biases_and_noise_alone_are_told(tmp_path):
    """They fit by chance; whoever trains on from them would not know that it starts anew."""
    path = save(make_state(seed=1), tmp_path / "a.safetensors", "D")
    other = make_state(seed=2, fmap_base=128, fmap_max=12)
    lines = transfer(other, path)
    assert any(line.endswith("--set D.fmap_base=32 --set D.fmap_max=8") for line in lines)
    assert "D: 1 variables taken over" in lines
    assert lines[-1].startswith("note: nothing fits but biases, noise and single numbers")
    assert not any("nothing fits" in line for line in transfer(make_state(seed=3), path))


def test_a_file_that_is_no_snapshot_is_named(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"no snapshot")
    with pytest.raises(UserError, match=r"a\.safetensors"):
        transfer(make_state(), path)
