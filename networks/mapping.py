"""Mapping networks: latents z, with their labels, to disentangled latents w (StyleGAN §2).

What the families of them share: labels, normalisation, depth and width.
"""

from __future__ import annotations

from typing import Any, Optional

import tensorflow as tf

from networks import ops
from networks.base import Network, check_labels, check_width
from networks.layers import Initial, Layer


class LabelConcat(Layer):
    """Appends an embedding of the labels: z [N, L], labels [N, K] → [N, 2L]."""

    def __init__(self, scope: str, seed: int, label_size: int, latent_size: int):
        super().__init__(scope, seed)
        initial = Initial(seed, f"{scope}/weight", 1.0)
        self.weight = self.add_named("weight", [label_size, latent_size], initial)

    def call(self, z: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return tf.concat([z, tf.matmul(labels, self.weight)], axis=1)


class Mapping(Network):
    """Call: z [N, latent_size], labels [N, label_size] or None (zeros) → w.

    w is [N, dlatent_broadcast, dlatent_size] (or [N, dlatent_size] without broadcast).
    Always computed in float32: it is small, and everything depends on it. A family gives the
    layers, `make_layer`.
    """

    def __init__(self, *, seed: Optional[int] = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        opt = self.options
        self.labels_in: Any = None  # the layer that takes the labels, if any
        width = self.make_inputs()
        self.dense = []
        for index in range(opt["mapping_layers"]):
            last = index == opt["mapping_layers"] - 1
            units = opt["dlatent_size"] if last else opt["mapping_fmaps"] or opt["dlatent_size"]
            layer = self.make_layer(f"Dense{index}", width, units)
            self.dense.append(self.place(layer.scope, layer, output=(units,)))
            width = units
        self.width = width

    def make_inputs(self) -> int:
        """Makes `labels_in` where there are labels; returns the width of what `joined` makes."""
        width, label_size = self.options["latent_size"], self.options["label_size"]
        if not label_size:
            return width
        concat = LabelConcat("LabelConcat", self.seed, label_size, width)
        self.labels_in = self.place("LabelConcat", concat, output=(2 * width,))
        return 2 * width

    def joined(self, z: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """What the first dense layer takes: z [N, L], labels [N, K] → [N, width]."""
        x = z if self.labels_in is None else self.labels_in(z, labels)
        # Over the whole vector, labels included.
        return ops.pixel_norm(x) if self.options["normalize_latents"] else x

    def make_layer(self, scope: str, fan_in: int, units: int) -> Layer:
        """A dense layer with bias and activation: [N, fan_in] → [N, units]."""
        raise NotImplementedError

    def call(self, z: Any, labels: Any = None) -> tf.Tensor:
        opt = self.options
        x = check_width("G_mapping", "z", z, opt["latent_size"])
        labels = check_labels("G_mapping", labels, x, opt["label_size"])
        x = self.joined(x, labels)
        for layer in self.dense:
            x = layer(x)
        if opt["dlatent_broadcast"] is not None:
            x = tf.tile(x[:, None, :], [1, opt["dlatent_broadcast"], 1])
        return x

    def inputs_of_run(self) -> dict[str, list]:
        opt = self.options
        return {"latents": [None, opt["latent_size"]], "labels": [None, opt["label_size"]]}

    def output_of_run(self) -> list:
        copies = self.options["dlatent_broadcast"]
        return [None, self.width] if copies is None else [None, copies, self.width]
