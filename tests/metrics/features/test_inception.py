"""FID's Inception against NumPy, operation by operation and block by block, and against the
topology of keras.applications.
"""

import re

import numpy as np
import pytest
import tensorflow as tf
from tensorflow import keras

from metrics.features import inception
from tests.metrics.features import feature_numpy as expected
from tests.metrics.features.feature_weights import inception_arrays

pytestmark = pytest.mark.conformance
# Of float32 sums over up to 18,432 products; wrong arithmetic is off by 1e-2 and more.
TOLERANCE = dict(rtol=1e-4, atol=1e-4)


@pytest.fixture(name="arrays", scope="module")
def _arrays():
    return inception_arrays()


@pytest.fixture(name="net", scope="module")
def _net(arrays):
    return inception.Inception(arrays)


def images(*shape, seed=1):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def positive(*shape):
    """Activations as they come out of a ReLU."""
    return np.maximum(np.random.default_rng(2).standard_normal(shape, np.float32), 0)


def test_variables():
    shapes = inception.shapes()
    assert len(shapes) == 4 * 94
    assert list(shapes)[:4] == [
        "conv/conv2d_params",
        "conv/batchnorm/beta",
        "conv/batchnorm/moving_mean",
        "conv/batchnorm/moving_variance",
    ]
    scopes = [name.removesuffix("/conv2d_params") for name in shapes if "conv2d" in name]
    of_block = {}
    for scope in scopes[5:]:
        block, _, rest = scope.partition("/")
        of_block.setdefault(block, []).append(rest)
    assert scopes[:5] == ["conv", "conv_1", "conv_2", "conv_3", "conv_4"]
    assert list(of_block) == ["mixed", *(f"mixed_{i}" for i in range(1, 11))]
    three = ["tower_1/conv", "tower_1/conv_1", "tower_1/conv_2"]
    assert of_block["mixed_1"] == ["conv", "tower/conv", "tower/conv_1", *three, "tower_2/conv"]
    assert (
        of_block["mixed_10"]
        == (
            "conv tower/conv tower/mixed/conv tower/mixed/conv_1 tower_1/conv tower_1/conv_1 "
            "tower_1/mixed/conv tower_1/mixed/conv_1 tower_2/conv"
        ).split()
    )
    assert shapes["mixed_4/tower_1/conv_1/conv2d_params"] == (7, 1, 128, 128)
    assert shapes["mixed_10/tower_1/conv_1/batchnorm/beta"] == (384,)


@pytest.mark.parametrize("size", [(2, 3), (64, 40), (299, 299), (400, 310)])
def test_legacy_resize(size):
    x = images(1, *size, 3)
    wanted = (expected.legacy_resize(x, 299) - 128) / 128
    for given in (x, x.astype(np.float32)):
        # TensorFlow computes where a pixel comes from in float32.
        np.testing.assert_allclose(inception.preprocess(given), wanted, rtol=0, atol=1e-4)


def test_layer(net, arrays):
    x = np.random.default_rng(3).standard_normal((2, 9, 12, 3), np.float32)
    wanted = expected.inception_layer(arrays, "conv", x, stride=2, same=False)
    np.testing.assert_allclose(net.conv(x, "conv", 32, 3, 3, 2, "VALID"), wanted, **TOLERANCE)


def test_mean_leaves_padding_out(net):
    x = positive(2, 4, 5, 7)
    np.testing.assert_allclose(net.average_pool(x), expected.average_pool(x), **TOLERANCE)
    np.testing.assert_array_equal(net.average_pool(np.ones([1, 3, 3, 1], np.float32)), 1)


def test_block_with_a_mean(net, arrays):
    x = positive(1, 5, 4, 192)

    def layer(x, scope):
        return expected.inception_layer(arrays, f"mixed/{scope}", x)

    wanted = [
        layer(x, "conv"),
        layer(layer(x, "tower/conv"), "tower/conv_1"),
        layer(layer(layer(x, "tower_1/conv"), "tower_1/conv_1"), "tower_1/conv_2"),
        layer(expected.average_pool(x), "tower_2/conv"),
    ]
    found = inception.block_35(net, x, "mixed", 32)
    np.testing.assert_allclose(found, np.concatenate(wanted, axis=-1), **TOLERANCE)


