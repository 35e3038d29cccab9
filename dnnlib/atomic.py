"""Files that appear under their name whole, or not at all.

A reader, a crash or a full disk never meets half a file: the content goes to a temporary
sibling first, reaches the disk, and then takes the final name in one step.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from dnnlib.errors import explain_write_errors
from dnnlib.paths import check_output

TEMP_PREFIX = ".tmp-"


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary path beside `path` that becomes `path` when the block succeeds.

    The block writes (and closes) the yielded file. It keeps the suffix of `path`, because
    many writers choose their format by it. When the block raises, the file is removed and an
    existing `path` stays as it was. Missing parent directories are made.

    Raises UserError for a full disk, missing permission and the like, and where `path` is a pipe,
    socket or device, which stays.
    """
    path = Path(path)
    temp = path.with_name(f"{TEMP_PREFIX}{secrets.token_hex(4)}-{path.name}")
    with explain_write_errors(path):
        check_output(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temp
            _sync(temp)
            os.replace(temp, path)
        except BaseException:  # Ctrl-C as well
            with contextlib.suppress(OSError):
                temp.unlink()
            raise
        sync_directory(path.parent)


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Writes `data` to `path` atomically; errors as `atomic_path`."""
    with atomic_path(path) as temp:
        temp.write_bytes(data)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes `text` to `path` atomically, as UTF-8 with `\\n` line ends."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: str | os.PathLike, value: object) -> None:
    """Writes `value` to `path` atomically, as indented JSON (no NaN or infinity)."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # Bytes of a name that are no text become \udc.., which is JSON for what Python reads as them.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def clean_stale(directory: str | os.PathLike) -> list[Path]:
    """Removes temporary files that killed processes left in `directory`; returns their paths.

    Only for a directory in which no other process is writing now. Subdirectories are left alone.
    """
    removed = []
    for path in sorted(Path(directory).glob(TEMP_PREFIX + "*")):
        if path.is_file():
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _sync(path: Path) -> None:
    # Without this the rename can reach the disk before the content does.
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Brings what was made, renamed and removed in a directory to the disk, where that works.

    Some systems (Windows) and some file systems cannot; the files are whole there all the same.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
