"""How much memory a reader may take for a hostile file."""

import contextlib
import tracemalloc


@contextlib.contextmanager
def allocating_less_than(limit):
    """Fails unless what Python allocates within stays below `limit` bytes at any time."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit, f"{peak:,} bytes"
