"""SVHN in its published form: 32×32 crops in a MATLAB 5 file."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from datasets.labels import one_hot
from datasets.sources.arrays import DEFLATE_RATIO, OpenedSource, map_file, read_stream
from dnnlib.errors import UserError

# The MATLAB 5 format (MathWorks, "MAT-File Format"): a header, then elements of type, size, bytes.
_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {
    **{1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4"},
    **{7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"},
}
_NUMERIC_CLASSES = range(6, 16)  # double, single, and integers; no cells, structs and objects
_COMPLEX = 0x08
_MAX_PREFIX = 1 << 10  # of a matrix, before its numbers: flags, shape and name
_MAX_DIMS = 8
_PIECE = 1 << 16
_MAX_COUNT = 1 << 20  # SVHN's largest part, "extra", has 531,131 images

# Is called with name, dtype and shape of an array before it is unpacked; raises UserError if it is
# not wanted.
_Accept = Callable[[str, np.dtype, tuple[int, ...]], None]


def read_mat(
    path: str | os.PathLike, names: tuple[str, ...], accept: _Accept = lambda *_: None
) -> dict[str, np.ndarray]:
    """The numeric arrays of these names in a MATLAB 5 file (version 7 included), read-only.

    SciPy's reader allocates what a file claims, and reads nested objects recursively; this one
    does neither. Arrays that are not compressed are mapped.
    Raises UserError for a damaged file, one of another version, and arrays missing in it.
    """
    data = map_file(path)
    if data[124:128].tobytes() != b"\x00\x01IM":
        raise UserError(
            f"{path}: not a MATLAB 5 file from a little-endian machine, or its beginning is damaged"
        )
    arrays: dict[str, np.ndarray] = {}
    try:
        for kind, body in _elements(data):
            name, values = _named(kind, body, names, accept)
            if name:
                arrays[name] = values
            if len(arrays) == len(names):
                return arrays
    except (_Damaged, zlib.error) as error:
        raise UserError(f"{path}: damaged or truncated: {error}") from error
    missing = next(name for name in names if name not in arrays)
    raise UserError(f"{path}: has no array {missing!r}")


class _Damaged(Exception):
    pass


def _elements(data: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The elements at the top level: (type, bytes)."""
    position = _HEADER
    while position < len(data):
        if len(data) - position < 8:
            raise _Damaged("it ends inside an element's header")
        kind, size = np.frombuffer(data[position : position + 8].tobytes(), "<u4").tolist()
        position += 8
        if size > len(data) - position:
            raise _Damaged(f"an element of {size:,} bytes, {len(data) - position:,} are left")
        yield kind, data[position : position + size]
        position += size


def _named(kind: int, body: np.ndarray, names, accept: _Accept) -> tuple[str, np.ndarray]:
    """Name and values of an element; no name if it is none of `names`."""
    if kind == _MATRIX:
        name, dtype, shape, start = _prefix(body[:_MAX_PREFIX].tobytes(), len(body))
        if name not in names:
            return "", body
        accept(name, dtype, shape)
        size = math.prod(shape) * dtype.itemsize
        return name, body[start : start + size].view(dtype).reshape(shape, order="F")
    if kind != _COMPRESSED:
        raise _Damaged(f"an element of type {kind}")
    unpacked = _Unpacked(memoryview(body))
    data = read_stream(unpacked, 8 + _MAX_PREFIX)
    inner, size = np.frombuffer(bytes(data[:8]).ljust(8, b"\0"), "<u4").tolist()
    if inner != _MATRIX or size > len(body) * DEFLATE_RATIO:
        raise _Damaged("a compressed element that is no array, or of impossible size")
    name, dtype, shape, start = _prefix(bytes(data[8:]), size)
    if name not in names:
        return "", body
    accept(name, dtype, shape)
    read_stream(unpacked, 8 + size, data)
    if len(data) != 8 + size or unpacked.read(1) or not unpacked.complete:
        raise _Damaged("a compressed element of another size, or without its checksum")
    stop = start + math.prod(shape) * dtype.itemsize
    values = np.frombuffer(data, np.uint8)[8:][start:stop].view(dtype)
    return name, values.reshape(shape, order="F")


