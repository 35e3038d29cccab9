"""The arithmetic of the networks, as functions of channels-last tensors.

Activations are [N, H, W, C]. Convolution kernels are [kh, kw, in, out] and already carry
their runtime coefficient. Everything here can be differentiated twice, because the
gradient penalties differentiate a gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np
import tensorflow as tf

from compute.box_means import downscale2d

EPSILON = 1e-8  # inside every reciprocal square root

# ---------------------------------------------------------------- activations


@tf.custom_gradient
def leaky_relu(x: tf.Tensor) -> tf.Tensor:
    """max(x, x/5), with derivative 1 at exactly 0 (tf.nn.leaky_relu has 0.2 there)."""
    slope_one = x >= 0

    def grad(dy: tf.Tensor) -> tf.Tensor:
        return tf.where(slope_one, dy, dy * 0.2)

    return tf.nn.leaky_relu(x, 0.2), grad


def leaky_relu_progan(x: tf.Tensor) -> tf.Tensor:
    """max(x, x/5), with derivative 1/5 at exactly 0, as in Progressive GAN."""
    return tf.nn.leaky_relu(x, 0.2)


ACTIVATIONS = {
    "lrelu": leaky_relu,
    "lrelu_progan": leaky_relu_progan,
    "relu": tf.nn.relu,
    "linear": tf.identity,
}

# ---------------------------------------------------------------- resampling


def upscale2d(x: tf.Tensor, factor: int = 2) -> tf.Tensor:
    """Nearest neighbour: [N, H, W, C] → [N, H·factor, W·factor, C]."""
    if factor == 1:
        return x
    _, height, width, channels = x.shape
    x = tf.reshape(x, [-1, height, 1, width, 1, channels])
    x = tf.tile(x, [1, 1, factor, 1, factor, 1])
    return tf.reshape(x, [-1, height * factor, width * factor, channels])


def blur2d(x: tf.Tensor, taps: Optional[Sequence[float]], *, fast: bool = True) -> tf.Tensor:
    """Convolves each channel with the outer product of `taps`, normalised to sum 1.

    Zero padding, `SAME`: edges darken, and an even number of taps is off centre by one
    pixel. No taps: no blur. `fast`: an odd number of taps is differentiated as one more
    blur, in half the time of the depthwise convolution's own gradient.
    """
    if not taps:
        return x
    if fast and len(taps) % 2:
        return _blur2d_odd(x, tuple(taps))
    taps = np.asarray(taps, np.float64)
    kernel = np.outer(taps, taps) / taps.sum() ** 2
    kernel = np.tile(kernel[:, :, None, None], [1, 1, x.shape[-1], 1])
    return tf.nn.depthwise_conv2d(x, tf.constant(kernel, x.dtype), [1, 1, 1, 1], "SAME")


def _blur2d_odd(x: tf.Tensor, taps: tuple[float, ...]) -> tf.Tensor:
    @tf.custom_gradient
    def blur(x: tf.Tensor) -> tuple:
        # The adjoint of a centred filter with zero padding is the mirrored filter.
        return blur2d(x, taps, fast=False), lambda dy: _blur2d_odd(dy, taps[::-1])

    return blur(x)


# ---------------------------------------------------------------- convolutions


def conv2d(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Stride 1, zero padding: [N, H, W, in] → [N, H, W, out]."""
    return tf.nn.conv2d(x, kernel, 1, "SAME")


def four_by_four(mirror: bool) -> np.ndarray:
    """The [16, 9] matrix that sums a 3×3 kernel over its four one-pixel offsets in 4×4."""
    matrix = np.zeros([4, 4, 3, 3], np.float32)
    for y in range(3):
        for x in range(3):
            source = (2 - y, 2 - x) if mirror else (y, x)
            for dy in range(2):
                for dx in range(2):
                    matrix[y + dy, x + dx][source] = 1
    return matrix.reshape(16, 9)


def kernel4(kernel: tf.Tensor, *, mirror: bool = False, scale: float = 1.0) -> tf.Tensor:
    """A kernel, and itself one pixel to the right, below, and both, summed, times `scale`:
    [3, 3, in, out] → [4, 4, in, out]. Convolving with it is convolving and summing 2×2 pixels.

    One matrix product: pads and slices would spend a third of a training step in their
    gradients.
    """
    fan_in, fan_out = kernel.shape[2:]
    matrix = tf.constant(four_by_four(mirror) * scale, kernel.dtype)
    flat = tf.reshape(kernel, [9, fan_in * fan_out])
    return tf.reshape(tf.matmul(matrix, flat), [4, 4, fan_in, fan_out])


