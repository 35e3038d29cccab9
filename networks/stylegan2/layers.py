"""StyleGAN2's layers: convolutions that resample and that a style modulates (§2.2, appendix B)."""

from __future__ import annotations

from typing import Optional

import numpy as np
import tensorflow as tf

from networks import fast, resampling
from networks.fast import Plan
from networks.layers import Bias, Dense, Layer, scaled
from networks.resampling import Taps
from networks.stylegan2.activations import bias_act


class Activated(Layer):
    """Any layer, then bias and activation, within ±clamp: [N, …] → [N, …, C], C = channels."""

    def __init__(
        self,
        scope: str,
        seed: int,
        source: Layer,
        channels: int,
        nonlinearity: str = "linear",
        lrmul: float = 1.0,
        clamp: Optional[float] = None,
    ):
        super().__init__(scope, seed)
        self.source = self.adopt("", source)
        self.bias = self.adopt("", Bias(scope, seed, channels, lrmul))
        self.nonlinearity, self.clamp = nonlinearity, clamp

    def call(self, x: tf.Tensor) -> tf.Tensor:
        y, bias = self.source(x), self.bias.value()
        return bias_act(y, bias, self.nonlinearity, clamp=self.clamp)


def dense(
    scope: str, seed: int, fan_in: int, units: int, nonlinearity: str, lrmul: float = 1.0
) -> Activated:
    """x [N, fan_in] → [N, units], with bias and activation."""
    source = Dense(scope, seed, fan_in, units, gain=1, lrmul=lrmul)
    return Activated(scope, seed, source, units, nonlinearity, lrmul)


class ResampledConv2D(Layer):
    """A convolution with equalised learning rate, of which resample='up' or 'down' filters too.

    Call: x [N, H, W, in] → [N, H, W, out], or twice or half as high and wide.
    """

    def __init__(
        self,
        scope: str,
        seed: int,
        fmaps_in: int,
        fmaps_out: int,
        kernel: int = 3,
        *,
        resample: Optional[str] = None,
        taps: Taps = None,
    ):
        super().__init__(scope, seed)
        self.resample, self.taps = resample, taps
        shape = [kernel, kernel, fmaps_in, fmaps_out]
        self.weight, self.coefficient = self.add_scaled("weight", shape, gain=1)

    def runtime_weight(self, dtype: tf.DType, plan: Plan) -> tf.Tensor:
        """The kernel, scaled and cast."""
        return scaled(self.weight, self.coefficient, dtype)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        kernel = fast.runtime_weight(self, x.dtype)
        return resampling.conv2d(x, kernel, self.resample, self.taps)


class ModulatedConv2D(Layer):
    """A convolution whose weights w scales for each image, and normalises again (§2.2).

    Call: x [N, H, W, in], w [N, dlatent_size] → [N, H, W, out], or twice or half as high and wide.
    It is the features that are scaled, before and after: the same as scaled weights, without a
    kernel of its own for each image.
    """

    EPSILON = 1e-8

    def __init__(
        self,
        scope: str,
        seed: int,
        fmaps_in: int,
        fmaps_out: int,
        dlatent_size: int,
        kernel: int = 3,
        *,
        demodulate: bool = True,
        resample: Optional[str] = None,
        taps: Taps = None,
    ):
        super().__init__(scope, seed)
        self.demodulate, self.resample, self.taps = demodulate, resample, taps
        shape = [kernel, kernel, fmaps_in, fmaps_out]
        self.weight, self.coefficient = self.add_scaled("weight", shape, gain=1)
        shape = [dlatent_size, fmaps_in]
        self.mod_weight, self.mod_coefficient = self.add_scaled("mod_weight", shape, gain=1)
        self.mod_bias = self.add_named("mod_bias", [fmaps_in])

    def style_matrix(self) -> np.ndarray:
        """[dlatent_size, in], as w is multiplied by it."""
        return scaled(self.mod_weight, self.mod_coefficient, tf.float32).numpy()

    def runtime_weight(
        self, dtype: tf.DType, plan: Plan
    ) -> tuple[tf.Tensor, Optional[tf.Tensor], tf.Tensor]:
        """(kernel in dtype; Σ of its squares over rows and columns, [in, out], or None; the
        style's weight), scaled."""
        kernel = scaled(self.weight, self.coefficient, tf.float32)
        squares = tf.reduce_sum(tf.square(kernel), axis=[0, 1]) if self.demodulate else None
        style = scaled(self.mod_weight, self.mod_coefficient, tf.float32)
        return tf.cast(kernel, dtype), squares, style

    def call(self, x: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
        kernel, squares, mod_weight = fast.runtime_weight(self, x.dtype)
        style = tf.matmul(w, mod_weight) + self.mod_bias + 1
        x = x * tf.cast(style, x.dtype)[:, None, None, :]
        y = resampling.conv2d(x, kernel, self.resample, self.taps)
        if squares is None:
            return y
        factor = tf.math.rsqrt(tf.matmul(tf.square(style), squares) + self.EPSILON)
        return y * tf.cast(factor, y.dtype)[:, None, None, :]


class SynthesisLayer(Layer):
    """Modulated convolution, noise of one strength for all channels, bias, activation, ±clamp."""

    def __init__(
        self,
        scope: str,
        seed: int,
        fmaps_in: int,
        fmaps_out: int,
        dlatent_size: int,
        nonlinearity: str,
        *,
        up: bool = False,
        taps: Taps = None,
        use_noise: bool = True,
        clamp: Optional[float] = None,
    ):
        super().__init__(scope, seed)
        conv = ModulatedConv2D(
            scope,
            seed,
            fmaps_in,
            fmaps_out,
            dlatent_size,
            resample="up" if up else None,
            taps=taps,
        )
        self.conv = self.adopt("", conv)
        # Zero at the start: the network first learns without noise.
        self.noise_strength = self.add_named("noise_strength", []) if use_noise else None
        self.bias = self.adopt("", Bias(scope, seed, fmaps_out))
        self.nonlinearity, self.clamp = nonlinearity, clamp

    def call(self, x: tf.Tensor, w: tf.Tensor, noise: Optional[tf.Tensor] = None) -> tf.Tensor:
        """noise: [N or 1, H, W, 1], or None for none."""
        x = self.conv(x, w)
        if noise is not None:
            x = x + tf.cast(noise, x.dtype) * tf.cast(self.noise_strength, x.dtype)
        return bias_act(x, self.bias.value(), self.nonlinearity, clamp=self.clamp)


class ToRGB(Layer):
    """Features to colours within ±clamp: a modulated 1×1 convolution, not demodulated, and bias;
    float32."""

    def __init__(
        self,
        scope: str,
        seed: int,
        fmaps: int,
        channels: int,
        dlatent_size: int,
        clamp: Optional[float] = None,
    ):
        super().__init__(scope, seed)
        conv = ModulatedConv2D(
            scope, seed, fmaps, channels, dlatent_size, kernel=1, demodulate=False
        )
        self.conv = self.adopt("", conv)
        self.bias = self.adopt("", Bias(scope, seed, channels))
        self.clamp = clamp

    def call(self, x: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
        y = tf.cast(self.conv(x, w), tf.float32)
        return bias_act(y, self.bias.value(), clamp=self.clamp)


def residual(x: tf.Tensor, skipped: tf.Tensor) -> tf.Tensor:
    """The sum of two branches, its variance that of one."""
    return (x + skipped) * tf.cast(0.5**0.5, x.dtype)
