"""G_mapping: latents z to disentangled latents w (StyleGAN §2, figure 1b left)."""

from __future__ import annotations

import tensorflow as tf

from networks import ops
from networks.layers import Bias, Dense, Layer
from networks.mapping import Mapping


class MappingLayer(Layer):
    """Dense → bias → activation, with a hundredth of the learning rate (lrmul)."""

    def __init__(
        self,
        scope: str,
        seed: int,
        fan_in: int,
        units: int,
        nonlinearity: str,
        *,
        use_wscale: bool,
        lrmul: float,
    ):
        super().__init__(scope, seed)
        self.dense = self.adopt(
            "", Dense(scope, seed, fan_in, units, use_wscale=use_wscale, lrmul=lrmul)
        )
        self.bias = self.adopt("", Bias(scope, seed, units, lrmul))
        self.activation = ops.ACTIVATIONS[nonlinearity]

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return self.activation(self.bias(self.dense(x)))


class MappingNetwork(Mapping):
    """Call: as Mapping's."""

    FAMILY, FUNC_NAME = "stylegan", "G_mapping"

    def make_layer(self, scope: str, fan_in: int, units: int) -> MappingLayer:
        opt = self.options
        return MappingLayer(
            scope,
            self.seed,
            fan_in,
            units,
            opt["mapping_nonlinearity"],
            use_wscale=opt["use_wscale"],
            lrmul=opt["mapping_lrmul"],
        )
