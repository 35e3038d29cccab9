"""How many of some images copy, by distances alone: a threshold from real images, an interval.

Nothing here knows what the distances are of.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

QUANTILE = 0.01  # of the real images' distances: what is nearer counts as a copy
LEAST = 20  # real images without which there is no quantile to speak of
_Z = 1.959963984540054  # of a normal distribution, two-sided 95 %


@dataclasses.dataclass(frozen=True)
class CopyRate:
    """What `copy_rate` found. rate: share of images nearer than the threshold, less `expected`, the
    share of real images that are. low, high: a 95 % confidence interval of the rate."""

    rate: float
    low: float
    high: float
    nearer: int  # images nearer than the threshold
    images: int
    threshold: float
    expected: float
    reals: int

    @property
    def copies(self) -> bool:
        """Whether there are copies beyond what chance explains."""
        return self.low > 0


def copy_rate(distances: np.ndarray, real_distances: np.ndarray) -> CopyRate:
    """Of the distances [N] of images, and those [M] of reals, to their nearest training images.

    The threshold is the j-th smallest of the real ones, j = QUANTILE · (M + 1) rounded down, at
    least 1: another real image is below it with probability j / (M + 1), whatever the distribution.
    The interval is Newcombe's of a difference of two proportions (1998, method 10), of Wilson's
    intervals: that of few real images is as wide as it should be.
    """
    count, reals = len(distances), len(real_distances)
    rank = max(int(QUANTILE * (reals + 1)), 1)
    threshold = float(np.sort(real_distances)[rank - 1])
    expected = rank / (reals + 1)
    nearer = int((distances < threshold).sum())
    share = nearer / count
    low, high = wilson(nearer, count)
    # Known up to as many real images as it was taken of.
    expected_low, expected_high = wilson(rank, reals + 1)
    rate = share - expected
    return CopyRate(
        rate=rate,
        low=rate - math.hypot(share - low, expected_high - expected),
        high=rate + math.hypot(high - share, expected - expected_low),
        nearer=nearer,
        images=count,
        threshold=threshold,
        expected=expected,
        reals=reals,
    )


def wilson(count: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % confidence interval of a proportion (1927): what is there `count` times."""
    share, square = count / of, _Z * _Z
    centre = (share + square / (2 * of)) / (1 + square / of)
    half = _Z / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    return max(centre - half, 0.0), min(centre + half, 1.0)
