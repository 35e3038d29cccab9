"""D_basic: images to scores (ProGAN's discriminator with blur; StyleGAN appendix C)."""

from __future__ import annotations

import tensorflow as tf

from networks import fast, ops
from networks.base import ImageNetwork, check_labels
from networks.layers import Bias, Conv2D, Dense, Layer, activate


class DiscriminatorLayer(Layer):
    """Convolution (or dense), bias, activation."""

    def __init__(self, scope, seed, source, channels, nonlinearity):
        super().__init__(scope, seed)
        self.source = self.adopt("", source)
        self.bias = self.adopt("", Bias(scope, seed, channels))
        self.nonlinearity = nonlinearity

    def call(self, x):
        return activate(self.bias(self.source(x)), self.nonlinearity)


class Discriminator(ImageNetwork):
    """Call: images [N, R, R, num_channels] in [−1, 1], labels [N, label_size] or None (zeros)
    → scores [N, 1] float32, higher for what looks real.
    """

    def __init__(self, *, seed=None, **kwargs):
        super().__init__("D_basic", seed, **kwargs)
        opt = self.options
        self.from_rgb, self.blocks = {}, {}
        for res in range(self.resolution_log2, 2, -1):
            side = 2**res
            self._add_from_rgb(res)
            first = self._conv(f"{side}x{side}/Conv0", self.fmaps(res - 1), self.fmaps(res - 1))
            second = self._conv(
                f"{side}x{side}/Conv1_down", self.fmaps(res - 1), self.fmaps(res - 2),
                resample="down", fused=self.fused(side),
            )  # fmt: skip
            self.blocks[str(res)] = [first, second]
        self._add_from_rgb(2)
        self.features = opt["mbstd_num_features"] if opt["mbstd_group_size"] > 1 else 0
        fmaps = self.fmaps(1)
        self.conv = self._conv("4x4/Conv", fmaps + self.features, fmaps)
        self.dense0 = self._layer(
            "4x4/Dense0",
            Dense("4x4/Dense0", self.seed, fmaps * 16, self.fmaps(0), use_wscale=opt["use_wscale"]),
            self.fmaps(0),
        )
        outputs = max(opt["label_size"], 1)
        dense1 = Dense(
            "4x4/Dense1", self.seed, self.fmaps(0), outputs, gain=1, use_wscale=opt["use_wscale"]
        )
        self.dense1 = self.adopt("4x4/Dense1/", dense1)
        self.bias1 = self.adopt("4x4/Dense1/", Bias("4x4/Dense1", self.seed, outputs))

    def _layer(self, scope, source, channels):
        nonlinearity = self.options["nonlinearity"]
        return self.adopt(
            f"{scope}/", DiscriminatorLayer(scope, self.seed, source, channels, nonlinearity)
        )

    def _conv(self, scope, fmaps_in, fmaps_out, kernel=3, **resample):
        use_wscale = self.options["use_wscale"]
        source = Conv2D(
            scope, self.seed, fmaps_in, fmaps_out, kernel, use_wscale=use_wscale, **resample
        )
        return self._layer(scope, source, fmaps_out)

    def _add_from_rgb(self, res):
        level = self.resolution_log2 - res
        if level == 0 or self.options["structure"] != "fixed":
            channels = self.options["num_channels"]
            self.from_rgb[str(level)] = self._conv(
                f"FromRGB_lod{level}", channels, self.fmaps(res - 1), kernel=1
            )

    def call(self, images, labels=None, *, lod=None):
        """lod: None is the network's own."""
        level, alpha = self.split_lod(lod)
        images = tf.convert_to_tensor(images)
        expected = [self.resolution, self.resolution, self.options["num_channels"]]
        if images.shape.rank != 4 or list(images.shape[1:]) != expected:
            raise ValueError(
                f"D_basic: images have shape {images.shape}, expected [N, {expected[0]}, "
                f"{expected[1]}, {expected[2]}]"
            )
        return self.stage(ops.downscale2d(images, 2**level), labels, level, alpha or None)

    def stage(self, images, labels, level, alpha=None):
        """Scores of images at the resolution of one stage, [N, R/2^level, R/2^level, C].

        alpha: None outside fades, else the weight of the lower resolution.
        """
        self._check_minibatch(images)
        labels = check_labels("D_basic", labels, images, self.options["label_size"])
        images = tf.cast(images, self.compute)
        x = self.from_rgb[str(level)](images)
        top = self.resolution_log2 - level
        for res in range(top, 2, -1):
            first, second = self.blocks[str(res)]
            x = second(
                ops.blur2d(first(x), self.options["blur_filter"], fast=fast.plan().direct_blur)
            )
            if res == top and alpha is not None:
                lower = self.from_rgb[str(level + 1)](ops.downscale2d(images))
                x += (lower - x) * tf.cast(alpha, x.dtype)
        if self.features:
            x = ops.minibatch_stddev(x, self.options["mbstd_group_size"], self.features)
        x = self.conv(x)
        # Dense0's weight is stored for the order channel, row, column.
        x = tf.transpose(x, [0, 3, 1, 2])
        x = tf.reshape(x, [-1, 16 * x.shape[1]])
        x = tf.cast(self.bias1(self.dense1(self.dense0(x))), tf.float32)
        if self.options["label_size"]:
            x = tf.reduce_sum(x * labels, axis=1, keepdims=True)
        return x

    def _check_minibatch(self, images):
        minibatch = images.shape[0]
        if not self.features or minibatch is None:
            return
        group = min(self.options["mbstd_group_size"], minibatch)
        if minibatch % group:
            raise ValueError(
                f"D_basic: a minibatch of {minibatch} does not divide into groups of {group} "
                "(mbstd_group_size); use a multiple, or another group size"
            )
