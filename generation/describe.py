"""What is in a network file, without making networks of it: `run_generator.py info`."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

from dnnlib import download
from dnnlib.errors import UserError, explain_os_errors
from networks import layer_table, legacy, options, snapshot

_UNKNOWN_LICENCE = "none recorded; the networks that NVIDIA published are under CC BY-NC 4.0"

_ALWAYS = ("resolution", "num_channels", "label_size")


def describe(path, *, everything: bool = False) -> dict:
    """What a snapshot or legacy pickle holds, as values that JSON can hold.

    everything: all options, not only those away from their defaults. Keys: file, size, sha256,
    format, licence, provenance, networks: {role: {func_name, options, layers, trained, other}}.
    Raises UserError naming the file when it is damaged or holds something else.
    """
    path = Path(path)
    found = _pickle(path) if legacy.is_pickle(path) else _snapshot(path)
    networks = {
        role: _network(path, role, *network, everything)
        for role, network in found.pop("networks").items()
    }
    return {
        "file": str(path),
        "size": path.stat().st_size,
        "sha256": sha256(path),
        **found,
        "networks": networks,
    }


def sha256(path) -> str:
    """The hash of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with explain_os_errors("read", path), open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _snapshot(path):
    kinds, arrays, info = snapshot.read(path)
    networks = {
        role: (kind["func_name"], kind["options"], arrays[role]) for role, kind in kinds.items()
    }
    licence = info.get("licence") or _UNKNOWN_LICENCE
    return dict(format="snapshot", licence=licence, provenance=info, networks=networks)


def _pickle(path):
    found = legacy.read(path)
    try:
        networks = {
            role: (*legacy.own_options(network), network.all_variables())
            for role, network in found.items()
        }
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    return dict(
        format="legacy pickle",
        licence=licence_of(path) or _UNKNOWN_LICENCE,
        provenance=legacy.provenance(found),
        networks=networks,
    )


def licence_of(path) -> str:
    """The licence of a file that is one of the published networks by name; else empty."""
    licences = {source.file: source.licence for source in download.KNOWN.values()}
    return licences.get(Path(path).name, "")


def _network(path, role, func_name, given, arrays, everything):
    try:
        own = options.resolve(func_name, **given)
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: {role}: {error}") from error
    usual = options.resolve(func_name)
    shapes = {variable: list(array.shape) for variable, array in arrays.items()}
    rows = layer_table.rows(shapes, own.get("resolution"))
    count = sum(math.prod(shape) for shape in shapes.values())
    trained = sum(row.parameters for row in rows)
    shown = {
        key: value
        for key, value in own.items()
        if everything or key in _ALWAYS or value != usual[key]
    }
    return {
        "func_name": options.short_name(func_name),
        "options": shown,
        "lod": float(arrays["lod"]) if "lod" in arrays else None,
        "layers": [vars(row) for row in rows],
        "trained": trained,
        "other": count - trained,
    }


def text(found: dict) -> str:
    """A page of `describe`'s result."""
    lines = [
        f"{found['file']}: {found['format']}, {found['size']:,} bytes",
        f"{'sha256':<16}{found['sha256']}",
        f"{'licence':<16}{found['licence']}",
    ]
    for key, value in found["provenance"].items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        lines.append(f"{key:<16}{shown}")
    for role, network in found["networks"].items():
        lines += ["", f"{role}: {network['func_name']}", ""]
        lines += [f"  {key:<22}{value!r}" for key, value in network["options"].items()]
        if network["lod"]:
            lines.append(f"  lod {network['lod']:g}: not at full resolution")
        lines += ["", _line("layer", "trained", "output", "weight")]
        for row in network["layers"]:
            shapes = [
                tuple(row[key]) if row[key] is not None else "" for key in ("output", "weight")
            ]
            lines.append(_line(row["name"], f"{row['parameters'] or '-':>10}", *shapes))
        lines.append(f"  {network['trained']:,} trained numbers, {network['other']:,} others")
    return "\n".join(lines)


def _line(name, trained, output, weight):
    return f"  {name:<28}{trained:>10}  {output!s:<18}{weight!s}".rstrip()
