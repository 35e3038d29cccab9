"""Every fast path against the plain form of the same arithmetic (networks/fast.py)."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from networks import fast, fused, ops
from networks.sampling import generator_function
from tests.networks.common import D_TINY, discriminator, error, generator, normal, randomize

pytestmark = pytest.mark.conformance

SHAPES = [(3, 4, 4, 8), (2, 16, 16, 6), (1, 32, 32, 5)]
# float32: rounding, of sums over up to 1024 values. bfloat16 against float32: its rounding,
# 2⁻⁹ of a value, a few times over.
TOLERANCES = {"float32": 5e-6, "bfloat16": 0.02}


def random(*shape, dtype="float32", seed=0):
    return tf.cast(normal(*shape, seed=seed), dtype)


def value_and_gradients(function, arguments, weights):
    """function(*arguments), and the gradients of its inner product with `weights`."""
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        value = function(*arguments)
    return [value, *tape.gradient(value, arguments, weights)]


def gradients_of_gradients(function, arguments):
    """The gradients of Σ ‖gradients of Σ sin 3y‖², in every argument."""
    with tf.GradientTape() as outer:
        outer.watch(arguments)
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            total = tf.reduce_sum(tf.sin(3 * function(*arguments)))
        gradients = tape.gradient(total, arguments)
        total = tf.add_n([tf.reduce_sum(tf.square(gradient)) for gradient in gradients])
    return outer.gradient(total, arguments)


def plain_activation(x, bias, noise=None, weight=None):
    if noise is not None:
        x = x + noise * weight
    return ops.leaky_relu(tf.nn.bias_add(x, bias))


def plain_adain(x, scale, shift):
    x = ops.instance_norm(x)
    return x * (scale[:, None, None, :] + 1) + shift[:, None, None, :]


def cases(shape, dtype):
    n, height, width, channels = shape
    x = random(*shape, dtype=dtype)
    bias = random(channels, seed=1)
    noise = random(n, height, width, 1, dtype=dtype, seed=2)
    fixed = random(1, height, width, 1, dtype=dtype, seed=3)
    weight = random(channels, seed=4)
    scale, shift = random(n, channels, seed=5), random(n, channels, seed=6)
    return {
        "leaky_relu": (ops.leaky_relu, fused.leaky_relu, [x]),
        "bias": (plain_activation, fused.biased_activation, [x, bias]),
        "noise": (plain_activation, fused.noisy_activation, [x, bias, noise, weight]),
        "fixed_noise": (plain_activation, fused.noisy_activation, [x, bias, fixed, weight]),
        "adain": (plain_adain, fused.adain, [x + 3, scale, shift]),
    }


NAMES = list(cases(SHAPES[0], "float32"))


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients(name, shape, dtype, graph):
    plain, function, arguments = cases(shape, dtype)[name]
    weights = random(*shape, dtype=dtype, seed=9)
    wide = [tf.cast(argument, "float32") for argument in arguments]
    expected = value_and_gradients(plain, wide, tf.cast(weights, "float32"))

    def compute():
        return value_and_gradients(function, arguments, weights)

    actual = tf.function(compute)() if graph else compute()
    assert [value.dtype for value in actual[1:]] == [argument.dtype for argument in arguments]
    for wanted, value in zip(expected, actual):
        assert error(tf.cast(value, "float32"), wanted) < TOLERANCES[dtype]


@pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_second_order(name, shape):
    plain, function, arguments = cases(shape, "float32")[name]
    expected = gradients_of_gradients(plain, arguments)
    actual = tf.function(lambda: gradients_of_gradients(function, arguments))()
    for wanted, value in zip(expected, actual):
        assert error(value, wanted) < 5e-5  # steep: rounding is multiplied


def test_leaky_relu_has_slope_one_at_zero():
    x = tf.constant([-1.0, -0.0, 0.0, 1.0])
    for function in (ops.leaky_relu, fused.leaky_relu):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        np.testing.assert_array_equal(tape.gradient(y, x), np.float32([0.2, 1, 1, 1]))


def test_adain_of_features_that_hardly_vary():
    """A learned constant of ones: variance is 0, or next to nothing beside the mean."""
    scale, shift = random(2, 3), random(2, 3, seed=1)
    y = fused.adain(tf.ones([2, 16, 16, 3]), scale, shift)
    np.testing.assert_array_equal(y, np.broadcast_to(shift[:, None, None], y.shape))
    x = 1 + 1e-3 * random(2, 4, 4, 3, seed=2)
    dy = random(2, 4, 4, 3, seed=3)
    # Gradients in a constant offset are exactly 0; plain and fast leave as little rounding.
    offsets = [
        float(tf.reduce_max(tf.abs(tf.reduce_mean(gradient, axis=[1, 2]))))
        / float(tf.reduce_max(tf.abs(gradient)))
        for gradient in (
            value_and_gradients(function, [x, scale, shift], dy)[1]
            for function in (plain_adain, fused.adain)
        )
    ]
    assert max(offsets) < 1e-6


@pytest.mark.parametrize(
    "taps", [(1, 2, 1), (1, 3, 2), (1, 2, 3, 2, 1), (1, 3, 3, 1), (1,)], ids=str
)
def test_blur(taps):
    x, weights = random(2, 8, 8, 3), random(2, 8, 8, 3, seed=1)

    def blur(fast):
        return lambda x: ops.blur2d(x, taps, fast=fast)

    for wanted, value in zip(
        value_and_gradients(blur(False), [x], weights) + gradients_of_gradients(blur(False), [x]),
        value_and_gradients(blur(True), [x], weights) + gradients_of_gradients(blur(True), [x]),
    ):
        assert error(value, wanted) < 1e-6


# ---------------------------------------------------------------- whole networks


def penalised_scores(D, images):
    """Scores, and the gradients of (Σ scores + R1) in D's variables."""
    variables = list(D.trainable(0).values())
    with tf.GradientTape() as outer:
        with tf.GradientTape() as tape:
            tape.watch(images)
            scores = D.stage(images, None, 0)
            total = tf.reduce_sum(scores)
        penalty = tf.reduce_sum(tf.square(tape.gradient(total, images)))
        loss = total + penalty
    return [scores, *outer.gradient(loss, variables)]


