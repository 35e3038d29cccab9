"""Checks of finished data sets: whether two are equal, and whether one is intact."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Optional

import numpy as np

from compute.box_means import box_halve
from datasets.format.info import label_files, open_labels
from datasets.format.mistaken import explain_channels
from datasets.format.reader import DatasetInfo, is_built_in
from datasets.format.tfrecords import DataError, ImageFile
from datasets.inspection import stored
from datasets.workers import map_records
from dnnlib.errors import UserError

_CHUNK_BYTES = 1 << 24  # read by a worker at once
_CHUNK_IMAGES = 1024
_PATTERN = "[!.]*-r[0-9][0-9].tfrecords"
# Both the stored levels are rounded, each by up to 1/2.
_ROUNDING = 1.0

# ---------------------------------------------------------------------------------------------
# Two sets.


def compare(
    first: str, second: str, *, workers: Optional[int] = None, say: Callable[[str], None] = print
) -> list[str]:
    """Lines about the differences of two data sets; empty if images and labels are equal.

    How features are ordered within records, and names, make no difference. Raises UserError for
    a damaged record, naming it.
    """
    for dataset in (first, second):  # neither is written where the other is refused
        stored(dataset, write=False)
    one, two = stored(first), stored(second)
    lines = []
    for field in ("num_images", "resolution", "channels", "label_size"):
        mine, other = getattr(one, field), getattr(two, field)
        if mine != other:
            lines.append(f"{field.replace('num_', '').replace('_', ' ')}: {mine:,} and {other:,}")
    lines += _compare_labels(one, two)
    count = min(one.num_images, two.num_images)
    for log2 in sorted(set(one.files) & set(two.files), reverse=True):
        pair = one.files[log2], two.files[log2]
        size = max(1, _CHUNK_BYTES // (one.channels << 2 * log2))
        differing: list[int] = []
        for numbers in map_records(
            _Differing(*pair), pair[0], count, size, workers=workers, say=say
        ):
            differing += numbers
        if differing:
            lines.append(
                f"{1 << log2}×{1 << log2}: {len(differing):,} of {count:,} images differ, first "
                f"record {differing[0]} of {pair[0]} and {pair[1]}"
            )
    return lines


def _compare_labels(one: DatasetInfo, two: DatasetInfo) -> list[str]:
    if not (one.labels_path and two.labels_path) or one.label_size != two.label_size:
        return []  # label_size tells
    mine, other = open_labels(one.labels_path), open_labels(two.labels_path)
    count = min(len(mine), len(other))
    rows = np.flatnonzero((mine[:count] != other[:count]).any(axis=1))
    if not len(rows):
        return []
    return [f"labels: {len(rows):,} of {count:,} differ, first that of record {rows[0]}"]


@dataclasses.dataclass
class _Differing:
    """Numbers of records → those whose images differ. Runs in workers."""

    first: str
    second: str

    def __call__(self, numbers: range) -> list[int]:
        one, two = self._files
        return [i for i in numbers if not np.array_equal(one.image(i), two.image(i))]

    @functools.cached_property
    def _files(self) -> tuple[ImageFile, ImageFile]:
        return ImageFile(self.first), ImageFile(self.second)


# ---------------------------------------------------------------------------------------------
# One set.


def verify(
    dataset: str | os.PathLike,
    *,
    workers: Optional[int] = None,
    say: Callable[[str], None] = print,
) -> list[str]:
    """All damage of a data set, a line each with file and record; empty if it is intact.

    Reads every record of every resolution and checks both checksums, shape, that each lower
    resolution is the box mean of the one above within rounding, and the labels. Records after a
    damaged length cannot be found; such a file is named with the first of them. Raises UserError
    where there is no data set to check.
    """
    directory = Path(dataset)
    if is_built_in(str(dataset)) and not directory.is_dir():
        directory = Path(stored(str(dataset)).path)
    paths = _find_paths(directory)
    prefix = paths[max(paths)][: -len("00.tfrecords")]
    lines = [
        f"{prefix}{log2:02d}.tfrecords: is missing"
        for log2 in range(2, max(paths))
        if log2 not in paths
    ]
    damage, lengths, shapes = _survey(paths)
    lines += damage
    paths = {log2: path for log2, path in paths.items() if path in lengths}
    if not any(lengths.values()):
        return lines + [f"{path}: contains no images" for path in lengths]
    channels = Counter(shape[0] for shape in shapes).most_common(1)[0][0] if shapes else 0
    if shapes and channels not in (1, 3):
        return [*lines, f"{directory}: {explain_channels(max(shapes))}"]
    expected = Counter(lengths.values()).most_common(1)[0][0]
    lines += [
        f"{path}: {length:,} images, most files have {expected:,}"
        for path, length in lengths.items()
        if length != expected
    ]
    lines += _check_labels(directory, expected)
    total = max(lengths.values())
    size = _CHUNK_BYTES // sum(max(channels, 1) << 2 * log2 for log2 in paths)
    size = max(1, min(size, _CHUNK_IMAGES))
    check, highest = _Check(paths, channels), paths[max(paths)]
    for damage in map_records(
        check, highest, total, size, workers=workers, say=say, items="records"
    ):
        lines += damage
    return lines


def _find_paths(directory: Path) -> dict[int, str]:
    """log2 of the resolution → path."""
    if not directory.is_dir():
        raise UserError(f"{directory}: there is no such directory")
    files = sorted(directory.glob(_PATTERN))
    if len({path.name[: -len("-r00.tfrecords")] for path in files}) > 1:
        raise UserError(f"{directory}: holds more than one data set")
    paths = {int(path.name[-len("00.tfrecords") :][:2]): str(path) for path in files}
    paths = {log2: path for log2, path in paths.items() if log2 >= 2}
    if not paths:
        raise UserError(f"{directory}: holds no files NAME-r02.tfrecords, NAME-r03.tfrecords, …")
    return paths


def _survey(paths: dict[int, str]) -> tuple[list[str], dict[str, int], list[tuple[int, ...]]]:
    """→ damage for which files cannot be read at all, {path: records} of the others, shapes of the
    first image of each that can be read."""
    damage, lengths, shapes = [], {}, []
    for path in paths.values():
        try:
            with ImageFile(path) as file:
                lengths[path] = len(file)
                shapes += _first_shape(file)
        except DataError as error:
            damage.append(str(error))
    return damage, lengths, shapes


def _first_shape(file: ImageFile) -> list[tuple[int, ...]]:
    for number in range(min(len(file), _CHUNK_IMAGES)):
        with contextlib.suppress(DataError):
            return [file.image(number).shape]
    return []


def _check_labels(directory: Path, expected: int) -> Iterable[str]:
    paths = label_files(directory)
    if len(paths) > 1:
        yield f"{directory}: holds more than one file of labels"
    for path in paths:
        try:
            labels = open_labels(path)
        except DataError as error:
            yield str(error)
            continue
        if len(labels) != expected:
            yield f"{path}: {len(labels):,} labels for {expected:,} images"
        for start in range(0, len(labels), 1 << 16):
            bad = ~np.isfinite(labels[start : start + (1 << 16)]).all(axis=1)
            for row in np.flatnonzero(bad):
                yield f"{path}: the label of image {start + row} is not finite"


@dataclasses.dataclass
class _Check:
    """Numbers of records → lines about damage. Runs in workers."""

    paths: dict[int, str]
    channels: int

    def __call__(self, numbers: range) -> list[str]:
        return [line for number in numbers for line in self._record(number)]

    def _record(self, number: int) -> list[str]:
        lines, images = [], {}
        for log2, file in self._files.items():
            if number >= len(file):
                continue
            try:
                image = file.image(number)
            except DataError as error:
                lines.append(str(error))
                continue
            shape = (self.channels, 1 << log2, 1 << log2)
            if image.shape != shape:
                lines.append(
                    f"{file.path}: record {number}: the image is {list(image.shape)}, not "
                    f"{list(shape)} (channels, height, width)"
                )
                continue
            images[log2] = image
        for log2, image in images.items():
            if log2 + 1 in images:
                means = box_halve(images[log2 + 1])
                off = float(np.abs(means - image).max())
                if off > _ROUNDING:
                    lines.append(
                        f"{self.paths[log2]}: record {number}: is off by up to {off:g} levels "
                        f"from the box mean of the {2 << log2}×{2 << log2} image"
                    )
        return lines

    @functools.cached_property
    def _files(self) -> dict[int, ImageFile]:
        return {log2: ImageFile(path) for log2, path in sorted(self.paths.items())}
