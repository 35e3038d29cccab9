"""Directions in w, found in three ways that need no labels of images, or those of classifiers.

A direction's unit is one standard deviation of w along it, so that a step of 1 goes as far for
each, and 3 to the edge of what the network was trained on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from generation.directions import Direction
from metrics import separability

SAMPLES = 10_000  # of w
KINDS = ("planes", "sefa", "pca")
_SEED = 7


@dataclasses.dataclass(frozen=True)
class Sample:
    """What the network makes of latents: z [N, L] and labels [N, K] → w [N, D], one layer's."""

    z: np.ndarray
    labels: np.ndarray
    w: np.ndarray

    def unit(self, vector: np.ndarray) -> np.ndarray:
        """The vector as long as w's standard deviation along it, float32."""
        vector = vector / np.linalg.norm(vector)
        return np.float32(vector * (self.w @ vector).std())


def draw(G: Any, count: int = SAMPLES, seed: int = _SEED) -> Sample:
    """A sample of w, untruncated; classes are equally frequent."""
    rng = np.random.RandomState(seed)
    z = rng.randn(count, G.latent_size).astype(np.float32)
    labels = np.zeros([count, G.label_size], np.float32)
    if G.label_size:
        labels[np.arange(count), np.arange(count) % G.label_size] = 1
    parts = [
        G.codes(z[start : start + 1000], labels[start : start + 1000], truncation_psi=None)[:, 0]
        for start in range(0, count, 1000)
    ]
    return Sample(z, labels, np.concatenate([part.numpy() for part in parts]).astype(np.float64))


def sefa(G: Any, sample: Sample, layers: tuple[int, int], count: int) -> list[Direction]:
    """Those of which the layers' styles take most (SeFa, Shen & Zhou 2021, eq. 4): the first
    eigenvectors of A Aᵀ, A being the layers' style matrices with columns of length 1."""
    matrix = np.concatenate(G.style_matrices()[slice(*layers)], axis=1).astype(np.float64)
    matrix /= np.maximum(np.linalg.norm(matrix, axis=0), 1e-12)
    vectors = _eigenvectors(matrix @ matrix.T, count)
    return _named("sefa", sample, vectors, layers)


def pca(sample: Sample, layers: tuple[int, int], count: int) -> list[Direction]:
    """Those along which w varies most (GANSpace, Härkönen et al. 2020)."""
    return _named("pca", sample, _eigenvectors(np.cov(sample.w, rowvar=False), count), layers)


def planes(
    sample: Sample, logits: Mapping[str, np.ndarray], layers: tuple[int, int]
) -> list[Direction]:
    """The normals of linear separability's planes (StyleGAN §4.2), one for each attribute.

    logits: {attribute: [N]} of the sample's images. The surer half counts: of those that have the
    attribute and of the others, for of one that is rare the surer half of all has none. An
    attribute that fewer than two images have, or have not, has no plane.
    """
    found = []
    for attribute, values in logits.items():
        classes = separability.targets(values)
        kinds = [np.flatnonzero(classes == kind) for kind in (0, 1)]
        if min(map(len, kinds)) < 2:
            continue
        surer = [separability.most_confident(values[rows], len(rows) // 2) for rows in kinds]
        rows = np.concatenate([kind[half] for kind, half in zip(kinds, surer)])
        vector = sample.unit(separability.normal(sample.w[rows], classes[rows]))
        found.append(Direction(attribute, vector, layers, "planes"))
    return found


def random(sample: Sample, layers: tuple[int, int], count: int) -> list[Direction]:
    """Any directions, as a control: what moving w by so much changes in any case."""
    vectors = np.random.RandomState(_SEED).randn(count, sample.w.shape[1])
    return _named("random", sample, vectors, layers)


def keeping(direction: Direction, kept: Sequence[Direction], sample: Sample) -> Direction:
    """A direction without its part along others (InterFaceGAN, Shen et al. 2020, §3.3)."""
    basis, _ = np.linalg.qr(np.stack([other.vector for other in kept], axis=1).astype(np.float64))
    vector = direction.vector - basis @ (basis.T @ direction.vector)
    name = f"{direction.name}, keeping {' and '.join(other.name for other in kept)}"
    return dataclasses.replace(direction, name=name, vector=sample.unit(vector))


def within(directions: Sequence[Direction], name: str, layers: tuple[int, int]) -> list[Direction]:
    """The same directions for these layers only; the name of the range, if any, follows theirs."""
    return [
        dataclasses.replace(one, name=f"{one.name}, {name}" if name else one.name, layers=layers)
        for one in directions
    ]


def _named(
    kind: str, sample: Sample, vectors: np.ndarray, layers: tuple[int, int]
) -> list[Direction]:
    return [
        Direction(f"{kind}{index}", sample.unit(vector), layers, kind)
        for index, vector in enumerate(vectors)
    ]


def _eigenvectors(matrix: np.ndarray, count: int) -> np.ndarray:
    """The first, [count, D]; of each the largest component is positive, for the sign is free."""
    _, vectors = np.linalg.eigh(matrix)
    first = vectors.T[::-1][:count]
    largest = np.take_along_axis(first, np.abs(first).argmax(1)[:, None], axis=1)
    return first * np.sign(largest)
