"""Ctrl-C while a program is still importing: one line and exit code 130, no traceback."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def end_at_once() -> None:
    """Until `as_usual`: there is nothing to clean up yet, and an import cannot be left halfway.

    For programs to call before their other imports.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored, as by `&`
        signal.signal(signal.SIGINT, _end)


def as_usual() -> None:
    """From here on Ctrl-C is a KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    try:
        os.write(2, f"{os.path.basename(sys.argv[0])}: interrupted\n".encode(errors="replace"))
    finally:
        os._exit(128 + number)
