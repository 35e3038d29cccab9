"""Images in and out of uint8. NCHW golden data; ours is NHWC and at the current resolution."""

import numpy as np
import pytest
import tensorflow as tf

from compute.images import images_to_uint8
from tests import golden
from training.reals import process_reals


def nhwc(images):
    return np.transpose(images, [0, 2, 3, 1])


@pytest.fixture(scope="module")
def data():
    return golden.load("misc/process_reals_uint8.npz")


@pytest.mark.conformance
@pytest.mark.parametrize("lod", [0, 0.25, 0.5, 1, 1.75, 2])
@pytest.mark.parametrize("kind", ["rgb", "gray"])
def test_golden_reals(data, kind, lod):
    expected = nhwc(data[f"process_reals/{kind}/lod{lod}_drange-1_1"])
    fade = None if lod == int(lod) else lod - int(lod)
    ours = process_reals(nhwc(data[f"process_reals/{kind}/in"]), fade).numpy()
    # The reference upscales to the full resolution, for networks that always take that.
    ours = ours.repeat(2 ** int(lod), axis=1).repeat(2 ** int(lod), axis=2)
    # Only the order of the four summands of a mean may differ.
    np.testing.assert_allclose(ours, expected, rtol=0, atol=3e-7 if fade else 0)


@pytest.mark.conformance
def test_golden_mirror(data):
    mirror = data["process_reals/mirror_mask"].reshape(-1) >= 0.5  # a uniform draw
    ours = process_reals(nhwc(data["process_reals/rgb/in"]), 0.5, mirror)
    expected = nhwc(data["process_reals/rgb/mirror_lod0.5"])
    np.testing.assert_allclose(ours, expected, rtol=0, atol=3e-7)


def test_inside_a_function_of_any_batch_size():
    traces = []

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 8, 8, 3], tf.uint8),
            tf.TensorSpec([], tf.float32),
            tf.TensorSpec([None], tf.bool),
        ]
    )
    def run(images, fade, mirror):
        traces.append(1)
        return process_reals(images, fade, mirror)

    random = np.random.RandomState(0)
    for count, fade in ((3, 0.3), (5, 0.0), (0, 0.9)):
        images = random.randint(0, 256, [count, 8, 8, 3]).astype(np.uint8)
        mirror = random.rand(count) < 0.5
        x = images / 127.5 - 1
        x[mirror] = x[mirror, :, ::-1]
        low = x.reshape(count, 4, 2, 4, 2, 3).mean(axis=(2, 4)).repeat(2, 1).repeat(2, 2)
        out = run(images, fade, mirror)
        assert out.dtype == tf.float32
        np.testing.assert_allclose(out, (1 - fade) * x + fade * low, rtol=0, atol=1e-6)
    assert len(traces) == 1


def test_range_is_exact():
    out = process_reals(np.array([0, 255], np.uint8).reshape(1, 1, 2, 1)).numpy()
    assert out.ravel().tolist() == [-1, 1]


@pytest.mark.conformance
def test_golden_uint8(data):
    ours = images_to_uint8(nhwc(data["u8/in"]))
    np.testing.assert_array_equal(ours, nhwc(data["u8/convert_images_to_uint8"]))
    for shrink in (1, 2, 4):
        ours = images_to_uint8(nhwc(data["u8/shrink_in"]), shrink).numpy()
        expected = data[f"u8/shrink{shrink}_nhwc"]
        if shrink == 1:
            np.testing.assert_array_equal(ours, expected)
        else:  # the order of a mean's summands can move a value across a step
            assert np.abs(ours.astype(int) - expected).max() <= 1
            assert (ours != expected).mean() < 0.05


@pytest.mark.conformance
def test_golden_from_uint8(data):
    # Its helper for [-1, 1] is off by one step (it adds 1 before scaling) and not what it trains
    # with; that for [0, 1] is right.
    ours = (process_reals(data["u8/from_in"]) + 1) / 2
    expected = data["u8/convert_images_from_uint8_drange01"]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-7)


def test_uint8_saturates_in_a_function():
    x = np.array([-np.inf, -1e9, -1.01, -1, 0, 0.999, 1, 2, np.inf], np.float32)
    expected = [0, 0, 0, 0, 128, 255, 255, 255, 255]
    out = tf.function(images_to_uint8)(x.reshape(1, 1, -1, 1))
    assert out.numpy().ravel().tolist() == expected
    assert out.dtype == tf.uint8


def test_uint8_round_trip():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    np.testing.assert_array_equal(images_to_uint8(process_reals(images)), images)
