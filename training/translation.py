"""The weights of one network in the form that another one of the family has them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from networks import registry
from networks.base import RGB

_OF_LABELS = "G_mapping/Dense0/weight"


@dataclasses.dataclass(frozen=True)
class Translated:
    """arrays: {the other network's name: array}; names of no variable are what it cannot have.

    colours, labels: those of another shape that were made to fit, 'name [shape] → [shape]'.
    """

    arrays: dict[str, np.ndarray]
    colours: list[str]
    labels: list[str]


def translate(source: Any, target: Any) -> Translated:
    """The arrays of `source` by the names, and in the form, that `target` has them.

    Layers that turn features to colours or back are matched by their resolution. Between gray and
    colours they are made to fit: a gray network's images come out gray, and of a network of
    colours the mean is kept. Of the mapping network's first layer what belongs to z is kept when
    only one of the two has labels; the labels' weights start at 0.
    """
    colours = {
        place.resolution: place.scope for place in target.places.values() if place.kind == RGB
    }
    made = Translated({}, [], [])
    for name, array in source.arrays().items():
        place = source.place_of(name)
        if place is not None and place.kind == RGB:
            if place.resolution in colours:
                name = colours[place.resolution] + name[len(place.scope) :]
            elif place.resolution > target.resolution:
                continue  # of sizes that the other network does not reach
            else:  # by a name that no variable has
                name = f"{name} ({place.resolution}x{place.resolution})"
        elif place is not None and _mirrored(name, place, target.places.get(place.scope)):
            array = array[::-1, ::-1]
        fitted, fit = made.colours, _recoloured
        if name == _OF_LABELS:
            fitted, fit = made.labels, _relabelled
        made.arrays[name] = _fitted(name, array, target, fitted, fit, source)
    return made


def _fitted(
    name: str, array: np.ndarray, target: Any, fitted: list[str], fit: Any, source: Any
) -> np.ndarray:
    """The array, or what `fit` makes of it where the variable's shape is another one."""
    if name not in target.named:
        return array
    shape = tuple(target.named[name].shape)
    if array.shape == shape:
        return array
    other = fit(array, source, target)
    if other is None or other.shape != shape:
        return array
    fitted.append(f"{name} {list(array.shape)} → {list(shape)}")
    return other


def _recoloured(array: np.ndarray, source: Any, target: Any) -> np.ndarray | None:
    """Weights of a layer beside images of other channels; None unless one side is gray."""
    old, new = (network.options["num_channels"] for network in (source, target))
    if old == new or 1 not in (old, new):
        return None
    if registry.role(target.func_name, target.FAMILY) == "G":  # the last axis is the colours'
        if array.shape[-1:] != (old,):
            return None
        gray = array.mean(axis=-1, keepdims=True)
        return np.repeat(gray, new, axis=-1)
    if array.ndim != 4 or array.shape[:3] != (1, 1, old):
        return None
    total = array.sum(axis=2, keepdims=True) * _scale(source, old, new)
    return np.repeat(total / new, new, axis=2)


def _relabelled(array: np.ndarray, source: Any, target: Any) -> np.ndarray | None:
    """A first mapping layer's weights, [z and labels, fmaps], for other labels."""
    width = source.options["latent_size"]
    shape = tuple(target.named[_OF_LABELS].shape)
    if width != target.options["latent_size"] or min(len(array), shape[0]) < width:
        return None
    if array.shape[1:] != shape[1:]:
        return None
    made = np.zeros(shape, np.float32)
    made[:width] = array[:width] * _scale(source, len(array), shape[0])
    return made


def _scale(network: Any, old: int, new: int) -> np.float32:
    """What keeps products the same where a layer scales weights by 1/√inputs when it runs."""
    equalized = network.options.get("use_wscale", True)
    return np.float32(math.sqrt(new / old) if equalized else 1)


def _mirrored(name: str, place: Any, other: Any) -> bool:
    """Whether a variable is the kernel of two layers that apply it mirrored to each other."""
    if other is None or name != f"{place.scope}/weight":
        return False
    convolutions = [getattr(at.layer, "source", None) for at in (place, other)]
    up = all(getattr(source, "resample", None) == "up" for source in convolutions)
    return up and convolutions[0].fused != convolutions[1].fused
