"""G_synthesis: disentangled latents w to images (StyleGAN §2, figure 1b right)."""

from __future__ import annotations

from typing import Any, Optional, Union

import numpy as np
import tensorflow as tf

from networks.base import BLOCK
from networks.generator import Noise
from networks.layers import Conv2D, Layer
from networks.seeds import Seed
from networks.synthesis import Synthesis
from networks.synthesis_blocks import DenseInput, SynthesisBlocks, SynthesisLayer


class LearnedConstant(Layer):
    """The 4×4 input of the synthesis network: w [N, …] → [N, 4, 4, C], always float32.

    It starts as ones, and early in training varies by less than bfloat16 can tell from 1;
    instance norm then shows nothing but the rounding. So its layer is computed in float32.
    """

    def __init__(self, scope: str, seed: int, channels: int):
        super().__init__(scope, seed)
        self.const = self.add_named("const", [1, channels, 4, 4], "ones")

    def call(self, w: tf.Tensor) -> tf.Tensor:
        return tf.tile(tf.transpose(self.const, [0, 2, 3, 1]), [tf.shape(w)[0], 1, 1, 1])


class SynthesisNetwork(SynthesisBlocks, Synthesis):
    """Call: as Synthesis's.

    num_layers is 2·log2 R − 2, or 1 without styles.
    """

    FAMILY, FUNC_NAME = "stylegan", "G_synthesis"

    def __init__(self, *, seed: Optional[int] = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        opt = self.options
        self.num_layers = 2 * self.resolution_log2 - 2 if opt["use_styles"] else 1
        self.noise_variables = self.make_noise_variables()
        self.blocks = []  # 4×4 first; each is [layer, layer]
        self.to_rgb = {}  # level (as text): ToRGB
        for res_log2 in range(2, self.resolution_log2 + 1):
            self.blocks.append([self._first_layer(res_log2), self.second_layer(res_log2)])
            level = self.resolution_log2 - res_log2
            if level == 0 or self.growing:
                self.to_rgb[str(level)] = self.make_to_rgb(res_log2)

    def noise_shapes(self) -> list[tuple[int, int]]:
        """(height, width) of each layer's noise image; empty without noise."""
        layers = 2 * self.resolution_log2 - 2 if self.options["use_noise"] else 0
        return [(2 ** (index // 2 + 2),) * 2 for index in range(layers)]

    def style_matrices(self) -> list[np.ndarray]:
        if not self.options["use_styles"]:
            return []
        return [layer.style.matrix() for block in self.blocks for layer in block]

    def _layer(self, scope: str, source: Layer, res_log2: int, blur: Any = None) -> SynthesisLayer:
        channels, side = self.fmaps(res_log2 - 1), 2**res_log2
        layer = SynthesisLayer(scope, self.seed, source, channels, self.options, blur)
        return self.place(scope, layer, BLOCK, side, (channels, side, side))

    def _first_layer(self, res_log2: int) -> SynthesisLayer:
        opt, seed, channels = self.options, self.seed, self.fmaps(res_log2 - 1)
        if res_log2 > 2:
            side = 2**res_log2
            scope = f"{side}x{side}/Conv0_up"
            source: Layer = Conv2D(
                scope,
                seed,
                self.fmaps(res_log2 - 2),
                channels,
                use_wscale=opt["use_wscale"],
                resample="up",
                fused=self.fused(side),
            )
        elif opt["const_input_layer"]:
            scope = "4x4/Const"
            source = LearnedConstant(scope, seed, channels)
        else:
            scope = "4x4/Dense"
            source = DenseInput(
                scope,
                seed,
                opt["dlatent_size"],
                channels,
                self.compute,
                use_wscale=opt["use_wscale"],
            )
        return self._layer(scope, source, res_log2, opt["blur_filter"] if res_log2 > 2 else None)

    def render(
        self,
        w: Any,
        level: int = 0,
        alpha: Union[float, tf.Tensor, None] = None,
        *,
        noise: Noise = None,
        seed: Seed = None,
    ) -> tf.Tensor:
        w = self.check_w(w)
        noise_of = self.noise_source(w, noise, seed)
        x, lower = w[:, 0], None
        last = self.resolution_log2 - level - 2
        for block in range(last + 1):
            for half in range(2):
                index = 2 * block + half
                style = w[:, index] if self.options["use_styles"] else None
                x = self.blocks[block][half](x, style, noise_of(index))
                x = tf.cast(x, self.compute)  # from float32 after the learned constant
            if block == last - 1 and alpha is not None:
                lower = self.lower_colours(x, level)
        return self.in_colours(x, lower, level, alpha)
