"""Standard output and error, which never stop a program: any characters, closed, full, or gone.

What is printed may hold names and texts of files and servers. Control characters in them are
shown as escapes such as `\\x1b`, so that none of them moves the cursor, hides a line or gives the
terminal an order.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, Optional

MOST_SHOWN = 1000  # characters of a message; what is cut out is in its middle

# C0 but \t, \n and \r, DEL, C1, and what turns the direction of writing or ends a line.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)


def printable(text: str) -> str:
    """The text with control characters as escapes; line ends and tabs stay."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: object, most: int = MOST_SHOWN) -> str:
    """A message as one printable line of `most` characters at most.

    The beginning says what is wrong and the end what to do, so that a long value is cut between
    them.
    """
    line = printable(" ".join(str(text).split()))
    if len(line) <= most:
        return line
    end = most // 3
    return f"{line[: most - end - 3]} … {line[-end:]}"


def shown(value: object, most: int = 200) -> str:
    """How messages show a value: as Python writes it, `most` characters at most."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # numbers of thousands of digits
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= most else f"{text[:most]}…"


def raw(stream: Any) -> Any:
    """The stream itself, for bars that move the cursor."""
    return stream.stream if isinstance(stream, _Forgiving) else stream


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """Within, printing to stdout and stderr raises nothing; see the module.

    An output that cannot be written any more is named in one warning, but for a reader that has
    gone (`| head`), and then thrown away.
    """
    before = sys.stdout, sys.stderr
    streams = [_Forgiving(stream, number) for number, stream in zip((1, 2), before)]
    sys.stdout, sys.stderr = streams
    try:
        yield
    finally:
        for stream in streams:
            stream.flush()
        sys.stdout, sys.stderr = before


def prepare() -> None:
    """As `prepared` for good: for processes that work for a program."""
    prepared().__enter__()


class _Forgiving:
    """A text stream that takes all characters and never fails."""

    def __init__(self, stream: Any, number: int) -> None:
        if stream is None:  # `>&-`; a file opened later must not get the number
            stream = _occupied(number)
        if hasattr(stream, "reconfigure"):
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(errors="backslashreplace")
        self.stream, self.number, self.gone = stream, number, False

    def write(self, text: str) -> int:
        self._attempt("write", printable(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._attempt("flush")

    def isatty(self) -> bool:
        try:
            return not self.gone and self.stream.isatty()
        except (OSError, ValueError):
            return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def _attempt(self, method: str, *args: str) -> None:
        if self.gone:
            return
        try:
            getattr(self.stream, method)(*args)
        except (OSError, ValueError) as error:  # ValueError: the stream was closed
            self.gone = True
            _discard(self.stream)
            if self.number == 1 and not isinstance(error, BrokenPipeError):
                reason = getattr(error, "strerror", None) or str(error)
                print(f"warning: cannot write to standard output: {reason}", file=sys.stderr)


def _occupied(number: int) -> Any:
    """A stream to nowhere that has this file descriptor, where that is free."""
    descriptor: Optional[int] = os.open(os.devnull, os.O_RDWR)
    if descriptor != number and not _is_open(number):
        os.dup2(descriptor, number)
        os.close(descriptor)
        descriptor = number
    return open(descriptor, "w", encoding="utf-8", closefd=False)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _discard(stream: Any) -> None:
    """Sends what the stream still holds nowhere: Python would complain again at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
