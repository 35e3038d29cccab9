"""D_basic: images to scores (ProGAN's discriminator with blur; StyleGAN appendix C)."""

from __future__ import annotations

from typing import Any, Optional, Union

import tensorflow as tf

from networks import fast, ops
from networks.base import BLOCK, RGB, check_labels
from networks.discriminator import ScoringNetwork
from networks.layers import Bias, Conv2D, Dense, Layer, activate
from networks.spectral_norm import SpectralNorm


class DiscriminatorLayer(Layer):
    """Convolution (or dense), bias, activation."""

    def __init__(self, scope: str, seed: int, source: Layer, channels: int, nonlinearity: str):
        super().__init__(scope, seed)
        self.source = self.adopt("", source)
        self.bias = self.adopt("", Bias(scope, seed, channels))
        self.nonlinearity = nonlinearity

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return activate(self.bias(self.source(x)), self.nonlinearity)


class Discriminator(ScoringNetwork):
    """Call: as ScoringNetwork's; it grows by `lod`."""

    FAMILY, FUNC_NAME = "stylegan", "D_basic"

    def __init__(self, *, seed: Optional[int] = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        opt = self.options
        self.from_rgb, self.blocks, self.norms = {}, {}, {}
        for res_log2 in range(self.resolution_log2, 2, -1):
            self._add_from_rgb(res_log2)
            self.blocks[str(res_log2)] = self._make_block(res_log2)
        self._add_from_rgb(2)
        self.features = opt["mbstd_num_features"] if opt["mbstd_group_size"] > 1 else 0
        fmaps, units = self.fmaps(1), self.fmaps(0)
        self.conv = self._conv("4x4/Conv", 4, fmaps + self.features, fmaps)
        dense0 = Dense("4x4/Dense0", self.seed, fmaps * 16, units, use_wscale=opt["use_wscale"])
        self.dense0 = self._layer("4x4/Dense0", dense0, 4, (units,))
        outputs = self._outputs()
        dense1 = Dense(
            "4x4/Dense1", self.seed, units, outputs, gain=1, use_wscale=opt["use_wscale"]
        )
        self.dense1 = self.place("4x4/Dense1", dense1, BLOCK, 4, (outputs,))
        self.bias1 = self.adopt("4x4/Dense1/", Bias("4x4/Dense1", self.seed, outputs))
        self._add_norm("4x4/Dense1", dense1)

    # ------------------------------------------------------------ what D_paper does otherwise

    def _nonlinearity(self, kind: str) -> str:
        """Of a layer of such a place (networks/base.py)."""
        linear = kind == RGB and not self.options["activate_from_rgb"]
        return "linear" if linear else self.options["nonlinearity"]

    def _make_block(self, res_log2: int) -> list[DiscriminatorLayer]:
        side, fmaps = 2**res_log2, self.fmaps(res_log2 - 1)
        first = self._conv(f"{side}x{side}/Conv0", side, fmaps, fmaps)
        second = self._conv(
            f"{side}x{side}/Conv1_down",
            side,
            fmaps,
            self.fmaps(res_log2 - 2),
            resample="down",
            fused=self.fused(side),
        )
        return [first, second]

    def _apply_block(self, res_log2: int, x: tf.Tensor) -> tf.Tensor:
        first, second = self.blocks[str(res_log2)]
        x = ops.blur2d(first(x), self.options["blur_filter"], fast=fast.plan().direct_blur)
        return second(x)

    def _outputs(self) -> int:
        return max(self.options["label_size"], 1)

    # ------------------------------------------------------------ what they share

    def _layer(
        self, scope: str, source: Layer, side: int, output: tuple[int, ...], kind: str = BLOCK
    ) -> DiscriminatorLayer:
        layer = DiscriminatorLayer(scope, self.seed, source, output[0], self._nonlinearity(kind))
        self.place(scope, layer, kind, side, output)
        self._add_norm(scope, source)
        return layer

    def _add_norm(self, scope: str, source: Layer) -> None:
        if self.options["spectral_norm"]:
            self.norms[scope] = self.adopt(f"{scope}/", SpectralNorm(source))

    def _conv(
        self,
        scope: str,
        side: int,
        fmaps_in: int,
        fmaps_out: int,
        kernel: int = 3,
        kind: str = BLOCK,
        **resample: Any,
    ) -> DiscriminatorLayer:
        use_wscale = self.options["use_wscale"]
        source = Conv2D(
            scope, self.seed, fmaps_in, fmaps_out, kernel, use_wscale=use_wscale, **resample
        )
        shown = side // 2 if resample else side
        return self._layer(scope, source, side, (fmaps_out, shown, shown), kind)

    def _add_from_rgb(self, res_log2: int) -> None:
        level = self.resolution_log2 - res_log2
        if level == 0 or self.growing:
            self.from_rgb[str(level)] = self._conv(
                f"FromRGB_lod{level}",
                2**res_log2,
                self.options["num_channels"],
                self.fmaps(res_log2 - 1),
                kernel=1,
                kind=RGB,
            )

    def stage(
        self,
        images: tf.Tensor,
        labels: Any,
        level: int,
        alpha: Union[float, tf.Tensor, None] = None,
    ) -> tf.Tensor:
        """Scores of images at the resolution of one stage, [N, R/2^level, R/2^level, C].

        alpha: None outside fades, else the weight of the lower resolution.
        """
        self.check_minibatch(images)
        labels = check_labels(self.func_name, labels, images, self.options["label_size"])
        images = tf.cast(images, self.compute)
        x = self.from_rgb[str(level)](images)
        top = self.resolution_log2 - level
        for res_log2 in range(top, 2, -1):
            x = self._apply_block(res_log2, x)
            if res_log2 == top and alpha is not None:
                lower = self.from_rgb[str(level + 1)](ops.downscale2d(images))
                x += (lower - x) * tf.cast(alpha, x.dtype)
        if self.features:
            x = ops.minibatch_stddev(x, self.options["mbstd_group_size"], self.features)
        x = self.conv(x)
        # Dense0's weight is stored for the order channel, row, column.
        x = tf.transpose(x, [0, 3, 1, 2])
        x = tf.reshape(x, [-1, 16 * x.shape[1]])
        x = tf.cast(self.bias1(self.dense1(self.dense0(x))), tf.float32)
        return self.score(x, labels)

    def normalize_kernels(self, level: int, fading: bool = False) -> None:
        """Spectral normalisation, if on, of what a stage trains; between steps, not within."""
        for name in self.trainable(level, fading):
            scope, _, kind = name.rpartition("/")
            if kind == "weight" and scope in self.norms:
                self.norms[scope].normalize()
