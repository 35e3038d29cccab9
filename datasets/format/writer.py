"""Writes multi-resolution TFRecord data sets (the format: datasets/format/reader.py)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from compute.box_means import box_halve
from datasets.format.tfrecords import encode_image, frame_record, is_resolution
from dnnlib.errors import UserError
from dnnlib.staging import check_unused, staged_directory


def choose_shuffled_order(count: int) -> np.ndarray:
    """The order in which the reference implementation writes `count` images: int64 [count].

    Always the same, so that a set made again is the same set.
    """
    order = np.arange(count, dtype=np.int64)
    np.random.RandomState(123).shuffle(order)
    return order


def check_shape(shape: Sequence[int]) -> None:
    """Raises UserError unless [channels, height, width] are those of a data set's images."""
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise UserError(f"images must have 1 or 3 channels, height and width, not {list(shape)}")
    size = shape[1]
    if size != shape[2] or not is_resolution(size):
        raise UserError(
            f"images must be square with a power of two from 4 on, not {shape[2]}×{size}"
        )


def encode_resolutions(image: np.ndarray) -> list[bytes]:
    """An image in all resolutions: uint8 [C, R, R] → records of R, R/2 … 4, with checksums.

    The bytes are those that the files hold, so a file is its records one after the other.
    """
    records = [frame_record(encode_image(image))]
    # Only what is written is rounded; the next resolution comes from the exact means.
    exact = image
    while exact.shape[1] > 4:
        exact = box_halve(exact)
        records.append(frame_record(encode_image(np.rint(exact).astype(np.uint8))))
    return records


def stored_bytes(shape: Sequence[int]) -> int:
    """What an image [channels, R, R] takes on disk in all resolutions."""
    return sum(map(len, encode_resolutions(np.zeros(shape, np.uint8))))


class MultiResolutionWriter:
    """Writes a data set directory that appears only when it is complete.

    A context manager. Call `add_image` for every image, in the order they shall be stored, or
    `add_records` with what other processes encoded, and optionally `add_labels` once. Left
    normally, the finished set moves to `directory`; left by an exception, Ctrl-C included,
    nothing remains.

    directory: must not exist yet, or be empty. name: prefix of the files, `NAME-r02.tfrecords` …
    and `NAME-rxx.labels`.
    Raises UserError for a `directory` in use, images that differ in size or are not square powers
    of two with 1 or 3 channels, a label count that differs, no images, a full disk.
    """

    def __init__(self, directory: str | os.PathLike, name: str):
        check_unused(directory)
        self.directory = Path(directory)
        self.name = name
        self.count = 0
        self.shape: tuple[int, ...] | None = None  # C, H, W of all images
        self.temporary: Path | None = None  # where the set is until it is complete
        self._labels: np.ndarray | None = None
        self._files: list[BinaryIO] = []  # full size first, 4×4 last
        self._stack = contextlib.ExitStack()

    def add_image(self, image: np.ndarray) -> None:
        """Appends a uint8 [C, H, W] image, in all resolutions down to 4×4."""
        if self.shape is None:
            check_shape(image.shape)
        elif image.shape != self.shape:
            raise UserError(
                f"image {self.count} of {self.directory} is {list(image.shape)}, "
                f"the ones before are {list(self.shape)} (channels, height, width)"
            )
        if image.dtype != np.uint8:
            raise UserError(
                f"image {self.count} of {self.directory} must be uint8, it is {image.dtype}"
            )
        self.add_records(image.shape, encode_resolutions(image), 1)

    def add_records(self, shape: tuple[int, ...], records: Sequence[bytes], count: int) -> None:
        """Appends `count` images [C, H, W]: for each resolution, from the full one on, what
        `encode_resolutions` made of them, joined."""
        if self.shape is None:
            self._start(shape)
        assert shape == self.shape, f"{shape} after {self.shape}"
        assert len(records) == len(self._files), f"{len(records)} resolutions"
        for file, data in zip(self._files, records):
            file.write(data)
        self.count += count

    def add_labels(self, labels: np.ndarray) -> None:
        """Sets the labels, [count, label_size] of any numeric type, in the order of the images."""
        labels = np.asarray(labels, np.float32)
        if labels.ndim != 2:
            raise ValueError(f"labels: expected [count, label_size], got {list(labels.shape)}")
        self._labels = labels

    def __enter__(self):
        self.temporary = self._stack.enter_context(staged_directory(self.directory))
        self._stack.push(self._finish)
        return self

    def __exit__(self, *exc_info):
        return self._stack.__exit__(*exc_info)

    def _start(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        for log2 in range(shape[1].bit_length() - 1, 1, -1):
            path = self.temporary / f"{self.name}-r{log2:02d}.tfrecords"
            file = open(path, "wb")  # noqa: SIM115
            self._files.append(self._stack.enter_context(file))

    def _finish(self, kind, error, traceback) -> None:
        """Completes the temporary directory, whose records are closed already."""
        if kind is not None:
            return
        if not self.count:
            raise UserError(f"{self.directory}: there are no images to write")
        if self._labels is not None:
            if len(self._labels) != self.count:
                raise UserError(
                    f"{self.directory}: {len(self._labels)} labels for {self.count} images"
                )
            with open(self.temporary / f"{self.name}-rxx.labels", "wb") as file:
                np.save(file, self._labels, allow_pickle=False)
        for path in self.temporary.iterdir():
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