def generator_gradients(G, w):
    variables = [v for name, v in G.trainable(0).items() if name.startswith("G_synthesis/")]
    with tf.GradientTape() as tape:
        images = G.synthesis.render(w, 0, noise="fixed")
        loss = tf.reduce_sum(tf.square(images))
    return [images, *tape.gradient(loss, variables)]


def relative(actual, expected):
    """‖actual − expected‖ / ‖expected‖: forgives the few values at leaky ReLU's kink that a
    different rounding puts on its other side."""
    actual, expected = np.float64(actual), np.float64(expected)
    return np.linalg.norm(actual - expected) / max(np.linalg.norm(expected), 1e-6)


# The one variable whose true gradient is 0: instance norm cancels it.
CANCELLED = "G_synthesis/4x4/Const/bias"


def test_networks_by_plan():
    D, G = randomize(discriminator()), randomize(generator())
    images, w = random(4, 16, 16, 3), random(2, G.num_layers, 8, seed=1)
    single = [field.name for field in dataclasses.fields(fast.Plan)]
    plans = [dataclasses.replace(fast.PLAIN, **{name: True}) for name in single]
    results = []
    for plan in (fast.PLAIN, *plans, fast.CPU, fast.GPU):
        with fast.using(plan):
            compute = tf.function(lambda: (penalised_scores(D, images), generator_gradients(G, w)))
            results.append(compute())
    names = [name for name in G.trainable(0) if name.startswith("G_synthesis/")]
    skip = 1 + names.index(CANCELLED)
    for result in results[1:]:
        for wanted, value in zip(results[0][0], result[0]):
            assert relative(value, wanted) < 1e-3
        for index, (wanted, value) in enumerate(zip(results[0][1], result[1])):
            assert index == skip or relative(value, wanted) < 1e-3


