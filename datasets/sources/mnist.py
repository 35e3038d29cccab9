"""MNIST in its published form, idx files: as it is, and three digits at a time as RGB."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from datasets.labels import one_hot
from datasets.sources.arrays import DEFLATE_RATIO, OpenedSource, map_file, read_stream
from dnnlib.errors import UserError

_IMAGES = "train-images-idx3-ubyte"
_LABELS = "train-labels-idx1-ubyte"
_SIZE = 28
_MARGIN = 2  # of zeros on each side, to 32×32
_MAX_COUNT = 1 << 20  # EMNIST, the largest of the kind, has 814,255


def read_idx(path: Path, dims: int) -> np.ndarray:
    """The bytes of an idx file, packed with gzip or not: uint8, `dims` dimensions, read-only.

    Raises UserError for damage, and for more than about a million entries.
    """
    data = map_file(path)
    header = 4 * (1 + dims)
    if data[:2].tobytes() == b"\x1f\x8b":
        try:
            with gzip.open(path) as file:
                shape = _idx_shape(file.read(header), dims, path)
                # One byte more than the header claims, to see whether there is more.
                size = min(math.prod(shape) + 1, len(data) * DEFLATE_RATIO)
                data = np.frombuffer(read_stream(file, size), np.uint8)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{path}: cannot be unpacked: {error}") from error
    else:
        shape = _idx_shape(data[:header].tobytes(), dims, path)
        data = data[header:]
    expected = math.prod(shape)
    if len(data) != expected:
        count = "more" if len(data) > expected else f"{len(data):,}"
        raise UserError(
            f"{path}: expected {expected:,} bytes after the header, for {list(shape)}, found "
            f"{count}; download it again"
        )
    return data.reshape(shape)


def _idx_shape(head: bytes, dims: int, path: Path) -> tuple[int, ...]:
    """The dimensions in an idx header."""
    magic = bytes([0, 0, 8, dims])  # 8: unsigned bytes
    if len(head) < 4 * (1 + dims) or not head.startswith(magic):
        raise UserError(
            f"{path}: expected an idx file that begins with {magic.hex()}, found {head[:4].hex()}"
        )
    shape = tuple(np.frombuffer(head, ">u4", dims, 4).tolist())
    if not 0 < shape[0] <= _MAX_COUNT or shape[1:] != (_SIZE, _SIZE)[: dims - 1]:
        wanted = ", ".join(["N", *["28"] * (dims - 1)])
        raise UserError(
            f"{path}: is {list(shape)}, expected [{wanted}] with N up to {_MAX_COUNT:,}"
        )
    return shape


def _find(directory: str | os.PathLike, name: str) -> Path:
    for path in (Path(directory, name), Path(directory, f"{name}.gz")):
        if path.is_file():
            return path
    raise UserError(f"{directory}: there is neither {name} nor {name}.gz, MNIST's file")


class _Digits(OpenedSource):
    """The 28×28 training images."""

    resolution = _SIZE + 2 * _MARGIN

    def __init__(self, directory: str | os.PathLike):
        self._path = _find(directory, _IMAGES)

    def _open(self) -> np.ndarray:
        return read_idx(self._path, 3)

    def _padded(self, numbers) -> np.ndarray:
        """uint8 [len(numbers), 32, 32]."""
        sides = (_MARGIN, _MARGIN)
        return np.pad(self.opened[numbers], [(0, 0), sides, sides])


class Mnist(_Digits):
    """MNIST's training images in `directory`, grey, padded with zeros from 28×28 to 32×32; the
    digits as labels. Raises UserError for files that are missing, damaged or do not fit."""

    name = "mnist"
    channels = 1

    def __init__(self, directory: str | os.PathLike):
        super().__init__(directory)
        path = _find(directory, _LABELS)
        numbers = read_idx(path, 1)
        if len(numbers) != len(self.opened):
            count = f"{len(self.opened):,} images"
            raise UserError(f"{path}: has {len(numbers):,} labels, {self._path.name} {count}")
        self.labels = one_hot(numbers, 10, str(path))

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, number: int) -> np.ndarray:
        return self._padded([number])


class MnistRgb(_Digits):
    """Images whose red, green and blue are three random digits of MNIST, padded to 32×32; no
    labels, not shuffled. The draws are the reference's: three for each image, in order."""

    name = "mnistrgb"
    channels = 3
    shuffled = False

    def __init__(self, directory: str | os.PathLike, num_images: int = 1_000_000, seed: int = 123):
        super().__init__(directory)
        if num_images < 1:
            raise UserError(f"num_images is {num_images}, expected at least 1")
        # All at once gives the numbers that one image after the other would draw.
        draws = np.random.RandomState(seed).randint(len(self.opened), size=(num_images, 3))
        self._draws = draws.astype(np.int32)

    def __len__(self) -> int:
        return len(self._draws)

    def read(self, number: int) -> np.ndarray:
        return self._padded(self._draws[number])
