"""Fréchet distance between two sets of features, from their means and covariances.

Heusel et al. 2017 ("GANs trained by a two time-scale update rule"), equation 6.
"""

from __future__ import annotations

import dataclasses

import numpy as np

_BLOCK = 512  # features per update of the sums


@dataclasses.dataclass(frozen=True, eq=False)
class Statistics:
    """Mean [D] and covariance [D, D] (divided by count − 1) of `count` features, float64."""

    mean: np.ndarray
    covariance: np.ndarray
    count: int


class Moments:
    """Sums up features [N, D] as they come; takes the room of D² numbers, however many come.

    The sums are over blocks of a fixed size, so how the features are divided into calls of
    `add` makes no difference, not even to the last bit.
    """

    def __init__(self) -> None:
        self.count = 0
        self._waiting: list[np.ndarray] = []
        self._origin: np.ndarray | None = None

    def add(self, features: np.ndarray) -> None:
        """Adds features [N, D]."""
        for row in np.asarray(features):
            self._waiting.append(row)
            if len(self._waiting) == _BLOCK:
                self._sum_up()

    def statistics(self) -> Statistics:
        """Of everything added so far. Raises ValueError for fewer than two features."""
        if self._waiting:
            self._sum_up()
        if self.count < 2:
            raise ValueError(f"a covariance needs two features or more, not {self.count}")
        mean = self._sum / self.count
        scatter = self._products - np.outer(mean, mean) * self.count
        return Statistics(self._origin + mean, scatter / (self.count - 1), self.count)

    def _sum_up(self) -> None:
        block = np.stack(self._waiting).astype(np.float64)
        self._waiting.clear()
        if self._origin is None:
            # Far from zero the two sums would be large and their difference imprecise.
            self._origin = block.mean(axis=0)
            self._sum = np.zeros_like(self._origin)
            self._products = np.zeros([block.shape[1]] * 2)
        block -= self._origin
        self.count += len(block)
        self._sum += block.sum(axis=0)
        self._products += block.T @ block


def statistics(features: np.ndarray) -> Statistics:
    """Of features [N, D] that are all there."""
    moments = Moments()
    moments.add(features)
    return moments.statistics()


def over_n(statistics: Statistics) -> Statistics:
    """The same with the covariance divided by count, not by count − 1."""
    shrunk = statistics.covariance * ((statistics.count - 1) / statistics.count)
    return dataclasses.replace(statistics, covariance=shrunk)


def distance(one: Statistics, other: Statistics) -> float:
    """|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½).

    With factors Σ = A Aᵀ, the trace of the root is the sum of the singular values of A₁ᵀ A₂:
    real, and exact to rounding also where there are fewer features than dimensions and a root
    of the product itself loses half of its digits.
    """
    roots = np.linalg.svd(_factor(one).T @ _factor(other), compute_uv=False)
    shift = np.sum(np.square(one.mean - other.mean))
    spread = np.trace(one.covariance) + np.trace(other.covariance)
    return float(shift + spread - 2 * roots.sum())


def _factor(statistics: Statistics) -> np.ndarray:
    """A [D, rank] with A Aᵀ = Σ."""
    values, vectors = np.linalg.eigh(statistics.covariance)
    kept = values > 0  # below are roundings of 0
    return vectors[:, kept] * np.sqrt(values[kept])
