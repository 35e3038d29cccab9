"""One function over many tasks in worker processes: in order, in bounded memory."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import multiprocessing.connection
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, Optional

from dnnlib import terminal
from dnnlib.errors import UserError
from dnnlib.progress import Progress
from dnnlib.spawning import without_current_directory, worker_count

# A new interpreter for each worker: nothing of the parent's memory, threads and locks is copied.
_CONTEXT = multiprocessing.get_context("spawn")
_QUEUED = 2  # tasks of a worker: the one it works on, and the next, so that it need not wait
_AHEAD = 4  # finished or queued results for each worker, where the first in order is slow

try:
    import resource
except ImportError:  # Windows
    resource = None


def ordered_map(
    function: Callable[[Any], Any],
    tasks: Iterable[Any],
    *,
    workers: int,
    memory_gb: Optional[float] = None,
    describe: Callable[[Any], str] = str,
) -> Generator[Any, None, None]:
    """Yields `function(task)` for every task, in the order of the tasks.

    function: picklable; each worker has a copy, which may keep state between tasks. tasks: taken
    only a few ahead of what has been yielded; small when pickled. memory_gb: what a worker may
    allocate beyond what it has at its start; past that it meets MemoryError (no limit on systems
    without setrlimit, as Windows). describe: names a task in the message about a worker that died.

    A UserError or OSError of a task is raised at its place in the order. A worker that dies, by a
    crash in a decoder or for want of memory, is a UserError at once. Workers end with the iterator,
    and when this process is killed.
    """
    tasks = enumerate(tasks)
    finished: dict[int, tuple[str, Any]] = {}
    given = due = 0
    with contextlib.ExitStack() as stack:
        pool: list[_Worker] = []
        while True:
            # One more only where all others have work: few tasks start few processes.
            least = min((len(worker.pending) for worker in pool), default=_QUEUED)
            more = len(pool) < workers and least > 0
            if (more or least < _QUEUED) and given - due < _AHEAD * workers:
                item = next(tasks, None)
                if item is not None:
                    if more:
                        with _no_interrupts():
                            pool.append(_Worker(function, memory_gb, stack))
                    worker = min(pool, key=lambda worker: len(worker.pending))
                    worker.give(*item)
                    given += 1
                    continue
            if due == given:
                return
            if due in finished:
                yield _value(*finished.pop(due))
                due += 1
                continue
            busy: dict[Any, _Worker] = {w.connection: w for w in pool if w.pending}
            for connection in multiprocessing.connection.wait(busy):
                number, *result = busy[connection].take(describe)
                finished[number] = tuple(result)


def map_records(
    function: Callable[[range], Any],
    path: str,
    count: int,
    size: int,
    *,
    workers: Optional[int],
    say: Callable[[str], None],
    items: str = "images",
) -> Iterator[Any]:
    """`ordered_map` of the records 0 … count - 1, `size` at a time, with progress told by `say`.

    path: the file of the records, for the message about a worker that died at some of them.
    workers: None for one a core. items: a plural that names what is counted.
    """
    parts = [range(start, min(start + size, count)) for start in range(0, count, size)]
    results = ordered_map(
        function,
        parts,
        workers=worker_count(workers),
        describe=lambda part: f"{path}: records {part.start} to {part.stop - 1}",
    )
    with Progress(count, items, say=say) as progress:
        for result, part in zip(results, parts):
            yield result
            progress.update(len(part))


def _value(kind: str, value: Any) -> Any:
    if kind == "mistake":
        raise UserError(value)
    if kind == "system":
        raise value
    if kind == "bug":
        raise RuntimeError(f"in a worker process:\n{value}")
    return value


class _Worker:
    """One process, and what it has been given but not answered."""

    def __init__(self, function: Callable, memory_gb: Optional[float], stack):
        self.pending: deque[tuple[int, Any]] = deque()
        self._hint = "" if memory_gb is None else " (--memory_gb gives more)"
        self.connection, theirs = _CONTEXT.Pipe()
        stack.callback(self.connection.close)
        self._process = _CONTEXT.Process(
            target=_work, args=(theirs, function, memory_gb), daemon=True
        )
        with without_current_directory():
            self._process.start()
        theirs.close()
        stack.callback(self._process.join)
        stack.callback(self._process.terminate)

    def give(self, number: int, task: Any) -> None:
        self.pending.append((number, task))
        with contextlib.suppress(OSError):  # take() meets the dead worker
            self.connection.send(task)

    def take(self, describe: Callable[[Any], str]) -> tuple[int, str, Any]:
        """→ number of the task, kind of the result, result."""
        number, task = self.pending[0]
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode
            why = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise UserError(
                f"a worker process died ({why}: a crash, or the system was out of memory) at "
                f"{describe(task)}"
            ) from None
        self.pending.popleft()
        if kind == "memory":
            text = f"{describe(task)}: a worker process is out of memory{self._hint}"
            return number, "mistake", text
        return number, kind, value


def _work(connection, function: Callable, memory_gb: Optional[float]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    terminal.prepare()
    _end_with_parent()
    _keep_memory()
    if memory_gb is not None:
        _limit_memory(memory_gb)
    with contextlib.suppress(EOFError, ConnectionError):  # the parent is gone
        while True:
            task = connection.recv()
            try:
                connection.send(_result(function, task))
            except MemoryError:  # when it was pickled; nothing is sent by then
                connection.send(("memory", None))


def _result(function: Callable, task: Any) -> tuple[str, Any]:
    try:
        return "value", function(task)
    except MemoryError:
        return "memory", None
    except UserError as error:
        return "mistake", str(error)
    except OSError as error:  # plain, since not every kind of it can be pickled
        return "system", OSError(error.errno, error.strerror or str(error))
    except Exception:
        return "bug", traceback.format_exc()


def _end_with_parent() -> None:
    """Has the system kill this process with its parent, even while it waits for a slow disk.

    With the thread that started it, to be exact. Elsewhere than on Linux a worker ends when it
    next looks for a task.
    """
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _keep_memory() -> None:
    """Lets malloc use the memory of one image for the next.

    By default it gives large blocks back, and clearing fresh ones takes a third of a worker's
    time at 1024×1024.
    """
    if sys.platform.startswith("linux"):
        trim_threshold, mmap_threshold = -1, -3  # M_… of glibc's malloc.h
        with contextlib.suppress(OSError, AttributeError):  # another C library
            libc = ctypes.CDLL(None)
            libc.mallopt(trim_threshold, 1 << 30)
            if not libc.mallopt(mmap_threshold, 1 << 30):
                libc.mallopt(mmap_threshold, 1 << 25)  # the most that older versions take


@contextlib.contextmanager
def limited_memory(gigabytes: float) -> Iterator[None]:
    """Within, this process may allocate that much beyond what it has, and then meets MemoryError.

    On Linux only; elsewhere there is no limit. Workers that are started within have their own.
    """
    before = _limit_memory(gigabytes)
    try:
        yield
    finally:
        if before is not None:
            resource.setrlimit(resource.RLIMIT_DATA, before)


def _limit_memory(gigabytes: float) -> Optional[tuple[int, int]]:
    """→ the limits before, None where they cannot be set.

    Of allocated memory only: mapped files, as of databases, may be larger than memory.
    """
    if resource is None or not sys.platform.startswith("linux"):
        return None
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[5])
        limit = pages * resource.getpagesize() + int(gigabytes * 1e9)
        before = resource.getrlimit(resource.RLIMIT_DATA)
        hard = before[1]
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
        return before
    return None


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Puts Ctrl-C off, for the processes that are started here for good."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
