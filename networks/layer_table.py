"""A network's layers as rows of a table, from the shapes of its variables alone."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence

_FIXED = re.compile(r"(lod|dlatent_avg|noise\d+|spectral_u)$")  # variables that nothing trains
_PARTS = ("/Noise", "/StyleMod")  # counted with the layer that they end


@dataclasses.dataclass(frozen=True)
class Row:
    """One layer: trained numbers (0 where a variable stands alone), shapes, None if unknown.

    output is without the minibatch, [C, H, W] as the original's table has it.
    """

    name: str
    parameters: int
    output: tuple[int, ...] | None
    weight: tuple[int, ...] | None


def is_trained(name: str) -> bool:
    """Whether training changes a variable, by its legacy name."""
    return not _FIXED.match(name.rpartition("/")[2])


def rows(shapes: Mapping[str, Sequence[int]], resolution: int | None) -> list[Row]:
    """The layers of {legacy name: shape}, in that order; resolution: R, None for a mapping."""
    layers: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        layer, _, kind = name.rpartition("/")
        part = next((part for part in _PARTS if layer.endswith(part)), "")
        layer = layer[: len(layer) - len(part)]
        if not is_trained(name) and kind != "spectral_u":
            layer, kind = name, ""  # lod, an average, a noise image: a row of its own
        layers.setdefault(layer, {})[f"{part}/{kind}"] = tuple(shape)
    return [_row(layer, variables, resolution) for layer, variables in layers.items()]


def _row(name, variables, resolution):
    if list(variables) == ["/"]:
        return Row(name, 0, variables["/"], None)
    weight = variables.get("/weight", variables.get("/const"))
    trained = sum(math.prod(shape) for key, shape in variables.items() if is_trained(key))
    return Row(name, trained, _output(name, variables, weight, resolution), weight)


def _output(name, variables, weight, resolution):
    scope, _, layer = name.split("G_synthesis/")[-1].split("G_mapping/")[-1].rpartition("/")
    if layer == "LabelConcat":
        return (2 * weight[-1],)
    if "/const" in variables:
        return weight[1:]
    colours = re.fullmatch(r"(?:To|From)RGB_lod(\d+)", layer)
    if colours:
        side = resolution >> int(colours[1])
        return (weight[-1], side, side)
    if not scope or re.fullmatch(r"Dense\d+", layer):
        return weight[-1:]
    side = int(scope.split("x")[0])
    if layer == "Dense":  # a generator's first layer, 4×4
        return (weight[-1] // side**2, side, side)
    side //= 2 if layer.endswith("_down") else 1
    return (weight[-1], side, side)
