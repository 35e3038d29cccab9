"""Ways to run a network: traced, in low precision, in any minibatch, on several replicas."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from tests.networks import mirrored_check
from tests.networks.common import (
    DISCRIMINATORS,
    GENERATORS,
    discriminator,
    error,
    generator,
    images_for,
    labels_for,
    normal,
    randomize,
)

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.conformance


def run_python(*args):
    """A fresh interpreter; returns its output, fails with its errors."""
    done = subprocess.run(
        [sys.executable, *args], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# ---------------------------------------------------------------- the package


def test_import_without_tensorflow():
    run_python(
        "-c",
        "import sys, networks, networks.registry;"
        "networks.registry.resolve('G_style', resolution=64);"
        "names = 'build convert_images_to_uint8 load load_runnable runnable save'.split();"
        "assert sorted(networks.__all__) == names;"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)",
    )


# ---------------------------------------------------------------- shapes and minibatches


@pytest.mark.parametrize("lod", [0, 1.5, 2])
def test_images_are_full_size_float32(lod):
    network = generator(num_channels=1)
    images = network(normal(3, 8), lod=lod)
    assert images.shape == [3, 16, 16, 1]
    assert images.dtype == tf.float32
    factor = 2 ** int(lod)
    small = images[:, ::factor, ::factor].numpy()
    np.testing.assert_array_equal(small.repeat(factor, axis=1).repeat(factor, axis=2), images)
    scores = discriminator(num_channels=1)(images, lod=lod)
    assert scores.shape == [3, 1]
    assert scores.dtype == tf.float32


def test_training_call_is_full_size_too():
    assert generator()(normal(3, 8), training=True, lod=1.5).shape == [3, 16, 16, 3]


def test_an_image_does_not_depend_on_its_minibatch():
    """Tolerance: another minibatch may sum in another order."""
    network = randomize(generator(label_size=2))
    z, labels = normal(5, 8), labels_for(network, 5)
    together = network(z, labels, noise="fixed")
    for i in range(5):
        alone = network(z[i : i + 1], labels[i : i + 1], noise="fixed")
        np.testing.assert_allclose(alone[0], together[i], atol=1e-5 * np.abs(together).max())


def test_a_score_depends_on_its_minibatch_through_the_standard_deviation_only():
    images = normal(8, 16, 16, 3)
    network = randomize(discriminator(mbstd_group_size=1))
    together = network(images).numpy()
    alone = np.concatenate([network(images[i : i + 1]) for i in range(8)])
    assert error(alone, together) < 1e-5
    network = randomize(discriminator())
    together = network(images).numpy()
    assert error(network(images[::-1])[::-1], together) < 1e-5
    # Groups of n, n+2, n+4, n+6: changing image 7 changes the scores of 1, 3, 5, 7.
    images[7] *= 3
    changed = np.abs(network(images) - together)[:, 0] > 1e-4
    np.testing.assert_array_equal(changed, [False, True] * 4)


def test_arrays_lists_and_other_float_types_will_do():
    network = randomize(generator(label_size=2))
    z, labels = normal(2, 8), labels_for(network, 2)
    wanted = network(z, labels, noise="fixed")
    for convert in (np.float64, tf.constant, lambda x: tf.cast(x, tf.float64)):
        found = network(convert(z), convert(labels), noise="fixed")
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    one_hot = np.eye(2, dtype=np.int32)
    np.testing.assert_array_equal(
        network(z, one_hot, noise="fixed"), network(z, np.float32(one_hot), noise="fixed")
    )
    network = randomize(discriminator())
    images = normal(4, 16, 16, 3)
    np.testing.assert_allclose(network(np.float64(images)), network(images), rtol=1e-5, atol=1e-6)


def test_integer_latents_are_read_as_numbers():
    network = randomize(generator())
    z = np.arange(16).reshape(2, 8)
    np.testing.assert_allclose(
        network(z, noise="fixed"), network(np.float32(z), noise="fixed"), atol=1e-5
    )


# ---------------------------------------------------------------- tf.function


def test_traced_calls_equal_eager_ones_and_trace_once_per_lod():
    G, D = randomize(generator()), randomize(discriminator())
    traces = []

    @tf.function
    def score(z, lod):
        traces.append(lod)
        return D(G(z, noise="fixed", lod=lod), lod=lod)

    for lod in (0, 0.3, 1, 2, 0, 0.3, 1, 2):
        for seed in range(2):
            z = tf.constant(normal(4, 8, seed=seed))
            wanted = D(G(z, noise="fixed", lod=lod), lod=lod)
            np.testing.assert_allclose(score(z, lod), wanted, rtol=1e-4, atol=1e-5)
    assert traces == [0, 0.3, 1, 2]


def test_a_stage_is_one_trace_for_all_its_fades():
    G, D = randomize(generator()), randomize(discriminator())
    traces = []

    @tf.function
    def score(z, alpha):
        traces.append(1)
        images = G.synthesis.render(G.mapping(z), 1, alpha, noise="fixed")
        return D.stage(images, None, 1, alpha)

    z = tf.constant(normal(4, 8))
    for alpha in (0.0, 0.25, 0.5, 0.999):
        wanted = D(G(z, truncation_psi=1, noise="fixed", lod=1 + alpha), lod=1 + alpha)
        np.testing.assert_allclose(score(z, tf.constant(alpha)), wanted, rtol=1e-4, atol=1e-5)
    assert len(traces) == 1


def test_unknown_minibatch_and_own_lod_while_traced():
    G, D = randomize(generator(label_size=2)), randomize(discriminator(label_size=2))
    for network in (G, D):
        network.lod.assign(1.5)

    @tf.function(input_signature=[tf.TensorSpec([None, 8]), tf.TensorSpec([None, 2])])
    def score(z, labels):
        return D(G(z, labels, noise="fixed"), labels)

    for count in (1, 2, 8):
        z, labels = normal(count, 8), labels_for(G, count)
        wanted = D(G(z, labels, noise="fixed", lod=1.5), labels, lod=1.5)
        np.testing.assert_allclose(score(z, labels), wanted, rtol=1e-4, atol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError):  # six are no groups of four
        score(normal(6, 8), labels_for(G, 6))


def test_weights_set_later_reach_traced_calls():
    network = randomize(generator())
    traced = tf.function(lambda z: network(z, noise="fixed"))
    z = tf.constant(normal(2, 8))
    before = traced(z).numpy()
    randomize(network, seed=9)
    assert not np.allclose(traced(z), before)
    np.testing.assert_allclose(traced(z), network(z, noise="fixed"), rtol=1e-4, atol=1e-4)


# ---------------------------------------------------------------- precision


# Loose: each of about ten layers rounds to 8 or 11 bits. Measured: 0.056 and 0.022 (of scores
# that nearly cancel; else 0.007).
LOW_PRECISION = {"bfloat16": 0.15, "float16": 0.05}


def check_low_precision(make, options, call):
    network = randomize(make(**options))
    wanted = call(network)
    for dtype, tolerance in LOW_PRECISION.items():
        low = make(**{**options, "dtype": dtype})
        low.set_arrays(network.arrays())
        assert all(array.dtype == np.float32 for array in low.arrays().values())
        found = call(low)
        assert found.dtype == tf.float32
        assert np.isfinite(found).all()
        print(f"error {error(found, wanted):.1e} {dtype}")
        assert error(found, wanted) < tolerance
        if make is generator:
            images = low(normal(4, low.options["latent_size"]), noise="random", training=True)
            assert np.isfinite(images).all()


@pytest.mark.parametrize("options", GENERATORS.values(), ids=GENERATORS)
def test_low_precision_generator(options):
    def call(network):
        z, labels = normal(4, network.options["latent_size"]), labels_for(network)
        growing = network.resolution == 16 and network.options["structure"] == "auto"
        return network(z, labels, noise="fixed", lod=0.5 if growing else 0)

    check_low_precision(generator, options, call)


@pytest.mark.parametrize("options", DISCRIMINATORS.values(), ids=DISCRIMINATORS)
def test_low_precision_discriminator(options):
    def call(network):
        count = 6 if network.options["mbstd_group_size"] == 3 else 4
        growing = network.resolution == 16 and network.options["structure"] == "auto"
        images, labels = images_for(network, count), labels_for(network, count)
        return network(images, labels, lod=0.5 if growing else 0)

    check_low_precision(discriminator, options, call)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_constant_features_stay_finite(dtype):
    """A norm of features that are all equal, or all zero, divides by its epsilon only."""
    for options in ({}, dict(use_pixel_norm=True, use_instance_norm=False, nonlinearity="relu")):
        network = generator(dtype=dtype, **options)
        network.set_arrays({name: array * 0 for name, array in network.arrays().items()})
        assert np.isfinite(network(normal(2, 8))).all()
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(network(normal(2, 8), noise="fixed"))
        variables = [v for name, v in network.trainable(0).items() if "G_mapping" not in name]
        assert all(np.isfinite(g).all() for g in tape.gradient(total, variables))


def test_a_global_mixed_precision_policy_changes_nothing():
    z = normal(2, 8)
    wanted = randomize(generator())(z, noise="fixed")
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        network = randomize(generator())
        images = network(z, noise="fixed")
        assert images.dtype == tf.float32
        np.testing.assert_array_equal(images, wanted)
        scores = randomize(discriminator())(normal(4, 16, 16, 3))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_array_equal(scores, randomize(discriminator())(normal(4, 16, 16, 3)))


# ---------------------------------------------------------------- replicas


def test_two_replicas():
    """In a process of its own: logical devices must be made before anything else runs."""
    assert "replicas agree" in run_python("-m", mirrored_check.__name__)
