"""Bias, activation and gain in one function (StyleGAN2, appendix B: the gain that He's constant
put into StyleGAN's weights is here, after the bias).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Optional

import tensorflow as tf

# name: (function of x and alpha, default alpha, default gain)
_FUNCTIONS: dict[str, tuple[Callable, float, float]] = {
    "linear": (lambda x, _: x, 0.0, 1.0),
    "relu": (lambda x, _: tf.nn.relu(x), 0.0, math.sqrt(2)),
    "lrelu": (tf.nn.leaky_relu, 0.2, math.sqrt(2)),  # its derivative at exactly 0 is alpha
    "tanh": (lambda x, _: tf.tanh(x), 0.0, 1.0),
    "sigmoid": (lambda x, _: tf.sigmoid(x), 0.0, 1.0),
    "elu": (lambda x, _: tf.nn.elu(x), 0.0, 1.0),
    "selu": (lambda x, _: tf.nn.selu(x), 0.0, 1.0),
    "softplus": (lambda x, _: tf.nn.softplus(x), 0.0, 1.0),
    "swish": (lambda x, _: x * tf.sigmoid(x), 0.0, math.sqrt(2)),
}


def default_gain(act: str) -> float:
    """The factor that keeps the variance of what goes through an activation."""
    return _FUNCTIONS[act][2]


def bias_act(
    x: tf.Tensor,
    bias: Optional[tf.Tensor] = None,
    act: str = "linear",
    *,
    alpha: Optional[float] = None,
    gain: Optional[float] = None,
    clamp: Optional[float] = None,
) -> tf.Tensor:
    """gain · act(x + bias), within ±clamp: x [N, …, C], bias [C] or None.

    act: a name of `_FUNCTIONS`, which the option `nonlinearity` chooses from. alpha: the slope of
    'lrelu' below 0. clamp: None for no bounds.
    """
    function, default_alpha, usual_gain = _FUNCTIONS[act]
    if bias is not None:
        x = x + tf.cast(bias, x.dtype)
    y = function(x, default_alpha if alpha is None else alpha)
    gain = usual_gain if gain is None else gain
    y = y if gain == 1 else y * tf.cast(gain, y.dtype)
    return y if clamp is None else tf.clip_by_value(y, -clamp, clamp)
