"""What users bring beside a network: directions with their effects, and projected pictures."""

from __future__ import annotations

import dataclasses
import math
import os
import zipfile
from pathlib import Path
from typing import Any, Optional

import numpy as np

from dnnlib import json_files
from dnnlib.errors import UserError, explain_os_errors
from explorer.recipe import MAX_NAME
from generation import latents
from generation.directions import Direction, read as read_directions
from networks.sampling import Sampler

EFFECTS = "effects.json"  # beside a file of directions, as the command directions writes it
_MOST = 1000  # projected pictures
_MOST_NAMES = 1 << 20  # bytes of their names


@dataclasses.dataclass(frozen=True)
class Projected:
    """A picture in w. w: [1, layers, width]. noise: [1, H, W, 1] of each layer, or None."""

    w: np.ndarray
    noise: Optional[list[np.ndarray]]


def projected(path: str, sampler: Sampler) -> dict[str, Projected]:
    """{name: a projected picture} of a file of latents, or of all in a directory.

    Names are those in the file, else the file's. Raises UserError as latents.read does.
    """
    if sampler.w_shape is None:
        raise UserError(f"--projected: this is {sampler.Gs.title}, which has no w")
    rows: dict[str, Projected] = {}
    for file in _files(path):
        arrays = latents.read(
            file, sampler.latent_size, sampler.label_size, sampler.w_shape, sampler.noise_shapes
        )
        if "w" not in arrays:
            raise UserError(f"{file}: it has z and no w: those are seeds, and nothing projected")
        names = _names(file, len(arrays["w"]))
        for index, name in enumerate(names):
            if len(rows) >= _MOST:
                raise UserError(f"--projected={path}: more than {_MOST:,} pictures")
            noise = arrays.get("noise")
            if noise is not None:
                noise = [image if len(image) == 1 else image[index, None] for image in noise]
            rows[_unused(name, rows)] = Projected(arrays["w"][index, None], noise)
    return rows


def _files(path: str) -> list[Path]:
    if not os.path.isdir(path):
        return [Path(path)]
    with explain_os_errors("read", path):
        files = sorted({*Path(path).glob("*.npz"), *Path(path).glob("*/projected.npz")})
    if not files:
        raise UserError(f"--projected={path}: no .npz file in it, as the command project writes it")
    return files


def _names(path: Path, count: int) -> list[str]:
    """The pictures' names that `project` records, or those of the file."""
    stem = path.parent.name if path.stem == "projected" and path.parent.name else path.stem
    names = [stem] if count == 1 else [f"{stem} {index}" for index in range(count)]
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("names.npy").file_size <= _MOST_NAMES:
                with archive.open("names.npy") as file:
                    recorded = np.lib.format.read_array(file, allow_pickle=False)
                if recorded.shape == (count,) and recorded.dtype.kind == "U":
                    names = [str(name) or names[index] for index, name in enumerate(recorded)]
    except latents.DAMAGED:
        pass  # no names, or none that can be read: the file's own serves
    return [name[:MAX_NAME] for name in names]


def _unused(name: str, taken: dict[str, Any]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name[: MAX_NAME - 8]} ({number})", number + 1
    return free


def directions(path: str, sampler: Sampler) -> dict[str, Direction]:
    """{name: a direction} of a file. Raises UserError as generation.directions.read does."""
    if sampler.w_shape is None:
        raise UserError(f"--directions: this is {sampler.Gs.title}, which has no w")
    return {one.name: one for one in read_directions(path, sampler.w_shape)}


def effects(directions_file: str) -> dict[str, dict[str, Any]]:
    """{direction: {'effect': a sentence, 'saturates': units or None}} as they were measured.

    Of effects.json beside the file; empty where there is none, or none that can be read.
    """
    path = Path(directions_file).with_name(EFFECTS)
    try:
        page = json_files.read(path)
        return {row["name"]: _effect(row) for row in page["directions"]}
    except (FileNotFoundError, UserError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _effect(row: dict[str, Any]) -> dict[str, Any]:
    """Of a record of editing/effects.py, which tells points of 100 a unit."""
    points = {str(name): _number(value) for name, value in row["points per unit"].items()}
    changes = dict(zip(map(_number, row["amounts"]), map(_number, row["pixel change"])))
    own = row["name"].split(",")[0]
    order = sorted(points, key=lambda name: (name != own, -abs(points[name])))
    parts = [f"{name} {points[name]:+.1f}" for name in order[:4]]
    said = f"{', '.join(parts)} points of 100 a unit; " if parts else ""
    saturates = row["saturates at"]
    return {
        "effect": f"{said}pixels {changes[1.0]:.3f} a unit",
        "saturates": None if saturates is None else _number(saturates),
    }


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)
