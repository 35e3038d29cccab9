"""How far a long piece of work is: a bar on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
_LINE_SECONDS = 60.0


def progress(
    items: Iterable[Item], total: int, count: Callable[[Item], int], say: Callable[[str], None]
) -> Iterator[Item]:
    """Passes `items` on. total: images in all; count: of an item; say: shows a line."""
    terminal = sys.stderr.isatty()
    start = shown = time.perf_counter()
    done = 0
    with tqdm(total=total, unit=" images", disable=not terminal, leave=False) as bar:
        for item in items:
            yield item
            done += count(item)
            bar.update(count(item))
            now = time.perf_counter()
            if not terminal and now - shown >= _LINE_SECONDS and 0 < done < total:
                shown = now
                left = (now - start) / done * (total - done)
                say(f"{done:,} of {total:,} images, {left / 60:.0f} min to go")
