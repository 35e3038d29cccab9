"""Resampling with FIR filters: ×2 and ÷2, alone and with a convolution (StyleGAN2, appendix B).

One primitive, `upfirdn2d`: zeros between pixels, padding, a filter, every n-th pixel. Its gradient
is another one of its kind, so everything here has derivatives of any order. Images are
channels-last, [N, H, W, C]; convolution kernels are [kh, kw, in, out] and already carry their
runtime coefficient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional, Union

import numpy as np
import tensorflow as tf

Taps = Union[None, Sequence[float], Sequence[Sequence[float]]]
Pads = tuple[tuple[int, int], tuple[int, int]]  # rows before, after; columns before, after


def fir_kernel(taps: Taps, factor: int = 2) -> np.ndarray:
    """A filter [kh, kw] with sum 1: of its rows, or of taps for both directions.

    None: a box of `factor` pixels, which makes resampling nearest neighbour and means.
    """
    kernel = np.asarray([1.0] * factor if taps is None else taps, np.float64)
    if kernel.ndim == 1:
        kernel = np.outer(kernel, kernel)
    return kernel / kernel.sum()


def upfirdn2d(
    x: tf.Tensor,
    kernel: np.ndarray,
    up: tuple[int, int] = (1, 1),
    down: tuple[int, int] = (1, 1),
    pads: Pads = ((0, 0), (0, 0)),
) -> tf.Tensor:
    """Up by zeros after each pixel, pad (negative: crop), convolve, keep every `down`-th.

    up, down and pads: of rows, then of columns. kernel: [kh, kw], applied mirrored, as a true
    convolution does. [N, H, W, C] → [N, (H·up + pads − kh) // down + 1, …, C].
    """
    _, height, width, _ = x.shape

    @tf.custom_gradient
    def function(x: tf.Tensor) -> tuple:
        y = _upfirdn2d(x, kernel, up, down, pads)

        def gradient(dy: tf.Tensor) -> tf.Tensor:
            back = []
            for axis, size in enumerate((height, width)):
                before, _ = pads[axis]
                taps, came = kernel.shape[axis], dy.shape[1 + axis]
                after = size * up[axis] - came * down[axis] + before - up[axis] + 1
                back.append((taps - before - 1, after))
            return upfirdn2d(dy, kernel[::-1, ::-1], down, up, (back[0], back[1]))

        return y, gradient

    return function(x)


def _upfirdn2d(
    x: tf.Tensor, kernel: np.ndarray, up: tuple[int, int], down: tuple[int, int], pads: Pads
) -> tf.Tensor:
    x = _padded(_spread(x, up), pads)
    if kernel.shape == (1, 1):
        return x[:, :: down[0], :: down[1]] * tf.cast(kernel[0, 0], x.dtype)
    mirrored = np.tile(kernel[::-1, ::-1, None, None], [1, 1, x.shape[-1], 1])
    stride = down[0] if down[0] == down[1] else 1  # the operation has one for both
    y = tf.nn.depthwise_conv2d(x, tf.constant(mirrored, x.dtype), [1, stride, stride, 1], "VALID")
    return y if stride == down[0] == down[1] else y[:, :: down[0], :: down[1]]


def _spread(x: tf.Tensor, up: tuple[int, int]) -> tf.Tensor:
    """Zeros after each pixel."""
    if up == (1, 1):
        return x
    _, height, width, channels = x.shape
    x = tf.reshape(x, [-1, height, 1, width, 1, channels])
    x = tf.pad(x, [[0, 0], [0, 0], [0, up[0] - 1], [0, 0], [0, up[1] - 1], [0, 0]])
    return tf.reshape(x, [-1, height * up[0], width * up[1], channels])


def _padded(x: tf.Tensor, pads: Pads) -> tf.Tensor:
    (top, bottom), (left, right) = pads
    if min(top, bottom, left, right) < 0:
        _, height, width, _ = x.shape
        rows = slice(max(-top, 0), height - max(-bottom, 0))
        columns = slice(max(-left, 0), width - max(-right, 0))
        x = x[:, rows, columns]
    around = [[0, 0], *([max(p, 0) for p in pair] for pair in pads), [0, 0]]
    return tf.pad(x, around) if np.any(around) else x


# ---------------------------------------------------------------- what networks use


def around(kernel: np.ndarray, less: int, before: int = 0, after: int = 0) -> Pads:
    """The padding of the paper's operations: of the n − less pixels that a filter needs, the
    larger half before, and some more on either side."""
    needed = [taps - less for taps in kernel.shape]
    rows, columns = (((q + 1) // 2 + before, q // 2 + after) for q in needed)
    return rows, columns


def filter2d(x: tf.Tensor, taps: Taps, gain: float = 1.0) -> tf.Tensor:
    """The filter, zeros outside of the image: [N, H, W, C] → the same shape."""
    kernel = fir_kernel(taps, 1)
    return upfirdn2d(x, kernel * gain, pads=around(kernel, 1))


def upsample2d(x: tf.Tensor, taps: Taps, factor: int = 2, gain: float = 1.0) -> tf.Tensor:
    """[N, H, W, C] → [N, H·factor, W·factor, C]."""
    kernel = fir_kernel(taps, factor)
    pads = around(kernel, factor, before=factor - 1)
    return upfirdn2d(x, kernel * (gain * factor**2), up=(factor, factor), pads=pads)


def downsample2d(x: tf.Tensor, taps: Taps, factor: int = 2, gain: float = 1.0) -> tf.Tensor:
    """[N, H, W, C] → [N, H / factor, W / factor, C]."""
    kernel = fir_kernel(taps, factor)
    return upfirdn2d(x, kernel * gain, down=(factor, factor), pads=around(kernel, factor))


def upsample_conv2d(
    x: tf.Tensor, kernel: tf.Tensor, taps: Taps, factor: int = 2, gain: float = 1.0
) -> tf.Tensor:
    """A convolution of what has zeros between its pixels, then the filter.

    Within the image it is upsampling, then convolving; at its edges it is not. kernel:
    [k, k, in, out]; [N, H, W, in] → [N, H·factor, W·factor, out].
    """
    size, fir = kernel.shape[0], fir_kernel(taps, factor)
    pads = around(fir, factor + size - 1, before=factor - 1, after=1)
    fir *= gain * factor**2
    if size == 1:  # which commutes with resampling
        (top, bottom), (left, right) = pads
        more = factor - 1  # zeros after the last pixel, where a convolution has none
        x = tf.nn.conv2d(x, kernel, 1, "VALID")
        return upfirdn2d(
            x, fir, (factor, factor), pads=((top, bottom - more), (left, right - more))
        )
    _, height, width, _ = x.shape
    shape = [tf.shape(x)[0], *(factor * (side - 1) + size for side in (height, width))]
    # A transposed convolution mirrors; here the kernel acts as it is stored.
    mirrored = tf.transpose(kernel[::-1, ::-1], [0, 1, 3, 2])
    x = tf.nn.conv2d_transpose(x, mirrored, [*shape, kernel.shape[3]], factor, "VALID")
    return upfirdn2d(x, fir, pads=pads)


def conv_downsample2d(
    x: tf.Tensor, kernel: tf.Tensor, taps: Taps, factor: int = 2, gain: float = 1.0
) -> tf.Tensor:
    """The filter, then a convolution of every `factor`-th pixel.

    kernel: [k, k, in, out]; [N, H, W, in] → [N, H / factor, W / factor, out].
    """
    size, fir = kernel.shape[0], fir_kernel(taps, factor)
    pads = around(fir, factor - size + 1)
    if size == 1:
        x = upfirdn2d(x, fir * gain, down=(factor, factor), pads=pads)
        return tf.nn.conv2d(x, kernel, 1, "VALID")
    return tf.nn.conv2d(upfirdn2d(x, fir * gain, pads=pads), kernel, factor, "VALID")


def conv2d(
    x: tf.Tensor, kernel: tf.Tensor, resample: Optional[str] = None, taps: Taps = None
) -> tf.Tensor:
    """A convolution of the image's size, or with resample='up' or 'down' twice or half of it."""
    if resample is None:
        return tf.nn.conv2d(x, kernel, 1, "SAME")
    return (upsample_conv2d if resample == "up" else conv_downsample2d)(x, kernel, taps)
