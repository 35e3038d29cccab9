"""Images that a data set has more than once: exact copies, near copies, mirrored ones.

What may be a copy is looked for among 8×8 thumbnails, by locality-sensitive hashing (Charikar
2002): signs of random projections in bands, so that only images that agree in a band are compared.
70,000 images take seconds, where comparing all pairs would take hours. What is found so is then
compared pixel by pixel, at 32×32 after a move by up to a pixel of 128×128, and exact copies at full
size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np

SIDE = 8  # pixels of thumbnails, height and width
COMPARED = 32  # pixels of what is compared, height and width ...
MOVED = 128  # ... after it was moved at so many, or fewer where there are no more
ALIKE = 0.88  # correlation of thumbnails from which on images are compared
# The part of an image that another does not explain, √(1 - r²), below which they are copies. Of the
# two most similar of 1,797 digits it is 0.089; where noise of 5 levels is added to them, 0.05.
DIFFERENT = 0.085
_MAYBE = 0.8  # and below this before one of them is moved
_BANDS = 16
_LEAST_BITS = 10  # of a band; as many as there are images, in powers of two, where that is more
_BLOCK = 128  # thumbnails that are compared with each other, at the least
_LARGEST_BLOCK = 512  # ... and at the most, where more agree in a band
_CHUNK = 4096  # images at once
_NEAREST = 4  # of those that agree with an image in a band, so many are taken
_MOST_PAIRS = 200_000  # that are compared

# (numbers [N], height and width) → images, uint8 [N, H, W, C]; smaller where there are no such.
Read = Callable[[np.ndarray, int], np.ndarray]


class Groups:
    """Numbers 0 … count − 1, some of them in one group (union-find)."""

    def __init__(self, count: int) -> None:
        self._parents = np.arange(count)

    def first(self, number: int) -> int:
        """The number that stands for the group."""
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return int(number)

    def join(self, one: int, other: int) -> None:
        first, second = sorted((self.first(one), self.first(other)))
        self._parents[second] = first

    def lists(self) -> list[list[int]]:
        """The groups of two or more, ascending."""
        members: dict[int, list[int]] = {}
        for number in np.flatnonzero(self._parents != np.arange(len(self._parents))):
            first = self.first(int(number))
            members.setdefault(first, [first]).append(int(number))
        return [sorted(members[first]) for first in sorted(members)]


def thumbnails(images: np.ndarray) -> np.ndarray:
    """uint8 [N, R, R, C] → uint8 [N, 8, 8, C], or as they are where they are smaller."""
    return np.rint(_means(images, max(images.shape[1] // SIDE, 1))).astype(np.uint8)


def exact_groups(
    thumbs: np.ndarray, numbers: np.ndarray, read: Callable[[np.ndarray], np.ndarray]
) -> list[list[int]]:
    """Groups of equal images. thumbs: of all; numbers: those to look at; read: at full size."""
    rows = np.ascontiguousarray(thumbs[numbers].reshape(len(numbers), -1))
    _, kinds, counts = np.unique(
        rows.view(f"V{rows.shape[1]}"), return_inverse=True, return_counts=True
    )
    candidates = numbers[counts[kinds.reshape(-1)] > 1]
    groups: dict[bytes, list[int]] = {}
    for number in candidates:
        image = read(np.array([number]))[0]
        digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        groups.setdefault(digest, []).append(int(number))
    return sorted(group for group in groups.values() if len(group) > 1)


def near_groups(
    thumbs: np.ndarray, numbers: np.ndarray, read: Read
) -> tuple[list[list[int]], list[list[int]]]:
    """Groups of near copies, and of images that are so when one of them is mirrored, too.

    thumbs: of all; numbers: those to look at, without exact copies and images of one colour.
    """
    chosen = thumbs[numbers]
    straight, turned = Groups(len(thumbs)), Groups(len(thumbs))
    pairs = similar_pairs(chosen)
    both = similar_pairs(np.concatenate([chosen, chosen[:, :, ::-1]]), split=len(chosen))
    for mirrored, groups, candidates in (False, straight, pairs), (True, turned, both):
        for one, other in _compared(numbers[candidates], groups, read, mirrored):
            groups.join(one, other)
    near = straight.lists()
    known = {number: place for place, group in enumerate(near) for number in group}
    # What is a near copy as it is need not be told again.
    fresh = [
        group
        for group in turned.lists()
        if len({known.get(number, ("alone", number)) for number in group}) > 1
    ]
    return near, fresh


def _compared(
    pairs: np.ndarray, groups: Groups, read: Read, mirrored: bool
) -> Iterator[tuple[int, int]]:
    """Those pairs of numbers [P, 2] that are near copies; not those that are in a group by then."""
    for start in range(0, min(len(pairs), _MOST_PAIRS), _CHUNK // 4):
        part = pairs[start : min(start + _CHUNK // 4, _MOST_PAIRS)]
        part = np.array([pair for pair in part if groups.first(pair[0]) != groups.first(pair[1])])
        if len(part):
            for side in COMPARED, MOVED:
                ones, others = read(part[:, 0], side), read(part[:, 1], side)
                apart = difference(ones, others[:, :, ::-1] if mirrored else others, side == MOVED)
                yield from part[apart < DIFFERENT].tolist()
                part = part[(apart >= DIFFERENT) & (apart < _MAYBE)]
                if not len(part):
                    break


def difference(ones: np.ndarray, others: np.ndarray, moved: bool = True) -> np.ndarray:
    """What images do not explain of others, √(1 - r²), [N]: 0 for equal ones, 1 for unrelated.

    ones, others: [N, H, W, C]. r is their correlation at 32×32, which brightness and contrast do
    not change. moved: the best one where one of them is moved by up to a pixel.
    """
    x, y = ones.astype(np.float32), others.astype(np.float32)
    side = x.shape[1]
    moves = [-1, 0, 1] if moved and side >= COMPARED else [0]
    edge = max(side // COMPARED, 1) if len(moves) > 1 else 0  # as many as a pixel of 32×32 has
    inner = slice(edge, side - edge)
    reference, best = unit(_reduced(x[:, inner, inner])), np.zeros(len(x), np.float32)
    for down in moves:
        for right in moves:
            rows, columns = (slice(edge + move, side - edge + move) for move in (down, right))
            products = np.einsum("nd,nd->n", reference, unit(_reduced(y[:, rows, columns])))
            best = np.maximum(best, products)
    return np.sqrt(np.maximum(1 - best**2, 0))


def _reduced(images: np.ndarray) -> np.ndarray:
    """Means over squares, so that 32 or a little fewer pixels a side are left."""
    return _means(images, max(round(images.shape[1] / COMPARED), 1))


def _means(images: np.ndarray, factor: int) -> np.ndarray:
    rows = sum(images[:, start::factor].astype(np.float32) for start in range(factor))
    return sum(rows[:, :, start::factor] for start in range(factor)) / np.float32(factor**2)


def unit(images: np.ndarray) -> np.ndarray:
    """[N, …] → vectors [N, D], float32, of mean 0 and length 1; zeros where all is one value."""
    vectors = images.reshape(len(images), -1).astype(np.float32)
    vectors -= vectors.mean(axis=1, keepdims=True)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def similar_pairs(thumbs: np.ndarray, split: int | None = None) -> np.ndarray:
    """Pairs [P, 2] of numbers of thumbnails whose correlation is at least ALIKE, most alike first.

    A pair of correlation r is missed with probability (1 - (1 - acos(r) / π)^bits)^16: of 0.99 and
    16 bits, as for 65,535 images, 3e-5. split: the second half of them, from there on, is of the
    first half's images mirrored; pairs are then of one with the mirrored of another, under the
    numbers of both images.
    """
    codes = _codes(thumbs)
    pairs, products = np.empty([0, 2], np.int64), np.empty([0], np.float32)
    for band in range(codes.shape[1]):
        order = np.argsort(codes[:, band], kind="stable")
        parts = [_similar(thumbs, order[block]) for block in _blocks(codes[order, band])]
        more = np.concatenate([part for part, _ in parts] or [pairs[:0]])
        values = np.concatenate([part for _, part in parts] or [products[:0]])
        if split is not None:
            across = (more[:, 0] < split) & (more[:, 1] >= split)
            more, values = more[across] - np.array([0, split]), values[across]
            other = more[:, 0] != more[:, 1]
            more, values = np.sort(more[other], axis=1), values[other]
        pairs, products = np.concatenate([pairs, more]), np.concatenate([products, values])
        pairs, places = np.unique(pairs, axis=0, return_index=True)
        products = products[places]
        best = np.argsort(-products, kind="stable")[:_MOST_PAIRS]
        pairs, products = pairs[best], products[best]
    return pairs


def _similar(thumbs: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs [P, 2], the smaller number first, and correlations [P] of the nearest to each member
    where they are alike."""
    vectors = unit(thumbs[members])
    products = vectors @ vectors.T
    np.fill_diagonal(products, -1)
    kept = min(_NEAREST, len(members) - 1)
    if kept < 1:
        return np.empty([0, 2], np.int64), np.empty([0], np.float32)
    nearest = np.argpartition(-products, kept - 1, axis=1)[:, :kept]
    values = np.take_along_axis(products, nearest, axis=1)
    rows, places = np.nonzero(values >= ALIKE)
    pairs = np.stack([members[rows], members[nearest[rows, places]]], axis=1)
    return np.sort(pairs, axis=1), values[rows, places]


