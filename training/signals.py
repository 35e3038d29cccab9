"""Stopping cleanly: signals that finish the iteration and save before the program ends.

Ctrl-C and SIGTERM; SIGHUP, of a terminal that closes; and SIGUSR1, by which batch systems warn
before their time limit.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import Any

# By name, because not every system has all of them.
_STOPPING = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
    if hasattr(signal, name)
]


class StopRequest:
    """A context manager; `signal` is None until one of them arrives, then its number.

    A second Ctrl-C stops at once, as usual. Outside the main thread, where Python forbids
    signal handlers, it only ever stays None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in _STOPPING:
                previous = signal.signal(number, self._handle)
                self._previous[number] = previous
                if previous == signal.SIG_IGN and signal.Signals(number).name == "SIGHUP":
                    signal.signal(number, previous)  # `nohup`: the run outlives its terminal
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: Any) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number
        # Straight to the file: print is not safe in a handler, and the reader may be gone.
        with contextlib.suppress(OSError):
            os.write(2, b"\nstopping after this iteration; saving ...\n")
