"""G_synthesis_stylegan2: disentangled latents w to images (StyleGAN2 §2 to §4, figure 7)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Optional, Union

import numpy as np
import tensorflow as tf

from networks.base import BLOCK
from networks.generator import Noise
from networks.layers import Initial, Layer
from networks.resampling import upsample2d
from networks.seeds import Seed
from networks.stylegan2.layers import ResampledConv2D, SynthesisLayer, ToRGB, residual
from networks.synthesis import Synthesis


class Constant(Layer):
    """The 4×4 input: w [N, …] → [N, 4, 4, C], starting as noise."""

    def __init__(self, scope: str, seed: int, channels: int):
        super().__init__(scope, seed)
        initial = Initial(seed, f"{scope}/const", 1.0)
        self.const = self.add_named("const", [1, channels, 4, 4], initial)

    def call(self, w: tf.Tensor) -> tf.Tensor:
        return tf.tile(tf.transpose(self.const, [0, 2, 3, 1]), [tf.shape(w)[0], 1, 1, 1])


class StyleGAN2Synthesis(Synthesis):
    """Call: as Synthesis's.

    num_layers is 2·log2 R − 2: one for each convolution, and the last ToRGB's own. What two kinds
    of it share: layers, and where their w and noise come from. Each kind gives its `render`, and
    makes what turns the features into colours. Options that not every kind has: use_noise,
    conv_clamp, fmap_const.
    """

    def __init__(self, *, seed: Optional[int] = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        self.num_layers = 2 * self.resolution_log2 - 2
        self.noise_variables = self.make_noise_variables()
        channels = self.const_fmaps
        constant = Constant("4x4/Const", self.seed, channels)
        self.constant = self.place("4x4/Const", constant, BLOCK, 4, (channels, 4, 4))
        self.blocks: list[list[SynthesisLayer]] = []  # 4×4 first
        self.to_rgb: dict[str, ToRGB] = {}  # by log2 of the resolution (as text)
        self.skips: dict[str, ResampledConv2D] = {}
        for res_log2 in range(2, self.resolution_log2 + 1):
            self.blocks.append(self._block(res_log2))
            self.finish_block(res_log2)

    def noise_shapes(self) -> list[tuple[int, int]]:
        """(height, width) of each convolution's noise image; empty without noise."""
        if not self.options.get("use_noise", True):
            return []
        return [(2 ** ((index + 5) // 2),) * 2 for index in range(2 * self.resolution_log2 - 3)]

    def style_matrices(self) -> list[np.ndarray]:
        layers = [layer for block in self.blocks for layer in block]
        matrices = [[layer.conv.style_matrix()] for layer in layers] + [[]]
        for res_log2, to_rgb in self.to_rgb.items():  # with the w of the next block's first layer
            matrices[2 * int(res_log2) - 3].append(to_rgb.conv.style_matrix())
        return [np.concatenate(parts, axis=1) for parts in matrices]

    @property
    def const_fmaps(self) -> int:
        """Feature maps of the constant input."""
        return self.options.get("fmap_const") or self.fmaps(1)

    def finish_block(self, res_log2: int) -> None:
        """Makes what else belongs to a block, after its layers."""
        raise NotImplementedError

    def _block(self, res_log2: int) -> list[SynthesisLayer]:
        if res_log2 == 2:
            return [self._layer("Conv", 2, self.const_fmaps)]
        return [
            self._layer("Conv0_up", res_log2, self.fmaps(res_log2 - 2), up=True),
            self._layer("Conv1", res_log2, self.fmaps(res_log2 - 1)),
        ]

    def _layer(self, name: str, res_log2: int, fmaps_in: int, up: bool = False) -> SynthesisLayer:
        opt, side, fmaps = self.options, 2**res_log2, self.fmaps(res_log2 - 1)
        scope = f"{side}x{side}/{name}"
        layer = SynthesisLayer(
            scope,
            self.seed,
            fmaps_in,
            fmaps,
            opt["dlatent_size"],
            opt["nonlinearity"],
            up=up,
            taps=opt["resample_kernel"],
            use_noise=opt.get("use_noise", True),
            clamp=opt.get("conv_clamp"),
        )
        return self.place(scope, layer, BLOCK, side, (fmaps, side, side))

    def make_to_rgb(self, scope: str, res_log2: int, kind: str = BLOCK) -> ToRGB:
        """The layer that shows the features of 2^res_log2 pixels."""
        opt, side, fmaps = self.options, 2**res_log2, self.fmaps(res_log2 - 1)
        channels, clamp = opt["num_channels"], opt.get("conv_clamp")
        layer = ToRGB(scope, self.seed, fmaps, channels, opt["dlatent_size"], clamp)
        return self.place(scope, layer, kind, side, (opt["num_channels"], side, side))

    def features(
        self, w: tf.Tensor, noise: Noise, seed: Seed
    ) -> Iterator[tuple[int, Callable[[tf.Tensor], tf.Tensor]]]:
        """Yields, for each block from 4×4 on, log2 of its resolution and its layers as a function
        of features [N, H, W, C]."""
        noise_of = self.noise_source(w, noise, seed)

        def through(block: int, x: tf.Tensor) -> tf.Tensor:
            first = 2 * block - 1 if block else 0
            for index, layer in enumerate(self.blocks[block], first):
                x = layer(x, w[:, index], noise_of(index))
            return x

        for block in range(len(self.blocks)):
            yield block + 2, functools.partial(through, block)

    def start(self, w: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """w as a tensor, and the constant input; ValueError when w has another shape."""
        w = self.check_w(w)
        return w, tf.cast(self.constant(w), self.compute)


class SynthesisNetwork(StyleGAN2Synthesis):
    """Call: as Synthesis's; it does not grow, and `lod` is without effect.

    The option architecture says how images come about: 'skip' sums the colours of all resolutions,
    'resnet' and 'orig' show the last features, of residual blocks or plain ones.
    """

    FAMILY, FUNC_NAME, HAS_LOD = "stylegan2", "G_synthesis_stylegan2", False

    def finish_block(self, res_log2: int) -> None:
        opt, side, fmaps = self.options, 2**res_log2, self.fmaps(res_log2 - 1)
        if opt["architecture"] == "resnet" and res_log2 > 2:
            scope, fmaps_in = f"{side}x{side}/Skip", self.fmaps(res_log2 - 2)
            skip = ResampledConv2D(
                scope,
                self.seed,
                fmaps_in,
                fmaps,
                kernel=1,
                resample="up",
                taps=opt["resample_kernel"],
            )
            self.skips[str(res_log2)] = self.place(scope, skip, BLOCK, side, (fmaps, side, side))
        if opt["architecture"] == "skip" or res_log2 == self.resolution_log2:
            self.to_rgb[str(res_log2)] = self.make_to_rgb(f"{side}x{side}/ToRGB", res_log2)

    def render(
        self,
        w: Any,
        level: int = 0,
        alpha: Union[float, tf.Tensor, None] = None,
        *,
        noise: Noise = None,
        seed: Seed = None,
    ) -> tf.Tensor:
        w, x = self.start(w)
        images = None
        for res_log2, layers in self.features(w, noise, seed):
            skip = self.skips.get(str(res_log2))
            x = layers(x) if skip is None else residual(layers(x), skip(x))
            to_rgb = self.to_rgb.get(str(res_log2))
            if to_rgb is not None:
                colours = to_rgb(x, w[:, 2 * res_log2 - 3])
                if images is not None:
                    colours += upsample2d(images, self.options["resample_kernel"])
                images = colours
        return images
