"""Starting a run from the weights of another (`--resume_from`), also where not all of them fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from dnnlib.errors import UserError
from networks import snapshot
from networks.base import RGB, ImageNetwork

_FALLBACK = {"G": ("G", "Gs"), "Gs": ("Gs", "G"), "D": ("D",)}
_KEPT = ("lod", "G_synthesis/lod")  # where training stands, not what was learnt


def transfer(state: Any, path: Any) -> list[str]:
    """Takes over what fits from the snapshot at `path`; returns lines that say what did not.

    state: a TrainingState. A variable fits when name and shape do. ToRGB and
    FromRGB layers are matched by their resolution, so a snapshot may have another one; the kernels
    of up-convolutions are mirrored where one network fuses them and the other does not. Raises
    UserError when the file cannot be read or nothing fits.
    """
    lines: list[str] = []
    total = 0
    for role in snapshot.ROLES:
        network = getattr(state, role)
        try:
            with tf.device("CPU:0"):  # the training devices' memory is for training
                source = snapshot.load_one(path, *_FALLBACK[role])
        except UserError as error:  # of one network; the others may be as they should
            lines.append(f"{role}: starts anew; {error}")
            continue
        if source is None:
            lines.append(f"{role}: not in the snapshot; starts anew")
            continue
        count, differences = _take(role, network, _translate(source, network))
        lines, total = lines + differences, total + count
    if not total:
        reasons = [f" ({line})" for line in lines if "starts anew; " in line]
        raise UserError(
            f"{path}: nothing in it fits the networks of this configuration{''.join(reasons[:1])}"
        )
    return lines


def check_freezing(D: Any, layers: int) -> None:
    """Raises UserError unless so many layers of D may be frozen (Freeze-D)."""
    try:
        D.first_variables(layers)
    except ValueError as error:
        raise UserError(f"freeze_d={layers}: {error}") from error


def _translate(source: Any, target: Any) -> dict[str, np.ndarray]:
    """The arrays of one network by the names, and in the form, that another one has them."""
    if not isinstance(source, ImageNetwork):
        return {}  # a mapping network alone, for example
    colours = {
        place.resolution: place.scope for place in target.places.values() if place.kind == RGB
    }
    translated = {}
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
        translated[name] = array
    return translated


def _mirrored(name: str, place: Any, other: Any) -> bool:
    """Whether a variable is the kernel of two layers that apply it mirrored to each other."""
    if other is None or name != f"{place.scope}/weight":
        return False
    convolutions = [getattr(at.layer, "source", None) for at in (place, other)]
    up = all(getattr(source, "resample", None) == "up" for source in convolutions)
    return up and convolutions[0].fused != convolutions[1].fused


def _take(role: str, network: Any, given: dict[str, np.ndarray]) -> tuple[int, list[str]]:
    taken, other_shape, absent = [], [], []
    for name, variable in network.named.items():
        if name in _KEPT:
            continue
        if name not in given:
            absent.append(name)
        elif given[name].shape != tuple(variable.shape):
            other_shape.append(f"{name} {list(given[name].shape)} → {list(variable.shape)}")
        else:
            variable.assign(given[name])
            taken.append(name)
    unused = [name for name in given if name not in network.named]
    lines = [f"{role}: {len(taken)} variables taken over"]
    for kind, names in (
        ("new here, start anew", absent),
        ("of another shape, start anew", other_shape),
        ("in the snapshot, not used", unused),
    ):
        if names:
            lines.append(f"{role}: {len(names)} {kind}: {', '.join(names)}")
    return len(taken), lines
