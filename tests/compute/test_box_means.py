"""The four forms of box means against one written out, and where they must agree in every bit."""

import numpy as np
import pytest
import tensorflow as tf

from compute.box_means import box_halve, box_mean, box_reduce, downscale2d

pytestmark = pytest.mark.conformance


def expected(images, factor):
    """[..., H, W] → float64, pixel by pixel."""
    *lead, height, width = images.shape
    means = np.zeros([*lead, height // factor, width // factor])
    for y in range(height // factor):
        for x in range(width // factor):
            square = np.s_[..., y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
            means[..., y, x] = images[square].mean(axis=(-2, -1), dtype=np.float64)
    return means


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_floats(factor):
    images = np.random.RandomState(factor).randn(2, 3, 8, 12).astype(np.float32)
    means = box_mean(images, factor)
    assert means.dtype == np.float32
    np.testing.assert_allclose(means, expected(images, factor), atol=1e-6)  # of float32's sums
    tensor = downscale2d(tf.constant(images.transpose(0, 2, 3, 1)), factor)
    np.testing.assert_allclose(tensor.numpy().transpose(0, 3, 1, 2), means, atol=1e-6)


def test_of_levels_all_agree():
    levels = np.random.RandomState(0).randint(0, 256, [3, 16, 16]).astype(np.uint8)
    halved = box_halve(levels)
    np.testing.assert_array_equal(halved, expected(levels, 2))
    np.testing.assert_array_equal(halved, box_mean(levels.astype(np.float32), 2))
    np.testing.assert_array_equal(
        box_reduce(levels.transpose(1, 2, 0), 2), np.rint(halved).transpose(1, 2, 0)
    )
    np.testing.assert_array_equal(box_halve(halved), expected(levels, 4))


def test_what_is_left_over_is_dropped():
    image = np.arange(5 * 7, dtype=np.uint8).reshape(5, 7)
    np.testing.assert_array_equal(box_mean(image, 2), expected(image, 2))
    np.testing.assert_array_equal(box_reduce(image, 2), np.rint(expected(image, 2)))
    np.testing.assert_array_equal(box_reduce(image, 1), image)


def test_means_are_rounded_once_and_half_to_even():
    # Rounded after the rows too, the third would be 1 instead of 0.
    pixels = np.array([[0, 1, 1, 2, 0, 1], [0, 1, 1, 2, 0, 0]], np.uint8)
    np.testing.assert_array_equal(box_reduce(pixels, 2), [[0, 2, 0]])
    white = np.full([512, 512], 255, np.uint8)
    white[0, 0] = 0
    np.testing.assert_array_equal(box_reduce(white, 512), [[255]])
