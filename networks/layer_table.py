"""A network's layers as rows of a table."""

from __future__ import annotations

import dataclasses
import math
import re

_PARTS = ("/Noise", "/StyleMod")  # counted with the layer that they end


@dataclasses.dataclass(frozen=True)
class Row:
    """One layer: trained numbers, shapes; a variable that nothing trains is a row without weight.

    output is without the minibatch, [C, H, W] as the original's table has it.
    """

    name: str
    parameters: int
    output: tuple[int, ...]
    weight: tuple[int, ...] | None


def rows(network) -> list[Row]:
    """The layers of a network, in the order of its variables."""
    trained = network.trainable()
    layers: dict[str, dict[str, tuple[int, ...]]] = {}
    counts: dict[str, int] = {}
    for name, variable in network.named.items():
        layer, _, kind = name.rpartition("/")
        part = next((part for part in _PARTS if layer.endswith(part)), "")
        layer = layer[: len(layer) - len(part)]
        if name not in trained and kind != "spectral_u":
            layer, kind = name, ""  # lod, an average, a noise image: a row of its own
        layers.setdefault(layer, {})[f"{part}/{kind}"] = tuple(variable.shape)
        counts[layer] = counts.get(layer, 0) + math.prod(variable.shape) * (name in trained)
    resolution = getattr(network, "resolution", None)
    return [_row(name, counts[name], variables, resolution) for name, variables in layers.items()]


def _row(name, trained, variables, resolution):
    if list(variables) == ["/"]:
        return Row(name, 0, variables["/"], None)
    weight = variables.get("/weight", variables.get("/const"))
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
