"""CIFAR-10 and CIFAR-100 in their published forms: Python pickles, and the binary version."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from datasets.labels import one_hot
from datasets.sources.arrays import OpenedSource, map_file
from dnnlib.errors import UserError
from dnnlib.pickles import arrays as array_pickle
from dnnlib.pickles.arrays import ArrayPickleError

_PIXELS = 3 * 32 * 32


class _Cifar(OpenedSource):
    """parts: the files of the training images, without a suffix; classes: how many there are;
    key: of the labels in pickles; label_bytes: before each image of binary files, the last the
    class."""

    resolution = 32
    channels = 3
    parts: tuple[str, ...]
    classes: int
    key: str
    label_bytes: int

    def __init__(self, directory: str | os.PathLike):
        names = [self.parts, [f"{part}.bin" for part in self.parts]]
        # Which form it is, the first file tells; that others are missing is then an error.
        names = next((form for form in names if Path(directory, form[0]).is_file()), None)
        if names is None:
            raise UserError(
                f"{directory}: there is neither {self.parts[0]} nor {self.parts[0]}.bin, a "
                f"file of {self.name}'s Python or binary version; unpack the .tar.gz and name its "
                "folder"
            )
        self._paths = [Path(directory, name) for name in names]
        parts = [self._part(path) for path in self._paths]
        self._opened = [images for images, _ in parts]
        self._ends = np.cumsum([len(images) for images in self._opened])
        self.labels = np.concatenate(
            [one_hot(part[1], self.classes, str(path)) for path, part in zip(self._paths, parts)]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, number: int) -> np.ndarray:
        part = int(np.searchsorted(self._ends, number, "right"))
        from_end = number - self._ends[part]
        return self.opened[part][from_end].reshape(3, 32, 32)

    def _open(self) -> list[np.ndarray]:
        """The images of each file, uint8 [N, 3072]."""
        images = [self._part(path)[0] for path in self._paths]
        if [len(part) for part in images] != np.diff(self._ends, prepend=0).tolist():
            raise UserError(f"{self._paths[0].parent}: the files changed during the conversion")
        return images

    def _part(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Images [N, 3072] and class numbers [N] of one file."""
        data = map_file(path)
        if path.suffix != ".bin":
            return self._pickled(path, data)
        size = self.label_bytes + _PIXELS
        if len(data) % size:
            raise UserError(
                f"{path}: has {len(data):,} bytes, no multiple of the {size:,} that an image of "
                f"{self.name} takes; truncated, or of another data set"
            )
        records = np.asarray(data).reshape(-1, size)
        return records[:, self.label_bytes :], records[:, self.label_bytes - 1]

    def _pickled(self, path: Path, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        try:
            entries = array_pickle.read(data)
        except ArrayPickleError as error:
            raise UserError(f"{path}: {error}") from error
        images: Any = entries.get("data")
        numbers: Any = entries.get(self.key)
        if not isinstance(images, np.ndarray) or images.shape[1:] != (_PIXELS,):
            raise UserError(f"{path}: expected an array 'data', uint8 [N, {_PIXELS}]")
        whole = isinstance(numbers, list) and all(isinstance(number, int) for number in numbers)
        if not whole or len(numbers) != len(images):
            raise UserError(f"{path}: expected {len(images):,} numbers as {self.key!r}")
        return images, np.array(numbers, np.int64)


class Cifar10(_Cifar):
    """CIFAR-10's training images, 32×32 RGB, 10 labels, from the folder with data_batch_1 … 5
    (or .bin). Raises UserError for files that are missing or damaged."""

    name = "cifar10"
    parts = tuple(f"data_batch_{number}" for number in range(1, 6))
    classes = 10
    key = "labels"
    label_bytes = 1


class Cifar100(_Cifar):
    """CIFAR-100's training images, 32×32 RGB, the 100 fine labels, from the folder with train
    (or train.bin). Raises UserError for files that are missing or damaged."""

    name = "cifar100"
    parts = ("train",)
    classes = 100
    key = "fine_labels"
    label_bytes = 2  # coarse, fine
