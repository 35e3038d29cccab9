"""Fetching ahead in a background thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Request = TypeVar("Request")
Result = TypeVar("Result")


def prefetch(
    requests: Iterable[Request], fetch: Callable[[Request], Result], depth: int = 3
) -> Generator[Result, None, None]:
    """Yields `fetch(request)` for every request, in order, computed up to `depth` ahead.

    `fetch` runs in one background thread, the `requests` are iterated in the caller's. What
    `fetch` raises is raised here, in the place of its result. The thread starts with the first
    result asked for and has ended when the generator is exhausted, closed, or has raised.
    """
    if depth < 1:
        raise ValueError(f"depth: expected at least 1, got {depth}")
    return _prefetch(requests, fetch, depth)


def _prefetch(requests, fetch, depth):
    pool = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
    pending: deque[Future] = deque()
    try:
        for request in requests:
            pending.append(pool.submit(fetch, request))
            if len(pending) > depth:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        # Waits for the fetch under way, if any; those not begun are dropped.
        pool.shutdown(wait=True, cancel_futures=True)
