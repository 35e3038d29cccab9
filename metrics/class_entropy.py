"""How sure a classifier is of each image, and how varied its classes are: Inception Score.

Salimans et al. 2016 ("Improved techniques for training GANs"), §4.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """ln p [N, C], float64, of logits [N, C]."""
    logits = logits.astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def scores(parts: Iterable[np.ndarray], count: int, splits: int) -> np.ndarray:
    """exp(mean of Σ p (ln p − ln p̄)) [splits], float64, of as many runs of consecutive rows.

    parts: ln p [n, C] of `count` rows in order, a few at a time. count: at least `splits`. Takes
    the room of splits · C numbers.
    """
    bounds = np.arange(splits + 1) * count // splits
    negative_entropies, position = np.zeros(splits), 0
    sums: np.ndarray | None = None
    for log_p in parts:
        p = np.exp(log_p)
        if sums is None:
            sums = np.zeros([splits, log_p.shape[1]])
        numbers = np.arange(position, position + len(log_p))
        split = np.searchsorted(bounds, numbers, side="right") - 1
        np.add.at(negative_entropies, split, _times_log(p, log_p).sum(axis=1))
        np.add.at(sums, split, p)
        position += len(log_p)
    if sums is None or position != count:
        raise ValueError(f"{position} rows, expected {count}")
    sizes = np.diff(bounds)
    means = sums / sizes[:, None]
    with np.errstate(divide="ignore"):
        of_means = _times_log(means, np.log(means)).sum(axis=1)
    return np.exp(negative_entropies / sizes - of_means)


def _times_log(p: np.ndarray, log_p: np.ndarray) -> np.ndarray:
    """p ln p, 0 for p = 0."""
    with np.errstate(invalid="ignore"):
        return np.where(p > 0, p * log_p, 0)
