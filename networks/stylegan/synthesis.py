"""G_synthesis: disentangled latents w to images (StyleGAN §2, figure 1b right)."""

from __future__ import annotations

import tensorflow as tf

from networks import fast, fused, ops
from networks.base import ImageNetwork
from networks.layers import (
    SQRT2,
    Bias,
    Conv2D,
    Dense,
    Initial,
    Layer,
    NoiseInjection,
    StyleMod,
    activate,
)  # fmt: skip

NOISE_MODES = ("random", "fixed", "none")


class SynthesisLayer(Layer):
    """One layer of the synthesis network: a source of features, then its epilogue.

    Epilogue: noise → bias → activation → pixel norm → instance norm → style, each if on.
    source: a convolution, a dense layer, or the learned constant. blur: filter taps applied
    between the two, or None.
    """

    def __init__(self, scope, seed, source, channels, options, blur=None):
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
            self.style = self.adopt(
                "StyleMod/",
                StyleMod(
                    f"{scope}/StyleMod", seed, options["dlatent_size"], channels,
                    use_wscale=options["use_wscale"],
                ),
            )  # fmt: skip

    def call(self, x, w=None, noise=None):
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

    def _activate(self, x, noise):
        """Noise (unless None), bias, activation."""
        if fast.plan().fuse_epilogue and self.nonlinearity == "lrelu":
            if noise is None:
                return fused.biased_activation(x, self.bias.bias)
            return fused.noisy_activation(x, self.bias.bias, noise, self.noise.weight)
        if noise is not None:
            x = self.noise(x, noise)
        return activate(self.bias(x), self.nonlinearity)


class LearnedConstant(Layer):
    """The 4×4 input of the synthesis network: w [N, …] → [N, 4, 4, C], always float32.

    It starts as ones, and early in training varies by less than bfloat16 can tell from 1;
    instance norm then shows nothing but the rounding. So its layer is computed in float32.
    """

    def __init__(self, scope, seed, channels):
        super().__init__(scope, seed)
        self.const = self.add_named("const", [1, channels, 4, 4], "ones")

    def call(self, w):
        return tf.tile(tf.transpose(self.const, [0, 2, 3, 1]), [tf.shape(w)[0], 1, 1, 1])


class DenseInput(Layer):
    """A dense input instead of the constant: w [N, dlatent_size] → [N, 4, 4, C]."""

    def __init__(self, scope, seed, fan_in, channels, compute, *, use_wscale):
        super().__init__(scope, seed)
        # The gain of ProGAN's first layer.
        self.dense = self.adopt(
            "", Dense(scope, seed, fan_in, channels * 16, gain=SQRT2 / 4, use_wscale=use_wscale)
        )
        self.channels, self.compute = channels, compute

    def call(self, w):
        x = self.dense(tf.cast(w, self.compute))
        x = tf.reshape(x, [-1, self.channels, 4, 4])  # the order of the stored weight
        return tf.transpose(x, [0, 2, 3, 1])


class ToRGB(Layer):
    """Features to colours: 1×1 convolution and bias, gain 1, no activation."""

    def __init__(self, scope, seed, fmaps, channels, *, use_wscale):
        super().__init__(scope, seed)
        self.conv = self.adopt(
            "", Conv2D(scope, seed, fmaps, channels, kernel=1, gain=1, use_wscale=use_wscale)
        )
        self.bias = self.adopt("", Bias(scope, seed, channels))

    def call(self, x):
        return tf.cast(self.bias(self.conv(x)), tf.float32)


