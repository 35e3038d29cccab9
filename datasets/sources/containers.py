"""The files of a folder or of a zip file, by name."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

from datasets.sources.base import BadImage
from dnnlib.errors import UserError
from dnnlib.paths import check_input

MAX_FILE_BYTES = 256 << 20  # of one file: far beyond any real picture, little for a computer


def printable(name: str) -> str:
    """A file name for messages: line breaks, terminal codes and undecodable bytes escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def is_hidden(name: str) -> bool:
    """Whether a path is of a hidden file, or in a hidden folder; zips of Windows have '\\'.

    What macOS puts beside files, into zips and into folders on foreign disks, is hidden, too.
    """
    parts = name.replace("\\", "/").split("/")
    return any(
        part == "__MACOSX" or (part.startswith(".") and part not in (".", "..")) for part in parts
    )


class Folder:
    """All files below a directory.

    Links are followed, except into a directory that they are in: one that is linked twice counts
    twice, so what is found depends on nothing but the names.
    """

    def __init__(self, path: Path):
        self.path = path

    def names(self) -> list[str]:
        """Sorted relative paths with '/' between the parts, hidden ones left out."""
        names: list[str] = []
        pending: list[tuple[str, frozenset]] = [("", frozenset())]  # and the directories above
        while pending:
            prefix, above = pending.pop()
            try:
                status = os.stat(self.path / prefix)
                itself = status.st_dev, status.st_ino
                if itself in above:  # a loop of links
                    continue
                with os.scandir(self.path / prefix) as entries:
                    for entry in entries:
                        if is_hidden(entry.name):
                            continue
                        if _is_directory(entry):
                            pending.append((f"{prefix}{entry.name}/", above | {itself}))
                        else:
                            names.append(prefix + entry.name)
            except OSError as error:
                raise UserError(f"cannot list {self.path / prefix}: {error.strerror}") from error
        return sorted(names)

    def read(self, name: str) -> bytes:
        """The content of a file. Raises BadImage, naming it, when it cannot be read."""
        try:
            # Without waiting: a named pipe would never open.
            with open(self.path / name, "rb", opener=_open_without_waiting) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise BadImage(printable(name), "is not a regular file")
                return _read_limited(file, status.st_size, name)
        except OSError as error:
            raise BadImage(printable(name), "cannot be read: {}", error.strerror) from error


class ZipArchive:
    """The members of a zip file, which is never extracted: names in it are just names."""

    def __init__(self, path: Path):
        self.path = path
        self._opened: tuple[int, zipfile.ZipFile] | None = None

    def __getstate__(self):
        return {"path": self.path, "_opened": None}

    def names(self) -> list[str]:
        """Sorted names of the files, hidden ones left out."""
        infos = self._zip().infolist()
        names = sorted(i.filename for i in infos if not (i.is_dir() or is_hidden(i.filename)))
        for name, following in zip(names, names[1:]):
            if name == following:
                raise UserError(f"{self.path}: has two files named {printable(name)}")
        return names

    def read(self, name: str) -> bytes:
        """The content of a member. Raises BadImage, naming it, when it cannot be read."""
        archive = self._zip()
        try:
            info = archive.getinfo(name)
            if info.flag_bits & 1:
                raise BadImage(printable(name), "is encrypted")
            with archive.open(info) as file:
                return _read_limited(file, info.file_size, name)
        except BadImage:
            raise
        except Exception as error:  # of zlib, bz2, lzma, struct and more, where data are damaged
            came = " ".join(str(error).split()) or type(error).__name__
            raise BadImage(printable(name), "is damaged in {}: {}", self.path, came) from error

    def _zip(self) -> zipfile.ZipFile:
        # A forked process shares the file position with its parent, so it needs its own.
        if self._opened is None or self._opened[0] != os.getpid():
            try:
                self._opened = os.getpid(), zipfile.ZipFile(self.path)
            except OSError as error:
                raise UserError(f"cannot read {self.path}: {error.strerror or error}") from error
            except Exception as error:
                message = f"{self.path}: neither a folder nor an intact zip file: {error}"
                raise UserError(message) from error
        return self._opened[1]


def open_container(path: Path) -> Folder | ZipArchive:
    """The folder or zip file of that path. Raises UserError if there is none."""
    if not path.exists():
        raise UserError(f"{path}: no such folder or zip file")
    if path.is_dir():
        return Folder(path)
    check_input(path)
    return ZipArchive(path)


def _is_directory(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself; reading it will say so
        return False


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _read_limited(file, size: int, name: str) -> bytes:
    """`size`: what the file, or the zip's directory, which may lie, says it has."""
    if size > MAX_FILE_BYTES:
        limit = MAX_FILE_BYTES >> 20
        raise BadImage(printable(name), f"is larger than {limit} MiB, the limit")
    return file.read(size)  # no more, whatever comes: Python allocates what it is asked for
