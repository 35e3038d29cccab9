"""Directions in w, a `.safetensors` file of them, and what `--apply` asks for."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Sequence

import numpy as np

from dnnlib import tensor_file
from dnnlib.errors import UserError

FORMAT = "stylegan-tf2 directions 1"
MAX_AMOUNT = 100.0  # units
_MAX_DIRECTIONS = 10_000


@dataclasses.dataclass(frozen=True)
class Direction:
    """name: how users call it. vector: [D], one unit long. layers: [first, stop), those that it
    moves. kind: how it was found, 'planes', 'sefa' …"""

    name: str
    vector: np.ndarray
    layers: tuple[int, int]
    kind: str

    def move(self, codes: np.ndarray, amount: float) -> np.ndarray:
        """Codes [N, layers, D], moved by an amount in units."""
        moved = codes.copy()
        moved[:, slice(*self.layers)] += np.float32(amount) * self.vector
        return moved


def save(path: str | os.PathLike, directions: Sequence[Direction], info: dict) -> None:
    """vectors [K, D] float32, each one unit long; names, kinds and layers are in the metadata.

    info: where they come from, anything JSON can hold.
    """
    rows = [{"name": one.name, "kind": one.kind, "layers": list(one.layers)} for one in directions]
    metadata = {"directions": json.dumps(rows), "info": json.dumps(info)}
    tensor_file.save(path, {"vectors": np.stack([d.vector for d in directions])}, FORMAT, metadata)


def read(path: str | os.PathLike, w_shape: tuple[int, int]) -> list[Direction]:
    """The directions of a file for a network whose w is (layers, width).

    Raises UserError naming the file where it is none of directions, or of another network's.
    """
    try:
        arrays, metadata = tensor_file.load(path, FORMAT)
        rows = json.loads(metadata["directions"])
        vectors = np.asarray(arrays["vectors"], np.float32)
        found = [
            Direction(_text(row["name"]), vector, _layers(row["layers"]), _text(row["kind"]))
            for row, vector in zip(rows[:_MAX_DIRECTIONS], vectors)
        ]
        if vectors.ndim != 2 or len(rows) != len(vectors) or len(found) != len(rows):
            raise ValueError(f"vectors {list(vectors.shape)} of {len(rows)} directions")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except (tensor_file.TensorFileError, OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: no file of directions, as `run_generator.py directions` writes it ({error})"
        ) from error
    layers, width = w_shape
    if vectors.shape[1] != width or any(one.layers[1] > layers for one in found):
        raise UserError(
            f"{path}: directions of w with {vectors.shape[1]} numbers, in up to "
            f"{max(one.layers[1] for one in found)} layers; the network's w is {layers} x {width}"
        )
    if not np.isfinite(vectors).all():
        raise UserError(f"{path}: a direction has values that are infinite or not a number")
    return found


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _layers(value: object) -> tuple[int, int]:
    if isinstance(value, list) and len(value) == 2:
        first, stop = value
        if type(first) is type(stop) is int and 0 <= first < stop:
            return first, stop
    raise ValueError(f"layers {value!r}")


def parse_amounts(text: str, directions: Sequence[Direction]) -> list[tuple[Direction, float]]:
    """'closed-loop=+2,sefa0=-1' → the directions and how far to go, in units.

    Raises UserError naming --apply for a name that is not there, or what is no number.
    """
    by_name = {one.name: one for one in directions}
    found = []
    # Names may hold commas.
    for part in re.findall(r"(?:^|,)\s*(.+?=[^,=]*)(?=,|$)", text):
        name, _, amount = part.rpartition("=")
        name = name.strip()
        if name not in by_name:
            known = ", ".join(by_name)
            raise UserError(f"--apply={text}: no direction {name!r}; the file has: {known}")
        found.append((by_name[name], _amount(text, amount)))
    if not found or text.count("=") != len(found):
        raise UserError(f"--apply={text}: expected names and numbers, like smile=+2,age=-1")
    return found


class Edits:
    """What --directions and --apply of a command ask for; nothing where neither is given.

    Raises UserError for one without the other, and for a network without w.
    """

    def __init__(self, args: dict, w_shape: tuple[int, int] | None) -> None:
        file, text = args["directions"], args["apply"]
        self._moves: list[tuple[Direction, float]] = []
        if file is None and text is None:
            return
        if file is None or text is None:
            raise UserError("--directions=FILE and --apply=NAME=X go together; one is missing")
        if w_shape is None:
            raise UserError("--apply: the network has no w to move")
        self._moves = parse_amounts(text, read(file, w_shape))

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """Codes [N, layers, D], moved."""
        for direction, amount in self._moves:
            codes = direction.move(codes, amount)
        return codes


def _amount(text: str, amount: str) -> float:
    try:
        number = float(amount)
    except ValueError:
        number = float("nan")
    if not abs(number) <= MAX_AMOUNT:
        raise UserError(f"--apply={text}: {amount!r} is no number from -100 to 100")
    return number
