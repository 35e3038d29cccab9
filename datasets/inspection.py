"""Finished data sets: what they are, how they look, and their images as files."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np

from datasets.format.info import open_labels, write_files
from datasets.format.reader import DatasetInfo, inspect, open_dataset
from datasets.format.tfrecords import ImageFile
from datasets.grids import grid_size, save_image_grid, setup_snapshot_grid, to_pil
from datasets.workers import map_records
from dnnlib.errors import UserError
from dnnlib.staging import check_unused, staged_directory

FIRST = "first"  # a layout of `display`: the images as they come
_CHUNK_BYTES = 1 << 22
_CLASSES_SHOWN = 20
_SHEET_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def info(dataset: str) -> list[str]:
    """Lines about a data set (a directory, or a built-in name). UserError if there is none."""
    dataset_info = inspect(dataset)
    with open_dataset(dataset_info) as opened:
        labels, key = opened.labels, opened.content_key
    with open_dataset(inspect(dataset, max_label_size=0)) as opened:
        images_key = opened.content_key
    sizes = {path: os.path.getsize(path) for path in dataset_info.files.values()}
    if dataset_info.labels_path:
        sizes[dataset_info.labels_path] = os.path.getsize(dataset_info.labels_path)
    colours = "gray" if dataset_info.channels == 1 else "RGB"
    lines = [
        f"{'name':<12}{dataset_info.name}",
        f"{'directory':<12}{dataset_info.path or 'built in, made as it is read'}",
        f"{'images':<12}{dataset_info.num_images:,}",
        f"{'channels':<12}{dataset_info.channels} ({colours})",
        f"{'resolution':<12}{dataset_info.resolution}×{dataset_info.resolution}",
        f"{'labels':<12}{_describe_labels(labels)}",
        f"{'bytes':<12}{sum(sizes.values()):,}",
        f"{'content':<12}{key}",
    ]
    if labels.shape[1]:
        lines += [f"{'':<12}{images_key} without the labels"]
    return lines + [f"  {size:>18,}  {Path(path).name}" for path, size in sorted(sizes.items())]


def _describe_labels(labels: np.ndarray) -> str:
    if not labels.shape[1]:
        return "none"
    if not is_one_hot(labels):
        low, high = labels.min(), labels.max()
        return f"{labels.shape[1]} numbers for each image, from {low:g} to {high:g}"
    counts = np.bincount(labels.argmax(axis=1), minlength=labels.shape[1])
    shown = ", ".join(f"{i}: {count:,}" for i, count in enumerate(counts[:_CLASSES_SHOWN]))
    more = ", …" if len(counts) > _CLASSES_SHOWN else ""
    return f"{labels.shape[1]} classes with images: {shown}{more}"


def is_one_hot(labels: np.ndarray) -> bool:
    """Whether each row of [N, K] is zeros and a single one."""
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())


def display(dataset: str, out: str | os.PathLike, grid: str, layout: str, seed: int) -> str:
    """Writes a contact sheet; returns what to tell.

    grid: '1080p', '4k', '8k' or COLUMNSxROWS; layout: 'first', or one of datasets.grids.LAYOUTS,
    which draw from the shuffle of `seed`. Raises UserError for layouts the set has no images for,
    and unless `out` ends in .png, .jpg, .jpeg or .webp.
    """
    check_sheet(out)
    dataset_info = inspect(dataset, write=False)
    shape = grid_size(grid, dataset_info.resolution, dataset_info.resolution)
    write_files(dataset_info)
    with open_dataset(dataset_info) as images:
        if layout == FIRST:
            pixels, _ = images.read(np.arange(min(shape[0] * shape[1], dataset_info.num_images)))
            columns = min(shape[0], len(pixels))
            shape = columns, -(-len(pixels) // columns)
        else:
            shape, pixels, _ = setup_snapshot_grid(images, grid, layout, seed)
    try:
        save_image_grid(pixels, out, shape)
    except ValueError as error:  # of Pillow: WebP has no pictures beyond 16383 pixels
        raise UserError(f"--out={out}: cannot be written: {error}; .png has no limit") from error
    return f"Wrote {len(pixels)} image(s) of {dataset_info.name} in {shape[0]} columns: {out}"


def check_sheet(out: str | os.PathLike) -> None:
    """Raises UserError unless a picture's name tells its format: .png, .jpg, .jpeg or .webp."""
    if Path(out).suffix.lower() not in _SHEET_SUFFIXES:
        known = ", ".join(_SHEET_SUFFIXES)
        raise UserError(f"--out={out}: expected a file name that ends in one of {known}")


def stored(dataset: str, write: bool = True) -> DatasetInfo:
    """`inspect`, of a set that has files. Raises UserError for the synthetic one."""
    dataset_info = inspect(dataset, write=write)
    if dataset_info.path is None:
        raise UserError(f"{dataset}: has no files, it is made as it is read")
    return dataset_info


def extract(
    dataset: str,
    out: str | os.PathLike,
    *,
    workers: Optional[int] = None,
    max_images: Optional[int] = None,
    say: Callable[[str], None] = print,
) -> str:
    """Writes the images of the highest resolution as 000000.png …, in the order of the file: with
    more digits beyond a million.

    Labels go to `dataset.json`, as create_from_images reads it: numbers of classes, where every
    class occurs, else vectors. `out` must not exist yet, or be empty; it appears when complete.
    Returns what to tell, with the command that makes the set again. Raises UserError for a
    damaged record, naming it.
    """
    check_unused(out)  # before the built-in digits are written, if they are it
    dataset_info = stored(dataset)
    count = min(dataset_info.num_images, max_images or dataset_info.num_images)
    path = dataset_info.files[max(dataset_info.files)]
    with staged_directory(out) as directory:
        size = max(1, _CHUNK_BYTES // (dataset_info.channels * dataset_info.resolution**2))
        write = _Extract(path, directory, count)
        for _ in map_records(write, path, count, size, workers=workers, say=say):
            pass
        if dataset_info.labels_path:
            labels = np.array(open_labels(dataset_info.labels_path)[:count], np.float32)
            (directory / "dataset.json").write_text(_labels_json(labels), encoding="utf-8")
    source = shlex.quote(f"--source={out}")
    return (
        f"Wrote {count:,} image(s) of {dataset_info.name} to {out}\n"
        "This makes the same set again, as DIR: python dataset_tool.py create_from_images "
        f"{source} --out=DIR --channels={dataset_info.channels} --noshuffle"
    )


@dataclasses.dataclass
class _Extract:
    """Numbers of records → their images as files. Runs in workers."""

    path: str
    directory: Path
    count: int

    def __call__(self, numbers: range) -> None:
        for number in numbers:
            image = self._file.image(number).transpose(1, 2, 0)
            to_pil(image).save(self.directory / _png_name(number, self.count))

    @functools.cached_property
    def _file(self) -> ImageFile:
        return ImageFile(self.path)


def _png_name(number: int, count: int) -> str:
    """Of as many digits as the last of `count` names needs: sorted names are in order."""
    return f"{number:0{max(6, len(str(count - 1)))}d}.png"


def _labels_json(labels: np.ndarray) -> str:
    """The reader makes as many classes as the highest number says, hence the condition."""
    values: Any = labels.tolist()
    if is_one_hot(labels) and labels.any(axis=0).all():
        values = labels.argmax(axis=1).tolist()
    pairs = ([_png_name(number, len(values)), value] for number, value in enumerate(values))
    lines = ",\n".join(map(json.dumps, pairs))
    return f'{{"labels": [\n{lines}\n]}}\n'
