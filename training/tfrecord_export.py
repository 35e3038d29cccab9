"""Writes multi-resolution TFRecord data sets (the format is described in training/dataset.py)."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path

import numpy as np

from dnnlib.atomic import atomic_path
from dnnlib.errors import UserError, explain_os_errors
from training.tfrecords import TFRecordWriter, encode_image


def choose_shuffled_order(count: int) -> np.ndarray:
    """The order in which the reference implementation writes `count` images: int64 [count].

    Always the same, so that a set made again is the same set.
    """
    order = np.arange(count, dtype=np.int64)
    np.random.RandomState(123).shuffle(order)
    return order


def box_halve(image: np.ndarray) -> np.ndarray:
    """Means of 2×2 pixels: float32 [C, H, W] → [C, H/2, W/2]."""
    rows = image[:, 0::2] + image[:, 1::2]
    return (rows[:, :, 0::2] + rows[:, :, 1::2]) * np.float32(0.25)


def directory_in_use(path: Path) -> bool:
    """Whether `path` is anything but absent or an empty directory."""
    return path.exists() and not (path.is_dir() and not any(path.iterdir()))


class MultiResolutionWriter:
    """Writes a data set directory that appears only when it is complete.

    A context manager. Call `add_image` for every image, in the order they shall be stored, and
    optionally `add_labels` once. Left normally, the finished set moves to `directory`; left by an
    exception, Ctrl-C included, nothing remains.

    Args:
        directory: must not exist yet, or be empty.
        name: prefix of the files, `NAME-r02.tfrecords` … and `NAME-rxx.labels`.

    Raises UserError for a `directory` in use, images that differ in size or are not square powers
    of two with 1 or 3 channels, a label count that differs, no images, a full disk.
    """

    def __init__(self, directory: str | os.PathLike, name: str):
        self.directory = Path(directory)
        self.name = name
        self.count = 0
        self.shape: tuple[int, ...] | None = None  # C, H, W of all images
        self._labels: np.ndarray | None = None
        self._writers: list[TFRecordWriter] = []  # full size first, 4×4 last
        if directory_in_use(self.directory):
            raise UserError(f"{self.directory}: exists already and is not an empty directory")
        temporary = f".tmp-{secrets.token_hex(4)}-{self.directory.name}"
        self._temporary = self.directory.absolute().parent / temporary
        self._stack = contextlib.ExitStack()

    def add_image(self, image: np.ndarray) -> None:
        """Appends a uint8 [C, H, W] image, in all resolutions down to 4×4."""
        if self.shape is None:
            self._start(image)
        if image.shape != self.shape or image.dtype != np.uint8:
            raise UserError(
                f"image {self.count} of {self.directory} is {image.dtype} {list(image.shape)}, "
                f"the ones before are uint8 {list(self.shape)} (channels, height, width)"
            )
        # Only what is written is rounded; the next resolution comes from the exact means.
        exact = image.astype(np.float32)
        for level, writer in enumerate(self._writers):
            if level:
                exact = box_halve(exact)
                image = np.rint(exact).clip(0, 255).astype(np.uint8)
            writer.write(encode_image(image))
        self.count += 1

    def add_labels(self, labels: np.ndarray) -> None:
        """Sets the labels, [count, label_size] of any numeric type, in the order of the images."""
        labels = np.asarray(labels, np.float32)
        if labels.ndim != 2:
            raise ValueError(f"labels: expected [count, label_size], got {list(labels.shape)}")
        self._labels = labels

    def __enter__(self):
        with explain_os_errors("create", self._temporary):
            self._temporary.mkdir(parents=True)
        return self

    def __exit__(self, kind, error, traceback):
        try:
            with explain_os_errors("write", self.directory):
                # Closes the files. They must see the exception so as not to wait for the disk.
                self._stack.__exit__(kind, error, traceback)
                if kind is None:
                    self._finish()
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _start(self, image: np.ndarray) -> None:
        shape = image.shape
        if image.dtype != np.uint8 or len(shape) != 3 or shape[0] not in (1, 3):
            raise UserError(
                "images must be uint8 [1 or 3 channels, height, width], "
                f"not {image.dtype} {list(shape)}"
            )
        size = shape[1]
        if size != shape[2] or size < 4 or size & (size - 1):
            raise UserError(
                f"images must be square with a power of two from 4 on, not {shape[2]}×{size}"
            )
        self.shape = shape
        for log2 in range(size.bit_length() - 1, 1, -1):
            path = self._temporary / f"{self.name}-r{log2:02d}.tfrecords"
            self._writers.append(self._stack.enter_context(TFRecordWriter(path)))

    def _finish(self) -> None:
        if not self.count:
            raise UserError(f"{self.directory}: there are no images to write")
        if self._labels is not None:
            if len(self._labels) != self.count:
                raise UserError(
                    f"{self.directory}: {len(self._labels)} labels for {self.count} images"
                )
            path = self._temporary / f"{self.name}-rxx.labels"
            with atomic_path(path) as temporary, open(temporary, "wb") as file:
                np.save(file, self._labels, allow_pickle=False)
        if self.directory.exists():
            self.directory.rmdir()  # empty; Windows does not rename onto it
        self._temporary.rename(self.directory)
