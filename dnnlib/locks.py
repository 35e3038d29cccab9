"""Locks on files: at most one process holds one, and the system frees it when that process ends."""

from __future__ import annotations

from typing import IO, Optional

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def lock(file: IO, *, wait: bool = False) -> Optional[bool]:
    """Locks an open file until it is closed; returns whether the lock is ours.

    False: another process has it (with `wait`, that is waited for). None: there are no locks on
    this system or in this file system.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
