"""Real images and labels for the steps: read ahead, split over replicas, resumable."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from compute.devices import Replicas
from compute.prefetch import prefetch
from datasets.format.reader import Dataset
from training.schedule import Iteration


class Request(NamedTuple):
    """One discriminator step's images: `minibatch` of the shuffled stream from `position`."""

    position: int
    minibatch: int
    level: int


def requests(
    iterations: Iterable[Iteration], minibatch_repeats: int, D_repeats: int
) -> Iterator[Request]:
    """The discriminator steps' requests, in order, of the loop's iterations."""
    for iteration in iterations:
        minibatch = iteration.point.minibatch
        for repeat in range(minibatch_repeats * D_repeats):
            position = iteration.cur_nimg + repeat * minibatch
            yield Request(position, minibatch, iteration.point.stage.level)


def feed(
    dataset: Dataset, requests: Iterable[Request], replicas: Replicas, seed: int
) -> Generator[tuple, None, None]:
    """Yields (images uint8, labels float32) per request, distributed over the replicas."""

    def fetch(request):
        share = request.minibatch // replicas.total
        return [
            dataset.minibatch(request.position + replica * share, share, request.level, seed)
            for replica in range(replicas.first, replicas.first + replicas.local)
        ]

    for shares in prefetch(requests, fetch):
        images = [tf.constant(images) for images, _ in shares]
        labels = [tf.constant(labels) for _, labels in shares]
        yield replicas.distribute(images), replicas.distribute(labels)


def random_labels(
    dataset: Dataset, minibatch: int, replicas: Replicas, seed_words: tuple[int, ...]
) -> Any:
    """Labels for a generator step, drawn uniformly from the data set's rows."""
    labels = dataset.random_labels(seed_words, minibatch)
    share = minibatch // replicas.total
    ranges = range(replicas.first, replicas.first + replicas.local)
    return replicas.distribute([tf.constant(labels[r * share : (r + 1) * share]) for r in ranges])
