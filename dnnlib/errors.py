"""The one exception that means "the user can fix this"."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Optional

from dnnlib import interrupts, terminal


class UserError(Exception):
    """A user's mistake or a condition of their machine, explained in one line.

    Command lines print the message to stderr, without a traceback, and exit with code 2.
    """


# The reasons for which writing fails on a correct program; anything else is a bug of ours.
_EXPLAINED = {
    "ENOSPC": "no space left on the device",
    "EDQUOT": "disk quota exceeded",
    "EACCES": "permission denied",
    "EPERM": "operation not permitted",
    "EROFS": "read-only file system",
    "EEXIST": "a file of that name is in the way",
    "EISDIR": "a directory of that name is in the way",
    "ENOTDIR": "a part of the path is not a directory",
    "ENAMETOOLONG": "the name is too long",
    "EFBIG": "the file would be larger than is allowed here",
    "EIO": "the device reports an input or output error",
    "ELOOP": "its links lead in a circle",
    "EMFILE": "too many files are open",
    "ENFILE": "too many files are open on this machine",
    "ESTALE": "the network file system has lost it",
    "ETXTBSY": "it is a program that is running",
    "ENXIO": "it is no file that can be opened",
}


@contextlib.contextmanager
def explain_os_errors(action: str, path: str | os.PathLike) -> Iterator[None]:
    """Turns a full disk, missing permission and the like into `UserError`.

    `action` completes "cannot …", for example "write" or "create". Other errors pass through.
    """
    try:
        yield
    except OSError as error:
        reason = _reason(error.errno)
        if reason is None:
            raise
        raise UserError(f"cannot {action} {os.fspath(path)}: {reason}") from error


@contextlib.contextmanager
def explain_write_errors(path: str | os.PathLike) -> Iterator[None]:
    """As `explain_os_errors` for writing, with libraries whose errors are of kinds of their own."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = disk_reason(error)
        if reason is None and isinstance(error, OSError) and error.errno is None:
            reason = str(error) or "unknown reason"  # a library's, which is about the file
        if reason is None:
            raise
        raise UserError(f"cannot write {os.fspath(path)}: {reason}") from error


def disk_reason(error: BaseException) -> Optional[str]:
    """Why the system refused to write, for people; None when `error` is about something else.

    Safetensors (SafetensorError), TensorFlow (OpError) and NumPy tell it in their text alone.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return _reason(error.errno)
    text = str(error)
    number = re.search(r"\(os error (\d+)\)", text)
    if number:
        return _reason(int(number[1])) or text
    if isinstance(error, OSError) and re.search(r"\d+ requested and \d+ written", text):
        return _EXPLAINED["ENOSPC"]  # NumPy's words for any write that was cut short
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS", "EIO", "EACCES"):
        code = getattr(errno, name, None)
        if code is not None and os.strerror(code).lower() in text.lower():
            return _EXPLAINED[name]
    return None


def _reason(code: Optional[int]) -> Optional[str]:
    # By name, because not every system has every code.
    return _EXPLAINED.get(errno.errorcode.get(code or 0, ""))


def exit_code(run: Callable[[list[str]], int], argv: list[str]) -> int:
    """Runs a command line and returns its exit code.

    A user's mistake, a full disk, too little memory and the like are one line on stderr and 2;
    Ctrl-C is 130. Nothing that is printed, or cannot be, decides the code (dnnlib/terminal.py).
    """
    interrupts.as_usual()
    with terminal.prepared():
        try:
            return run(argv)
        except (UserError, OSError, MemoryError) as error:
            message = str(error) or ("out of memory" if isinstance(error, MemoryError) else "")
        except KeyboardInterrupt:
            return 130
        except Exception as error:
            message = disk_reason(error) or ""
            if not message:
                raise
        message = terminal.one_line(message or "the system refused, without a reason")
        print(f"{os.path.basename(argv[0])}: error: {message}", file=sys.stderr)
        return 2
