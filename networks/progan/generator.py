"""G_paper: the generator of Progressive GAN, which StyleGAN grew from (ProGAN; row A of Table 1).

No mapping network, styles, noise inputs or blur; pixel norm in the generator.
"""

from __future__ import annotations

import tensorflow as tf

from networks import ops
from networks.base import ImageNetwork, check_labels, check_width
from networks.layers import Conv2D
from networks.stylegan.synthesis import DenseInput, SynthesisLayer, ToRGB


class PaperGenerator(ImageNetwork):
    """Call: z [N, latent_size], labels [N, label_size] or None (zeros) → images
    [N, R, R, num_channels] float32, about [−1, 1], not clipped.

    Calls as those of StyleGenerator: what concerns noise, styles and truncation, which this
    network does not have, is accepted and without effect.
    """

    def __init__(self, *, seed=None, **kwargs):
        super().__init__("G_paper", seed, **kwargs)
        opt = self.options
        self.blocks = []  # 4×4 first; each is [layer, layer]
        self.to_rgb = {}  # level (as text): ToRGB
        for res in range(2, self.resolution_log2 + 1):
            self.blocks.append([self._first_layer(res), self._second_layer(res)])
            scope = f"ToRGB_lod{self.resolution_log2 - res}"
            to_rgb = ToRGB(
                scope, self.seed, self.fmaps(res - 1), opt["num_channels"],
                use_wscale=opt["use_wscale"],
            )  # fmt: skip
            self.to_rgb[scope[len("ToRGB_lod") :]] = self.adopt(f"{scope}/", to_rgb)

    def _layer(self, scope, source, channels):
        opt = self.options
        epilogue = {
            "use_noise": False,
            "nonlinearity": "lrelu_progan" if opt["use_leakyrelu"] else "relu",
            "use_pixel_norm": opt["use_pixelnorm"],
            "pixelnorm_epsilon": opt["pixelnorm_epsilon"],
            "use_instance_norm": False,
            "use_styles": False,
        }
        return self.adopt(f"{scope}/", SynthesisLayer(scope, self.seed, source, channels, epilogue))

    def _first_layer(self, res):
        opt, channels, side = self.options, self.fmaps(res - 1), 2**res
        if res == 2:
            scope = "4x4/Dense"
            source = DenseInput(
                scope, self.seed, opt["latent_size"] + opt["label_size"], channels, self.compute,
                use_wscale=opt["use_wscale"],
            )  # fmt: skip
        else:
            fused = opt["fused_scale"]
            scope = f"{side}x{side}/" + ("Conv0_up" if fused else "Conv0")
            source = Conv2D(
                scope, self.seed, self.fmaps(res - 2), channels, use_wscale=opt["use_wscale"],
                resample="up", fused=fused,
            )  # fmt: skip
        return self._layer(scope, source, channels)

    def _second_layer(self, res):
        channels, side = self.fmaps(res - 1), 2**res
        scope = f"{side}x{side}/" + ("Conv" if res == 2 else "Conv1")
        source = Conv2D(scope, self.seed, channels, channels, use_wscale=self.options["use_wscale"])
        return self._layer(scope, source, channels)

    def call(
        self, z, labels=None, *, training=False,
        truncation_psi=None, truncation_cutoff=None, noise=None, lod=None, seed=None,
    ):  # fmt: skip
        """lod: None is the network's own."""
        level, alpha = self.split_lod(lod)
        return ops.upscale2d(self.stage(z, labels, level, alpha or None), 2**level)

    def training_stage(self, z, labels, level, alpha=None, *, seed=None, noise=None, mixing=None):
        """`stage`: training changes nothing here."""
        return self.stage(z, labels, level, alpha)

    def stage(
        self, z, labels, level, alpha=None, *,
        truncation_psi=None, truncation_cutoff=None, noise=None, seed=None,
    ):  # fmt: skip
        """Images at one stage's resolution: [N, R/2^level, R/2^level, C], float32.

        alpha: None outside fades, else the weight of the lower resolution.
        """
        z = check_width("G_paper", "z", z, self.options["latent_size"])
        labels = check_labels("G_paper", labels, z, self.options["label_size"])
        x = tf.concat([z, labels], axis=1)
        if self.options["normalize_latents"]:
            x = ops.pixel_norm(x, self.options["pixelnorm_epsilon"])
        lower, last = None, self.resolution_log2 - level - 2
        for index, (first, second) in enumerate(self.blocks[: last + 1]):
            x = second(first(x))
            if index == last - 1 and alpha is not None:
                lower = ops.upscale2d(self.to_rgb[str(level + 1)](x))
        images = self.to_rgb[str(level)](x)
        if alpha is None:
            return images
        return images + (lower - images) * alpha
