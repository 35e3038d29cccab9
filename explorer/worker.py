"""The thread that owns TensorFlow: work in small steps, the latest of each kind, in turn for all.

Whoever asks has one waiting piece of work of each kind; a newer one takes its place. Pieces that
take long go on in steps, and others come in between, so that nobody waits for someone else's. Turns
go round the owners; what comes first of one owner's work is no matter of the others.
"""

from __future__ import annotations

import dataclasses
import itertools
import threading
import traceback
from collections.abc import Callable, Generator, Hashable
from typing import Any, Optional

Steps = Generator[None, None, Any]  # yields between steps, returns the result
PICTURES, DETAILS, IDLE = range(3)  # what comes first of an owner's; IDLE comes after all others'


@dataclasses.dataclass
class _Task:
    key: Hashable
    owner: Hashable
    rank: int
    make: Callable[[], Steps]
    tell: Callable[[Any], None]
    number: int
    steps: Optional[Steps] = None  # once it has begun
    wanted: bool = True


class Worker:
    """Runs tasks in a thread of its own until `close`."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, _Task] = {}
        self._served: dict[Hashable, int] = {}  # owner of tasks: the turn of its last step
        self._turn = 0  # the last one that was given
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._closing = False
        self._at_hand: Optional[_Task] = None
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._thread.start()

    def submit(
        self,
        owner: Hashable,
        kind: Hashable,
        make: Callable[[], Steps],
        tell: Callable[[Any], None],
        rank: int = PICTURES,
    ) -> None:
        """Adds a task, in place of what its owner has waiting of the same kind.

        make: begins it, in the thread. tell: gets the result, or the exception, in the thread; not
        called for a task that another one took the place of.
        """
        key = owner, kind
        with self._changed:
            if not self._closing:
                task = _Task(key, owner, rank, make, tell, next(self._numbers))
                self._tasks[key] = task
                # Who comes now is after those who wait, or newcomers could be all there is.
                self._served.setdefault(owner, self._turn)
                self._changed.notify()

    def forget(self, owner: Hashable) -> None:
        """Drops what waits for an owner."""
        with self._changed:
            self._tasks = {key: task for key, task in self._tasks.items() if task.owner != owner}
            self._served.pop(owner, None)
            if self._at_hand is not None and self._at_hand.owner == owner:
                self._at_hand.wanted = False

    def call(self, function: Callable[[], Any]) -> Any:
        """The result of a function in the thread; its exception is raised here."""
        done, owner = threading.Event(), object()
        results: list = []

        def steps() -> Steps:
            yield from ()
            return function()

        def tell(result: Any) -> None:
            results.append(result)
            done.set()

        self.submit(owner, "call", steps, tell)
        done.wait()
        self.forget(owner)
        if isinstance(results[0], BaseException):
            raise results[0]
        return results[0]

    def close(self, seconds: float = 30.0) -> None:
        """Ends the thread after the step at hand; waits for it, but not longer than that."""
        with self._changed:
            self._closing = True
            self._tasks.clear()
            self._changed.notify()
        self._thread.join(seconds)

    @property
    def waiting(self) -> int:
        """How many tasks there are."""
        with self._changed:
            return len(self._tasks)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._tasks and not self._closing:
                    self._changed.wait()
                if self._closing:
                    return
                self._at_hand = task = min(self._tasks.values(), key=self._order)
                self._turn += 1
                self._served[task.owner] = self._turn
                if task.steps is None:
                    # From here on a newer one waits beside it: pictures that are always replaced
                    # before they are done would be none at all.
                    del self._tasks[task.key]
            self._step(task)
            with self._changed:
                self._at_hand = None
                if not any(other.owner == task.owner for other in self._tasks.values()):
                    self._served.pop(task.owner, None)

    def _order(self, task: _Task) -> tuple:
        return task.rank == IDLE, self._served[task.owner], task.rank, task.number

    def _step(self, task: _Task) -> None:
        try:
            if task.steps is None:
                task.steps = task.make()
            next(task.steps)
        except StopIteration as end:
            self._finish(task, end.value)
        except Exception as error:
            self._finish(task, error)
        else:
            with self._changed:
                if task.wanted and not self._closing:
                    # Not in the place of a newer one, which it makes superfluous.
                    self._tasks.setdefault(task.key, task)

    def _finish(self, task: _Task, result: Any) -> None:
        with self._changed:
            if self._tasks.get(task.key) is task:
                del self._tasks[task.key]
        try:
            task.tell(result)
        except Exception:  # whoever cannot be told must not end the work of others
            traceback.print_exc()
