"""Gradients: which variables they reach, and their values against float64 differences.

The values come from the independent NumPy networks in float64, by complex steps; the tolerance
is for float32 sums that nearly cancel. Measured: 5e-5.
"""

import numpy as np
import pytest
import tensorflow as tf

from networks import fast, ops
from tests.networks import numpy_networks as expected
from tests.networks.common import (
    TRADITIONAL,
    discriminator,
    generator,
    images_for,
    labels_for,
    nchw,
    normal,
    randomize,
)

STAGES = [(0, False), (0, True), (1, False), (1, True), (2, False)]  # of 16×16
STEP = 1e-20  # of complex steps, which have no rounding error
# How to compute: (plan, as a graph or eagerly). Some fast forms exist in graphs only.
MODES = {
    "plain": (fast.PLAIN, False),
    "fast": (fast.CPU, False),
    "fast_graph": (fast.CPU, True),
}
TOLERANCE = 2e-4

pytestmark = pytest.mark.conformance


def gradients(network, objective, graph=False):
    """{name: gradient or None} of everything trainable."""
    variables = network.trainable()

    def compute():
        with tf.GradientTape() as tape:
            value = objective()
        return tape.gradient(value, list(variables.values()))

    return dict(zip(variables, tf.function(compute)() if graph else compute()))


def check_reached(found, stage_variables):
    assert {name for name, value in found.items() if value is not None} == set(stage_variables)
    for name in stage_variables:
        assert np.isfinite(found[name]).all(), name
        assert np.any(found[name]), name


# ---------------------------------------------------------------- which variables


@pytest.mark.parametrize(("level", "fading"), STAGES)
@pytest.mark.parametrize(
    "options",
    [{}, dict(label_size=3, fused_scale=True), TRADITIONAL],
    ids=["default", "labels", "traditional"],
)
def test_generator_stage(options, level, fading):
    network = randomize(generator(**options))
    z, labels = normal(4, 8), labels_for(network)
    weights = normal(4, 16 >> level, 16 >> level, 3, seed=1)
    alpha = tf.constant(0.3) if fading else None

    def objective():
        images = network.training_stage(z, labels, level, alpha, seed=tf.constant([1, 2]))
        assert images.shape == weights.shape
        return tf.reduce_sum(images * weights)

    check_reached(gradients(network, objective), network.trainable(level, fading))


@pytest.mark.parametrize(("level", "fading"), STAGES)
@pytest.mark.parametrize(
    "options",
    [{}, dict(label_size=3, fused_scale=True), dict(mbstd_group_size=0, blur_filter=None)],
    ids=["default", "labels", "no_stddev"],
)
def test_discriminator_stage(options, level, fading):
    network = randomize(discriminator(**options))
    images, labels = normal(4, 16 >> level, 16 >> level, 3), labels_for(network)
    alpha = tf.constant(0.3) if fading else None

    def objective():
        return tf.reduce_sum(network.stage(images, labels, level, alpha))

    check_reached(gradients(network, objective), network.trainable(level, fading))


def test_stages_name_their_variables():
    """The sets themselves, written out for one stage; everything belongs to some stage."""
    names = set(discriminator().trainable(1, True))
    layers = ["FromRGB_lod1", "FromRGB_lod2", "8x8/Conv0", "8x8/Conv1_down"]
    layers += ["4x4/Conv", "4x4/Dense0", "4x4/Dense1"]
    assert names == {f"{layer}/{kind}" for layer in layers for kind in ("weight", "bias")}
    assert set(discriminator().trainable(1, False)) == {
        name for name in names if not name.startswith("FromRGB_lod2")
    }
    for network in (generator(label_size=2), discriminator()):
        union = set().union(*(network.trainable(*stage) for stage in STAGES))
        assert union == set(network.trainable())
        assert not {"lod", "dlatent_avg", "G_synthesis/noise0", "G_synthesis/lod"} & union
    mapping = {name for name in generator().trainable(2) if name.startswith("G_mapping/")}
    assert len(mapping) == 4  # at every stage


# ---------------------------------------------------------------- values


def directions(network, names, seed=0):
    """A random direction in each of the named variables."""
    rng, arrays = np.random.RandomState(seed), network.arrays()
    for name in names:
        yield name, rng.randn(*arrays[name].shape) * (arrays[name].std() + 0.01)


def moved(arrays, name, step):
    return {**arrays, name: np.float64(arrays[name]) + step}


