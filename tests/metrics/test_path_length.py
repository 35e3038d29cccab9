"""Paths, crops and the filtered mean: the reference's numbers, and NumPy's."""

import numpy as np
import pytest
import tensorflow as tf

import networks
from metrics import path_length
from tests import golden

EPSILON = 1e-4


@pytest.fixture(scope="module")
def recorded():
    return golden.load("misc/metrics.npz")


def test_golden_interpolation(recorded):
    a, b, t = (recorded[f"ppl/slerp/{name}"] for name in "abt")
    for computed, name in (
        (path_length.slerp(a, b, t), "slerp/out"),
        (path_length.slerp(a, b, t + EPSILON), "slerp/out_t_plus_eps"),
        (path_length.lerp(a, b, t), "lerp/out"),
        (path_length.normalize(tf.constant(a)), "normalize/out"),
    ):
        np.testing.assert_allclose(computed, recorded[f"ppl/{name}"], atol=1e-6)


def test_slerp_moves_at_a_constant_angle():
    rng = np.random.RandomState(0)
    a, b = rng.randn(2, 5, 64).astype(np.float32)
    ends = [path_length.slerp(a, b, np.full([5, 1], t, np.float32)).numpy() for t in (0, 0.25, 1)]
    cosine = np.sum(a * b, axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(ends[0], a / np.linalg.norm(a, axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(ends[2], b / np.linalg.norm(b, axis=1, keepdims=True), atol=1e-6)
    turned = np.arccos(np.sum(ends[0] * ends[1], axis=1))
    np.testing.assert_allclose(turned, np.arccos(cosine) / 4, rtol=1e-4)


@pytest.mark.parametrize("resolution", [16, 64, 256, 512, 1024])
def test_golden_crop(recorded, resolution):
    y, x = np.mgrid[:resolution, :resolution]
    channels = [(4096 * y + x) / 2**22 + 0.25 * c for c in range(3)]
    images = np.stack(channels, axis=-1)[None].astype(np.float32)
    computed = (np.asarray(path_length.crop(tf.constant(images))) + 1) * 127.5
    n, c, h, w = recorded[f"ppl/crop/res{resolution}/shape"]
    assert computed.shape == (n, h, w, c)
    for name, part in (("row0", computed[0, 0, :, 1]), ("col0", computed[0, :, 0, 1])):
        expected = recorded[f"ppl/crop/res{resolution}/channel1_{name}"]
        np.testing.assert_allclose(part, expected, rtol=1e-6)


def test_crop_of_1024_is_a_mean_of_squares():
    images = np.random.RandomState(1).rand(1, 1024, 1024, 1).astype(np.float32)
    part = images[:, 384:896, 256:768]
    expected = part.reshape(1, 256, 2, 256, 2, 1).mean(axis=(2, 4))
    np.testing.assert_allclose(path_length.crop(tf.constant(images)), expected, rtol=1e-5)


def test_golden_filtered_mean(recorded):
    low, high, mean, _ = recorded["ppl/reject/lo_hi_mean_n"]
    distances = recorded["ppl/reject/in"]
    np.testing.assert_allclose(path_length.filtered_mean(distances), mean, rtol=1e-6)
    # What lies beyond does not count, however far it does.
    far = np.where(distances > high, 1e6, np.where(distances < low, -1e6, distances))
    np.testing.assert_allclose(path_length.filtered_mean(far), mean, rtol=1e-6)


@pytest.mark.conformance
@pytest.mark.parametrize("space", ["z", "w"])
@pytest.mark.parametrize("sampling", ["full", "end"])
def test_golden_run(recorded, space, sampling):
    """A whole run with the mean square in place of VGG16's distance."""
    G = networks.build(
        "G_style",
        resolution=32,
        num_channels=3,
        fmap_base=128,
        fmap_max=16,
        latent_size=16,
        dlatent_size=16,
        mapping_fmaps=16,
        use_noise=False,
        style_mixing_prob=0,
    )
    prefix = "ppl/net/"
    G.set_arrays({k[len(prefix) :]: recorded[k] for k in recorded if k.startswith(prefix)})
    epsilon = float(recorded["ppl/run/epsilon"])
    distances = []
    for z, t in zip(recorded["ppl/run/z"], recorded["ppl/run/t"]):
        t = tf.constant(t[:, None]) * (sampling == "full")
        labels = tf.zeros([5, 0])
        ends = path_length.step_codes(G.mapping, z[0::2], z[1::2], labels, t, epsilon, space)
        crops = [(path_length.crop(G.synthesis(w)) + 1) * 127.5 for w in ends]
        if not distances:
            for index, images in enumerate(crops):
                expected = recorded[f"ppl/run/{space}_{sampling}/crop_e{index}_first"]
                computed = np.transpose(images, [0, 3, 1, 2])
                np.testing.assert_allclose(computed, expected, atol=2e-5 * np.abs(expected).max())
        squares = np.mean(np.square(crops[0] - crops[1]), axis=(1, 2, 3))
        distances.append(squares / epsilon**2)
    distances = np.concatenate(distances)
    expected = recorded[f"ppl/run/{space}_{sampling}/distances"]
    # A difference of nearly equal images: ε = 0.01 leaves float32 about four digits.
    np.testing.assert_allclose(distances, expected, rtol=1e-3)
    result = recorded[f"ppl/run/{space}_{sampling}/result"]
    np.testing.assert_allclose(path_length.filtered_mean(distances), result, rtol=3e-4)


@pytest.mark.parametrize("resolution", [16, 256, 512, 1024])
def test_whole_images_are_compared_at_256_at_most(resolution):
    images = np.random.RandomState(2).uniform(-1, 1, [1, resolution, resolution, 1])
    side = min(resolution, 256)
    factor = resolution // side
    means = images.reshape(1, side, factor, side, factor, 1).mean(axis=(2, 4))
    computed = path_length.compared(tf.constant(images, tf.float32), whole=True)
    np.testing.assert_allclose(computed, (means + 1) * 127.5, atol=1e-4)


def test_golden_filtered_mean_of_many():
    recorded = golden.load("ada/metrics3/metrics3.npz")
    mean = recorded["ppl/reject_lo_hi_mean"][2]
    computed = path_length.filtered_mean(recorded["ppl/reject_in"])
    np.testing.assert_allclose(computed, mean, rtol=1e-6)


@pytest.fixture(scope="module")
def stylegan2():
    """(recorded paths, the small conditional StyleGAN2 generator that they are of)."""
    meta = golden.load("stylegan2/misc2/metrics2_meta.json")
    G = networks.build(**{**meta["G"], "func_name": "G_main"})
    arrays = golden.recipe_arrays("metrics2", "Gs", meta["G_vars"])
    # As recorded: without noise, which would be another one for each minibatch.
    G.set_arrays({k: v * (not k.endswith("noise_strength")) for k, v in arrays.items()})
    return golden.load("stylegan2/misc2/metrics2.npz"), G


@pytest.mark.conformance
@pytest.mark.parametrize("kind", ["crop", "nocrop"])
@pytest.mark.parametrize("space", ["z", "w"])
@pytest.mark.parametrize("sampling", ["full", "end"])
def test_golden_run_of_stylegan2(stylegan2, space, sampling, kind):
    """w_end_nocrop is ppl2_wend. One label for each pair, the mean square for a distance."""
    recorded, G = stylegan2
    epsilon = float(recorded["ppl/epsilon"])
    # All minibatches as one: nothing is random.
    z0, z1 = (recorded["ppl/z"][:, start::2].reshape([-1, 16]) for start in (0, 1))
    t = tf.constant(recorded["ppl/t"].reshape([-1, 1])) * (sampling == "full")
    labels = recorded["ppl/labels"].reshape([-1, 3])
    ends = path_length.step_codes(G.mapping, z0, z1, labels, t, epsilon, space)
    first, second = (path_length.compared(G.synthesis(w), kind == "nocrop") for w in ends)
    distances = np.mean(np.square(first - second), axis=(1, 2, 3)) / epsilon**2
    expected = recorded[f"ppl/run/{space}_{sampling}_{kind}/distances"]
    # float32's own error is up to 9e-5 of the largest of these differences of near images.
    np.testing.assert_allclose(distances, expected, rtol=0, atol=2e-4 * expected.max())
    result = recorded[f"ppl/run/{space}_{sampling}_{kind}/result"]
    np.testing.assert_allclose(path_length.filtered_mean(distances), result, rtol=3e-4)
