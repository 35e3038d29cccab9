"""Where images start: seeds, labels, and latents from files."""

from __future__ import annotations

import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence

import numpy as np

from dnnlib.errors import UserError, explain_os_errors

MAX_SEEDS = 1_000_000
_NAMES = ("w", "z", "labels", "seeds")
# What zipfile and NumPy raise for damaged bytes. MemoryError: a header may claim any size.
_DAMAGED = (
    ValueError,
    KeyError,
    AttributeError,
    TypeError,
    EOFError,
    MemoryError,
    OSError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def parse_seeds(text: str, flag: str = "--seeds") -> list[int]:
    """'1,5,20-29' → the numbers, below 2^32; UserError naming the flag for anything else."""
    seeds = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,10})(?:-(\d{1,10}))?", part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first or last >= 2**32 or len(seeds) + last - first >= MAX_SEEDS:
            raise UserError(
                f"{flag}={text}: expected numbers and ranges, like 1,5,20-29, below 2^32 and no "
                f"more than {MAX_SEEDS:,}"
            )
        seeds.extend(range(first, last + 1))
    return seeds


def from_seeds(seeds: Iterable[int], latent_size: int) -> np.ndarray:
    """z [N, latent_size], float32: each row depends on its seed alone, on any machine."""
    rows = [np.random.RandomState(seed).randn(1, latent_size) for seed in seeds]
    return np.concatenate(rows).astype(np.float32)


def labels_for(seeds: Sequence[int], label_size: int, wanted: int | None = None) -> np.ndarray:
    """One-hot labels [N, label_size], float32; [N, 0] for a network without labels.

    wanted: the class of all; None: each seed's number gives the class, seed 12 of 10 classes has
    class 2. Raises UserError for a class that the network does not have.
    """
    if wanted is not None and not label_size:
        raise UserError(f"--class={wanted}: the network has no labels")
    if wanted is not None and not 0 <= wanted < label_size:
        raise UserError(f"--class={wanted}: the network has {label_size} classes, from 0")
    labels = np.zeros([len(seeds), label_size], np.float32)
    if label_size:
        chosen = [(seed if wanted is None else wanted) % label_size for seed in seeds]
        labels[np.arange(len(seeds)), chosen] = 1
    return labels


def read(
    path: str | os.PathLike, latent_size: int, label_size: int, w_shape: tuple[int, int] | None
) -> dict[str, np.ndarray]:
    """{'w': w} or {'z': z} or {'z': z, 'labels': labels} of an .npz file, all float32, and
    'seeds', [N], if the file has them.

    Of z and w in one file w counts, which is what images were made from. z is [N, latent_size],
    labels [N, label_size]; w is [N, layers, width], or [N, width], which goes to all layers;
    w_shape is (layers, width), None for a network without w. Raises UserError naming the file,
    the array and what was expected.
    """
    arrays = _arrays(path)
    kind = "w" if w_shape is not None and "w" in arrays else "z"
    if kind not in arrays:
        names = "z" if w_shape is None else "w or z"
        raise UserError(f"{path}: it holds no array named {names}")
    values = arrays[kind]
    if kind == "w":
        if values.ndim == 2:
            values = np.repeat(values[:, None], w_shape[0], axis=1)
        return {"w": _checked(path, kind, values, w_shape), **_seeds(path, arrays, len(values))}
    result = {"z": _checked(path, kind, values, (latent_size,))}
    if label_size and "labels" in arrays:
        labels = _checked(path, "labels", arrays["labels"], (label_size,))
        if len(labels) != len(values):
            raise UserError(f"{path}: {len(labels)} labels for {len(values)} latents")
        result["labels"] = labels
    return {**result, **_seeds(path, arrays, len(values))}


def _seeds(
    path: str | os.PathLike, arrays: dict[str, np.ndarray], count: int
) -> dict[str, np.ndarray]:
    """{'seeds': [N] below 2^32} of the noise, or {}."""
    if "seeds" not in arrays:
        return {}
    seeds = arrays["seeds"]
    good = seeds.dtype.kind in "iu" and seeds.shape == (count,)
    if not good or (seeds < 0).any() or (seeds >= 2**32).any():
        raise UserError(f"{path}: seeds are not {count} whole numbers below 2^32")
    return {"seeds": seeds}


def _arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The file's arrays of the names that count."""
    if os.path.isdir(path):
        raise UserError(f"{path} is a directory, not an .npz file")
    try:
        with explain_os_errors("read", path), open(path, "rb") as opened:
            file = np.load(opened, allow_pickle=False)
            return {name: file[name] for name in _NAMES if name in file.files}
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except _DAMAGED as error:
        raise UserError(f"{path}: not an .npz file of numbers, or a damaged one") from error


def _checked(
    path: str | os.PathLike, name: str, array: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """An array [N, *shape] as float32."""
    if array.dtype.kind not in "fiu":
        raise UserError(f"{path}: {name} has the type {array.dtype}, expected numbers")
    if array.shape[1:] != shape or not array.shape or not len(array):
        expected = ", ".join(map(str, ["N", *shape]))
        raise UserError(f"{path}: {name} has shape {list(array.shape)}, expected [{expected}]")
    with np.errstate(over="ignore"):  # what overflows becomes infinite
        values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise UserError(f"{path}: {name} has values that are infinite or not a number")
    return values
