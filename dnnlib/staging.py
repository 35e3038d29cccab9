"""Directories that appear under their name whole, or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from dnnlib.atomic import TEMP_PREFIX, sync_directory
from dnnlib.errors import UserError, explain_os_errors, explain_write_errors
from dnnlib.locks import lock

_LOCK = ".lock"


def check_unused(directory: str | os.PathLike) -> Path:
    """Where `directory` is, links followed.

    Raises UserError where it is anything but absent or an empty directory that can be replaced.
    """
    given = Path(directory)
    with explain_os_errors("look into", given):
        path = Path(os.path.realpath(given))
        if given.is_symlink() and not path.exists():
            raise UserError(
                f"{given}: is a link to {path}, which does not exist; make that directory, and "
                "name one inside it"
            )
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise UserError(f"{given}: exists already and is not an empty directory")
        if os.path.ismount(path):
            raise UserError(
                f"{given}: is where a file system is mounted, which cannot be replaced; name a "
                "directory inside it"
            )
    return path


@contextlib.contextmanager
def staged_directory(directory: str | os.PathLike) -> Iterator[Path]:
    """Yields a temporary directory that becomes `directory` when the block succeeds.

    The temporary one is a sibling. When the block raises, Ctrl-C included, it is removed; what a
    killed process left is removed by the next that makes the same `directory` (except on systems
    without file locks, as Windows). The block closes and syncs what it writes.

    Raises UserError if `directory` is in use (see `check_unused`) or is being made by another
    process, and for a full disk, missing permission and the like.
    """
    directory = check_unused(directory)
    with explain_os_errors("create", directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(directory)
        temporary, lock_file = _make_locked(directory)
    try:
        with explain_write_errors(directory):
            yield temporary
            _publish(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        lock_file.close()


def _publish(temporary: Path, directory: Path) -> None:
    check_unused(directory)
    if directory.exists():
        directory.rmdir()  # empty; Windows does not rename onto it
    sync_directory(temporary)
    # The lock goes last: without it the set would look like one that a dead process left.
    temporary.rename(directory)
    (directory / _LOCK).unlink(missing_ok=True)
    sync_directory(directory.parent)


def _remove_stale(directory: Path) -> None:
    pattern = f"{TEMP_PREFIX}????????-{glob.escape(directory.name)}"
    for path in directory.parent.glob(pattern):
        if path.is_symlink() or not path.is_dir():
            continue  # not ours
        with contextlib.suppress(FileNotFoundError), open(path / _LOCK, "a") as file:
            ours = lock(file)
            if ours is False:
                raise UserError(f"{directory}: another process is writing it")
            if ours:
                shutil.rmtree(path, ignore_errors=True)


def _make_locked(directory: Path) -> tuple[Path, TextIO]:
    """A new temporary directory, and its lock file, which belongs to this process."""
    while True:
        path = directory.with_name(f"{TEMP_PREFIX}{secrets.token_hex(4)}-{directory.name}")
        path.mkdir()
        # Until it is locked, another process may take the directory for a dead one's.
        with contextlib.suppress(FileNotFoundError):
            file = open(path / _LOCK, "a")  # noqa: SIM115
            if lock(file) is not False and (path / _LOCK).exists():
                return path, file
            file.close()