def upscale_kernel(kernel: tf.Tensor, *, fused: bool, fast: bool = True) -> tf.Tensor:
    """The kernel in the form `upscale_conv2d` applies: [3, 3, in, out] or [4, 4, out, in].

    `fused` decides which of two functions the convolution is: True applies the kernel
    mirrored, as a transposed convolution does. `fast` decides only how: the
    transposed convolution needs 16 products per input pixel and channel pair where upscaling
    first needs 36.
    """
    if not (fused or fast):
        return kernel
    # Transposed while it is 3×3, three quarters of the time of transposing 4×4.
    return kernel4(tf.transpose(kernel, [0, 1, 3, 2]), mirror=not fused)


def downscale_kernel(kernel: tf.Tensor, *, fused: bool, fast: bool = True) -> tf.Tensor:
    """The kernel in the form `conv2d_downscale` applies: [3, 3, in, out] or [4, 4, in, out].

    One function, two forms: 4×4, 16 products per output pixel and channel pair; else 36.
    """
    return kernel4(kernel, scale=0.25) if fused or fast else kernel


def upscale_conv2d(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """×2 and a convolution, kernel from `upscale_kernel`: [N, H, W, in] → [N, 2H, 2W, out]."""
    if kernel.shape[0] == 3:
        return conv2d(upscale2d(x), kernel)
    height, width = x.shape[1:3]
    size = [tf.shape(x)[0], 2 * height, 2 * width, kernel.shape[2]]
    return tf.nn.conv2d_transpose(x, kernel, size, 2, "SAME")


def conv2d_downscale(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """A convolution and ÷2, kernel from `downscale_kernel`: [N, H, W, in] → [N, H/2, W/2, out]."""
    if kernel.shape[0] == 3:
        return downscale2d(conv2d(x, kernel))
    return tf.nn.conv2d(x, kernel, 2, "SAME")


# ---------------------------------------------------------------- normalisation


def pixel_norm(x: tf.Tensor, epsilon: float = EPSILON) -> tf.Tensor:
    """Scales each vector along the last axis to unit mean square, in float32."""
    y = tf.cast(x, tf.float32)  # float16 has no 1e-8
    y *= tf.math.rsqrt(tf.reduce_mean(tf.square(y), axis=-1, keepdims=True) + epsilon)
    return tf.cast(y, x.dtype)


def instance_norm(x: tf.Tensor) -> tf.Tensor:
    """Zero mean and unit variance per image and channel, over H and W, in float32."""
    y = tf.cast(x, tf.float32)
    y -= tf.reduce_mean(y, axis=[1, 2], keepdims=True)
    y *= tf.math.rsqrt(tf.reduce_mean(tf.square(y), axis=[1, 2], keepdims=True) + EPSILON)
    return tf.cast(y, x.dtype)


def minibatch_stddev(x: tf.Tensor, group_size: Optional[int], num_features: int) -> tf.Tensor:
    """Appends the statistic of ProGAN §3: [N, H, W, C] → [N, H, W, C + num_features].

    The group is the *outer* axis: image n is compared with n+M, n+2M, … for M = N / group.
    N must be a multiple of min(group_size, N); None: one group of all.
    """
    minibatch = x.shape[0] if x.shape[0] is not None else tf.shape(x)[0]
    if group_size is None:
        group = minibatch
    else:
        group = min(group_size, minibatch) if x.shape[0] else tf.minimum(group_size, minibatch)
    _, height, width, channels = x.shape
    y = tf.reshape(
        tf.cast(x, tf.float32),
        [group, -1, height, width, num_features, channels // num_features],
    )  # [G, M, H, W, F, C/F]
    y -= tf.reduce_mean(y, axis=0, keepdims=True)
    y = tf.sqrt(tf.reduce_mean(tf.square(y), axis=0) + EPSILON)  # [M, H, W, F, C/F]
    y = tf.reduce_mean(y, axis=[1, 2, 4])  # [M, F]
    y = tf.tile(tf.cast(y, x.dtype)[:, None, None, :], [group, height, width, 1])
    return tf.concat([x, y], axis=-1)