def _codes(thumbs: np.ndarray) -> np.ndarray:
    """The bands [N, 16] of thumbnails, uint64: of signs of projections about their mean."""
    bits = max(len(thumbs).bit_length(), _LEAST_BITS)
    size = int(np.prod(thumbs.shape[1:]))
    planes = np.random.RandomState(0).randn(size, _BANDS * bits).astype(np.float32)
    parts = [slice(start, start + _CHUNK) for start in range(0, len(thumbs), _CHUNK)]
    total = sum(unit(thumbs[part]).sum(axis=0, dtype=np.float64) for part in parts)
    mean = np.asarray(total / max(len(thumbs), 1), np.float32)
    weights = np.left_shift(np.uint64(1), np.arange(bits, dtype=np.uint64))
    codes = np.empty([len(thumbs), _BANDS], np.uint64)
    for part in parts:
        signs = ((unit(thumbs[part]) - mean) @ planes > 0).reshape(-1, _BANDS, bits)
        codes[part] = (signs * weights).sum(axis=2)
    return codes


def _blocks(ordered: np.ndarray) -> Iterator[slice]:
    """Parts of sorted codes that are compared: those of equal codes stay together up to a bound."""
    start, stop = 0, 0
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] + np.uint64(1))).tolist()
    for end in [*starts[1:], len(ordered)]:
        if end - start > _BLOCK and stop > start:
            yield slice(start, stop)
            start = stop
        stop = end
        while stop - start > _LARGEST_BLOCK:
            yield slice(start, start + _LARGEST_BLOCK)
            start += _LARGEST_BLOCK
    if stop > start:
        yield slice(start, stop)
