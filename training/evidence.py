"""What a run measures of itself at every tick, for the verdicts of training/checks.py.

A few dozen images through D and G as they are: some it has trained on, some it has not, and
generated ones. Everything drawn is a function of the run's seed and of the images shown so far, and
nothing is changed, so that a run with evidence and one without end with the same bits, and one that
was stopped records what it would have recorded.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import tensorflow as tf

from compute.box_means import box_mean
from datasets.format.reader import Dataset, open_dataset
from datasets.format.tfrecords import DataError
from networks.sampling import Sampler
from training.optimizer import Adam
from training.reals import process_reals
from training.schedule import SchedulePoint
from training.state import TrainingState

IMAGES, FEWER = 32, 16  # of each kind: up to a resolution of _LARGE pixels, and beyond it
_LARGE = 256
_SMALL = 16  # pixels at most of the images whose distances are measured
_COMPARED = 2048  # images looked at for copies, and for what labels say
_DATA_SIZE = 8  # pixels, of those
_PER_CLASS = 20  # of those, or it is not told what labels say
_VALUES = 1 << 16  # of each variable, whose step is measured
_STREAM = 0xC4EC  # of random numbers, this module's


class Evidence:
    """Measures the networks of a run; for one process of several.

    dataset: what the run trains on. sampler: of Gs; the pictures', whose graphs are there already.
    replicas: of which each has its share of a minibatch; D sees images in as many at a time.
    """

    def __init__(
        self,
        state: TrainingState,
        dataset: Dataset,
        sampler: Sampler,
        seed: int,
        replicas: int = 1,
    ):
        self._state, self._dataset, self._sampler = state, dataset, sampler
        self._seed, self._replicas = seed, replicas
        info = dataset.info
        self._count = IMAGES if info.resolution <= _LARGE else FEWER
        self._whole: Dataset | None = None  # what a run on a part of it leaves is held out
        if info.subset and info.subset.of > info.num_images:
            whole = dataclasses.replace(info, num_images=info.subset.of, subset=None)
            self._whole = open_dataset(whole, replace_damaged=True)
            chosen = info.subset.indices(info.num_images)
            self._held_out = np.setdiff1d(np.arange(info.subset.of), chosen)
        self._classes = classes_of(dataset.labels)
        self._data: dict[str, float] | None = None  # what is measured of the data, once
        self._judge: tuple | None = None  # (stage, D's graph there)

    def close(self) -> None:
        if self._whole:
            self._whole.close()

    def gather(self, point: SchedulePoint, tick: int, cur_nimg: int) -> dict[str, float]:
        """{name: number}; those that are not finite are left out, as when a run has diverged."""
        with np.errstate(all="ignore"):
            numbers = self._measure(point, tick, cur_nimg)
        return {name: float(value) for name, value in numbers.items() if math.isfinite(value)}

    def _measure(self, point: SchedulePoint, tick: int, cur_nimg: int) -> dict[str, Any]:
        words = [_STREAM, self._seed, cur_nimg % 2**32, cur_nimg // 2**32]
        drawn, info = np.random.RandomState(words), self._dataset.info
        rows = drawn.randint(info.num_images, size=self._count)
        reals, labels = self._read(self._dataset, rows, point)
        asked = self._dataset.labels[drawn.randint(info.num_images, size=self._count)]
        fakes = self._generate(drawn, asked, point)
        judged = {
            "train": self._scores(reals, labels, point),
            "fake": self._scores(fakes, asked, point),
        }
        if self._whole:
            rows = self._held_out[drawn.randint(len(self._held_out), size=self._count)]
            others, their_labels = self._read(self._whole, rows, point)
            judged["held_out"] = self._scores(others, their_labels, point)
        numbers: dict[str, Any] = {}
        for kind, scores in judged.items():
            numbers[f"score_{kind}"], numbers[f"spread_{kind}"] = scores.mean(), scores.std()
            numbers[f"sign_{kind}"] = np.sign(scores).mean()
        small_reals, small_fakes = small(reals), small(fakes)
        for kind, images in (("reals", small_reals), ("fakes", small_fakes)):
            numbers[f"distance_{kind}"] = mean_distance(images)
            numbers[f"nearest_{kind}"] = nearest_distance(images)
        numbers["distance_between"] = mean_distance(small_reals, small_fakes)
        if self._classes is not None:
            numbers["labels_reals"] = explained(small_reals, labels.argmax(1))
            numbers["labels_fakes"] = explained(small_fakes, asked.argmax(1))
            numbers.update(self._of_a_class(drawn, tick, point))
        for network in ("G", "D"):
            optimizer = self._state.parts[f"{network}_opt"]
            numbers[f"step_{network}"] = relative_step(optimizer, point.lrate(network))
        if self._data is None:
            self._data = self._of_the_data()
        return {**numbers, **self._data}

    # ------------------------------------------------------------ images, float32 [N, H, W, C]

    def _read(
        self, dataset: Dataset, rows: np.ndarray, point: SchedulePoint
    ) -> tuple[np.ndarray, np.ndarray]:
        images, labels = dataset.read(rows, point.stage.level)
        fade = point.alpha if point.stage.fading else None
        return process_reals(tf.constant(images), fade).numpy(), labels

    def _generate(self, drawn: Any, labels: np.ndarray, point: SchedulePoint) -> np.ndarray:
        """Gs's, as the pictures are, at the resolution that trains."""
        latents = drawn.randn(len(labels), self._state.Gs.latent_size).astype(np.float32)
        images = self._sampler.images(self._sampler.codes(latents, labels), lod=point.lod)
        shrunk = box_mean(images.transpose(0, 3, 1, 2).astype(np.float32), 2**point.stage.level)
        return shrunk.transpose(0, 2, 3, 1) / np.float32(127.5) - 1

    def _of_a_class(self, drawn: Any, tick: int, point: SchedulePoint) -> dict[str, float]:
        """How varied the images of one class are; another one at each tick."""
        present = np.unique(self._classes)
        chosen = int(present[tick % len(present)])
        rows, count = np.flatnonzero(self._classes == chosen), self._count // 2
        if len(rows) < 8:
            return {}
        rows = rows[drawn.choice(len(rows), size=min(count, len(rows)), replace=False)]
        reals, labels = self._read(self._dataset, rows, point)
        fakes = self._generate(drawn, np.repeat(labels[:1], count, axis=0), point)
        return {
            "class": chosen,
            "class_distance_reals": mean_distance(small(reals)),
            "class_distance_fakes": mean_distance(small(fakes)),
        }

    def _of_the_data(self) -> dict[str, float]:
        """What does not change; nothing where a file is damaged, as D may never see it."""
        info = self._dataset.info
        lod = max(info.resolution.bit_length() - _DATA_SIZE.bit_length(), 0)
        count = min(info.num_images, _COMPARED)
        try:
            first, _ = self._dataset.read(np.arange(count), lod)
            numbers = {"copies": share_of_copies(first)}
            if self._classes is not None and count >= _PER_CLASS * len(np.unique(self._classes)):
                rows = np.random.RandomState(0).permutation(info.num_images)[:count]
                images, _ = self._dataset.read(rows, lod)
                numbers["labels_say"] = explained(images, self._classes[rows])
        except DataError:
            return {}
        return numbers

    # ------------------------------------------------------------ D

    def _scores(self, images: np.ndarray, labels: np.ndarray, point: SchedulePoint) -> np.ndarray:
        """float [N], in minibatches as in training; the last one starts over from the front."""
        size = max(point.minibatch // (self._replicas * point.passes), 1)
        group = min(self._state.D.options.get("mbstd_group_size") or 1, size)
        size = min(size, max(self._count // group * group, group))
        graph, alpha = self._graph(point), tf.constant(point.alpha, tf.float32)
        scores = []
        for start in range(0, len(images), size):
            rows = np.arange(start, start + size) % len(images)
            scores.append(graph(tf.constant(images[rows]), tf.constant(labels[rows]), alpha))
        return np.concatenate(scores)[: len(images), 0].astype(np.float64)

    def _graph(self, point: SchedulePoint) -> Any:
        stage = point.stage
        if self._judge is None or self._judge[0] != stage:

            @tf.function(autograph=False)
            def scores(images: tf.Tensor, labels: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
                alpha = alpha if stage.fading else None
                return self._state.D.stage(images, labels, stage.level, alpha)

            self._judge = stage, scores
        return self._judge[1]


# ---------------------------------------------------------------- arithmetic


def distances(images: np.ndarray) -> np.ndarray:
    """Euclidean, [N, N], of all pairs of images [N, …]."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    norms = (flat**2).sum(1)
    return np.sqrt(np.maximum(norms[:, None] + norms - 2 * flat @ flat.T, 0))


def mean_distance(images: np.ndarray, others: np.ndarray | None = None) -> float:
    """Of all pairs of images [N, …], N ≥ 2, or of one of them and one of the others each; root mean
    squares over the pixels."""
    if others is None:
        apart = distances(images)[np.triu_indices(len(images), 1)].mean()
    else:
        apart = distances(np.concatenate([images, others]))[: len(images), len(images) :].mean()
    return float(apart / images[0].size ** 0.5)


def nearest_distance(images: np.ndarray) -> float:
    """From an image to the nearest other one, on average: [N, …], N ≥ 2."""
    apart = distances(images)
    np.fill_diagonal(apart, np.inf)
    return float(apart.min(1).mean() / images[0].size ** 0.5)


def explained(images: np.ndarray, classes: np.ndarray) -> float:
    """How much of the images' variance their classes explain: ω² of a one-way analysis of variance.

    0 on average where they explain nothing, 1 where all images of a class are the same; NaN where
    no class has two.
    """
    flat = images.reshape(len(images), -1).astype(np.float64)
    total = ((flat - flat.mean(0)) ** 2).sum()
    kinds = np.unique(classes)
    members = [flat[classes == kind] for kind in kinds]
    within = sum(((part - part.mean(0)) ** 2).sum() for part in members)
    free = len(flat) - len(kinds)
    if free < 1 or len(kinds) < 2 or not total:
        return math.nan
    noise = within / free
    return float((total - within - (len(kinds) - 1) * noise) / (total + noise))


def share_of_copies(images: np.ndarray) -> float:
    """The share of images [N, …] that some image before them is equal to."""
    different = np.unique(images.reshape(len(images), -1), axis=0)
    return 1 - len(different) / len(images)


def relative_step(optimizer: Adam, learning_rate: float) -> float:
    """The newest update of a weight, as a share of its size: the median over the layers' weights.

    Root mean squares of (some of) each layer's values; of Adam's own state, before the next step.
    """
    shares = []
    for name, variable in optimizer.variables_by_name.items():
        if len(variable.shape) < 2:
            continue  # biases begin at 0
        weights, m, v = (
            slot.numpy().ravel()[:_VALUES]
            for slot in (variable, optimizer.m[name], optimizer.v[name])
        )
        size, update = np.sqrt(np.mean(weights**2)), m / (np.sqrt(v) + optimizer.epsilon)
        if v.any() and size > 0:  # those of other stages have no moments
            shares.append(np.sqrt(np.mean(update**2)) / size)
    if not shares:
        return 0.0
    correction = 1 - float(optimizer.beta2_power.numpy()) / optimizer.beta2
    start = 1 - float(optimizer.beta1_power.numpy()) / optimizer.beta1 if optimizer.beta1 else 1.0
    rate = learning_rate * optimizer.lazy_ratio * math.sqrt(max(correction, 0.0)) / (start or 1.0)
    return float(rate * np.median(shares))


def small(images: np.ndarray) -> np.ndarray:
    """[N, H, W, C] → [N, C, h, w] of at most _SMALL pixels, within [-1, 1]."""
    factor = max(images.shape[1] // _SMALL, 1)
    return box_mean(np.clip(images, -1, 1).transpose(0, 3, 1, 2), factor)


def classes_of(labels: np.ndarray) -> np.ndarray | None:
    """The class of each row [N]; None where labels are no classes, or there is only one."""
    if labels.shape[1] < 2 or not (np.count_nonzero(labels, axis=1) == 1).all():
        return None
    classes = labels.argmax(1)
    return classes if len(np.unique(classes)) > 1 else None
