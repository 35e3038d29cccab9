"""The one exception that means "the user can fix this"."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator


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
}


@contextlib.contextmanager
def explain_os_errors(action: str, path: str | os.PathLike) -> Iterator[None]:
    """Turns a full disk, missing permission and the like into `UserError`.

    `action` completes "cannot …", for example "write" or "create". Other errors pass through.
    """
    try:
        yield
    except OSError as error:
        # By name, because not every system has every code.
        reason = _EXPLAINED.get(errno.errorcode.get(error.errno, ""))
        if reason is None:
            raise
        raise UserError(f"cannot {action} {os.fspath(path)}: {reason}") from error


def exit_code(run: Callable[[list[str]], int], argv: list[str]) -> int:
    """Runs a command line and returns its exit code.

    A user's mistake, a full disk, too little memory and the like are one line on stderr and 2;
    Ctrl-C is 130.
    """
    try:
        return run(argv)
    except (UserError, OSError, MemoryError) as error:
        message = " ".join(str(error).split()) or "out of memory"
        print(f"{os.path.basename(argv[0])}: error: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
