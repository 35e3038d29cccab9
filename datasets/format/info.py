"""Finds data sets and checks them.

A data set is a directory with `NAME-r02.tfrecords` (4×4) … `NAME-rXX.tfrecords` (2**XX square),
all with the same images in the same order, and optionally `NAME-rxx.labels`, a `.npy` array
[images, label size].
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from datasets.format.builtin import (
    DIGITS_COUNT,
    DIGITS_LABELS,
    DIGITS_RESOLUTION,
    SYNTHETIC_COUNT,
    digits_directory,
    digits_place,
    digits_written,
)
from datasets.format.mistaken import explain_channels
from datasets.format.tfrecords import DataError, ImageFile, is_resolution
from dnnlib.atomic import TEMP_PREFIX
from dnnlib.errors import UserError
from dnnlib.paths import check_input
from dnnlib.run_dirs import check_place

BUILT_IN = ("digits", "synthetic")
_SYNTHETIC = re.compile(r"synthetic(?:-(\d{1,4})(?:-(\d{1,3}))?)?")
_RECORDS = re.compile(r"([^.].*)-r(\d\d)\.tfrecords")  # not those hidden: macOS puts ._NAME beside


@dataclass(frozen=True)
class Subset:
    """Some images of a data set: the first of a shuffle, in the order of the files."""

    of: int  # images of the whole set
    seed: int  # of the shuffle

    def indices(self, count: int) -> np.ndarray:
        """Which `count` of them: int64, ascending; as StyleGAN2-ADA chooses them."""
        order = np.arange(self.of)
        np.random.RandomState(self.seed).shuffle(order)
        return np.sort(order[:count])


@dataclass(frozen=True)
class DatasetInfo:
    """What `inspect` found. Plain data; `open_dataset` reads it."""

    name: str
    path: str | None  # its directory; None for the synthetic set
    resolution: int  # pixels, of lod 0
    channels: int  # 1 or 3
    label_size: int  # columns of the labels in use, 0 without labels
    num_images: int
    files: dict[int, str]  # log2 of the resolution → path, down to 2 (4×4)
    labels_path: str | None = None
    subset: Subset | None = None  # which ones the num_images are; None: all

    @property
    def max_lod(self) -> int:
        """The lod of the 4×4 images."""
        return self.resolution.bit_length() - 3


def inspect(
    name: str,
    data_dir: str | os.PathLike | None = None,
    *,
    resolution: int | None = None,
    max_label_size: int | str = "full",
    subset: int | None = None,
    subset_seed: int = 0,
    write: bool = True,
) -> DatasetInfo:
    """Finds a data set and checks it as far as is quick: file headers and first records.

    name: a directory in `data_dir`, or any directory when `data_dir` is None; else `digits`
    (written at its first use), or `synthetic[-RESOLUTION[-CLASSES]]` (default 64, 0). resolution:
    lod 0, if smaller than what is stored; `synthetic` has any. max_label_size: 'full', or use the
    first so many columns of the labels; 0: none. subset: only so many of the images, which
    subset_seed chooses. write=False: digits that are not written yet are
    described as they will be (`write_files` writes them).
    Raises UserError, naming the file or directory, if there is no such set or it is not usable.
    """
    if resolution is not None and not is_resolution(resolution):
        raise UserError(f"resolution: expected a power of two from 4 on, got {resolution}")
    if max_label_size != "full" and not (isinstance(max_label_size, int) and max_label_size >= 0):
        raise UserError(f"max_label_size: expected 'full' or a number, got {max_label_size!r}")
    if not name:
        raise UserError("the name of the data set is empty")
    info = _inspect_whole(name, data_dir, resolution, max_label_size, write)
    return info if subset is None else _subset(info, subset, subset_seed)


def _subset(info: DatasetInfo, count: int, seed: int) -> DatasetInfo:
    if not 1 <= count <= info.num_images:
        raise UserError(f"subset={count}: {info.name} has {info.num_images} images")
    return replace(info, num_images=count, subset=Subset(info.num_images, seed))


def _inspect_whole(
    name: str,
    data_dir: str | os.PathLike | None,
    resolution: int | None,
    max_label_size: int | str,
    write: bool,
) -> DatasetInfo:
    synthetic, built_in = _SYNTHETIC.fullmatch(name), is_built_in(name)
    directory = Path(data_dir or ".") / name
    # A user's own set may have a built-in one's name, but only where they say their sets are.
    if not directory.is_dir() or (built_in and data_dir is None):
        if synthetic:
            return _inspect_synthetic(name, synthetic, resolution, max_label_size)
        if not built_in:
            raise UserError(_not_found(name, data_dir))
        if not write and not digits_written():
            return _describe_digits(name, resolution, max_label_size)
        directory = digits_directory()
    if _is_unfinished(directory):
        raise UserError(f"{directory}: is unfinished: what writes it still runs, or was stopped")
    return _inspect_directory(name, directory, resolution, max_label_size)


def write_files(info: DatasetInfo) -> None:
    """Writes the files of the built-in digits, if it is they and `inspect` has only described them.

    Raises UserError where the cache directory is not writable.
    """
    if is_digits(info):
        digits_directory()


def is_unwritten(info: DatasetInfo) -> bool:
    """Whether it is the built-in digits, and `write_files` has not written them yet."""
    return is_digits(info) and not digits_written()


def is_digits(info: DatasetInfo) -> bool:
    """Whether it is the built-in digits."""
    try:
        return info.path is not None and Path(info.path) == digits_place()
    except UserError:  # no cache directory is known
        return False


def is_built_in(name: str) -> bool:
    """Whether `name` means a built-in data set where no directory has it."""
    return name == "digits" or _SYNTHETIC.fullmatch(name) is not None


def _is_unfinished(directory: Path) -> bool:
    return directory.absolute().name.startswith(TEMP_PREFIX)


def _label_columns(stored: int, max_label_size: int | str) -> int:
    return stored if isinstance(max_label_size, str) else min(stored, max_label_size)


def _not_found(name: str, data_dir: str | os.PathLike | None) -> str:
    directory = Path(data_dir or ".")
    sets = []
    if directory.is_dir():
        directories = {path.parent for path in directory.glob("*/[!.]*-r02.tfrecords")}
        sets = sorted(path.name for path in directories if not path.name.startswith("."))
    there = ", ".join(sets[:20]) + (", …" if len(sets) > 20 else "")
    return (
        f"data set {name!r} not found in {directory.absolute()} "
        f"({'there are: ' + there if sets else 'it contains no data sets'}; "
        f"built in: {', '.join(BUILT_IN)})"
    )


def _inspect_synthetic(
    name: str, match: re.Match, resolution: int | None, max_label_size: int | str
) -> DatasetInfo:
    named = int(match[1]) if match[1] else None
    if named is not None and not is_resolution(named):
        raise UserError(f"data set {name!r}: the resolution must be a power of two from 4 on")
    if named is not None and resolution is not None and resolution > named:
        raise UserError(f"data set {name!r} has no images of {resolution}×{resolution}")
    return DatasetInfo(
        name=name,
        path=None,
        resolution=resolution or named or 64,
        channels=3,
        label_size=_label_columns(int(match[2] or 0), max_label_size),
        num_images=SYNTHETIC_COUNT,
        files={},
    )


def _describe_digits(name: str, resolution: int | None, max_label_size: int | str) -> DatasetInfo:
    directory = digits_place()
    try:
        check_place(directory)
    except UserError as error:
        raise UserError(f"{error} (STYLEGAN_CACHE_DIR chooses the cache's place)") from error
    if resolution is not None and resolution > DIGITS_RESOLUTION:
        raise _too_large(directory, resolution)
    largest = resolution or DIGITS_RESOLUTION
    label_size = _label_columns(DIGITS_LABELS, max_label_size)
    return DatasetInfo(
        name=name,
        path=str(directory),
        resolution=largest,
        channels=1,
        label_size=label_size,
        num_images=DIGITS_COUNT,
        files={
            log2: str(directory / f"digits-r{log2:02d}.tfrecords")
            for log2 in range(2, largest.bit_length())
        },
        labels_path=str(directory / "digits-rxx.labels") if label_size else None,
    )


def _too_large(directory: Path, resolution: int) -> UserError:
    return UserError(f"{directory}: has no images of {resolution}×{resolution} pixels")


def _inspect_directory(
    name: str, directory: Path, resolution: int | None, max_label_size: int | str
) -> DatasetInfo:
    files = _find_files(directory)
    if resolution is not None:
        if 1 << max(files) < resolution:
            raise _too_large(directory, resolution)
        files = {log2: path for log2, path in files.items() if 1 << log2 <= resolution}
    channels, num_images = None, None
    for log2, path in sorted(files.items()):  # from the smallest file
        count, shape = _first_record(path)
        _check_shape(path, shape, log2)
        if num_images is None:
            channels, num_images = shape[0], count
        if shape[0] != channels:
            raise UserError(f"{path}: has {shape[0]} channels, the smallest file has {channels}")
        if count != num_images:
            raise count_error(path, count, num_images)
    labels_path, label_size = _find_labels(directory), 0
    if labels_path is not None and max_label_size != 0:
        stored = open_labels(labels_path)
        if len(stored) != num_images:
            raise UserError(
                f"{labels_path}: {len(stored)} labels, but there are {num_images} images"
            )
        label_size = _label_columns(stored.shape[1], max_label_size)
    return DatasetInfo(
        name=Path(name).absolute().name,
        path=str(directory),
        resolution=1 << max(files),
        channels=channels,
        label_size=label_size,
        num_images=num_images,
        files=files,
        labels_path=labels_path if label_size else None,
    )


def _find_files(directory: Path) -> dict[int, str]:
    """log2 of the resolution → path, without gaps from 2 on."""
    matches = [
        (match, path) for path in directory.iterdir() if (match := _RECORDS.fullmatch(path.name))
    ]
    prefixes = sorted({match[1] for match, _ in matches})
    if len(prefixes) > 1:
        raise UserError(f"{directory}: holds more than one data set: {', '.join(prefixes)}")
    files = {int(match[2]): str(path) for match, path in sorted(matches, key=lambda item: item[1])}
    if not files or max(files) < 2:
        raise UserError(f"{directory}: holds no files NAME-r02.tfrecords, NAME-r03.tfrecords, …")
    missing = [f"{prefixes[0]}-r{i:02d}.tfrecords" for i in range(2, max(files)) if i not in files]
    if missing:
        raise UserError(f"{directory}: incomplete, missing: {', '.join(missing)}")
    return {log2: path for log2, path in files.items() if log2 >= 2}


def _first_record(path: str) -> tuple[int, tuple[int, int, int]]:
    """→ (number of records, shape of the first image)."""
    with ImageFile(path) as file:
        if not len(file):
            raise DataError(f"{path}: contains no images")
        return len(file), file.image(0).shape


def _check_shape(path: str, shape: tuple[int, int, int], log2: int) -> None:
    channels, height, width = shape
    if channels not in (1, 3):
        raise DataError(f"{path}: {explain_channels(shape)}")
    if height != width:
        raise DataError(f"{path}: its images are {width}×{height}, expected square ones")
    if not is_resolution(width):
        raise DataError(f"{path}: its images are {width}×{height}, expected a power of two from 4")
    if width != 1 << log2:
        raise DataError(f"{path}: its images are {width}×{height}, not {1 << log2}×{1 << log2}")


def count_error(path: str, count: int, expected: int) -> DataError:
    return DataError(f"{path}: {count} images, but the smallest file of the set has {expected}")


def _find_labels(directory: Path) -> str | None:
    paths = label_files(directory)
    if len(paths) > 1:
        raise UserError(f"{directory}: holds more than one file of labels: {', '.join(paths)}")
    return paths[0] if paths else None


def label_files(directory: Path) -> list[str]:
    """Files of labels in a directory; of a set there is one at most."""
    return sorted(str(path) for path in directory.glob("[!.]*.labels"))


def open_labels(path: str) -> np.ndarray:
    """The stored labels, mapped and not read: any numeric type, [num, label_size]."""
    try:
        # Maps .npy files only, never unpickles, and refuses a shape larger than the file.
        check_input(path)
        labels = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # the header is arbitrary bytes, so nearly anything can be raised
        raise DataError(f"{path}: not a readable .npy array: {error}") from error
    if labels.ndim != 2 or labels.shape[1] < 1 or labels.dtype.kind not in "buif":
        raise DataError(
            f"{path}: expected numbers [images, label size], "
            f"found {labels.dtype} {list(labels.shape)}"
        )
    return labels
