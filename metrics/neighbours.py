"""Which points of one set lie near points of another: precision and recall of manifolds.

Kynkäänniemi et al. 2019 ("Improved precision and recall metric for assessing generative models"),
equations 1 to 3. Distances are compared as exactly as if all were computed in float64 from the
points' differences, so that ties and duplicates fall on the right side: a matrix product tells
them up to its rounding, and what lies within that is computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Optional

import numpy as np

TILE = 2048  # points on each side of a block of distances
_SPARE = 4  # neighbours beyond the k-th that are computed again: rounding may have swapped them
_PAIRS = 1024  # distances computed again at once

Poll = Callable[[], object]  # called after each tile


def precision_and_recall(
    reals: np.ndarray, fakes: np.ndarray, k: int, poll: Poll = lambda: None
) -> tuple[float, float]:
    """(the share of fakes near a real, the share of reals near a fake) of points [N, D].

    Near is at most as far away as the k-th nearest of the point's own kind. Each kind has more
    than k points.
    """
    real_radii, fake_radii = (squared_radii(points, k, poll) for points in (reals, fakes))
    near_real, near_fake = np.zeros(len(fakes), bool), np.zeros(len(reals), bool)
    for these in _tiles(len(reals)):
        for those in _tiles(len(fakes)):
            squares, margin = _squares(reals[these], fakes[those])
            one = reals[these], real_radii[these], near_fake[these]
            other = fakes[those], fake_radii[those], near_real[those]
            _mark(squares.T, margin, one, other)
            _mark(squares, margin, other, one)
            poll()
    return float(near_real.mean()), float(near_fake.mean())


def number_of_tiles(reals: int, fakes: int) -> int:
    """How often `precision_and_recall` calls `poll`."""
    one, other = (-(-count // TILE) for count in (reals, fakes))
    return one * (one + 1) // 2 + other * (other + 1) // 2 + one * other


def squared_radii(points: np.ndarray, k: int, poll: Poll = lambda: None) -> np.ndarray:
    """Squared distances [N], float64, of points [N, D] to their k-th nearest other one."""
    kept = min(k + _SPARE, len(points) - 1)
    squares = np.full([len(points), kept], np.inf)
    numbers = np.zeros([len(points), kept], np.int64)
    for these in _tiles(len(points)):
        for those in _tiles(len(points)):
            if those.start < these.start:  # the other way round it was there already
                continue
            tile, _ = _squares(points[these], points[those])
            if these == those:
                np.fill_diagonal(tile, np.inf)
            _keep_nearest(squares[these], numbers[these], tile, those.start)
            if these != those:
                _keep_nearest(squares[those], numbers[those], tile.T, these.start)
            poll()
    for rows in _tiles(len(points), max(_PAIRS // kept, 1)):
        near = points[numbers[rows]]
        squares[rows] = _exact(points[rows][:, None], near)
    return np.sort(squares, axis=1)[:, k - 1]


class Nearest:
    """The k nearest to each of some points, among others that come a few at a time.

    squares [N, k], ascending: float64, squared distances; numbers [N, k]: theirs; infinite and -1
    where there were fewer.
    """

    def __init__(self, points: np.ndarray, k: int, own: Optional[np.ndarray] = None) -> None:
        """points: [N, D]. own: numbers [N] of what is each point itself, and no neighbour."""
        self._points, self._own = points, own
        self.squares = np.full([len(points), k], np.inf)
        self.numbers = np.full([len(points), k], -1, np.int64)

    def add(self, first: int, *views: np.ndarray) -> None:
        """Looks at others [M, D] of numbers from `first` on.

        views: of the same ones, several, as straight and mirrored: the nearest counts.
        """
        for rows in _tiles(len(self._points)):
            tiles = [_squares(self._points[rows], view)[0] for view in views]
            tile = np.maximum(np.minimum.reduce(tiles), 0)
            if self._own is not None:
                columns = self._own[rows] - first
                inside = np.flatnonzero((columns >= 0) & (columns < tile.shape[1]))
                tile[inside, columns[inside]] = np.inf
            squares, numbers = self.squares[rows], self.numbers[rows]  # views, changed in place
            _keep_nearest(squares, numbers, tile, first)
            order = np.argsort(squares, axis=1, kind="stable")
            squares[:] = np.take_along_axis(squares, order, axis=1)
            numbers[:] = np.take_along_axis(numbers, order, axis=1)


def _tiles(count: int, size: int = 0) -> Iterator[slice]:
    size = size or TILE
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _squares(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """(squared distances [N, M] of x [N, D] and y [M, D], how far they may be from right)."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    x_norms, y_norms = (np.einsum("nd,nd->n", v, v) for v in (x, y))
    squares = x @ y.T
    squares *= -2
    squares += x_norms[:, None]
    squares += y_norms
    # Sums of D products, each rounded: D half units in the last place of |x|² + |y|² at most.
    bound = 2 * (x.shape[1] + 4) * np.finfo(np.float64).eps * (x_norms.max() + y_norms.max())
    return squares, float(bound)


def _exact(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared distances [...] of x and y [..., D], which equal pairs have in common to the bit."""
    return np.square(x.astype(np.float64) - y).sum(axis=-1)


def _keep_nearest(squares: np.ndarray, numbers: np.ndarray, tile: np.ndarray, first: int) -> None:
    """Of kept squares and numbers [N, K] and a tile [N, M] of numbers from `first` on, keeps the K
    nearest, in place."""
    kept = squares.shape[1]
    if tile.shape[1] > kept:
        columns = np.argpartition(tile, kept - 1, axis=1)[:, :kept]
    else:
        columns = np.broadcast_to(np.arange(tile.shape[1]), tile.shape)
    both = np.concatenate([squares, np.take_along_axis(tile, columns, axis=1)], axis=1)
    all_numbers = np.concatenate([numbers, columns + first], axis=1)
    nearest = np.argpartition(both, kept - 1, axis=1)[:, :kept]
    squares[:] = np.take_along_axis(both, nearest, axis=1)
    numbers[:] = np.take_along_axis(all_numbers, nearest, axis=1)


Points = tuple[np.ndarray, np.ndarray, np.ndarray]  # points [N, D], squared radii [N], near [N]


def _mark(squares: np.ndarray, margin: float, around: Points, seen: Points) -> None:
    """Marks in seen[2] what lies within a radius of `around`.

    squares: [N of seen, N of around], right to margin.
    """
    (centres, radii, _), (points, _, near) = around, seen
    near |= (squares <= radii - margin).any(axis=1)
    rows, columns = np.nonzero((squares <= radii + margin) & ~near[:, None])
    for part in _tiles(len(rows), _PAIRS):
        open_ = ~near[rows[part]]
        row, column = rows[part][open_], columns[part][open_]
        inside = _exact(points[row], centres[column]) <= radii[column]
        near[row[inside]] = True