def check_derivatives(found, wanted):
    """Derivatives along directions, {name: number}; small ones count relative to the largest."""
    scale = max(abs(value) for value in wanted.values())
    errors = {
        name: abs(found[name] - value) / max(abs(value), 1e-2 * scale)
        for name, value in wanted.items()
    }
    print(f"error {max(errors.values()):.1e}")
    assert not {name: value for name, value in errors.items() if not value < TOLERANCE}


@pytest.mark.parametrize(("plan", "graph"), MODES.values(), ids=MODES)
@pytest.mark.parametrize(
    ("options", "lod"),
    [
        ({}, 0.3),
        (dict(fused_scale=True, use_pixel_norm=True, blur_filter=[1, 2, 4]), 0),
        (dict(**TRADITIONAL, label_size=3), 0.3),
    ],
    ids=["default", "fused", "traditional"],
)
def test_generator_derivatives(options, lod, plan, graph):
    network = randomize(generator(**options))
    arrays, opt = network.arrays(), network.options
    z, labels = normal(2, 8), labels_for(network, 2)
    weights = normal(2, 16, 16, 3, seed=1)

    def objective():
        images = network(z, labels, truncation_psi=None, noise="fixed", lod=lod)
        return tf.reduce_sum(images * weights)

    def value(arrays):
        images = expected.generate(arrays, opt, z, labels, lod)
        return (images * nchw(weights)).sum()

    with fast.using(plan):
        found = gradients(network, objective, graph)
    wanted, along = {}, {}
    for name, direction in directions(network, network.trainable(int(lod), lod > int(lod))):
        wanted[name] = value(moved(arrays, name, 1j * STEP * direction)).imag / STEP
        along[name] = np.sum(found[name] * direction)
    check_derivatives(along, wanted)


@pytest.mark.parametrize(("plan", "graph"), MODES.values(), ids=MODES)
@pytest.mark.parametrize(
    ("options", "lod"),
    [
        ({}, 0.3),
        (dict(fused_scale=True, label_size=3, blur_filter=[1, 2, 4]), 0),
        (dict(mbstd_group_size=2, mbstd_num_features=2, blur_filter=[1, 3, 3, 1]), 1.6),
    ],
    ids=["default", "fused", "features"],
)
def test_discriminator_first_and_second_derivatives(options, lod, plan, graph):
    """The score's gradient by x, and the R1 penalty's gradient by the weights.

    With g = ∂s/∂x: d(½‖g‖²) = d(derivative of s along the fixed direction g): a complex step
    along g, then a central difference along the weights.
    """
    network = randomize(discriminator(**options))
    arrays, opt = network.arrays(), network.options
    images, labels = images_for(network), labels_for(network)

    def input_gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(network(x, labels, lod=lod))
        return tape.gradient(total, x)

    def penalty():
        return tf.reduce_sum(tf.square(input_gradient(tf.constant(images)))) / 2

    def score(arrays, shift):
        return expected.scores(arrays, opt, nchw(images) + shift, labels, lod).sum()

    with fast.using(plan):
        gradient = np.float64(nchw(input_gradient(tf.constant(images))))
        found = gradients(network, penalty, graph)

    wanted, along = {}, {}
    for index in range(5):
        direction = normal(*gradient.shape, seed=index)
        wanted[index] = score(arrays, 1j * STEP * direction).imag / STEP
        along[index] = np.sum(gradient * direction)
    check_derivatives(along, wanted)

    wanted, along, step = {}, {}, 1e-7
    for name, direction in directions(network, network.trainable(int(lod), lod > int(lod))):
        plus, minus = (
            score(moved(arrays, name, s * step * direction), 1j * STEP * gradient).imag / STEP
            for s in (1, -1)
        )
        wanted[name] = (plus - minus) / (2 * step)
        # The last bias has no part in any gradient by x.
        along[name] = 0.0 if found[name] is None else np.sum(found[name] * direction)
    check_derivatives(along, wanted)


def test_leaky_relu_and_its_derivative():
    x = tf.constant([-2.0, -1e-30, -0.0, 0.0, 1e-30, 3.0])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = ops.leaky_relu(x)
        slope = tape.gradient(y, x, output_gradients=x + 1)
    np.testing.assert_allclose(y, [-0.4, -2e-31, 0, 0, 1e-30, 3], rtol=1e-6)
    # The derivative at exactly 0 is 1, as in the reference.
    np.testing.assert_allclose(slope / (x + 1), [0.2, 0.2, 1, 1, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(outer.gradient(slope, x), [0.2, 0.2, 1, 1, 1, 1], rtol=1e-6)


@pytest.mark.parametrize("name", ["relu", "lrelu"])
def test_activations(name):
    x = normal(100)
    np.testing.assert_allclose(ops.ACTIVATIONS[name](x), expected.activate(x, name), rtol=1e-6)
