"""Starting a run from the weights of another (`--resume_from`), also where not all of them fit."""

from __future__ import annotations

import re

from dnnlib.errors import UserError
from networks import snapshot
from networks.options import is_fused

_FALLBACK = {"G": ("G", "Gs"), "Gs": ("Gs", "G"), "D": ("D",)}
_KEPT = ("lod", "G_synthesis/lod")  # where training stands, not what was learnt


def transfer(state, path) -> list[str]:
    """Takes over what fits from the snapshot at `path`; returns lines that say what did not.

    A variable fits when name and shape do. ToRGB and FromRGB layers are matched by their
    resolution, so a snapshot may have another one; the kernels of up-convolutions are mirrored
    where one network fuses them and the other does not (networks.md §1). Raises UserError when
    the file cannot be read or nothing fits.
    """
    kinds, arrays, _ = snapshot.read(path)
    lines, total = [], 0
    for role in ("G", "D", "Gs"):
        network = getattr(state, role)
        source = next((name for name in _FALLBACK[role] if name in arrays), None)
        if source is None:
            lines.append(f"{role}: not in the snapshot; starts anew")
            continue
        given = _translate(arrays[source], kinds[source]["options"], network.options)
        count, said = _take(role, network, given)
        lines, total = lines + said, total + count
    if not total:
        raise UserError(f"{path}: nothing in it fits the networks of this configuration")
    return lines


def _translate(arrays, options, target) -> dict:
    """The arrays of a network with `options` as one with the options `target` has them."""
    if "resolution" not in options:
        return {}  # a mapping network alone, for example
    shift = _log2(target["resolution"]) - _log2(options["resolution"])
    translated = {}
    for name, array in arrays.items():
        side = re.search(r"(\d+)x\d+/Conv0_up/weight$", name)
        if side and len({is_fused(o["fused_scale"], int(side[1])) for o in (options, target)}) == 2:
            array = array[::-1, ::-1]
        name = _shift_lod(name, shift)
        if name is not None:
            translated[name] = array
    return translated


def _take(role, network, given):
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
    for what, names in (
        ("new here, start anew", absent),
        ("of another shape, start anew", other_shape),
        ("in the snapshot, not used", unused),
    ):
        if names:
            lines.append(f"{role}: {len(names)} {what}: {', '.join(names)}")
    return len(taken), lines


def _shift_lod(name: str, shift: int) -> str | None:
    """ToRGB_lod<k> and FromRGB_lod<k> as a network `shift` octaves larger calls them."""
    match = re.search(r"RGB_lod(\d+)/", name)
    if not match:
        return name
    lod = int(match[1]) + shift
    return f"{name[: match.start(1)]}{lod}{name[match.end(1) :]}" if lod >= 0 else None


def _log2(resolution: int) -> int:
    return resolution.bit_length() - 1
