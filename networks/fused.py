"""The generator's epilogue and the activation, in few passes over memory.

Convolutions are most of a step and cannot be made cheaper here; what remains is bound by
memory, so the fewer passes the better. Two tricks, both for CPUs (networks/fast.py):

- `small_program`: a chain of per-value arithmetic as one XLA program inside the ordinary
  graph. Only per-value arithmetic: XLA's reductions on CPUs are 3 to 9 times slower than
  TensorFlow's, and its convolutions slower still, so it must not see a whole network.
- `spatial_mean`: average pooling is the fastest reduction over H and W that there is here.

The gradients are written out: TensorFlow's own take three times as many passes. Arithmetic
is float32 inside, whatever the precision of the tensors. Only `leaky_relu`, which is the
discriminator's, can be differentiated twice; for a second derivative through the generator
trace it with `fast.using(fast.PLAIN)`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Optional

import tensorflow as tf

SLOPE = 0.2  # of the leaky ReLU below zero
EPSILON = 1e-8


def small_program(function: Callable) -> Callable:
    """`function` of tensors as one XLA program, compiled once for each set of shapes.

    Only as part of a graph: outside one, compiling would cost more than it saves.
    """
    program = tf.function(function, jit_compile=True, autograph=False)

    @functools.wraps(function)
    def call(*args: tf.Tensor) -> tf.Tensor:
        return function(*args) if tf.executing_eagerly() else program(*args)

    return call


def _float(*values: tf.Tensor) -> list[tf.Tensor]:
    return [tf.cast(value, tf.float32) for value in values]


# ---------------------------------------------------------------- leaky ReLU


@small_program
def leaky_relu_gradient(y: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    """dy where the activation y ≥ 0, else dy/5: from y, so that x need not be kept."""
    (slope,) = _float(dy)
    return tf.cast(tf.where(y >= 0, slope, slope * SLOPE), dy.dtype)


@tf.custom_gradient
def leaky_relu(x: tf.Tensor) -> tf.Tensor:
    """max(x, x/5), with derivative 1 at exactly 0."""
    # The ordinary operation forward: grappler joins it to the convolution and bias before it,
    # which it cannot when the gradient needs the value in between.
    y = tf.nn.leaky_relu(x, SLOPE)

    def gradient(dy: tf.Tensor) -> tf.Tensor:
        return leaky_relu_gradient(y, dy)

    return y, gradient


@small_program
def _biased_activation(x: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    value, bias = _float(x, bias)
    value += bias
    return tf.cast(tf.where(value >= 0, value, value * SLOPE), x.dtype)


@small_program
def _noisy_activation(
    x: tf.Tensor, bias: tf.Tensor, noise: tf.Tensor, weight: tf.Tensor
) -> tf.Tensor:
    value, bias, noise, weight = _float(x, bias, noise, weight)
    value = (value + noise * weight) + bias
    return tf.cast(tf.where(value >= 0, value, value * SLOPE), x.dtype)


def biased_activation(x: tf.Tensor, bias: tf.Variable) -> tf.Tensor:
    """leaky_relu(x + bias): x [N, H, W, C], bias [C]."""

    @tf.custom_gradient
    def function(x: tf.Tensor, bias: tf.Tensor) -> tuple:
        y = _biased_activation(x, bias)

        def gradient(dy: tf.Tensor) -> tuple:
            dx = leaky_relu_gradient(y, dy)
            return dx, tf.cast(_weighted_sums(dx, None)[0], bias.dtype)

        return y, gradient

    return function(x, tf.convert_to_tensor(bias))


def noisy_activation(
    x: tf.Tensor, bias: tf.Variable, noise: tf.Tensor, weight: tf.Variable
) -> tf.Tensor:
    """leaky_relu(x + noise·weight + bias): noise [N or 1, H, W, 1], weight and bias [C]."""

    @tf.custom_gradient
    def function(x: tf.Tensor, bias: tf.Tensor, noise: tf.Tensor, weight: tf.Tensor) -> tuple:
        y = _noisy_activation(x, bias, noise, weight)

        def gradient(dy: tf.Tensor) -> tuple:
            dx = leaky_relu_gradient(y, dy)
            d_bias, d_weight = tf.unstack(_weighted_sums(dx, noise))
            # No step asks for the noise's gradient; a graph then drops this.
            d_noise = tf.linalg.matvec(dx, tf.cast(weight, dx.dtype))[..., None]
            if noise.shape[0] == 1:
                d_noise = tf.reduce_sum(d_noise, axis=0, keepdims=True)
            return dx, tf.cast(d_bias, bias.dtype), d_noise, tf.cast(d_weight, weight.dtype)

        return y, gradient

    return function(x, tf.convert_to_tensor(bias), noise, tf.convert_to_tensor(weight))


def _weighted_sums(dx: tf.Tensor, noise: Optional[tf.Tensor]) -> tf.Tensor:
    """Σ dx and, with noise, Σ noise·dx over N, H, W: [1 or 2, C], by one matrix product.

    A third of the time of BiasAddGrad and a sum, as dx is read once.
    """
    channels = dx.shape[-1]
    rows = tf.reshape(dx, [-1, channels])
    ones = tf.ones_like(dx[..., :1])
    factors = ones[None] if noise is None else tf.stack([ones, noise + tf.zeros_like(ones)])
    factors = tf.reshape(factors, [factors.shape[0], -1])
    return tf.matmul(factors, rows)


# ---------------------------------------------------------------- AdaIN


def spatial_mean(x: tf.Tensor) -> tf.Tensor:
    """Mean over H and W in float32: [N, H, W, C] → [N, 1, 1, C]."""
    # Tiles, then their mean: nearly as exact as a sum in float32 also when x is bfloat16,
    # because the tiles' rounding errors average out.
    height, width = x.shape[1:3]
    if min(height, width) > 8:
        x = tf.nn.avg_pool2d(x, 8, 8, "VALID")
    return tf.reduce_mean(tf.cast(x, tf.float32), axis=[1, 2], keepdims=True)


@small_program
def _squared_deviation(x: tf.Tensor, mean: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.square(tf.cast(x, tf.float32) - mean), x.dtype)


@small_program
def _deviation_product(dy: tf.Tensor, x: tf.Tensor, mean: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.cast(dy, tf.float32) * (tf.cast(x, tf.float32) - mean), dy.dtype)


@small_program
def _modulate(x: tf.Tensor, mean: tf.Tensor, factor: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    return tf.cast((tf.cast(x, tf.float32) - mean) * factor + shift, x.dtype)


@small_program
def _modulate_gradient(
    dy: tf.Tensor,
    x: tf.Tensor,
    mean: tf.Tensor,
    factor: tf.Tensor,
    mean_dy: tf.Tensor,
    slope: tf.Tensor,
) -> tf.Tensor:
    deviation = tf.cast(x, tf.float32) - mean
    return tf.cast((tf.cast(dy, tf.float32) - mean_dy - deviation * slope) * factor, dy.dtype)


@small_program
def _centred(x: tf.Tensor, mean: tf.Tensor) -> tf.Tensor:
    return x - mean


def adain(x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Instance norm, then x·(scale + 1) + shift: x [N, H, W, C], scale and shift [N, C]."""

    @tf.custom_gradient
    def function(x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) -> tuple:
        scale32, shift32 = (v[:, None, None, :] for v in _float(scale, shift))
        mean = spatial_mean(x)
        # Not E[x²] − E[x]²: that is negative for constant features.
        inverse = tf.math.rsqrt(spatial_mean(_squared_deviation(x, mean)) + EPSILON)
        factor = inverse * (scale32 + 1)
        y = _modulate(x, mean, factor, shift32)

        def gradient(dy: tf.Tensor) -> tuple:
            count = float(x.shape[1] * x.shape[2])
            mean_dy = spatial_mean(dy)
            product = spatial_mean(_deviation_product(dy, x, mean)) * inverse
            dx = _modulate_gradient(dy, x, mean, factor, mean_dy, product * inverse)
            if dx.dtype == tf.float32:
                # The mean's own rounding leaves a constant in dx where features hardly vary;
                # in lower precision it drowns in dx's rounding.
                dx = _centred(dx, spatial_mean(dx))
            d_scale, d_shift = product * count, mean_dy * count
            return (
                dx,
                tf.cast(d_scale[:, 0, 0], scale.dtype),
                tf.cast(d_shift[:, 0, 0], shift.dtype),
            )

        return y, gradient

    return function(x, tf.convert_to_tensor(scale), tf.convert_to_tensor(shift))
