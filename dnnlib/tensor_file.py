"""Named arrays in one `.safetensors` file: no code inside, and complete or absent.

Snapshots and checkpoints are such files; their `format` metadata tells them apart. The metadata
also holds a CRC-32C of the whole file, header and names included; files of before have none.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import google_crc32c
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dnnlib.atomic import atomic_path
from dnnlib.errors import UserError
from dnnlib.paths import check_input

# Two keys, so that no damage to one name makes a file look like one of before.
_CHECKSUM, _CHECKED = "crc32c", "checksum"
_OPEN = "0" * 8  # in place of the checksum while it is computed
_IN_HEADER = re.compile(rb'"%s":"([0-9a-f]{8})"' % _CHECKSUM.encode())  # no text can hold this
_LENGTH_BYTES = 8  # at a file's start: the length of its header
_CHUNK = 1 << 22  # bytes
# By the format's names; of others the library itself tells whether NumPy has them.
_TYPES = {
    "BOOL": np.bool_,
    **{f"{kind}{8 * size}": f"{kind.lower()}{size}" for kind in "UI" for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": f"f{size}" for size in (2, 4, 8)},
}


class TensorFileError(ValueError):
    """A file that is damaged or of another format; says what is wrong, not which file."""


def save(
    path: str | os.PathLike, arrays: dict[str, np.ndarray], format: str, metadata: dict[str, str]
) -> None:
    """Writes arrays and text metadata atomically. Raises UserError (full disk, permission)."""
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with atomic_path(path) as partial:
        Path(partial).touch()
        mode = os.stat(partial).st_mode  # what the umask allows; the library writes 0600
        marks = {_CHECKSUM: _OPEN, _CHECKED: _CHECKSUM}
        save_file(arrays, partial, {"format": format, **metadata, **marks})
        _seal(partial)
        os.chmod(partial, mode)


class TensorFile:
    """An open file: its names and metadata; an array is read when it is asked for.

    Raises TensorFileError, also for one array, or OSError when the file cannot be read.
    """

    def __init__(self, path: str | os.PathLike, format: str) -> None:
        try:
            check_input(path)
        except UserError as error:
            raise TensorFileError(str(error)) from error
        with _explained():
            self._file = safe_open(str(path), framework="numpy")
            self.names = list(self._file.keys())
            self.metadata: dict[str, str] = self._file.metadata() or {}
        came = self.metadata.get("format")
        if came != format:
            raise TensorFileError(f"format {came!r}, expected {format!r}")
        if _CHECKSUM in self.metadata or _CHECKED in self.metadata:
            _verify(path)
            self.metadata = {
                key: text for key, text in self.metadata.items() if key not in (_CHECKSUM, _CHECKED)
            }

    def shape(self, name: str) -> tuple[int, ...]:
        """Of an array, by the file's header. Raises as `read` for a type that NumPy lacks."""
        with _explained():
            header = self._file.get_slice(name)
            if header.get_dtype()[:2] in ("F8", "F6", "F4"):
                self._file.get_tensor(name)
            return tuple(header.get_shape())

    def blank(self, name: str) -> np.ndarray:
        """Ones of an array's shape and type, by the file's header, which take no memory.

        Raises as `read`.
        """
        with _explained():
            header = self._file.get_slice(name)
            kind = _TYPES.get(header.get_dtype())
            if kind is None:
                return self._file.get_tensor(name)
            return np.broadcast_to(np.ones((), kind), header.get_shape())

    def read(self, name: str) -> np.ndarray:
        with _explained():
            return self._file.get_tensor(name)


def load(path: str | os.PathLike, format: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(arrays, metadata) of a whole file. Raises as TensorFile does."""
    file = TensorFile(path, format)
    return {name: file.read(name) for name in file.names}, file.metadata


def load_header(
    path: str | os.PathLike, format: str
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """As `load`, with ones that take no memory in place of the arrays."""
    file = TensorFile(path, format)
    return {name: file.blank(name) for name in file.names}, file.metadata


def _seal(path: Path) -> None:
    """Puts the checksum in its place in a file that has `_OPEN` there."""
    with open(path, "rb+") as file:
        position, _, computed = _checksums(file)
        file.seek(position)
        file.write(computed)


def _verify(path: str | os.PathLike) -> None:
    with open(path, "rb") as file:
        _, stored, computed = _checksums(file)
    if stored != computed:
        raise TensorFileError(
            "its checksum does not fit its content: it is damaged, or another program changed it"
        )


def _checksums(file: IO[bytes]) -> tuple[int, bytes, bytes]:
    """(where the checksum is, the one that is there, the one that belongs there)."""
    header = file.read(_LENGTH_BYTES)
    header += file.read(int.from_bytes(header, "little"))  # safetensors has bounded it
    place = _IN_HEADER.search(header)
    if place is None:
        raise TensorFileError("its checksum is missing: the file is damaged")
    start, end = place.span(1)
    checksum = google_crc32c.value(header[:start] + _OPEN.encode() + header[end:])
    while chunk := file.read(_CHUNK):
        checksum = google_crc32c.extend(checksum, chunk)
    return start, place[1], b"%08x" % checksum


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (SafetensorError, KeyError, TypeError, AttributeError) as error:
        raise TensorFileError(str(error) or type(error).__name__) from error
