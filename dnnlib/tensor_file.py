"""Named arrays in one `.safetensors` file: no code inside, and complete or absent.

Snapshots and checkpoints are such files; their `format` metadata tells them apart.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dnnlib.atomic import atomic_path
from dnnlib.errors import UserError
from dnnlib.paths import check_input


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
        save_file(arrays, partial, {"format": format, **metadata})
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

    def shape(self, name: str) -> tuple[int, ...]:
        """Of an array, by the file's header. Raises as `read` for a type that NumPy lacks."""
        with _explained():
            header = self._file.get_slice(name)
            if header.get_dtype()[:2] in ("F8", "F6", "F4"):
                self._file.get_tensor(name)
            return tuple(header.get_shape())

    def read(self, name: str) -> np.ndarray:
        with _explained():
            return self._file.get_tensor(name)


def load(path: str | os.PathLike, format: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(arrays, metadata) of a whole file. Raises as TensorFile does."""
    file = TensorFile(path, format)
    return {name: file.read(name) for name in file.names}, file.metadata


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (SafetensorError, KeyError, TypeError, AttributeError) as error:
        raise TensorFileError(str(error) or type(error).__name__) from error
