"""TFRecord files of images, read and written without TensorFlow.

A TFRecord file is a sequence of `uint64 length, uint32 crc(length), bytes, uint32 crc(bytes)`,
little endian. Each record here is a `tf.train.Example` with the features `shape` (int64 list C, H,
W) and `data` (bytes, uint8 in C, H, W order). Files are not trusted: nothing is allocated by a size
that a file merely declares; what is wrong is reported as `DataError` with file and record index.
"""

from __future__ import annotations

import io
import os
import struct
import threading
from collections.abc import Iterator
from typing import Any

import google_crc32c
import numpy as np

from datasets.format.mistaken import explain_record
from dnnlib.errors import UserError
from dnnlib.file_kinds import HEAD, describe
from dnnlib.paths import check_input
from dnnlib.protobuf import Extent, WireError, bytes_field, encode_varint, fields, varint

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_OVERHEAD = _HEADER.size + _FOOTER.size
# Files of up to this many records are always indexed header by header (a few milliseconds).
_ALWAYS_WALK = 4096
_SAMPLED_HEADERS = 64
_MAX_TEMPLATES = 8


class DataError(UserError):
    """A data file is corrupt, truncated, or not what it should be. The message names it."""


def is_resolution(size: int) -> bool:
    """Whether a data set can have images of size × size: a power of two from 4 on."""
    return size >= 4 and not size & (size - 1)


def masked_crc(data: bytes) -> int:
    """The CRC-32C of `data` as TFRecord files store it (rotated, plus a constant)."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


# ---------------------------------------------------------------------------------------------
# tf.train.Example.


def _only_field(data: bytes, span: Extent, number: int, otherwise: str) -> Extent:
    """The byte string that is the one field of the message at `span`; `otherwise` is the error."""
    entries = list(fields(data, *span))
    if len(entries) != 1 or entries[0][0] != number or isinstance(entries[0][1], int):
        raise DataError(f"not a tf.train.Example of an image ({otherwise})")
    return entries[0][1]


def _int64_list(data: bytes, span: Extent) -> list[int]:
    values = []
    for number, value in fields(data, *span):
        if number != 1:
            raise DataError("not a tf.train.Example of an image ('shape' is not an int64 list)")
        if isinstance(value, int):
            values.append(value)
        else:  # "Packed": all numbers in one byte string.
            position, end = value
            while position < end:
                element, position = varint(data, position, end)
                values.append(element)
    return values


def find_image(record: bytes) -> tuple[tuple[int, int, int], int, int]:
    """→ ((C, H, W), start, stop): where in a serialized `tf.train.Example` the pixels are.

    Raises DataError if the bytes are anything else.
    """
    try:
        return _find_image(record)
    except WireError as error:
        raise DataError(f"not a tf.train.Example ({error})") from None


def _find_image(record: bytes) -> tuple[tuple[int, int, int], int, int]:
    features = {}
    for number, entry in fields(record, *_only_field(record, (0, len(record)), 1, "no features")):
        if number != 1 or isinstance(entry, int):
            raise DataError("not a tf.train.Example of an image (bad feature map)")
        parts: dict[int, Any] = dict(fields(record, *entry))
        if set(parts) != {1, 2} or any(isinstance(part, int) for part in parts.values()):
            raise DataError("not a tf.train.Example of an image (bad feature)")
        features[record[slice(*parts[1])]] = parts[2]
    for name in ("shape", "data"):
        if name.encode() not in features:
            _refuse_encoded(record, features)
            raise DataError(f"not an image: it has no feature {name!r}")
    shape_list = _only_field(record, features[b"shape"], 3, "'shape' is not an int64 list")
    shape = tuple(_int64_list(record, shape_list))
    data_list = _only_field(record, features[b"data"], 1, "'data' is not a bytes list")
    start, stop = _only_field(record, data_list, 1, "'data' is not one byte string")
    if len(shape) != 3 or shape[0] * shape[1] * shape[2] != stop - start:
        _refuse_encoded(record, features)
    if len(shape) != 3 or shape[0] * shape[1] * shape[2] != stop - start or start == stop:
        shown = ", ".join(map(str, shape[:8]))
        raise DataError(f"'shape' is [{shown}] (expected C, H, W), 'data' has {stop - start} bytes")
    return shape, start, stop


def _refuse_encoded(record: bytes, features: dict[bytes, Extent]) -> None:
    """Raises DataError where a feature is a list of encoded pictures."""
    strings = []
    for span in features.values():
        for number, part in fields(record, *span):
            if number == 1 and not isinstance(part, int):
                values = [value for kind, value in fields(record, *part) if kind == 1]
                strings += [record[slice(*one)] for one in values if not isinstance(one, int)]
    reason = explain_record(strings)
    if reason:
        raise DataError(reason)


def encode_image(image: np.ndarray) -> bytes:
    """The `tf.train.Example` of a uint8 [C, H, W] image. Raises ValueError for anything else."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.size == 0:
        raise ValueError(f"image: expected uint8 [C, H, W], got {image.dtype} {list(image.shape)}")
    int64_list = bytes_field(1, b"".join(map(encode_varint, image.shape)))
    shape = bytes_field(1, b"shape") + bytes_field(2, bytes_field(3, int64_list))
    bytes_list = bytes_field(1, image.tobytes())
    data = bytes_field(1, b"data") + bytes_field(2, bytes_field(1, bytes_list))
    return bytes_field(1, bytes_field(1, shape) + bytes_field(1, data))


# ---------------------------------------------------------------------------------------------
# Files.


