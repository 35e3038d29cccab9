"""Resampling and the convolutions with it, against the reference's numbers: values and gradients.

Tolerance: 2e-6 of the largest magnitude; two computations in float32 differ by 5e-7 of it.
"""

import numpy as np
import pytest
import tensorflow as tf

from networks import resampling
from tests import golden
from tests.networks.common import error, nchw, nhwc

pytestmark = pytest.mark.conformance

TOLERANCE = 2e-6
TAPS = {
    "none": None,
    "1": [1],
    "11": [1, 1],
    "121": [1, 2, 1],
    "1331": [1, 3, 3, 1],
    "1234": [1, 2, 3, 4],
    "12431": [1, 2, 4, 3, 1],
}


@pytest.fixture(scope="module")
def data():
    return dict(golden.load("stylegan2/misc2/upfirdn.npz"))


def operation(data, case):
    """(function of NHWC images [and a kernel], names of its arguments in the file)."""
    name, taps, argument = case.split("/")
    taps = TAPS[taps] if taps in TAPS else data[f"kernel/{taps}/in"]
    name, *options = name.split("_gain" if "_gain" in name else "_factor")
    options = {("gain" if "_gain" in case else "factor"): int(v) for v in options}
    if name in ("upsample_conv_2d", "conv_downsample_2d"):
        function = getattr(resampling, name.replace("_2d", "2d"))
        return lambda x, w: function(x, w, taps), ["x/even", f"w/{argument}"]
    function = getattr(resampling, name.replace("_2d", "2d"))
    return lambda x: function(x, taps, **options), [f"x/{argument}"]


def test_every_recorded_operation(data):
    for taps, expected in TAPS.items():
        if taps != "none":
            assert error(resampling.fir_kernel(expected), data[f"kernel/{taps}/out"]) < 1e-6
    for case in data["cases"]:
        function, names = operation(data, case)
        arguments = [data[name] for name in names]
        arguments = [tf.constant(nhwc(arguments[0])), *map(tf.constant, arguments[1:])]
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            y = function(*arguments)
        gradients = tape.gradient(y, arguments, tf.constant(nhwc(data[f"{case}/dy"])))
        assert error(nchw(y), data[f"{case}/y"]) < TOLERANCE, case
        assert error(nchw(gradients[0]), data[f"{case}/dx"]) < TOLERANCE, case
        if len(gradients) == 2:
            assert error(gradients[1], data[f"{case}/dw"]) < TOLERANCE, case


def test_other_rates_and_pads_for_each_direction(data):
    kernel = data["upfirdn_2d/kernel"]
    x = tf.constant(data["x/even"].reshape(6, 6, 6, 1))
    for index, row in enumerate(data["upfirdn_2d/params"]):
        up_x, up_y, down_x, down_y, x0, x1, y0, y1 = map(int, row)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = resampling.upfirdn2d(
                x, kernel, (up_y, up_x), (down_y, down_x), ((y0, y1), (x0, x1))
            )
        expected = data[f"upfirdn_2d/{index}/y"]
        dy = tf.reshape(data[f"upfirdn_2d/{index}/dy"], y.shape)
        assert error(np.reshape(y, expected.shape), expected) < TOLERANCE, row
        dx = tape.gradient(y, x, dy)
        expected = data[f"upfirdn_2d/{index}/dx"]
        assert error(np.reshape(dx, expected.shape), expected) < TOLERANCE, row
