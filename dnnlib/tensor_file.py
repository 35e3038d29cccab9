"""Named arrays in one `.safetensors` file: no code inside, and complete or absent.

Snapshots and checkpoints are such files; their `format` metadata tells them apart.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from dnnlib.atomic import atomic_path


class TensorFileError(ValueError):
    """A file that is damaged or of another format; says what is wrong, not which file."""


def save(path, arrays: dict[str, np.ndarray], format: str, metadata: dict[str, str]) -> None:
    """Writes arrays and text metadata atomically. Raises UserError (full disk, permission)."""
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    with atomic_path(path) as partial:
        Path(partial).touch()
        mode = os.stat(partial).st_mode  # what the umask allows; the library writes 0600
        save_file(arrays, partial, {"format": format, **metadata})
        os.chmod(partial, mode)


def load(path, format: str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(arrays, metadata). Raises TensorFileError, or OSError when the file cannot be read."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != format:
                raise TensorFileError(f"format {metadata.get('format')!r}, expected {format!r}")
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, AttributeError) as error:
        raise TensorFileError(str(error) or type(error).__name__) from error