@pytest.mark.parametrize("dtype", ["bfloat16"])
def test_low_precision_networks(dtype):
    """In bfloat16, plain and fast are equally far from float32, a per cent or two."""
    images = random(4, 16, 16, 3)
    wide = randomize(discriminator())
    expected = wide(images)
    for plan in (fast.PLAIN, fast.CPU):
        D = randomize(discriminator(dtype=dtype))
        with fast.using(plan):
            assert relative(D(images), expected) < 0.05


@pytest.mark.parametrize("plan", [fast.PLAIN, fast.CPU], ids=["plain", "cpu"])
def test_low_precision_of_a_new_generator(plan):
    """Early in training the learned constant varies by less than bfloat16 can tell from 1."""
    G, narrow = generator(), generator(dtype="bfloat16")
    arrays = randomize(G).arrays()
    arrays["G_synthesis/4x4/Const/const"] = 1 + 1e-3 * normal(1, 8, 4, 4)
    arrays["G_synthesis/4x4/Const/Noise/weight"] = 1e-3 * normal(8, seed=1)
    arrays["G_synthesis/4x4/Const/bias"] = 1e-3 * normal(8, seed=2)
    for network in (G, narrow):
        network.set_arrays(arrays)
    z = normal(4, 8)
    with fast.using(plan):
        assert relative(narrow(z, noise="fixed"), G(z, noise="fixed")) < 0.05


def test_repeats_bit_for_bit():
    G, D = randomize(generator()), randomize(discriminator())
    images, w = random(4, 16, 16, 3), random(2, G.num_layers, 8, seed=1)
    with fast.using(fast.CPU):
        compute = tf.function(lambda: (penalised_scores(D, images), generator_gradients(G, w)))
        first, second = (tf.nest.flatten(compute()) for _ in range(2))
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)


def test_plain_stays_plain():
    """No XLA program and no 4×4 kernel in the plain form's graph."""
    assert not any(dataclasses.asdict(fast.PLAIN).values())
    D = discriminator(**{**D_TINY, "fused_scale": False})
    spec = tf.TensorSpec([4, 16, 16, 3])
    with fast.using(fast.PLAIN):
        graph = tf.function(lambda x: D(x)).get_concrete_function(spec).graph
    assert not [op.name for op in graph.get_operations() if "PartitionedCall" in op.type]
    kernels = [op.inputs[1].shape for op in graph.get_operations() if op.type == "Conv2D"]
    assert kernels
    assert max(shape[0] for shape in kernels) == 3


# ---------------------------------------------------------------- generation


@pytest.mark.parametrize("lod", [0, 1.5])
def test_generator_function(lod):
    G = randomize(generator(label_size=2))
    z, labels = normal(3, 8), np.eye(3, 2, dtype=np.float32)
    generate = generator_function(G, lod=lod, truncation_psi=0.5)
    expected = tf.function(lambda: G(z, labels, lod=lod, truncation_psi=0.5, seed=4))()
    assert error(generate(z, labels, seed=4), expected) < 1e-6
    assert (
        error(
            generate(z[:1], labels[:1], seed=4),
            G(z[:1], labels[:1], lod=lod, truncation_psi=0.5, seed=4),
        )
        < 1e-5
    )


def test_generator_function_is_a_frozen_copy():
    G = randomize(generator())
    z = normal(2, 8)
    generate = generator_function(G, noise="fixed")
    before = np.array(G(z, noise="fixed"))
    G.set_arrays(
        {name: value * 1.5 for name, value in G.arrays().items() if name != "lod"} | {"lod": 0.0}
    )
    assert error(G(z, noise="fixed"), before) > 0.01
    assert error(generate(z), before) < 1e-5  # also before its first call
    assert error(generator_function(G, noise="fixed")(z), G(z, noise="fixed")) < 1e-5


def test_generator_function_in_another_precision():
    G = randomize(generator())
    z = normal(2, 8)
    images = generator_function(G, noise="fixed", dtype="bfloat16")(z)
    assert images.dtype == tf.float32
    assert relative(images, G(z, noise="fixed")) < 0.05
