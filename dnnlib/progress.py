"""How far a long piece of work is, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Callable, Optional, TypeVar

from tqdm import tqdm

from dnnlib.terminal import raw

Item = TypeVar("Item")
_LINE_SECONDS = 60.0  # between two lines where there is no terminal


class Progress:
    """A bar on a terminal; elsewhere a line a minute. Both tell the time that is left.

    A context manager. total: how many `items`, named by a plural, there are in all. say: takes a
    line; by default it goes to stderr.
    """

    def __init__(
        self,
        total: int,
        items: str,
        shown: bool = True,
        say: Optional[Callable[[str], object]] = None,
    ) -> None:
        self.total, self.items, self.done = total, items, 0
        terminal = sys.stderr is not None and sys.stderr.isatty()
        self._bar = tqdm(
            total=total,
            desc=items,
            leave=False,
            disable=not (shown and terminal),
            file=raw(sys.stderr),
        )
        self._lines, self._say = shown and not terminal, say or _to_stderr
        self._started = self._told = time.monotonic()

    def update(self, count: int) -> None:
        """Adds to what is done."""
        self.done += count
        self._bar.update(count)
        now = time.monotonic()
        due = self._lines and now - self._told >= _LINE_SECONDS
        if due and 0 < self.done < self.total:
            self._told = now
            left = (now - self._started) / self.done * (self.total - self.done)
            left = format_time(left)
            self._say(f"{self.items}: {self.done:,} of {self.total:,}, about {left} left")

    def over(self, items: Iterable[Item], count: Callable[[Item], int]) -> Iterator[Item]:
        """Passes `items` on; count: how much of the work each is. Closes the bar at the end."""
        with self:
            for item in items:
                yield item
                self.update(count(item))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def format_time(seconds: float) -> str:
    """'7s', '1m 05s', '2h 03m 09s', '1d 02h 03m'."""
    s = round(seconds)
    if s < 60:
        return f"{s}s"
    if s < 3600:
        return f"{s // 60}m {s % 60:02d}s"
    if s < 86400:
        return f"{s // 3600}h {s // 60 % 60:02d}m {s % 60:02d}s"
    return f"{s // 86400}d {s // 3600 % 24:02d}h {s // 60 % 60:02d}m"
