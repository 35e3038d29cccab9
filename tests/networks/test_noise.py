"""The noise inputs: fixed, random, none."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.networks.common import generator, normal, randomize

LAYERS = range(6)  # of 16×16

pytestmark = pytest.mark.conformance


def probe(layer):
    """A synthesis network of one feature map whose image is 10 + the noise of one layer."""
    network = generator(
        fmap_base=16,
        fmap_max=1,
        num_channels=1,
        blur_filter=None,
        fused_scale=False,
        use_styles=False,
        use_instance_norm=False,
        use_wscale=False,
        style_mixing_prob=0,
    ).synthesis
    arrays = network.arrays()
    for name, array in arrays.items():
        if name.split("/")[0].startswith("noise"):
            continue
        array[...] = 0
        if name.endswith("/weight") and "Noise" not in name:
            array[array.shape[0] // 2, array.shape[1] // 2] = 1  # passes its input on
    scopes = [name[: -len("/Noise/weight")] for name in arrays if "Noise" in name]
    arrays[scopes[layer] + "/Noise/weight"][...] = 1
    arrays[scopes[layer] + "/bias"][...] = 10  # above 0, where leaky ReLU changes nothing
    network.set_arrays(arrays)
    return network


def noise_of(layer, count=1, **options):
    """The noise that a call adds in one layer: [N, H, W]."""
    network = probe(layer)
    level = network.resolution_log2 - (layer // 2 + 2)
    images = network.render(np.zeros([count, 1, 8], np.float32), level, **options)
    return images.numpy()[:, :, :, 0] - 10


@pytest.mark.parametrize("layer", LAYERS)
def test_fixed_noise_is_the_stored_variable(layer):
    stored = probe(layer).arrays()[f"noise{layer}"]
    side = 2 ** (layer // 2 + 2)
    assert stored.shape == (1, 1, side, side)
    noise = noise_of(layer, count=2, noise="fixed")
    np.testing.assert_allclose(noise, np.repeat(stored[0], 2, axis=0), atol=2e-6)


@pytest.mark.parametrize("layer", LAYERS)
def test_random_noise_is_standard_normal(layer):
    noise = noise_of(layer, count=400, noise="random", seed=1)
    assert noise.shape == (400, 2 ** (layer // 2 + 2), 2 ** (layer // 2 + 2))
    margin = 4 / np.sqrt(noise.size)  # standard errors
    assert abs(noise.mean()) < margin
    assert abs(noise.std() - 1) < margin
    assert abs((noise**4).mean() - 3) < margin * np.sqrt(96)
    # Images of a minibatch have noise of their own, and so has every pixel.
    assert abs((noise[0::2] * noise[1::2]).mean()) < margin * np.sqrt(2)
    assert abs((noise[:, 1:] * noise[:, :-1]).mean()) < margin * np.sqrt(2)


def test_layers_have_noise_of_their_own():
    first, second = (noise_of(layer, count=200, noise="random", seed=1) for layer in (0, 1))
    assert abs((first * second).mean()) < 4 / np.sqrt(first.size)
    assert not np.array_equal(probe(0).arrays()["noise0"], probe(0).arrays()["noise1"])


def test_no_noise():
    assert not noise_of(3, noise="none").any()
    network = randomize(generator())
    z = normal(2, 8)
    quiet = network(z, noise="none")
    arrays = network.arrays()
    for name, array in arrays.items():
        if name.endswith("Noise/weight"):
            array[...] = 0
    network.set_arrays(arrays)
    # Sums of the same numbers, compiled differently.
    np.testing.assert_allclose(quiet, network(z, noise="fixed"), atol=1e-5)
    np.testing.assert_allclose(quiet, network(z, noise="random"), atol=1e-5)


def test_repeats():
    network = randomize(generator())
    z = normal(2, 8)
    for options in (dict(noise="fixed"), dict(noise="none"), dict(noise="random", seed=7)):
        np.testing.assert_array_equal(network(z, **options), network(z, **options))


def test_seeds():
    network = randomize(generator())
    z = normal(2, 8)
    calls = [dict(seed=7), dict(seed=8), dict(seed=7 + 2**31), dict(seed=-7), {}, {}]
    images = [network(z, **options).numpy() for options in calls]
    assert all(not np.array_equal(a, b) for a, b in itertools.combinations(images, 2))
    # All of these are the seed 7.
    for seed in (np.int64(7), tf.constant(7), np.array([7, 0]), tf.constant([7, 0], tf.int64)):
        np.testing.assert_array_equal(network(z, seed=seed), images[0])


def test_large_seeds():
    network = randomize(generator())
    z, seeds = normal(2, 8), [2**40, 2**40 + 2**33, 2**60 + 1, -(2**40)]
    images = [network(z, seed=seed).numpy() for seed in seeds]
    assert all(not np.array_equal(a, b) for a, b in itertools.combinations(images, 2))
    np.testing.assert_array_equal(network(z, seed=np.int64(2**40)), images[0])
    np.testing.assert_array_equal(network(z, seed=np.int64(-(2**40))), images[3])
    np.testing.assert_array_equal(network(z, seed=[2**40 % 2**31, 2**9]), images[0])


def test_a_traced_call_without_a_seed_draws_anew_each_time():
    network = randomize(generator())
    traced = tf.function(lambda z: network(z))
    z = tf.constant(normal(2, 8))
    assert not np.array_equal(traced(z), traced(z))


def test_default_is_random_unless_the_network_says_fixed():
    z = normal(2, 8)
    network = randomize(generator())
    np.testing.assert_array_equal(network(z, seed=3), network(z, seed=3, noise="random"))
    network = randomize(generator(randomize_noise=False))
    np.testing.assert_array_equal(network(z), network(z, noise="fixed"))


def test_generator_without_noise_ignores_the_mode():
    network = randomize(generator(use_noise=False))
    assert not [name for name in network.arrays() if "noise" in name.lower()]
    z = normal(2, 8)
    np.testing.assert_array_equal(network(z, noise="random"), network(z, noise="fixed"))


def test_images_of_equal_latents_differ_by_noise_only():
    network = randomize(generator())
    z = np.repeat(normal(1, 8), 2, axis=0)
    same, other = network(z, noise="fixed").numpy()
    np.testing.assert_allclose(same, other, atol=1e-5)
    first, second = network(z, noise="random").numpy()
    assert np.abs(first - second).max() > 0.1
