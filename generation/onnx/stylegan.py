"""StyleGAN's generator in ONNX; its layers are those of Progressive GAN, and more."""

from __future__ import annotations

from typing import Any, Optional

from generation.onnx import layers
from generation.onnx.graph import Graph
from generation.onnx.progan import NoiseOf, block_layer, to_rgb


def codes(g: Graph, network: Any, z: str, labels: Optional[str]) -> str:
    """As Mapping's call: w [N, num_layers, dlatent_size]."""
    mapping, x = network.mapping, z
    with g.scope("mapping"):
        if mapping.labels_in is not None:
            x = labels_beside(g, mapping.labels_in, z, labels)
        if mapping.options["normalize_latents"]:
            x = layers.pixel_norm(g, x)
        for layer in mapping.dense:
            with g.scope(layer.scope):
                matrix = layers.values_of(layer.dense.weight, layer.dense.coefficient)
                bias = layers.values_of(layer.bias.bias, layer.bias.coefficient)
                x = layers.dense(g, x, matrix, bias, precise=True)
                x = layers.activation(g, x, mapping.options["mapping_nonlinearity"])
        return layers.for_each_layer(g, x, network.num_layers)


def labels_beside(g: Graph, layer: Any, z: str, labels: str) -> str:
    """As mapping.LabelConcat."""
    with g.scope(layer.scope):
        embedded = layers.dense(g, labels, layers.values_of(layer.weight), precise=True)
        return g.op("Concat", z, embedded, axis=1)


def render(
    g: Graph, network: Any, w: str, level: int, alpha: Optional[float], noise_of: NoiseOf
) -> str:
    """As SynthesisNetwork.render, [N, C, R/2^level, R/2^level]."""
    synthesis = network.synthesis
    with g.scope("synthesis"):
        x, lower = layers.layer_code(g, w, 0), None
        last = synthesis.resolution_log2 - level - 2
        for block in range(last + 1):
            for half in range(2):
                index = 2 * block + half
                style = None
                if synthesis.options["use_styles"]:
                    style = layers.layer_code(g, w, index)
                x = block_layer(g, synthesis.blocks[block][half], x, style, noise_of(index))
            if block == last - 1 and alpha is not None:
                lower = layers.enlarged(g, to_rgb(g, synthesis.to_rgb[str(level + 1)], x), 2)
        return layers.faded(g, to_rgb(g, synthesis.to_rgb[str(level)], x), lower, alpha)