def test_last_block_has_a_maximum(arrays):
    """Through the whole network, which chooses the pool; all but the last block is left out."""

    class LastBlock(inception.Inception):
        def join(self, *parts):
            self.before, self.last = getattr(self, "last", None), super().join(*parts)
            return self.last

    net = LastBlock(arrays)
    net(images(1, 40, 40, 3))
    x = net.before.numpy()

    def layer(x, scope):
        return expected.inception_layer(arrays, f"mixed_10/{scope}", x)

    two, three = layer(x, "tower/conv"), layer(layer(x, "tower_1/conv"), "tower_1/conv_1")
    wanted = [
        layer(x, "conv"),
        layer(two, "tower/mixed/conv"),
        layer(two, "tower/mixed/conv_1"),
        layer(three, "tower_1/mixed/conv"),
        layer(three, "tower_1/mixed/conv_1"),
        layer(expected.max_pool(x, 3, same=True), "tower_2/conv"),
    ]
    assert x.shape == (1, 8, 8, 2048)
    np.testing.assert_allclose(net.last, np.concatenate(wanted, axis=-1), **TOLERANCE)


# Keras 2's initializers draw their seeds so.
@pytest.mark.filterwarnings("ignore:non-integer arguments to randrange:DeprecationWarning")
def test_otherwise_keras_topology(arrays):
    """With a mean in the last block, too, it is the network of keras.applications."""

    class OfImageNet(inception.Inception):
        def max_pool(self, x, stride=2):
            return self.average_pool(x) if stride == 1 else super().max_pool(x, stride)

    model = keras.applications.InceptionV3(
        weights=None, include_top=False, pooling="avg", input_shape=(299, 299, 3)
    )

    def in_order(kind):
        layers = [layer for layer in model.layers if isinstance(layer, kind)]
        number = {layer: re.search(r"(\d*)$", layer.name)[1] for layer in layers}
        return sorted(layers, key=lambda layer: int(number[layer] or 0))

    kernels = [array for array in arrays.values() if array.ndim == 4]
    vectors = [array for array in arrays.values() if array.ndim == 1]
    for layer, kernel in zip(in_order(keras.layers.Conv2D), kernels):
        layer.kernel.assign(kernel)
    for index, layer in enumerate(in_order(keras.layers.BatchNormalization)):
        variables = layer.beta, layer.moving_mean, layer.moving_variance
        for variable, array in zip(variables, vectors[3 * index :]):
            variable.assign(array)
    x = images(1, 100, 100, 3)
    wanted = model(inception.preprocess(x), training=False)
    np.testing.assert_allclose(OfImageNet(arrays)(x), wanted, **TOLERANCE)
    assert np.abs(inception.Inception(arrays)(x) - wanted).max() > 0.1


def test_images_do_not_meet(net):
    """Features are an image's own, and gray counts as three equal channels."""
    x = images(3, 16, 24, 1)
    together = net(np.repeat(x, 3, axis=-1)).numpy()
    assert together.shape == (3, 2048)
    assert together.dtype == np.float32
    np.testing.assert_allclose(net(x), together, rtol=1e-5, atol=1e-5)
    alone = net(np.float32(x[1:2])).numpy()
    np.testing.assert_allclose(alone, together[1:2], rtol=1e-5, atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 0.01


def test_under_a_strategy(arrays, net):
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        mirrored = inception.Inception(arrays)
    x = tf.constant(images(2, 16, 16, 3))
    found = tf.function(lambda x: strategy.run(mirrored, args=(x,)))(x)
    np.testing.assert_allclose(found, net(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 16, 16), (2, 16, 16, 2), (2, 3, 16, 16)])
def test_other_shapes(net, shape):
    with pytest.raises(ValueError, match=r"expected \[N, H, W, 1 or 3\]"):
        net(np.zeros(shape, np.float32))
