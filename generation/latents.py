"""Where images start: seeds, labels, and latents from files, under the names people give them."""

from __future__ import annotations

import contextlib
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from dnnlib.errors import UserError
from dnnlib.paths import open_input

MAX_SEEDS = 1_000_000
MAX_CODES = MAX_SEEDS
MAX_BYTES = 2**30  # of one array; 29,000 codes [18, 512] of float32

# What arrays are called, the name that counts most first.
_W_NAMES = ("w", "dlatents", "projected_w")
_Z_NAMES = ("z",)
# 'latents' are z in the original, and w in the files of many projectors; an array without a name
# says nothing. What shape does not decide is refused.
_UNDECIDED = ("latents", "arr_0")
_NOISE = "noise"  # and the number of its layer
_MAX_NOISE = 24  # more than the layers of a network of 4096×4096
_OTHERS = ("labels", "seeds", *(f"{_NOISE}{index}" for index in range(_MAX_NOISE)))
# What zipfile and NumPy raise for damaged bytes. MemoryError: a header may claim any size.
DAMAGED = (
    ValueError,
    KeyError,
    AttributeError,
    TypeError,
    EOFError,
    OverflowError,
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


# ---------------------------------------------------------------- files


def read(
    path: str | os.PathLike,
    latent_size: int,
    label_size: int,
    w_shape: tuple[int, int] | None,
    noise_shapes: Sequence[tuple[int, int]] = (),
) -> dict[str, Any]:
    """{'w': w} or {'z': z} or {'z': z, 'labels': labels} of an .npz or .npy file, all float32,
    and 'seeds', [N], and 'noise', a list, if the file has them.

    Of z and w in one file w counts, which is what images were made from. z is [N, latent_size],
    labels [N, label_size]. w_shape is (layers, width), None for a network without w. w is
    [N, layers, width]; or [layers, width], one code; or [N, width], which goes to all layers, of
    which the result is a view. An array that may be z or w by its name is what its shape says.
    noise_shapes: (height, width) of the network's noise images; the file's are noise0, noise1, …,
    [N or 1, height, width, 1], of all layers or of none.
    Raises UserError naming the file, the array and what was expected; both readings where there
    are two; more than MAX_CODES codes or MAX_BYTES bytes.
    """
    arrays = _arrays(path)
    name, kind = _chosen(path, arrays, latent_size, w_shape)
    values = arrays[name]
    if kind == "w":
        values = _w(path, name, values, w_shape, arrays.get("seeds"))
        noise = _noise(path, arrays, len(values), noise_shapes)
        return {"w": values, **_seeds(path, arrays, len(values)), **noise}
    values = _checked(path, name, values, (latent_size,))
    result = {"z": values}
    if label_size and "labels" in arrays:
        labels = _checked(path, "labels", arrays["labels"], (label_size,))
        if len(labels) != len(values):
            raise UserError(f"{path}: {len(labels)} labels for {len(values)} latents")
        result["labels"] = labels
    noise = _noise(path, arrays, len(values), noise_shapes)
    return {**result, **_seeds(path, arrays, len(values)), **noise}


def _chosen(
    path: str | os.PathLike,
    arrays: dict[str, np.ndarray],
    latent_size: int,
    w_shape: tuple[int, int] | None,
) -> tuple[str, str]:
    """(name of the array that counts, 'w' or 'z')."""
    names = _Z_NAMES if w_shape is None else (*_W_NAMES, *_Z_NAMES)
    for name in names:
        if name in arrays:
            return name, "z" if name in _Z_NAMES else "w"
    for name in _UNDECIDED:
        if name in arrays:
            return name, _kind_by_shape(path, name, arrays[name].shape, latent_size, w_shape)
    known = "z" if w_shape is None else "w or z"
    raise UserError(f"{path}: it holds no array named {known} (nor {' or '.join(_UNDECIDED)})")


def _kind_by_shape(
    path: str | os.PathLike,
    name: str,
    shape: tuple[int, ...],
    latent_size: int,
    w_shape: tuple[int, int] | None,
) -> str:
    """'z' or 'w', whichever an array of a name that says neither can be."""
    if w_shape is None:
        return "z"
    as_z = len(shape) == 2 and shape[1] == latent_size
    as_w = shape[-1:] == w_shape[1:]
    if not as_z:
        return "w"
    if not as_w:
        return "z"
    one = "one w [layers, width]" if shape == w_shape else f"{shape[0]} w that go to all layers"
    raise UserError(
        f"{path}: {name} {list(shape)} may be {shape[0]} z [N, {latent_size}] or {one}: save it in "
        f"an .npz file under the name z or w, or w as [N, {w_shape[0]}, {w_shape[1]}]"
    )


def _w(
    path: str | os.PathLike,
    name: str,
    values: np.ndarray,
    w_shape: tuple[int, int],
    seeds: np.ndarray | None,
) -> np.ndarray:
    """w [N, layers, width] of an array; a view of it where it is [N, width]."""
    layers, width = w_shape
    if values.shape == w_shape:
        if layers > 1 and seeds is not None and seeds.shape == (layers,):
            raise UserError(
                f"{path}: {name} {list(w_shape)} may be one code [layers, width], or, with its "
                f"{layers} seeds, {layers} codes that go to all layers: save it as "
                f"[N, {layers}, {width}]"
            )
        return _checked(path, name, values[None], w_shape)
    if values.ndim == 2 and values.shape[1] == width:
        checked = _checked(path, name, values, (width,))
        return np.broadcast_to(checked[:, None], (len(checked), *w_shape))
    return _checked(path, name, values, w_shape)


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


def _noise(
    path: str | os.PathLike,
    arrays: dict[str, np.ndarray],
    count: int,
    shapes: Sequence[tuple[int, int]],
) -> dict[str, list[np.ndarray]]:
    """{'noise': [N or 1, H, W, 1] for each layer}, or {}."""
    if not any(name.startswith(_NOISE) for name in arrays):
        return {}
    result = []
    for index, (height, width) in enumerate(shapes):
        name = f"{_NOISE}{index}"
        if name not in arrays:
            raise UserError(
                f"{path}: it has noise images, but no {name}; the network has {len(shapes)} of them"
            )
        image = _checked(path, name, arrays[name], (height, width, 1))
        if len(image) not in (1, count):
            raise UserError(f"{path}: {len(image)} images {name} for {count} codes")
        result.append(image)
    if f"{_NOISE}{len(shapes)}" in arrays:
        raise UserError(
            f"{path}: it has more noise images than the network, which has {len(shapes)}: it was "
            "made with another network"
        )
    return {"noise": result}


def _arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The file's arrays of the names that count; that of an .npy file is 'arr_0'."""
    if os.path.isdir(path):
        raise UserError(f"{path} is a directory, not an .npz or .npy file")
    try:
        with open_input(path) as file:
            if file.read(6) == b"\x93NUMPY":
                size = os.fstat(file.fileno()).st_size
                return {"arr_0": _read_array(path, "the array", contextlib.nullcontext(file), size)}
            return dict(_members(path, file))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except DAMAGED as error:
        raise UserError(f"{path}: not an .npz or .npy file of numbers, or a damaged one") from error


def _members(path: str | os.PathLike, file: BinaryIO) -> Iterator[tuple[str, np.ndarray]]:
    """(name, array) of those in a .npz file that count."""
    room = MAX_BYTES  # for noise images, all together
    with zipfile.ZipFile(file) as archive:
        inside = set(archive.namelist())
        for name in (*_W_NAMES, *_Z_NAMES, *_UNDECIDED, *_OTHERS):
            member = next((m for m in (f"{name}.npy", name) if m in inside), None)
            if member is not None:
                size = archive.getinfo(member).file_size
                limit = room if name.startswith(_NOISE) else MAX_BYTES
                array = _read_array(path, name, archive.open(member), size, limit)
                room -= array.nbytes if name.startswith(_NOISE) else 0
                yield name, array


def _read_array(
    path: str | os.PathLike, name: str, opened: Any, held: int, limit: int = MAX_BYTES
) -> np.ndarray:
    """An array, once its header has said that it is no larger than allowed, and than `held`."""
    with opened as file:
        file.seek(0)
        version = np.lib.format.read_magic(file)
        header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = header(file)
        size = math.prod(shape) * dtype.itemsize
        if (shape and shape[0] > MAX_CODES) or size > limit:
            raise UserError(
                f"{path}: {name} has shape {list(shape)}, expected no more than "
                f"{MAX_CODES:,} codes and {limit // 2**20:,} MiB: split the file"
            )
        if size > held:
            raise ValueError("a header that claims more than there is")
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)


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
