"""StyleGAN2-ADA's networks: StyleGAN2's with labels embedded otherwise, and bounded convolutions.

They are those of the TensorFlow and of the PyTorch version; options tell where these differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Optional

import tensorflow as tf

from networks import ops
from networks.layers import Layer
from networks.stylegan2 import ada_options as options
from networks.stylegan2.discriminator import Discriminator
from networks.stylegan2.generator import MainGenerator
from networks.stylegan2.layers import Activated, dense
from networks.stylegan2.mapping import MappingNetwork
from networks.stylegan2.synthesis import SynthesisNetwork


class LabelEmbed(Layer):
    """Labels [N, K] → [N, width], each of unit mean square."""

    def __init__(self, scope: str, seed: int, label_size: int, width: int):
        super().__init__(scope, seed)
        self.dense = self.adopt("", dense(scope, seed, label_size, width, "linear"))

    def call(self, labels: tf.Tensor) -> tf.Tensor:
        return ops.pixel_norm(self.dense(labels))


class AdaMapping(MappingNetwork):
    """Call: as Mapping's; z and embedded labels are normalised each by itself."""

    FUNC_NAME = "G_mapping_ada"

    def make_inputs(self) -> int:
        opt = self.options
        if not opt["label_size"]:
            return opt["latent_size"]
        width = opt["label_fmaps"] or opt["latent_size"]
        embed = LabelEmbed("LabelEmbed", self.seed, opt["label_size"], width)
        self.labels_in = self.place("LabelEmbed", embed, output=(width,))
        return opt["latent_size"] + width

    def joined(self, z: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        x = ops.pixel_norm(z) if self.options["normalize_latents"] else z
        return x if self.labels_in is None else tf.concat([x, self.labels_in(labels)], axis=1)


class AdaSynthesis(SynthesisNetwork):
    """Call: as Synthesis's."""

    FUNC_NAME = "G_synthesis_ada"


class AdaGenerator(MainGenerator):
    """Call: as Generator's; codes are w, [N, num_layers, dlatent_size]. It does not grow."""

    FUNC_NAME, HAS_LOD = "G_ada", False
    MAPPING = (AdaMapping, options.G_MAPPING)

    def synthesis_kind(self) -> tuple[Any, Mapping]:
        return AdaSynthesis, options.G_SYNTHESIS


class AdaDiscriminator(Discriminator):
    """Call: as ScoringNetwork's. Scores are the products of outputs and mapped labels."""

    FUNC_NAME = "D_ada"

    def make_mapping(self) -> None:
        opt = self.options
        self.label_layers: list[Layer] = []
        outputs = options.cmap_width(opt)
        if not outputs:
            return
        width = options.label_width(opt)
        embed = LabelEmbed("LabelEmbed", self.seed, opt["label_size"], width)
        self.label_layers.append(self.place("LabelEmbed", embed, output=(width,)))
        nonlinearity, lrmul = opt["mapping_nonlinearity"], opt["mapping_lrmul"]
        for index in range(opt["mapping_layers"]):
            last = index == opt["mapping_layers"] - 1
            units = outputs if last else options.mapping_width(opt)
            layer: Activated = dense(
                f"Mapping{index}", self.seed, width, units, nonlinearity, lrmul
            )
            self.label_layers.append(self.place(layer.scope, layer, output=(units,)))
            width = units

    def stddev_features(self) -> int:
        return self.options["mbstd_num_features"]

    def num_outputs(self) -> int:
        return options.cmap_width(self.options) or 1

    def nonlinearity_at(self, side: int) -> str:
        final = self.options["final_nonlinearity"] if side == 4 else None
        return final or self.options["nonlinearity"]

    def clamp_of(self, scope: str) -> Optional[float]:
        free = scope == "4x4/FromRGB" and not self.options["clamp_last_from_rgb"]
        return None if free else self.options["conv_clamp"]

    def mapped_labels(self, labels: tf.Tensor) -> tf.Tensor:
        """Labels [N, K] → what each of the outputs counts, [N, outputs] float32."""
        for layer in self.label_layers:
            labels = layer(labels)
        return labels

    def score(self, outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        if not self.label_layers:
            return outputs
        products = outputs * self.mapped_labels(labels)
        width = outputs.shape[1]
        return tf.reduce_sum(products, axis=1, keepdims=True) / math.sqrt(width)