class _Unpacked:
    """A zlib stream, read piece by piece: zlib copies all input that it has not used yet."""

    def __init__(self, packed: memoryview):
        self._packed, self._rest = packed, b""
        self._unpacker = zlib.decompressobj()

    @property
    def complete(self) -> bool:
        """Whether the end was reached and the checksum was right."""
        return self._unpacker.eof

    def read(self, size: int) -> bytes:
        while True:
            piece = self._unpacker.decompress(self._rest, size)
            self._rest = self._unpacker.unconsumed_tail
            if piece or self._unpacker.eof or not (self._rest or self._packed):
                return piece
            if not self._rest:
                self._rest, self._packed = self._packed[:_PIECE], self._packed[_PIECE:]


def _prefix(head: bytes, size: int) -> tuple[str, np.dtype, tuple[int, ...], int]:
    """→ name, dtype, shape, and where the numbers begin, of a matrix of `size` bytes.

    Of one that is not numeric the name is empty.
    """
    _, flags, position = _part(head, 0)
    if len(flags) != 8:
        raise _Damaged("an array without flags")
    if flags[0] not in _NUMERIC_CLASSES or flags[1] & _COMPLEX:
        return "", np.dtype("u1"), (0,), 0
    _, dims, position = _part(head, position)
    _, name, position = _part(head, position)
    shape = np.frombuffer(dims[: len(dims) // 4 * 4], "<i4").tolist()
    if not 2 <= len(shape) <= _MAX_DIMS or min(shape) < 0:
        raise _Damaged("an array without a valid shape")
    kind, stored, position = _tag(head, position)
    if kind not in _NUMBERS:
        raise _Damaged(f"an array with numbers of type {kind}")
    dtype = np.dtype(_NUMBERS[kind])
    # Nothing but up to seven bytes of padding may follow.
    if stored != math.prod(shape) * dtype.itemsize or not 0 <= size - position - stored < 8:
        raise _Damaged(f"an array {shape} of {dtype} with {stored:,} of {size - position:,} bytes")
    return name.decode("ascii", "replace"), dtype, tuple(shape), position


def _tag(head: bytes, position: int) -> tuple[int, int, int]:
    """→ type, size and position of the bytes of a part."""
    if position + 8 > len(head):
        raise _Damaged("it ends inside an array's header")
    kind, size = np.frombuffer(head, "<u4", 2, position).tolist()
    if kind >> 16:  # type and size in four bytes, up to four more follow
        return kind & 0xFFFF, min(kind >> 16, 4), position + 4
    return kind, size, position + 8


def _part(head: bytes, position: int) -> tuple[int, bytes, int]:
    """→ type and bytes of a part, and the position after it, a multiple of eight."""
    kind, size, position = _tag(head, position)
    if size > len(head) - position:
        raise _Damaged("it ends inside an array's header")
    return kind, head[position : position + size], -(-(position + size) // 8) * 8


class Svhn(OpenedSource):
    """SVHN's training images, `train_32x32.mat` in `directory`: 32×32 RGB, 10 labels, the digits.

    Takes 225 MB in each process if, as published, the file is compressed. Raises UserError for a
    file that is missing, damaged or holds something else.
    """

    name = "svhn"
    resolution = 32
    channels = 3

    def __init__(self, directory: str | os.PathLike):
        self._path = Path(directory, "train_32x32.mat")
        if not self._path.is_file():
            raise UserError(f"{directory}: there is no {self._path.name}, SVHN's training images")
        arrays = read_mat(self._path, ("X", "y"), self._accept)
        self._opened = images = arrays["X"].transpose(3, 2, 0, 1)
        numbers = arrays["y"]
        if numbers.shape != (len(images), 1) or not np.isin(numbers, np.arange(1, 11)).all():
            raise UserError(
                f"{self._path}: 'y' is {numbers.dtype} {list(numbers.shape)}, expected "
                f"[{len(images)}, 1] with 1 to 10, one for each image"
            )
        digits = numbers[:, 0].astype(np.int64) % 10  # 10 stands for 0
        self.labels = one_hot(digits, 10, str(self._path))

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, number: int) -> np.ndarray:
        return np.ascontiguousarray(self.opened[number])

    def _open(self) -> np.ndarray:
        return read_mat(self._path, ("X",), self._accept)["X"].transpose(3, 2, 0, 1)

    def _accept(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> None:
        if name == "X":
            wanted, count = "uint8 [32, 32, 3, N]", shape[-1]
            good = dtype == np.uint8 and shape == (32, 32, 3, count)
        else:
            wanted, count = "[N, 1]", shape[0]
            good = shape == (count, 1)
        if not good or not 0 < count <= _MAX_COUNT:
            raise UserError(
                f"{self._path}: {name!r} is {dtype} {list(shape)}, expected {wanted} with N from 1 "
                f"to {_MAX_COUNT:,}"
            )
