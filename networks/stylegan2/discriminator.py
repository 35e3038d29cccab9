"""D_stylegan2: images to scores (StyleGAN2 §4, figure 7), and what it shares with D_stylegan."""

from __future__ import annotations

from typing import Any, Optional, Union

import tensorflow as tf

from networks import ops
from networks.base import BLOCK, check_labels
from networks.discriminator import ScoringNetwork
from networks.resampling import downsample2d
from networks.stylegan2.layers import Activated, ResampledConv2D, dense, residual


class StyleGAN2Discriminator(ScoringNetwork):
    """Call: as ScoringNetwork's. Each kind gives `features_of`, and makes what takes colours in."""

    def __init__(self, *, seed: Optional[int] = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        self.make_mapping()
        self.from_rgb: dict[str, Activated] = {}  # by log2 of the resolution (as text)
        self.blocks: dict[str, list[Activated]] = {}
        self.skips: dict[str, ResampledConv2D] = {}
        for res_log2 in range(self.resolution_log2, 2, -1):
            self.make_from_rgb(res_log2)
            self.make_block(res_log2)
        self.make_from_rgb(2)
        self.features = self.stddev_features()
        fmaps, units = self.fmaps(1), self.options.get("dense_fmaps") or self.fmaps(0)
        self.conv = self.add_conv("4x4/Conv", 4, fmaps + self.features, fmaps)
        nonlinearity = self.nonlinearity_at(4)
        self.dense0 = self._dense("4x4/Dense0", 16 * fmaps, units, nonlinearity)
        self.output_layer = self._dense("Output", units, self.num_outputs(), "linear")

    # ------------------------------------------------------------ in which they differ

    def make_mapping(self) -> None:
        """Makes what labels go through, if anything."""

    def stddev_features(self) -> int:
        """How many features the minibatch standard deviation adds."""
        opt = self.options
        return opt["mbstd_num_features"] if opt["mbstd_group_size"] > 1 else 0

    def num_outputs(self) -> int:
        """Units of the last layer."""
        return max(self.options["label_size"], 1)

    def nonlinearity_at(self, side: int) -> str:
        """The activation of the layers at side × side pixels."""
        return self.options["nonlinearity"]

    def clamp_of(self, scope: str) -> Optional[float]:
        """Bounds of a convolution's output; None: none."""
        return self.options.get("conv_clamp")

    def make_from_rgb(self, res_log2: int) -> None:
        """Makes the layer, if any, that takes colours in at 2^res_log2 pixels."""
        raise NotImplementedError

    def features_of(
        self, images: tf.Tensor, level: int, alpha: Union[float, tf.Tensor, None]
    ) -> tf.Tensor:
        """Images of a stage as the features of all their blocks, [N, 4, 4, C]."""
        raise NotImplementedError

    def make_block(self, res_log2: int) -> None:
        """Makes the two convolutions of a resolution."""
        side, fmaps = 2**res_log2, self.fmaps(res_log2 - 1)
        first = self.add_conv(f"{side}x{side}/Conv0", side, fmaps, fmaps)
        scope, fmaps_out = f"{side}x{side}/Conv1_down", self.fmaps(res_log2 - 2)
        second = self.add_conv(scope, side, fmaps, fmaps_out, resample="down")
        self.blocks[str(res_log2)] = [first, second]

    def block(self, res_log2: int, x: tf.Tensor) -> tf.Tensor:
        """Features through the two convolutions of a resolution: half as high and wide."""
        for layer in self.blocks[str(res_log2)]:
            x = layer(x)
        return x

    def add_from_rgb(self, scope: str, res_log2: int, kind: str = BLOCK) -> None:
        """Makes a layer that takes colours in."""
        channels, fmaps = self.options["num_channels"], self.fmaps(res_log2 - 1)
        layer = self.add_conv(scope, 2**res_log2, channels, fmaps, kernel=1, kind=kind)
        self.from_rgb[str(res_log2)] = layer

    def add_conv(
        self,
        scope: str,
        side: int,
        fmaps_in: int,
        fmaps_out: int,
        *,
        kernel: int = 3,
        kind: str = BLOCK,
        resample: Optional[str] = None,
    ) -> Activated:
        """Makes and places a convolution with bias and activation."""
        opt, seed = self.options, self.seed
        taps = opt["resample_kernel"]
        source = ResampledConv2D(
            scope, seed, fmaps_in, fmaps_out, kernel, resample=resample, taps=taps
        )
        nonlinearity, clamp = self.nonlinearity_at(side), self.clamp_of(scope)
        layer = Activated(scope, seed, source, fmaps_out, nonlinearity, clamp=clamp)
        shown = side // 2 if resample else side
        return self.place(scope, layer, kind, side, (fmaps_out, shown, shown))

    def _dense(self, scope: str, fan_in: int, units: int, nonlinearity: str) -> Activated:
        layer = dense(scope, self.seed, fan_in, units, nonlinearity)
        shown = 1 if scope == "Output" else units  # one score, whatever the labels
        return self.place(scope, layer, BLOCK, 4, (shown,))

    def stage(
        self,
        images: tf.Tensor,
        labels: Any,
        level: int,
        alpha: Union[float, tf.Tensor, None] = None,
    ) -> tf.Tensor:
        self.check_minibatch(images)
        labels = check_labels(self.func_name, labels, images, self.options["label_size"])
        x = self.features_of(tf.cast(images, self.compute), level, alpha)
        if self.features:
            x = ops.minibatch_stddev(x, self.options["mbstd_group_size"], self.features)
        x = self.conv(x)
        # Dense0's weight is stored for the order channel, row, column.
        x = tf.transpose(x, [0, 3, 1, 2])
        x = tf.reshape(x, [-1, 16 * x.shape[1]])
        return self.score(tf.cast(self.output_layer(self.dense0(x)), tf.float32), labels)


class Discriminator(StyleGAN2Discriminator):
    """Call: as ScoringNetwork's; it does not grow, and `lod` is without effect.

    The option architecture says how images come in: 'skip' shows them to every resolution, 'resnet'
    and 'orig' to the first, followed by residual blocks or plain ones.
    """

    FAMILY, FUNC_NAME, HAS_LOD = "stylegan2", "D_stylegan2", False

    def make_from_rgb(self, res_log2: int) -> None:
        if res_log2 == self.resolution_log2 or self.options["architecture"] == "skip":
            side = 2**res_log2
            self.add_from_rgb(f"{side}x{side}/FromRGB", res_log2)

    def make_block(self, res_log2: int) -> None:
        super().make_block(res_log2)
        if self.options["architecture"] != "resnet":
            return
        side, fmaps_out = 2**res_log2, self.fmaps(res_log2 - 2)
        scope, fmaps_in = f"{side}x{side}/Skip", self.fmaps(res_log2 - 1)
        skip = ResampledConv2D(
            scope,
            self.seed,
            fmaps_in,
            fmaps_out,
            kernel=1,
            resample="down",
            taps=self.options["resample_kernel"],
        )
        shape = (fmaps_out, side // 2, side // 2)
        self.skips[str(res_log2)] = self.place(scope, skip, BLOCK, side, shape)

    def features_of(
        self, images: tf.Tensor, level: int, alpha: Union[float, tf.Tensor, None]
    ) -> tf.Tensor:
        shown = self.options["architecture"] == "skip"
        x = self.from_rgb[str(self.resolution_log2)](images)
        for res_log2 in range(self.resolution_log2, 2, -1):
            skip = self.skips.get(str(res_log2))
            x = (
                self.block(res_log2, x)
                if skip is None
                else residual(self.block(res_log2, x), skip(x))
            )
            if shown:
                images = downsample2d(images, self.options["resample_kernel"])
                x += self.from_rgb[str(res_log2 - 1)](images)
        return x
