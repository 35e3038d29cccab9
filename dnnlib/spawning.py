"""Processes that run Python again: how many, and how they are started."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Optional


def core_count() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def worker_count(asked: Optional[int] = None) -> int:
    """How many processes to start: one for each core, or as many as were asked for up to four for
    each (16 on small machines): more only take memory."""
    cores = core_count()
    return cores if asked is None else min(asked, max(4 * cores, 16))


@contextlib.contextmanager
def without_current_directory() -> Iterator[None]:
    """Processes that `multiprocessing` spawns within never import from the current directory.

    It starts them as `python -c`, which looks there first: for a moment, until the parent's
    sys.path arrives, any enum.py among a user's pictures would be run. The helper process
    that tracks semaphores is started so too.
    """
    # Python 3.9 and 3.10 do not know the variable, and multiprocessing has no way there to give
    # its children another option; changing the directory would change it for all threads.
    name = "PYTHONSAFEPATH"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
