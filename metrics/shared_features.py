"""Features of numbered images, computed once for all metrics of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

MOST_BYTES = 2 << 30  # of kept features; what lies beyond is computed again


class SharedFeatures:
    """Features [D] of images 0, 1, …, each a function of its number alone.

    compute: (start, count) → features [n, D] of numbers start … count − 1, a few at a time.
    minibatch: how many it makes at once. It is started at multiples of that, so that a number has
    the same place in a minibatch, and with it the same rounding, whoever asks for it.
    """

    def __init__(self, compute: Callable[[int, int], Iterator[np.ndarray]], minibatch: int) -> None:
        self._compute, self._minibatch = compute, minibatch
        self._kept: list[np.ndarray] = []
        self._bytes = 0

    def first(self, count: int, keep: bool) -> Iterator[np.ndarray]:
        """Yields the features of numbers 0 … count − 1, a few at a time.

        keep: for those who will ask for them again. Takes the room of MOST_BYTES at most.
        """
        position = 0
        for features in list(self._kept):
            yield features[: count - position]
            position += len(features)
            if position >= count:
                return
        start = position - position % self._minibatch
        known = position - start
        for features in self._compute(start, count):
            features, known = features[known:], 0
            keep = keep and self._bytes + features.nbytes <= MOST_BYTES
            if keep:
                self._kept.append(features)
                self._bytes += features.nbytes
            yield features


def rows(parts: Iterable[np.ndarray], numbers: np.ndarray) -> np.ndarray:
    """Some of the features that come as parts [n, D], in order: [len(numbers), D].

    numbers: theirs, ascending. Raises ValueError when the parts end before the last of them.
    """
    result, position = np.empty([0, 0]), 0
    for features in parts:
        stop = position + len(features)
        if not result.size:
            result = np.empty([len(numbers), features.shape[1]], features.dtype)
        low, high = np.searchsorted(numbers, [position, stop])
        result[low:high] = features[numbers[low:high] - position]
        position = stop
    if position <= numbers[-1]:
        raise ValueError(f"{position} features, expected more than {numbers[-1]}")
    return result
