"""StyleGAN2's generators in ONNX, StyleGAN2-ADA's and the growing one among them.

Styles scale features before and after a convolution, as in networks/stylegan2/layers.py. Gains of
activations that do not change with the scale of what goes in are put into what comes before them.
"""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from generation.onnx import layers
from generation.onnx.graph import Graph
from generation.onnx.progan import NoiseOf
from generation.onnx.stylegan import labels_beside
from networks.stylegan2.activations import default_gain
from networks.stylegan2.ada import LabelEmbed
from networks.stylegan2.growing import RevisedSynthesis

_HOMOGENEOUS = ("linear", "relu", "lrelu")

# ---------------------------------------------------------------- mapping


def codes(g: Graph, network: Any, z: str, labels: Optional[str]) -> str:
    """As Mapping's call: w [N, num_layers, dlatent_size]."""
    mapping = network.mapping
    with g.scope("mapping"):
        x = _joined(g, mapping, z, labels)
        for layer in mapping.dense:
            x = _activated_dense(g, layer, x)
        return layers.for_each_layer(g, x, network.num_layers)


def _joined(g: Graph, mapping: Any, z: str, labels: Optional[str]) -> str:
    normalize, labels_in = mapping.options["normalize_latents"], mapping.labels_in
    if isinstance(labels_in, LabelEmbed):  # z and labels are normalised each by itself
        x = layers.pixel_norm(g, z) if normalize else z
        with g.scope(labels_in.scope):
            embedded = layers.pixel_norm(g, _activated_dense(g, labels_in.dense, labels))
        return g.op("Concat", x, embedded, axis=1)
    x = z if labels_in is None else labels_beside(g, labels_in, z, labels)
    return layers.pixel_norm(g, x) if normalize else x


def _activated_dense(g: Graph, layer: Any, x: str) -> str:
    """As layers.Activated of a dense layer."""
    with g.scope(layer.scope):
        before, after = _gains(layer.nonlinearity)
        matrix = layers.values_of(layer.source.weight, layer.source.coefficient) * before
        bias = layers.values_of(layer.bias.bias, layer.bias.coefficient) * before
        return _activated(g, layers.dense(g, x, matrix, bias, precise=True), layer, after)


# ---------------------------------------------------------------- synthesis


def render(
    g: Graph, network: Any, w: str, level: int, alpha: Optional[float], noise_of: NoiseOf
) -> str:
    """As the render of the network's kind of synthesis, [N, C, R/2^level, R/2^level]."""
    synthesis = network.synthesis
    with g.scope("synthesis"):
        if isinstance(synthesis, RevisedSynthesis):
            return _growing(g, synthesis, w, level, alpha, noise_of)
        return _plain(g, synthesis, w, noise_of)


def _plain(g: Graph, synthesis: Any, w: str, noise_of: NoiseOf) -> str:
    """As SynthesisNetwork.render."""
    options, images = synthesis.options, None
    x = _constant(g, synthesis.constant, w)
    for res_log2 in range(2, synthesis.resolution_log2 + 1):
        below, x = x, _block(g, synthesis, res_log2, x, w, noise_of)
        skip = synthesis.skips.get(str(res_log2))
        if skip is not None:
            with g.scope(skip.scope):
                kernel = layers.values_of(skip.weight, skip.coefficient)
                skipped = layers.upsample_conv(g, below, kernel, skip.taps)
                x = g.op("Mul", g.op("Add", x, skipped), g.constant(0.5**0.5))
        to_rgb = synthesis.to_rgb.get(str(res_log2))
        if to_rgb is not None:
            colours = _to_rgb(g, to_rgb, x, w, res_log2)
            if images is not None:
                channels, taps = options["num_channels"], options["resample_kernel"]
                colours = g.op("Add", colours, layers.upsample(g, images, channels, taps))
            images = colours
    return images