class RecordFile:
    """Random access to the records of a TFRecord file; reading is thread-safe.

    Opening indexes the file: headers only, and of a large file of equal records (which is what
    image sets are) only a sample of them. Every read checks both checksums of its record.

    Raises DataError if the file cannot be opened or its record structure is broken.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = os.fspath(path)
        self._lock = threading.Lock()
        try:
            check_input(self.path)
            self._file = io.FileIO(self.path)
            self._size = os.fstat(self._file.fileno()).st_size
        except UserError as error:
            raise DataError(str(error)) from error
        except OSError as error:
            raise DataError(f"{self.path}: {error.strerror}") from error
        try:
            self._offsets = self._index()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def read(self, index: int) -> bytes:
        """Record `index`. Raises DataError if it is damaged, IndexError if there is none."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self.path}: no record {index}, there are {len(self)}")
        start, stop = int(self._offsets[index]), int(self._offsets[index + 1])
        raw = self._pread(stop - start, start)
        if len(raw) != stop - start or self._length(raw[: _HEADER.size]) != len(raw) - _OVERHEAD:
            raise self._error(index, "corrupt length")
        data = raw[_HEADER.size : -_FOOTER.size]
        if masked_crc(data) != _FOOTER.unpack_from(raw, len(raw) - _FOOTER.size)[0]:
            raise self._error(index, "corrupt data (checksum differs)")
        return data

    def checksums(self) -> Iterator[bytes]:
        """Yields length and stored checksum of every record, without reading the records."""
        for start, stop in zip(self._offsets[:-1], self._offsets[1:]):
            crc = self._pread(_FOOTER.size, int(stop) - _FOOTER.size)
            yield struct.pack("<Q", int(stop - start) - _OVERHEAD) + crc

    def close(self) -> None:
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _error(self, index: int, reason: object) -> DataError:
        return DataError(f"{self.path}: record {index}: {reason}")

    def _pread(self, size: int, offset: int) -> bytes:
        try:
            if hasattr(os, "pread"):
                return os.pread(self._file.fileno(), size, offset)
            with self._lock:  # Windows
                self._file.seek(offset)
                return self._file.read(size)
        except OSError as error:
            raise DataError(f"{self.path}: cannot read: {error.strerror}") from error

    @staticmethod
    def _length(header: bytes) -> int | None:
        """The record length a header holds, None if the header is not intact."""
        if len(header) < _HEADER.size:
            return None
        length, crc = _HEADER.unpack(header)
        return length if masked_crc(header[:8]) == crc else None

    def _index(self) -> np.ndarray:
        """The offset of every record, followed by the size of the file."""
        first = self._pread(_HEADER.size, 0)
        length = self._length(first)
        if length is not None:
            stride = length + _OVERHEAD
            count, rest = divmod(self._size, stride)
            # Walking 70,000 headers of a 200 GB file on a network disk takes minutes. If a sample
            # is equal, all are taken to be; a wrong guess surfaces as a corrupt length in read().
            if not rest and count > _ALWAYS_WALK:
                sample = np.linspace(1, count - 1, _SAMPLED_HEADERS, dtype=np.int64)
                if all(self._pread(len(first), int(i) * stride) == first for i in sample):
                    return np.arange(count + 1, dtype=np.int64) * stride
        return self._walk()

    def _walk(self) -> np.ndarray:
        offsets = [0]
        while offsets[-1] < self._size:
            length = self._length(self._pread(_HEADER.size, offsets[-1]))
            index = len(offsets) - 1
            if length is None:
                cut = offsets[-1] + _HEADER.size > self._size
                whole = index == 0 and not cut
                kind = describe(self._pread(HEAD, 0), self._size) if whole else None
                if kind:
                    raise DataError(f"{self.path}: is no TFRecord file but {kind}")
                raise self._error(index, "truncated" if cut else "corrupt length")
            if length + _OVERHEAD > self._size - offsets[-1]:
                raise self._error(index, "truncated")
            offsets.append(offsets[-1] + length + _OVERHEAD)
        return np.array(offsets, np.int64)


class ImageFile(RecordFile):
    """A TFRecord file of images. `image(i)` is record i as uint8 [C, H, W], read-only."""

    def __init__(self, path: str | os.PathLike):
        super().__init__(path)
        self._templates: list[tuple[int, bytes, bytes, tuple]] = []

    def image(self, index: int) -> np.ndarray:
        """Raises DataError if the record is not an intact image, IndexError if there is none."""
        record = self.read(index)
        # Parsing in Python would take most of the time for small images, and the bytes around the
        # pixels are always the same one or two variants: where they recur, so does the result.
        for length, head, tail, shape in self._templates:
            if len(record) == length and record.startswith(head) and record.endswith(tail):
                start, stop = len(head), length - len(tail)
                return np.frombuffer(record, np.uint8, stop - start, start).reshape(shape)
        try:
            shape, start, stop = find_image(record)
        except DataError as error:
            raise self._error(index, error) from None
        if len(self._templates) < _MAX_TEMPLATES:
            self._templates.append((len(record), record[:start], record[stop:], shape))
        return np.frombuffer(record, np.uint8, stop - start, start).reshape(shape)


def frame_record(record: bytes) -> bytes:
    """A record as it is in a file: length, its checksum, the record, its checksum."""
    length = struct.pack("<Q", len(record))
    checksums = [_FOOTER.pack(masked_crc(data)) for data in (length, record)]
    return b"".join((length, checksums[0], record, checksums[1]))
