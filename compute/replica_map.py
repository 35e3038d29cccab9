"""A map over numbers, divided over the replicas of a strategy; results come in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from compute.devices import Replicas
from compute.prefetch import prefetch
from dnnlib.progress import Progress


class Stopped(Exception):
    """A map was asked to stop before its end."""


def _no_arrays(numbers: np.ndarray) -> tuple[np.ndarray, ...]:
    return ()


class ReplicaMap:
    """Runs steps on numbers 0 … count − 1, on every replica a part of each minibatch.

    strategy: of this process alone. progress: whether to tell, on stderr, how far it is and what
    time is left. stop: asked now and then; when it is true, the map ends with `Stopped`.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        *,
        progress: bool = True,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.strategy, self.progress, self.stop = strategy, progress, stop
        self.replicas = Replicas(strategy)
        if self.replicas.num_workers > 1:  # their results would not be here
            raise ValueError("ReplicaMap divides over the devices of one process")
        self.seconds = 0.0  # that networks have taken: time spent waiting for steps

    def map(
        self,
        step: Callable[..., Any],
        count: int,
        minibatch: int,
        *,
        start: int = 0,
        fetch: Callable[[np.ndarray], tuple[np.ndarray, ...]] = _no_arrays,
        unit: str = "images",
    ) -> Iterator[tuple[np.ndarray, ...]]:
        """Yields what `step` makes of numbers start … count − 1, a few at a time: tuples of arrays
        [n, …].

        step: (numbers int32 [minibatch], *fetched) → a tuple of tensors [minibatch, …]; it becomes
        one graph. fetch: numbers → a tuple of arrays [n, …] for the step, read ahead in a thread.
        unit: what the numbers count, for people.
        What a step returns for a number should depend on that number alone: then neither the
        minibatch nor the replicas matter. The last minibatch is filled up with the first numbers.
        """
        total = self.replicas.total
        graph = tf.function(lambda *args: self.strategy.run(step, args), autograph=False)

        def get(first: int) -> tuple[np.ndarray, ...]:
            numbers = np.arange(first, first + minibatch * total) % count
            return numbers.astype(np.int32), *fetch(numbers)

        def run(arrays: tuple[np.ndarray, ...]) -> Any:
            parts = [
                self.replicas.distribute(
                    [tf.constant(part) for part in np.split(np.asarray(array), total)]
                )
                for array in arrays
            ]
            return graph(*parts)

        done, waiting = start, None
        with Progress(count - start, unit, self.progress) as progress:
            # One step ahead: while results are dealt with here, the device has work.
            for arrays in prefetch(range(start, count, minibatch * total), get):
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
        """Raises Stopped when the map was asked to stop."""
        if self.stop():
            raise Stopped

    def _arrays(self, results: tuple[Any, ...]) -> tuple[np.ndarray, ...]:
        local = self.strategy.experimental_local_results
        return tuple(np.concatenate([part.numpy() for part in local(item)]) for item in results)