class SynthesisNetwork(ImageNetwork):
    """Call: w [N, num_layers, dlatent_size] → images [N, R, R, num_channels], about [−1, 1].

    num_layers is 2·log2 R − 2, or 1 without styles.
    """

    def __init__(self, *, seed=None, **kwargs):
        super().__init__("G_synthesis", seed, **kwargs)
        opt = self.options
        self.num_layers = 2 * self.resolution_log2 - 2 if opt["use_styles"] else 1
        self.noise_images = []
        if opt["use_noise"]:
            self._add_noise_images()
        self.blocks = []  # 4×4 first; each is [layer, layer]
        self.to_rgb = {}  # level (as text): ToRGB
        for res in range(2, self.resolution_log2 + 1):
            self.blocks.append([self._first_layer(res), self._second_layer(res)])
            level = self.resolution_log2 - res
            if level == 0 or opt["structure"] != "fixed":
                scope = f"ToRGB_lod{level}"
                self.to_rgb[str(level)] = self.adopt(
                    f"{scope}/",
                    ToRGB(
                        scope, self.seed, self.fmaps(res - 1), opt["num_channels"],
                        use_wscale=opt["use_wscale"],
                    ),
                )  # fmt: skip

    def _add_noise_images(self):
        for index in range(2 * self.resolution_log2 - 2):
            side = 2 ** (index // 2 + 2)
            name = f"noise{index}"
            initial = Initial(self.seed, name, 1.0)
            self.noise_images.append(
                self.add_named(name, [1, 1, side, side], initial, trainable=False)
            )

    def _layer(self, scope, source, channels, blur=None):
        layer = SynthesisLayer(scope, self.seed, source, channels, self.options, blur)
        return self.adopt(f"{scope}/", layer)

    def _first_layer(self, res):
        opt, seed, channels = self.options, self.seed, self.fmaps(res - 1)
        blur = opt["blur_filter"] if res > 2 else None
        if res > 2:
            side = 2**res
            scope = f"{side}x{side}/Conv0_up"
            source = Conv2D(
                scope, seed, self.fmaps(res - 2), channels, use_wscale=opt["use_wscale"],
                resample="up", fused=self.fused(side),
            )  # fmt: skip
        elif opt["const_input_layer"]:
            scope = "4x4/Const"
            source = LearnedConstant(scope, seed, channels)
        else:
            scope = "4x4/Dense"
            source = DenseInput(
                scope, seed, opt["dlatent_size"], channels, self.compute,
                use_wscale=opt["use_wscale"],
            )  # fmt: skip
        return self._layer(scope, source, channels, blur)

    def _second_layer(self, res):
        channels, side = self.fmaps(res - 1), 2**res
        scope = f"{side}x{side}/" + ("Conv" if res == 2 else "Conv1")
        source = Conv2D(scope, self.seed, channels, channels, use_wscale=self.options["use_wscale"])
        return self._layer(scope, source, channels)

    def call(self, w, *, noise=None, lod=None, seed=None):
        """noise: 'random' | 'fixed' | 'none', or one image [N or 1, H, W, 1] or None for each
        layer; lod: None is the network's own; seed: of the random noise, an int or an int
        tensor [2]; None draws one."""
        level, alpha = self.split_lod(lod)
        images = self.stage(w, level, alpha or None, noise=noise, seed=seed)
        return ops.upscale2d(images, 2**level)

    def stage(self, w, level, alpha=None, *, noise=None, seed=None):
        """Images at the resolution of one stage: [N, R/2^level, R/2^level, C], float32.

        level: floor(lod). alpha: None outside fades, else the weight of the lower
        resolution (a number or a scalar tensor).
        """
        w = tf.convert_to_tensor(w)
        expected = [self.num_layers, self.options["dlatent_size"]]
        if w.shape.rank != 3 or list(w.shape[1:]) != expected:
            layers, width = expected
            raise ValueError(f"G_synthesis: w has shape {w.shape}, expected [N, {layers}, {width}]")
        noise_of = self._noise_source(w, noise, seed)
        x, lower = w[:, 0], None
        last = self.resolution_log2 - level - 2
        for block in range(last + 1):
            for half in range(2):
                index = 2 * block + half
                style = w[:, index] if self.options["use_styles"] else None
                x = self.blocks[block][half](x, style, noise_of(index))
                x = tf.cast(x, self.compute)  # from float32 after the learned constant
            if block == last - 1 and alpha is not None:
                lower = ops.upscale2d(self.to_rgb[str(level + 1)](x))
        images = self.to_rgb[str(level)](x)
        if alpha is None:
            return images
        return images + (lower - images) * alpha

    def _noise_source(self, w, mode, seed):
        """A function: layer index → noise [N or 1, H, W, 1] in the compute dtype, or None."""
        if mode is None:
            mode = "random" if self.options["randomize_noise"] else "fixed"
        if isinstance(mode, (list, tuple)):
            return self._given_noise(mode)
        if mode not in NOISE_MODES:
            raise ValueError(
                f"G_synthesis: noise={mode!r}, expected one of {NOISE_MODES} or a list"
            )
        if mode == "none" or not self.options["use_noise"]:
            return lambda index: None
        if mode == "fixed":
            return lambda index: tf.cast(
                tf.transpose(self.noise_images[index], [0, 2, 3, 1]), self.compute
            )
        seed = as_seed(seed)
        minibatch = tf.shape(w)[0]

        def random(index):
            side = 2 ** (index // 2 + 2)
            layer_seed = tf.random.experimental.stateless_fold_in(seed, index, alg="philox")
            return tf.random.stateless_normal(
                [minibatch, side, side, 1], layer_seed, dtype=self.compute, alg="philox"
            )

        return random

    def _given_noise(self, images):
        """As `_noise_source`, from a list of noise images."""
        if len(images) != len(self.noise_images):
            expected = len(self.noise_images)
            raise ValueError(f"G_synthesis: {len(images)} noise images, expected {expected}")
        for index, image in enumerate(images):
            side = 2 ** (index // 2 + 2)
            if image is not None and list(image.shape[1:]) != [side, side, 1]:
                raise ValueError(
                    f"G_synthesis: noise image {index} has shape {image.shape}, "
                    f"expected [N or 1, {side}, {side}, 1]"
                )
        return lambda index: None if images[index] is None else tf.cast(images[index], self.compute)


def as_seed(seed):
    """An int32 tensor [2] from None (draws one), an int (also a tensor), or such a tensor."""
    if seed is None:
        return tf.random.uniform([2], maxval=tf.int32.max, dtype=tf.int32)
    if isinstance(seed, int):
        seed = tf.constant(seed % 2**62, tf.int64)
    seed = tf.convert_to_tensor(seed)
    if seed.shape == []:
        seed = tf.cast(seed, tf.int64)
        seed = tf.stack([seed % 2**31, seed // 2**31 % 2**31])
    if seed.shape != [2]:
        raise ValueError(f"seed has shape {seed.shape}, expected an int or an int tensor [2]")
    return tf.cast(seed, tf.int32)
