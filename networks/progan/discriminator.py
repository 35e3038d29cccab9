"""D_paper: the discriminator of Progressive GAN (ProGAN, table 2)."""

from __future__ import annotations

from networks import ops
from networks.stylegan.discriminator import Discriminator


class PaperDiscriminator(Discriminator):
    """Call: as Discriminator's; labels are accepted and ignored.

    Fused and unfused are different functions: unfused, the activation comes before ÷2.
    """

    NAME = "D_paper"

    def _nonlinearity(self):
        return "lrelu_progan"

    def _make_block(self, res):
        side, fmaps, fused = 2**res, self.fmaps(res - 1), self.options["fused_scale"]
        first = self._conv(f"{side}x{side}/Conv0", fmaps, fmaps)
        scope = f"{side}x{side}/" + ("Conv1_down" if fused else "Conv1")
        resample = dict(resample="down", fused=True) if fused else {}
        return [first, self._conv(scope, fmaps, self.fmaps(res - 2), **resample)]

    def _apply_block(self, res, x):
        first, second = self.blocks[str(res)]
        x = second(first(x))
        return x if self.options["fused_scale"] else ops.downscale2d(x)

    def _outputs(self):
        return 1 + (self.options["label_size"] if self.options["label_outputs"] else 0)

    def _score(self, outputs, labels):
        return outputs[:, :1]
