"""The growing networks of StyleGAN2's configurations B to D: its layers, StyleGAN's growing.

`G_synthesis_stylegan_revised` and `D_stylegan`. Resolutions fade by nearest neighbour and means,
whatever the networks' own filter is.
"""

from __future__ import annotations

from typing import Any, Union

import tensorflow as tf

from networks import ops
from networks.base import RGB
from networks.generator import Noise
from networks.seeds import Seed
from networks.stylegan2.discriminator import StyleGAN2Discriminator
from networks.stylegan2.synthesis import StyleGAN2Synthesis


class RevisedSynthesis(StyleGAN2Synthesis):
    """Call: as Synthesis's."""

    FAMILY, FUNC_NAME = "stylegan2", "G_synthesis_stylegan_revised"

    def finish_block(self, res_log2: int) -> None:
        level = self.resolution_log2 - res_log2
        if level == 0 or self.growing:
            self.to_rgb[str(res_log2)] = self.make_to_rgb(f"ToRGB_lod{level}", res_log2, RGB)

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
        lower = None
        for res_log2, layers in self.features(w, noise, seed):
            x = layers(x)
            below = self.resolution_log2 - res_log2 - level
            if below == 1 and alpha is not None:
                lower = self._colours(x, w, res_log2)
            if below == 0:
                break
        images = self._colours(x, w, res_log2)
        return images if alpha is None else images + (ops.upscale2d(lower) - images) * alpha

    def _colours(self, x: tf.Tensor, w: tf.Tensor, res_log2: int) -> tf.Tensor:
        return self.to_rgb[str(res_log2)](x, w[:, 2 * res_log2 - 3])


class RevisedDiscriminator(StyleGAN2Discriminator):
    """Call: as ScoringNetwork's; it grows by `lod`."""

    FAMILY, FUNC_NAME = "stylegan2", "D_stylegan"

    def make_from_rgb(self, res_log2: int) -> None:
        level = self.resolution_log2 - res_log2
        if level == 0 or self.growing:
            self.add_from_rgb(f"FromRGB_lod{level}", res_log2, RGB)

    def features_of(
        self, images: tf.Tensor, level: int, alpha: Union[float, tf.Tensor, None]
    ) -> tf.Tensor:
        top = self.resolution_log2 - level
        x = self.from_rgb[str(top)](images)
        for res_log2 in range(top, 2, -1):
            x = self.block(res_log2, x)
            if res_log2 == top and alpha is not None:
                lower = self.from_rgb[str(top - 1)](ops.downscale2d(images))
                x += (lower - x) * tf.cast(alpha, x.dtype)
        return x
