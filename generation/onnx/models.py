"""Which parts a model may be of, and what goes in and comes out of each."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Optional

import numpy as np

from dnnlib.errors import UserError
from generation.onnx import layers
from generation.onnx.graph import WEIGHTS, Graph
from generation.onnx.noise import MODES, NoiseImages

# family: the module with its `codes` and its `render`.
FAMILIES = {
    "progan": "generation.onnx.progan",
    "stylegan": "generation.onnx.stylegan",
    "stylegan2": "generation.onnx.stylegan2",
}


def build(network: Any, part: str, weights: str, noise: str, metadata: Mapping[str, str]) -> Any:
    """As generation.onnx.build."""
    for name, value, allowed in (
        ("part", part, PARTS),
        ("weights", weights, WEIGHTS),
        ("noise", noise, MODES),
    ):
        if value not in allowed:
            raise ValueError(f"{name}={value!r}: expected one of {', '.join(allowed)}")
    family, g = form_of(network), Graph(weights)
    PARTS[part](g, network, family, noise)
    facts = {
        "family": network.FAMILY,
        "func_name": network.func_name,
        "part": part,
        "weights": weights,
        "noise": noise,
        "options": json.dumps(dict(network.options), sort_keys=True),
    }
    if network.has_styles:
        facts["truncation_cutoff"] = json.dumps(_cutoff(network))
    return g.model(network.func_name, {**facts, **metadata})


def form_of(network: Any) -> ModuleType:
    """The module of the network's family; UserError for one without an ONNX form."""
    if network.FAMILY not in FAMILIES:
        raise UserError(
            f"ONNX: no form for {network.title}; expected a network of one of these families: "
            f"{', '.join(FAMILIES)}. A SavedModel, --out=DIR, takes any"
        )
    return importlib.import_module(FAMILIES[network.FAMILY])


def average(network: Any) -> Optional[np.ndarray]:
    """The average of w that truncation pulls towards, [width]; None without styles."""
    return network.dlatent_avg.numpy() if network.has_styles else None


# ---------------------------------------------------------------- parts


def _generator(g: Graph, network: Any, family: ModuleType, noise: str) -> None:
    z = g.input("z", ["N", network.latent_size])
    psi = g.input("psi", ["psi_N"]) if network.has_styles else None
    codes = family.codes(g, network, z, _labels(g, network))
    if psi is not None:
        codes = _truncated(g, network, codes, psi)
    _images(g, network, family, codes, noise)


def _mapping(g: Graph, network: Any, family: ModuleType, noise: str) -> None:
    z = g.input("z", ["N", network.latent_size])
    w = family.codes(g, network, z, _labels(g, network))
    g.output("w", w, ["N", *_code_shape(network)])
    w_avg = average(network)
    if w_avg is not None:
        g.output("w_avg", g.constant(w_avg), w_avg.shape)


def _synthesis(g: Graph, network: Any, family: ModuleType, noise: str) -> None:
    w = g.input("w", ["N", *_code_shape(network)])
    _images(g, network, family, w, noise)


def _noise(g: Graph, network: Any, family: ModuleType, noise: str) -> None:
    images = NoiseImages(g, network, "random")
    for layer, (height, width) in enumerate(network.noise_shapes()):
        drawn = g.op("Transpose", images.of_layer(layer, "seed"), perm=[0, 2, 3, 1])
        g.output(f"noise{layer}", drawn, ["N", height, width, 1])


PARTS = {
    "generator": _generator,
    "mapping": _mapping,
    "synthesis": _synthesis,
    "noise": _noise,
}


def _code_shape(network: Any) -> tuple[int, ...]:
    return network.w_shape or (network.latent_size + network.label_size,)


def _labels(g: Graph, network: Any) -> Optional[str]:
    return g.input("labels", ["N", network.label_size]) if network.label_size else None


def _cutoff(network: Any) -> int:
    """How many layers truncation pulls: those below the network's own cutoff, or the usual one."""
    return network.truncated_layers(network.truncation(1.0, None)["cutoff"])


def _truncated(g: Graph, network: Any, w: str, psi: str) -> str:
    """As StyleBasedGenerator.truncate: w [N, layers, width], psi [1] or [N]."""
    with g.scope("truncation"):
        pulled = np.arange(network.num_layers)[None, :, None] < _cutoff(network)
        psi = g.op("Reshape", psi, g.numbers(-1, 1, 1))
        coefficient = g.op("Where", g.constant(pulled, np.bool_), psi, g.constant(1.0))
        average_w = g.constant(average(network))
        difference = g.op("Mul", g.op("Sub", w, average_w), coefficient)
        return g.op("Add", average_w, difference)


def _images(g: Graph, network: Any, family: ModuleType, codes: str, noise: str) -> None:
    """The network's images at its own level of detail, as large as at full resolution."""
    level, alpha = network.split_lod(None)
    drawn = NoiseImages(g, network, noise)
    images = family.render(
        g, network, codes, level, alpha, lambda layer: drawn.of_layer(layer, codes)
    )
    images = g.op("Transpose", layers.enlarged(g, images, 2**level), perm=[0, 2, 3, 1])
    side = network.resolution
    g.output("images", images, ["N", side, side, network.num_channels])
