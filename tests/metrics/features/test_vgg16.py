"""LPIPS over VGG16, and its second dense layer, against NumPy; the heads that come with the
package."""

import numpy as np
import pytest
import tensorflow as tf

from metrics.features import vgg16
from tests.metrics.features import feature_numpy as expected
from tests.metrics.features.feature_weights import narrow_vgg16_arrays, vgg16_arrays

pytestmark = pytest.mark.conformance


@pytest.fixture(name="arrays", scope="module")
def _arrays():
    return {**vgg16_arrays(), **vgg16.heads()}


@pytest.fixture(name="distance", scope="module")
def _distance(arrays):
    return vgg16.Lpips(arrays)


def pair(*shape):
    draw = np.random.default_rng(1)
    x = draw.uniform(0, 255, shape).astype(np.float32)
    return x, x + draw.normal(0, 20, shape).astype(np.float32)


def test_heads():
    """Of the lpips package: their sums, and one-channel convolutions without negative weights."""
    heads = vgg16.heads()
    assert {name: head.shape for name, head in heads.items()} == vgg16.head_shapes()
    sums = [float(heads[f"lin{index}/weight"].sum()) for index in range(5)]
    np.testing.assert_allclose(sums, [6.92599, 8.85833, 17.515, 51.5213, 47.0349], rtol=2e-6)
    assert all((head >= 0).all() for head in heads.values())


def test_variables():
    shapes = vgg16.trunk_shapes()
    assert list(shapes)[:3] == ["conv1_1/weight", "conv1_1/bias", "conv1_2/weight"]
    assert len(shapes) == 26
    assert shapes["conv5_3/weight"] == (3, 3, 512, 512)
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 14_714_688  # as published


@pytest.mark.parametrize("size", [(16, 16), (19, 37)])
def test_distances(arrays, distance, size):
    first, second = pair(2, *size, 3)
    wanted = expected.lpips(arrays, first, second)
    assert (wanted > 1e-3).all()
    found = distance(first, second)
    assert found.dtype == tf.float32
    # float32's rounding, in 13 layers and in the difference of near vectors.
    np.testing.assert_allclose(found, wanted, rtol=2e-5)
    np.testing.assert_allclose(distance(second, first), wanted, rtol=2e-5)


def test_pairs_do_not_meet(distance):
    """A distance is a pair's own, and gray counts as three equal channels."""
    first, second = pair(3, 20, 20, 1)
    together = distance(first, second).numpy()
    repeated = [np.repeat(x, 3, axis=-1) for x in (first, second)]
    np.testing.assert_allclose(distance(*repeated), together, rtol=1e-5)
    np.testing.assert_allclose(distance(first[1:2], second[1:2]), together[1:2], rtol=1e-5)


def test_equal_images(distance):
    first, _ = pair(2, 32, 32, 3)
    black = np.zeros_like(first)
    np.testing.assert_array_equal(distance(first, first), [0, 0])
    assert np.isfinite(distance(first, black)).all()


def test_under_a_strategy(arrays, distance):
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        net = vgg16.Lpips(arrays)
    images = [tf.constant(x) for x in pair(2, 16, 16, 3)]
    found = tf.function(lambda *images: strategy.run(net, args=images))(*images)
    np.testing.assert_allclose(found, distance(*images), rtol=1e-5)


@pytest.mark.parametrize(
    ("shapes", "match"),
    [
        (((1, 15, 16, 3), (1, 15, 16, 3)), r"15×16 pixels, expected at least 16×16"),
        (((1, 16, 8, 1), (1, 16, 8, 1)), r"16×8 pixels, expected at least 16×16"),
        (((1, 16, 16, 2), (1, 16, 16, 2)), r"expected \[N, H, W, 1 or 3\] twice"),
        (((1, 16, 16, 3), (2, 16, 16, 3)), r"expected \[N, H, W, 1 or 3\] twice"),
        (((16, 16, 3), (16, 16, 3)), r"expected \[N, H, W, 1 or 3\] twice"),
    ],
)
def test_other_shapes(arrays, shapes, match):
    with pytest.raises(ValueError, match=match):
        vgg16.Lpips(arrays)(*(np.zeros(shape, np.float32) for shape in shapes))


@pytest.fixture(name="dense", scope="module")
def _dense():
    return vgg16.SecondDense(narrow_vgg16_arrays())


@pytest.mark.parametrize("size", [(40, 24), (300, 260)])
def test_second_dense_layer(dense, size):
    """Of images of any size, resized as TensorFlow 1 did."""
    images = np.random.default_rng(3).integers(0, 256, (2, *size, 3)).astype(np.uint8)
    wanted = expected.second_dense(narrow_vgg16_arrays(), images)
    assert wanted.shape == (2, 20)
    assert 0.2 < (wanted > 0).mean() < 0.8
    computed = dense(images)
    assert computed.dtype == tf.float32
    np.testing.assert_allclose(computed, wanted, rtol=0, atol=2e-5 * wanted.max())
    np.testing.assert_allclose(dense(np.float32(images)), computed, rtol=1e-5, atol=1e-5)


def test_second_dense_layer_of_gray_images_and_other_shapes(dense):
    images = np.random.default_rng(4).integers(0, 256, (3, 32, 32, 1)).astype(np.uint8)
    together = dense(np.repeat(images, 3, axis=-1)).numpy()
    np.testing.assert_allclose(dense(images), together, rtol=1e-5, atol=1e-5)
    alone = dense(images[1:2])
    np.testing.assert_allclose(alone, together[1:2], rtol=1e-5, atol=1e-5)
    for shape in ((2, 32, 32), (2, 32, 32, 2)):
        with pytest.raises(ValueError, match=r"expected \[N, H, W, 1 or 3\]"):
            dense(np.zeros(shape, np.uint8))


def test_dense_layers():
    """As published: 4096 values of 7x7 places of 512 channels, 119,545,856 numbers."""
    shapes = vgg16.dense_shapes()
    assert shapes["fc1/weight"] == (25088, 4096)
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 119_545_856


def of_places(arrays, images):
    return tf.function(vgg16.LpipsPlaces(arrays))(tf.constant(images)).numpy()


def squares(vectors):
    return np.square(vectors[::2] - vectors[1::2]).sum(axis=1)


@pytest.mark.parametrize("side", [8, 32, 128])
def test_vectors_of_quarters(arrays, distance, side):
    """Their squared distance is LPIPS of means, so at most LPIPS itself; of equal images 0."""
    first, second = pair(2, side, side, 3)
    vectors = of_places(arrays, np.stack([first, second], axis=1).reshape(-1, side, side, 3))
    assert vectors.shape == (4, 4 * 1472)
    factor = max(32 // side, 1)
    seen = [np.repeat(np.repeat(x, factor, axis=1), factor, axis=2) for x in (first, second)]
    if side > 64:
        seen = [x.reshape(2, 64, 2, 64, 2, 3).mean(axis=(2, 4)) for x in seen]
    lpips = distance(*seen).numpy()
    apart = squares(vectors)
    assert (apart > 0).all()
    assert (apart <= lpips * (1 + 1e-4)).all()
    gray = np.full([2, side, side, 1], 77, np.uint8)
    np.testing.assert_allclose(squares(of_places(arrays, gray)), 0, atol=1e-9)
