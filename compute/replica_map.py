"""Numbered work, divided over the replicas of a strategy; results come in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from compute.devices import Replicas
from compute.prefetch import prefetch
from dnnlib.progress import Progress


class Stopped(Exception):
    """The work was asked to stop before its end."""


class Work:
    """Runs steps on numbers 0 … count − 1, on every replica a part of each minibatch.

    strategy: of this process alone. progress: whether to tell, on stderr, how far it is and what
    time is left. stop: asked now and then; when it is true, the work ends with `Stopped`.
    """

    def __init__(
        self, strategy: tf.distribute.Strategy, *, progress: bool = True,
        stop: Callable[[], bool] = lambda: False,
    ):  # fmt: skip
        self.strategy, self.progress, self.stop = strategy, progress, stop
        self.replicas = Replicas(strategy)
        if self.replicas.num_workers > 1:  # their results would not be here
            raise ValueError("Work divides over the devices of one process")
        self.seconds = 0.0  # that networks have taken: time spent waiting for steps

    def map(
        self, step: Callable, count: int, minibatch: int, *,
        fetch: Callable[[np.ndarray], tuple] = lambda numbers: (), what: str = "images",
    ) -> Iterator[tuple[np.ndarray, ...]]:  # fmt: skip
        """Yields what `step` makes of all numbers, a few at a time: a tuple of arrays [n, …].

        step: (numbers int32 [minibatch], *fetched) → a tuple of tensors [minibatch, …]; it becomes
        one graph. fetch: numbers → a tuple of arrays [n, …] for the step, read ahead in a thread.
        What a step returns for a number should depend on that number alone: then neither the
        minibatch nor the replicas matter. The last minibatch is filled up with the first numbers.
        """
        total = self.replicas.total
        graph = tf.function(lambda *args: self.strategy.run(step, args), autograph=False)

        def get(start):
            numbers = np.arange(start, start + minibatch * total) % count
            return numbers.astype(np.int32), *fetch(numbers)

        def run(arrays):
            parts = [
                self.replicas.distribute(
                    [tf.constant(part) for part in np.split(np.asarray(array), total)]
                )
                for array in arrays
            ]
            return graph(*parts)

        done, waiting = 0, None
        with Progress(count, what, self.progress) as progress:
            # One step ahead: while results are dealt with here, the device has work.
            for arrays in prefetch(range(0, count, minibatch * total), get):
                self.check_stop()
                started = time.perf_counter()
                following = run(arrays)
                finished = None if waiting is None else self._arrays(waiting)
                self.seconds += time.perf_counter() - started
                waiting = following
                if finished is not None:
                    done += len(finished[0])
                    progress.update(len(finished[0]))
                    yield finished
            if waiting is not None:
                started = time.perf_counter()
                finished = self._arrays(waiting)
                self.seconds += time.perf_counter() - started
                progress.update(count - done)
                yield tuple(array[: count - done] for array in finished)

    def check_stop(self) -> None:
        """Raises Stopped when the work was asked to stop."""
        if self.stop():
            raise Stopped

    def _arrays(self, results):
        local = self.strategy.experimental_local_results
        return tuple(np.concatenate([part.numpy() for part in local(item)]) for item in results)
