"""What StyleGAN's synthesis network and Progressive GAN's generator are built of alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union

import tensorflow as tf

from networks import fast, fused, ops
from networks.base import RGB
from networks.layers import SQRT2, Bias, Conv2D, Dense, Layer, NoiseInjection, StyleMod, activate


class SynthesisLayer(Layer):
    """One layer of the synthesis network: a source of features, then its epilogue.

    Epilogue: noise → bias → activation → pixel norm → instance norm → style, each if on.
    source: a convolution, a dense layer, or the learned constant. blur: filter taps applied
    between the two, or None.
    """

    def __init__(
        self,
        scope: str,
        seed: int,
        source: Layer,
        channels: int,
        options: Mapping[str, Any],
        blur: Optional[Sequence[float]] = None,
    ):
        super().__init__(scope, seed)
        self.source, self.blur = self.adopt("", source), blur
        self.noise = self.style = None
        if options["use_noise"]:
            self.noise = self.adopt("Noise/", NoiseInjection(f"{scope}/Noise", seed, channels))
        self.bias = self.adopt("", Bias(scope, seed, channels))
        self.nonlinearity = options["nonlinearity"]
        self.use_pixel_norm = options["use_pixel_norm"]
        self.pixel_norm_epsilon = options.get("pixelnorm_epsilon", ops.EPSILON)
        self.use_instance_norm = options["use_instance_norm"]
        if options["use_styles"]:
            style = StyleMod(
                f"{scope}/StyleMod",
                seed,
                options["dlatent_size"],
                channels,
                use_wscale=options["use_wscale"],
            )
            self.style = self.adopt("StyleMod/", style)

    def call(
        self, x: tf.Tensor, w: Optional[tf.Tensor] = None, noise: Optional[tf.Tensor] = None
    ) -> tf.Tensor:
        """x: the source's input; w [N, dlatent_size]; noise [N or 1, H, W, 1] or None."""
        plan = fast.plan()
        x = ops.blur2d(self.source(x), self.blur, fast=plan.direct_blur)
        if noise is not None:
            noise = tf.cast(noise, x.dtype)
        x = self._activate(x, noise if self.noise is not None else None)
        if self.use_pixel_norm:
            x = ops.pixel_norm(x, self.pixel_norm_epsilon)
        if self.use_instance_norm and self.style is not None and plan.fuse_epilogue:
            return fused.adain(x, *self.style.affine(w))
        if self.use_instance_norm:
            x = ops.instance_norm(x)
        if self.style is not None:
            x = self.style(x, w)
        return x

    def _activate(self, x: tf.Tensor, noise: Optional[tf.Tensor]) -> tf.Tensor:
        """Noise (unless None), bias, activation."""
        if fast.plan().fuse_epilogue and self.nonlinearity == "lrelu":
            if noise is None:
                return fused.biased_activation(x, self.bias.bias)
            return fused.noisy_activation(x, self.bias.bias, noise, self.noise.weight)
        if noise is not None:
            x = self.noise(x, noise)
        return activate(self.bias(x), self.nonlinearity)


class DenseInput(Layer):
    """A dense input instead of the constant: w [N, dlatent_size] → [N, 4, 4, C]."""

    def __init__(
        self,
        scope: str,
        seed: int,
        fan_in: int,
        channels: int,
        compute: tf.DType,
        *,
        use_wscale: bool,
    ):
        super().__init__(scope, seed)
        # The gain of ProGAN's first layer.
        self.dense = self.adopt(
            "", Dense(scope, seed, fan_in, channels * 16, gain=SQRT2 / 4, use_wscale=use_wscale)
        )
        self.channels, self.compute = channels, compute

    def call(self, w: tf.Tensor) -> tf.Tensor:
        x = self.dense(tf.cast(w, self.compute))
        x = tf.reshape(x, [-1, self.channels, 4, 4])  # the order of the stored weight
        return tf.transpose(x, [0, 2, 3, 1])


class ToRGB(Layer):
    """Features to colours: 1×1 convolution and bias, gain 1, no activation."""

    def __init__(self, scope: str, seed: int, fmaps: int, channels: int, *, use_wscale: bool):
        super().__init__(scope, seed)
        self.conv = self.adopt(
            "", Conv2D(scope, seed, fmaps, channels, kernel=1, gain=1, use_wscale=use_wscale)
        )
        self.bias = self.adopt("", Bias(scope, seed, channels))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.cast(self.bias(self.conv(x)), tf.float32)


class SynthesisBlocks:
    """For an ImageNetwork of two layers at each resolution, and a ToRGB.

    The network has `to_rgb`, {level as text: ToRGB}, and `_layer(scope, source, res_log2)`, which
    makes and places a SynthesisLayer.
    """

    options: Any
    resolution_log2: int
    seed: int
    to_rgb: dict[str, ToRGB]
    fmaps: Any
    place: Any
    _layer: Any

    def second_layer(self, res_log2: int) -> SynthesisLayer:
        """The convolution that ends a block."""
        channels, side = self.fmaps(res_log2 - 1), 2**res_log2
        scope = f"{side}x{side}/" + ("Conv" if res_log2 == 2 else "Conv1")
        source = Conv2D(scope, self.seed, channels, channels, use_wscale=self.options["use_wscale"])
        return self._layer(scope, source, res_log2)

    def make_to_rgb(self, res_log2: int) -> ToRGB:
        """The layer that shows the features of 2^res_log2 pixels."""
        level = self.resolution_log2 - res_log2
        scope, channels, side = f"ToRGB_lod{level}", self.options["num_channels"], 2**res_log2
        layer = ToRGB(
            scope,
            self.seed,
            self.fmaps(res_log2 - 1),
            channels,
            use_wscale=self.options["use_wscale"],
        )
        return self.place(scope, layer, RGB, side, (channels, side, side))

    def lower_colours(self, x: tf.Tensor, level: int) -> tf.Tensor:
        """What fades out at `level`: the features one resolution below it as images, ×2."""
        return ops.upscale2d(self.to_rgb[str(level + 1)](x))

    def in_colours(
        self,
        x: tf.Tensor,
        lower: Optional[tf.Tensor],
        level: int,
        alpha: Union[float, tf.Tensor, None],
    ) -> tf.Tensor:
        """Features of a level as images, of which `lower` is the part alpha; None: no fade."""
        images = self.to_rgb[str(level)](x)
        return images if alpha is None else images + (lower - images) * alpha