def _growing(
    g: Graph, synthesis: Any, w: str, level: int, alpha: Optional[float], noise_of: NoiseOf
) -> str:
    """As RevisedSynthesis.render."""
    x, lower = _constant(g, synthesis.constant, w), None
    top = synthesis.resolution_log2 - level
    for res_log2 in range(2, top + 1):
        x = _block(g, synthesis, res_log2, x, w, noise_of)
        if res_log2 == top - 1 and alpha is not None:
            colours = _to_rgb(g, synthesis.to_rgb[str(res_log2)], x, w, res_log2)
            lower = layers.enlarged(g, colours, 2)
    return layers.faded(g, _to_rgb(g, synthesis.to_rgb[str(top)], x, w, top), lower, alpha)


def _constant(g: Graph, layer: Any, w: str) -> str:
    with g.scope(layer.scope):
        return layers.repeated(g, g.weight("const", layers.values_of(layer.const)), w)


def _block(g: Graph, synthesis: Any, res_log2: int, x: str, w: str, noise_of: NoiseOf) -> str:
    first = max(2 * res_log2 - 5, 0)
    for index, layer in enumerate(synthesis.blocks[res_log2 - 2], first):
        with g.scope(layer.scope):
            before, after = _gains(layer.nonlinearity)
            x = _modulated(g, layer.conv, x, layers.layer_code(g, w, index), before)
            noise = noise_of(index)
            if noise is not None:
                strength = layers.values_of(layer.noise_strength) * before
                x = g.op("Add", x, g.op("Mul", noise, g.constant(strength)))
            bias = layers.values_of(layer.bias.bias, layer.bias.coefficient) * before
            x = _activated(g, g.op("Add", x, layers.per_channel(g, bias)), layer, after)
    return x


def _to_rgb(g: Graph, layer: Any, x: str, w: str, res_log2: int) -> str:
    """As layers.ToRGB, with the w after those of the block's layers."""
    with g.scope(layer.scope):
        style = layers.layer_code(g, w, 2 * res_log2 - 3)
        y = _modulated(g, layer.conv, x, style, bias=layers.values_of(layer.bias.bias))
        return layers.clamped(g, y, layer.clamp)


def _modulated(
    g: Graph,
    conv: Any,
    x: str,
    w: str,
    gain: float = 1.0,
    bias: Optional[np.ndarray] = None,
) -> str:
    """As layers.ModulatedConv2D, times gain where it demodulates; bias only where it does not."""
    matrix = layers.values_of(conv.mod_weight, conv.mod_coefficient)
    with g.scope("mod"):
        style = layers.dense(g, w, matrix, layers.values_of(conv.mod_bias) + np.float32(1))
        x = layers.scaled_by_image(g, x, style)
    kernel = layers.values_of(conv.weight, conv.coefficient)
    size = kernel.shape[0]
    if conv.resample == "up":
        mirrored = layers.transposed_kernel_of(g, kernel[::-1, ::-1])
        y = layers.filtered_upsample(g, x, mirrored, size, kernel.shape[3], conv.taps)
        squares = g.op("ReduceSum", g.op("Mul", mirrored, mirrored), g.numbers(2, 3), keepdims=0)
    else:
        plain = layers.kernel_of(g, kernel)
        y = layers.conv(g, x, plain, size, bias)
        if not conv.demodulate:
            return y
        squares = g.op("ReduceSum", g.op("Mul", plain, plain), g.numbers(2, 3), keepdims=0)
        squares = g.op("Transpose", squares, perm=[1, 0])
    with g.scope("demod"):
        total = g.op("MatMul", g.op("Mul", style, style), squares)
        root = g.op("Sqrt", g.op("Add", total, g.constant(conv.EPSILON)))
        return layers.scaled_by_image(g, y, g.op("Div", g.constant(gain), root))


# ---------------------------------------------------------------- activations


def _gains(nonlinearity: str) -> tuple[np.float32, np.float32]:
    """The activation's gain, as the factor before it and the one after it."""
    one, gain = np.float32(1), np.float32(default_gain(nonlinearity))
    return (gain, one) if nonlinearity in _HOMOGENEOUS else (one, gain)


def _activated(g: Graph, x: str, layer: Any, gain: np.float32) -> str:
    """gain · activation, within the layer's bounds."""
    y = layers.activation(g, x, layer.nonlinearity)
    y = y if gain == 1 else g.op("Mul", y, g.constant(gain))
    return layers.clamped(g, y, layer.clamp)
