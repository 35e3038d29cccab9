"""Starting a run from the weights of another (`--resume_from`), also where not all of them fit."""

from __future__ import annotations

import re

from networks import snapshot

_FALLBACK = {"G": ("G", "Gs"), "Gs": ("Gs", "G"), "D": ("D",)}
_KEPT = ("lod", "G_synthesis/lod")  # where training stands, not what was learnt


def transfer(state, path) -> list[str]:
    """Takes over what fits from the snapshot at `path`; returns lines that say what did not.

    A variable fits when name and shape do. ToRGB and FromRGB layers are matched by their
    resolution, so a snapshot may have another one. Raises UserError when the file cannot be
    read or nothing fits.
    """
    kinds, arrays, _ = snapshot.read(path)
    lines = []
    for role in ("G", "D", "Gs"):
        network = getattr(state, role)
        source = next((name for name in _FALLBACK[role] if name in arrays), None)
        if source is None:
            lines.append(f"{role}: not in the snapshot; starts anew")
            continue
        options = kinds[source]["options"]
        shift = _log2(network.options["resolution"]) - _log2(options["resolution"])
        given = {_shift_lod(name, shift): array for name, array in arrays[source].items()}
        given = {name: array for name, array in given.items() if name is not None}
        lines += _take(role, network, given)
    return lines


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
    return lines


def _shift_lod(name: str, shift: int) -> str | None:
    """ToRGB_lod<k> and FromRGB_lod<k> as a network `shift` octaves larger calls them."""
    match = re.search(r"RGB_lod(\d+)/", name)
    if not match:
        return name
    lod = int(match[1]) + shift
    return f"{name[: match.start(1)]}{lod}{name[match.end(1) :]}" if lod >= 0 else None


def _log2(resolution: int) -> int:
    return resolution.bit_length() - 1
