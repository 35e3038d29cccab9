"""Progressive GAN's generator, and the layers that StyleGAN's has of it, in ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

import numpy as np

from generation.onnx import layers
from generation.onnx.graph import Graph
from networks.synthesis_blocks import DenseInput

NoiseOf = Callable[[int], Optional[str]]


def codes(g: Graph, network: Any, z: str, labels: Optional[str]) -> str:
    """As PaperGenerator.codes: [N, latent_size + label_size]."""
    return z if labels is None else g.op("Concat", z, labels, axis=1)


def render(
    g: Graph, network: Any, x: str, level: int, alpha: Optional[float], noise_of: NoiseOf
) -> str:
    """As PaperGenerator.render, [N, C, R/2^level, R/2^level]."""
    options = network.options
    if options["normalize_latents"]:
        x = layers.pixel_norm(g, x, options["pixelnorm_epsilon"])
    lower, last = None, network.resolution_log2 - level - 2
    for index, (first, second) in enumerate(network.blocks[: last + 1]):
        x = block_layer(g, second, block_layer(g, first, x))
        if index == last - 1 and alpha is not None:
            lower = layers.enlarged(g, to_rgb(g, network.to_rgb[str(level + 1)], x), 2)
    return layers.faded(g, to_rgb(g, network.to_rgb[str(level)], x), lower, alpha)


# ---------------------------------------------------------------- layers


def block_layer(
    g: Graph, layer: Any, x: str, w: Optional[str] = None, noise: Optional[str] = None
) -> str:
    """As synthesis_blocks.SynthesisLayer: x [N, C, H, W], or [N, width] for a dense input;
    w [N, width]; noise [N or 1, 1, H, W]."""
    with g.scope(layer.scope):
        x = _source(g, layer, x)
        if noise is not None and layer.noise is not None:
            strength = layers.per_channel(g, layers.values_of(layer.noise.weight))
            x = g.op("Add", x, g.op("Mul", noise, strength))
        x = layers.activation(g, x, layer.nonlinearity)
        if layer.use_pixel_norm:
            x = layers.pixel_norm(g, x, layer.pixel_norm_epsilon)
        if layer.use_instance_norm:
            x = layers.instance_norm(g, x, _bias(layer).size)
        return x if layer.style is None else _styled(g, layer.style, x, w)


def to_rgb(g: Graph, layer: Any, x: str) -> str:
    """As synthesis_blocks.ToRGB."""
    with g.scope(layer.scope):
        kernel = layers.kernel_of(g, _weight(layer.conv))
        return layers.conv(g, x, kernel, 1, layers.values_of(layer.bias.bias))


def _source(g: Graph, layer: Any, x: str) -> str:
    """What its source makes, blurred, with its bias."""
    source, bias = layer.source, _bias(layer)
    if isinstance(source, DenseInput):
        y = layers.dense(g, x, _weight(source.dense))
        y = g.op("Reshape", y, g.numbers(-1, source.channels, 4, 4))
        return g.op("Add", y, layers.per_channel(g, bias))
    if hasattr(source, "const"):
        image = layers.values_of(source.const) + bias.reshape(1, -1, 1, 1)
        return layers.repeated(g, g.weight("const", image), x)
    after = None if layer.blur else bias  # it is added last
    kernel = _weight(source)
    if source.resample == "up":
        y = layers.upscale_conv(g, x, kernel, fused=source.fused, bias=after)
    else:
        y = layers.conv(g, x, layers.kernel_of(g, kernel), kernel.shape[0], after)
    return layers.blur(g, y, bias.size, layer.blur, bias) if layer.blur else y


def _styled(g: Graph, style: Any, x: str, w: str) -> str:
    """As layers.StyleMod."""
    with g.scope("StyleMod"):
        matrix, bias = _weight(style.dense), layers.values_of(style.bias.bias)
        channels = bias.size // 2
        bias = bias + np.repeat(np.float32([1, 0]), channels)
        both = layers.dense(g, w, matrix, bias)
        scale, shift = (
            g.op("Slice", both, g.numbers(start), g.numbers(start + channels), g.numbers(1))
            for start in (0, channels)
        )
        return g.op("Add", layers.scaled_by_image(g, x, scale), layers.spread(g, shift))


def _weight(layer: Any) -> np.ndarray:
    return layers.values_of(layer.weight, layer.coefficient)


def _bias(layer: Any) -> np.ndarray:
    return layers.values_of(layer.bias.bias)
