"""What is in a network file: `run_generator.py info`."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from dnnlib import download
from dnnlib.errors import UserError
from dnnlib.terminal import one_line
from generation import scan_report
from networks import layer_table, legacy, registry, snapshot

NO_LICENCE = (
    "none recorded; the networks that NVIDIA published are under CC BY-NC 4.0, those of "
    "StyleGAN2-ADA under its Source Code License (non-commercial)"
)

_ALWAYS = ("resolution", "num_channels", "label_size")


def describe(
    path: str | os.PathLike, *, everything: bool = False, resolution: int | None = None
) -> dict:
    """What a snapshot or a pickle holds, as values that JSON can hold.

    everything: all options, not only those away from their defaults. resolution: as of
    networks.load. Keys: file, size, sha256,
    format, licence, provenance, networks: {role: {func_name, options, lod, layers, trained,
    other, notes}}; of a pickle also scan: what a loader would have run in it. Raises UserError
    naming the file when it is damaged or holds something else; a network that this package has not,
    beside one that it has, is for provenance.
    """
    path = Path(path)
    described, left_out = snapshot.opened(path, resolution, partial(_network, everything))
    page = {
        "file": str(path),
        "size": path.stat().st_size,
        "sha256": download.file_sha256(path),
        **origin(path),
        "networks": described,
    }
    page["provenance"].update({f"{role} not read": reason for role, reason in left_out.items()})
    report = scan_report.of_file(path)
    return page if report is None else {**page, "scan": report}


def refused(path: str | os.PathLike, error: UserError) -> dict | None:
    """What is said of a file that is not read: file, size, sha256, refused, scan; None for one that
    is no pickle."""
    path = Path(path)
    if not path.is_file():
        return None
    report = scan_report.of_file(path)
    if report is None:
        return None
    return {
        "file": str(path),
        "size": path.stat().st_size,
        "sha256": download.file_sha256(path),
        "refused": str(error),
        "scan": report,
    }


def origin(path: str | os.PathLike) -> dict:
    """A file's format, licence and provenance."""
    if legacy.is_legacy(path):
        kind, provenance = legacy.origin(path)
        published = {source.file: source.licence for source in download.KNOWN.values()}
        licence = published.get(Path(path).name)
    else:
        kind, provenance = "snapshot", snapshot.read_info(path)
        licence = provenance.pop("licence", None)
    return {"format": kind, "licence": licence or NO_LICENCE, "provenance": provenance}


def derived_from(source: str | os.PathLike, verb: str) -> dict:
    """What a snapshot made of a file records: the file, its provenance, its licence; verb: how it
    was made, 'converted'."""
    known = origin(source)
    info = {
        f"{verb} from": Path(source).name,
        "sha256 of it": download.file_sha256(source),
        **known["provenance"],  # of a converted snapshot: the first file's name and hash
    }
    if known["licence"] != NO_LICENCE:
        info["licence"] = known["licence"]
    return info


def _network(everything: bool, network: Any) -> dict:
    own = dict(network.options)
    usual = registry.resolve(network.func_name, family=network.FAMILY)
    rows = layer_table.rows(network)
    count = sum(math.prod(variable.shape) for variable in network.named.values())
    trained = sum(row.parameters for row in rows)
    shown = {
        key: value
        for key, value in own.items()
        if everything or key in _ALWAYS or value != usual[key]
    }
    return {
        "func_name": network.func_name,
        "options": shown,
        "lod": float(network.lod.numpy()) if "lod" in network.named else None,
        "layers": [vars(row) for row in rows],
        "trained": trained,
        "other": count - trained,
        "notes": snapshot.notes(network),
    }


def text(description: dict) -> str:
    """A page of the result of `describe` or `refused`."""
    kind = description.get("format", "not read")
    lines = [
        f"{description['file']}: {kind}, {description['size']:,} bytes",
        f"{'sha256':<16}{description['sha256']}",
    ]
    if "licence" in description:
        lines.append(f"{'licence':<16}{one_line(description['licence'])}")
    lines += _entries(description.get("provenance", {}))
    if "scan" in description:
        lines += ["", *scan_report.lines(description["scan"])]
    for role, network in description.get("networks", {}).items():
        lines += ["", f"{role}: {network['func_name']}", ""]
        lines += [f"  {key:<22}{value!r}" for key, value in network["options"].items()]
        if network["lod"]:
            lines.append(f"  lod {network['lod']:g}: not at full resolution")
        lines += [f"  note: {said}" for said in network["notes"]]
        lines += ["", _line("layer", "trained", "output", "weight")]
        for row in network["layers"]:
            shapes = [row["output"], row["weight"] or ""]
            lines.append(_line(row["name"], f"{row['parameters'] or '-':>10}", *shapes))
        lines.append(f"  {network['trained']:,} trained numbers, {network['other']:,} others")
    return "\n".join(lines)


def _entries(values: dict, indent: str = "") -> Iterator[str]:
    """Lines of a dictionary; one inside it is indented."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield f"{indent}{one_line(key)}"
            yield from _entries(value, indent + "  ")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            yield f"{indent}{one_line(key):<{max(15 - len(indent), 1)}} {one_line(shown)}"


def _line(name: str, trained: str, output: object, weight: object) -> str:
    return f"  {name:<28}{trained:>10}  {output!s:<18}{weight!s}".rstrip()


def growing_note(Gs: Any) -> str | None:
    """A line about a network from the middle of growing, whose images are blocky; else None."""
    level, alpha = Gs.split_lod(None)
    if not level and alpha is None:
        return None
    side = Gs.resolution >> level
    now = f"{side}x{side}" if alpha is None else f"{side // 2}x{side // 2} to {side}x{side}"
    return (
        f"note: this network is from the middle of growing (lod {level + (alpha or 0):.2f}): its "
        f"images have the detail of {now}, enlarged to {Gs.resolution}x{Gs.resolution}"
    )


def load_for_pictures(path: str | os.PathLike, resolution: int | None = None) -> Any:
    """The generator of a file, after notes on stderr: of what the file did not hold, and where it
    has not finished growing. resolution: as of networks.load."""
    Gs = snapshot.load_generator(path, resolution)
    for said in snapshot.notes(Gs):
        print(f"note: {said}", file=sys.stderr)
    try:
        note = growing_note(Gs)
    except ValueError as error:  # a level of detail that the network does not have
        raise UserError(f"{path}: {error}") from error
    if note is not None:
        print(note, file=sys.stderr)
    return Gs
