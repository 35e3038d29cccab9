"""Every path that a user gives: `~`, addresses, the cache directory, kinds of file."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import BinaryIO, Literal, Optional, Union

from dnnlib.errors import UserError, explain_os_errors

_CACHE_NAME = "stylegan-tf2"


def is_address(text: str) -> bool:
    """Whether a text is an address, as https://host/file, and not a path."""
    return "://" in text


def expand(path: Union[str, os.PathLike]) -> str:
    """`~` and `~name` at the beginning of a path become home directories.

    Addresses stay as they are, and so does `~name` where there is no such user: files may be
    called so. Raises UserError for `~` when no home directory is known.
    """
    text = os.fspath(path)
    if is_address(text) or not text.startswith("~"):
        return text
    if text == "~" or text.startswith(("~/", f"~{os.sep}")):
        home = _home()
        if home is None:
            raise UserError(f"{text}: no home directory is known: set HOME, or give the whole path")
        return home.rstrip(os.sep) + text[1:] or home
    return os.path.expanduser(text)


def absolute(path: Optional[str]) -> Optional[str]:
    """A path as it is found from every working directory; addresses and None stay as they are."""
    if path is None or is_address(path):
        return path
    return os.path.abspath(expand(path))


def cache_directory(chosen: Union[str, os.PathLike, None] = None) -> Path:
    """Where downloads, weights, statistics and the built-in digits are kept; it may not exist yet.

    It is `chosen`, else $STYLEGAN_CACHE_DIR, else stylegan-tf2 in $XDG_CACHE_HOME or ~/.cache.
    Raises UserError when none of them is known.
    """
    own = chosen or os.environ.get("STYLEGAN_CACHE_DIR")
    if own:
        return Path(expand(own))
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # the XDG specification says to ignore a relative one
        return Path(base, _CACHE_NAME)
    home = _home()
    if home is None:
        raise UserError(
            "no place for the cache, because no home directory is known: set HOME, or "
            "STYLEGAN_CACHE_DIR to a directory"
        )
    return Path(home, ".cache", _CACHE_NAME)


_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_input(path: Union[str, os.PathLike]) -> None:
    """Raises UserError for a directory, pipe, socket or device in place of a file to read.

    Opening a pipe would wait for ever. FileNotFoundError where there is nothing.
    """
    with explain_os_errors("read", path):
        _check_kind(path, os.stat(path).st_mode)


def open_input(path: Union[str, os.PathLike]) -> BinaryIO:
    """Opens a file of the user's for reading, without waiting; errors as of `check_input`."""
    with explain_os_errors("read", path):
        check_input(path)  # opening some devices does things
        return _open(path, "rb")


def read_input(path: Union[str, os.PathLike], most: int) -> bytes:
    """All of a file of the user's. Raises UserError where there is none, and for more than `most`
    bytes; others as of `check_input`."""
    try:
        with open_input(path) as file, explain_os_errors("read", path):
            data = file.read(most + 1)
    except FileNotFoundError as error:
        raise UserError(f"{os.fspath(path)}: no such file") from error
    if len(data) > most:
        raise UserError(f"{os.fspath(path)}: more than the {most:,} bytes allowed")
    return data


def check_output(path: Union[str, os.PathLike]) -> None:
    """Raises UserError for a pipe, socket or device in the place of a file to write.

    A file that takes its name would end it: for others who use it, or as /dev/null for all.
    """
    with contextlib.suppress(OSError):
        mode = os.lstat(path).st_mode  # of a link itself, which is replaced
        if not stat.S_ISDIR(mode):
            _check_kind(path, mode)


def open_to_append(path: Union[str, os.PathLike]) -> BinaryIO:
    """Opens a file for reading, and writing at its end, without waiting; made if there is none.

    Errors as of `check_input`, and UserError where nothing may be written.
    """
    with explain_os_errors("write", path):
        with contextlib.suppress(FileNotFoundError):
            check_input(path)
        return _open(path, "a+b")


def _open(path: Union[str, os.PathLike], mode: Literal["rb", "a+b"]) -> BinaryIO:
    """Opens it without waiting, and looks once more: it may be another one by now."""
    file = open(path, mode, opener=_open_without_waiting)  # noqa: SIM115
    try:
        _check_kind(path, os.fstat(file.fileno()).st_mode)
    except BaseException:
        file.close()
        raise
    return file


def _check_kind(path: Union[str, os.PathLike], mode: int) -> None:
    kind = _KINDS.get(stat.S_IFMT(mode))
    if kind:
        raise UserError(f"{os.fspath(path)} is {kind}, not a file")


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)


def is_pickle(path: Union[str, os.PathLike]) -> bool:
    """Whether a file starts as a pickle of protocol 2 to 5 does. Raises UserError or OSError."""
    with open_input(path) as file:
        start = file.read(2)
    return len(start) == 2 and start[0] == 0x80 and 2 <= start[1] <= 5


def _home() -> Optional[str]:
    """The user's home directory; None when neither HOME nor the system knows an absolute one.

    `os.path.expanduser` takes an empty HOME for the root directory, and leaves `~` as the name
    of a file where there is neither.
    """
    if "HOME" in os.environ and not os.path.isabs(os.environ["HOME"]):
        try:
            import pwd

            home = pwd.getpwuid(os.getuid()).pw_dir
        except (ImportError, KeyError):  # not POSIX; a user without an entry, as in containers
            return None
    else:
        home = os.path.expanduser("~")
    return home if os.path.isabs(home) else None
