"""Squared maximum mean discrepancy of two sets of features under a polynomial kernel.

Bińkowski et al. 2018 ("Demystifying MMD GANs"), §3 and §4: the unbiased estimate, over subsets.
"""

from __future__ import annotations

import numpy as np

SUBSETS = 100
SUBSET = 1000  # features of each set in a subset, at most

Draw = tuple[np.ndarray, np.ndarray]  # numbers of fakes and of reals, [m] each


def draw(
    seed: int, fakes: int, reals: int, subsets: int = SUBSETS, most: int = SUBSET
) -> list[Draw]:
    """Subsets of `fakes` and of `reals` features: without replacement, in the original's order."""
    rng, size = np.random.RandomState(seed), min(fakes, reals, most)
    return [
        (rng.choice(fakes, size, replace=False), rng.choice(reals, size, replace=False))
        for _ in range(subsets)
    ]


def numbers(draws: list[Draw], side: int) -> np.ndarray:
    """Those of the fakes (side 0) or reals (1) that occur in any subset, ascending."""
    return np.unique(np.concatenate([pair[side] for pair in draws]))


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Of features x [m, D] and y [m, D], in float64, for m of two or more; it may be negative."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    within = sum(kernel.sum() - np.trace(kernel) for kernel in (_kernel(x, x), _kernel(y, y)))
    count = len(x)
    return float(within / (count * (count - 1)) - 2 * _kernel(x, y).mean())


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3
