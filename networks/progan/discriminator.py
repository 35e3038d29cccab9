"""D_paper: the discriminator of Progressive GAN (ProGAN, table 2)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from networks import ops
from networks.stylegan.discriminator import Discriminator, DiscriminatorLayer


class PaperDiscriminator(Discriminator):
    """Call: as Discriminator's; labels are accepted and ignored.

    Fused and unfused are different functions: unfused, the activation comes before ÷2.
    """

    FAMILY, FUNC_NAME = "progan", "D_paper"

    def _nonlinearity(self, kind: str) -> str:
        return "lrelu_progan"

    def _make_block(self, res_log2: int) -> list[DiscriminatorLayer]:
        side, fmaps, fused = 2**res_log2, self.fmaps(res_log2 - 1), self.options["fused_scale"]
        first = self._conv(f"{side}x{side}/Conv0", side, fmaps, fmaps)
        scope = f"{side}x{side}/" + ("Conv1_down" if fused else "Conv1")
        resample: dict[str, Any] = {"resample": "down", "fused": True} if fused else {}
        return [first, self._conv(scope, side, fmaps, self.fmaps(res_log2 - 2), **resample)]

    def _apply_block(self, res_log2: int, x: tf.Tensor) -> tf.Tensor:
        first, second = self.blocks[str(res_log2)]
        x = second(first(x))
        return x if self.options["fused_scale"] else ops.downscale2d(x)

    def _outputs(self) -> int:
        return 1 + (self.options["label_size"] if self.options["label_outputs"] else 0)

    def score(self, outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return outputs[:, :1]
