"""G_paper: the generator of Progressive GAN, which StyleGAN grew from (ProGAN; row A of Table 1).

No mapping network, styles, noise inputs or blur; pixel norm in the generator.
"""

from __future__ import annotations

from typing import Any, Optional, Union

import tensorflow as tf

from networks import ops
from networks.base import BLOCK, check_labels, check_width
from networks.generator import Cutoff, Generator, Noise, Psi
from networks.layers import Conv2D, Layer
from networks.options import OWN
from networks.seeds import Seed
from networks.synthesis_blocks import DenseInput, SynthesisBlocks, SynthesisLayer


class PaperGenerator(SynthesisBlocks, Generator):
    """A generator whose codes are latents with their labels, [N, latent_size + label_size]."""

    FAMILY, FUNC_NAME = "progan", "G_paper"

    def __init__(self, *, seed: Optional[int] = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        self.blocks = []  # 4×4 first; each is [layer, layer]
        self.to_rgb = {}  # level (as text): ToRGB
        for res_log2 in range(2, self.resolution_log2 + 1):
            self.blocks.append([self._first_layer(res_log2), self.second_layer(res_log2)])
            self.to_rgb[str(self.resolution_log2 - res_log2)] = self.make_to_rgb(res_log2)

    def _layer(self, scope: str, source: Layer, res_log2: int) -> SynthesisLayer:
        opt, channels, side = self.options, self.fmaps(res_log2 - 1), 2**res_log2
        epilogue = {
            "use_noise": False,
            "nonlinearity": "lrelu_progan" if opt["use_leakyrelu"] else "relu",
            "use_pixel_norm": opt["use_pixelnorm"],
            "pixelnorm_epsilon": opt["pixelnorm_epsilon"],
            "use_instance_norm": False,
            "use_styles": False,
        }
        layer = SynthesisLayer(scope, self.seed, source, channels, epilogue)
        return self.place(scope, layer, BLOCK, side, (channels, side, side))

    def _first_layer(self, res_log2: int) -> SynthesisLayer:
        opt, channels, side = self.options, self.fmaps(res_log2 - 1), 2**res_log2
        if res_log2 == 2:
            scope = "4x4/Dense"
            source: Layer = DenseInput(
                scope,
                self.seed,
                opt["latent_size"] + opt["label_size"],
                channels,
                self.compute,
                use_wscale=opt["use_wscale"],
            )
        else:
            fused = opt["fused_scale"]
            scope = f"{side}x{side}/" + ("Conv0_up" if fused else "Conv0")
            source = Conv2D(
                scope,
                self.seed,
                self.fmaps(res_log2 - 2),
                channels,
                use_wscale=opt["use_wscale"],
                resample="up",
                fused=fused,
            )
        return self._layer(scope, source, res_log2)

    def codes(
        self,
        z: Any,
        labels: Any = None,
        *,
        truncation_psi: Psi = OWN,
        truncation_cutoff: Cutoff = OWN,
    ) -> tf.Tensor:
        z = check_width("G_paper", "z", z, self.latent_size)
        return tf.concat([z, check_labels("G_paper", labels, z, self.label_size)], axis=1)

    def render(
        self,
        codes: Any,
        level: int = 0,
        alpha: Union[float, tf.Tensor, None] = None,
        *,
        noise: Noise = None,
        seed: Seed = None,
    ) -> tf.Tensor:
        x = check_width("G_paper", "codes", codes, self.latent_size + self.label_size)
        if self.options["normalize_latents"]:
            x = ops.pixel_norm(x, self.options["pixelnorm_epsilon"])
        lower, last = None, self.resolution_log2 - level - 2
        for index, (first, second) in enumerate(self.blocks[: last + 1]):
            x = second(first(x))
            if index == last - 1 and alpha is not None:
                lower = self.lower_colours(x, level)
        return self.in_colours(x, lower, level, alpha)
