"""Are copies found, and nothing else? Planted among real images that were not trained on.

    python -m benchmarks.copies --dataset=digits

A third of a data set counts as the training images, a third stands for generated images, a third is
held out for the calibration of the metric. Of the second third a share is replaced by copies of
training images: exact, moved by a pixel, brighter, with noise, mirrored. Prints, over several
choices of the thirds, the mean rate that the metric tells and in how many it says that there are
copies; once with held-out images, and once with each training image among the others. Features are
pixels, which need no weights.
"""

from __future__ import annotations

import argparse
import os
import types
from collections.abc import Iterator
from typing import Any, cast

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from datasets.format.reader import inspect, open_dataset
from metrics.copies import Asked, nearest, without_copies
from metrics.copy_rate import copy_rate
from metrics.features.pixels import Pixels

SHARES = (0.0, 0.01, 0.02, 0.05, 0.2, 1.0)


def _noisy(images: np.ndarray) -> np.ndarray:
    noise = 8 * np.random.RandomState(1).randn(*images.shape)
    return np.rint(images + noise).clip(0, 255).astype(np.uint8)


CHANGES = {
    "exact": lambda images: images,
    "moved by a pixel": lambda images: np.roll(images, 1, axis=2),
    "brighter by 10": lambda images: (images.astype(int) + 10).clip(0, 255).astype(np.uint8),
    "noise of 8 levels": _noisy,
    "mirrored": lambda images: images[:, :, ::-1],
}


class Planted:
    """In place of an evaluation: what metrics/copies.py asks of one."""

    def __init__(self, images: np.ndarray, trained: np.ndarray, mirror: bool) -> None:
        resolution, channels = images.shape[1], images.shape[3]
        self.Gs = types.SimpleNamespace(resolution=resolution, num_channels=channels)
        self.settings = types.SimpleNamespace(mirror=mirror)
        self.tools = types.SimpleNamespace(
            replica_map=types.SimpleNamespace(progress=False, check_stop=lambda: None)
        )
        self.trained_numbers = trained
        self.reals = self
        self.info = types.SimpleNamespace(resolution=resolution)
        self._images = images

    def read(self, numbers: np.ndarray, lod: int = 0) -> tuple:
        images = self._images[numbers]
        size = self.Gs.resolution >> lod
        cells = images.reshape(len(images), size, 1 << lod, size, 1 << lod, -1)
        return np.rint(cells.mean(axis=(2, 4))).astype(np.uint8), None

    def numbered_reals(
        self, network: str, numbers: np.ndarray, mirrored: bool = False
    ) -> Iterator[np.ndarray]:
        images = self._images[numbers]
        yield features(images[:, :, ::-1] if mirrored else images)


def features(images: np.ndarray) -> np.ndarray:
    pixels = Pixels()
    parts = [pixels(tf.constant(images[i : i + 256])) for i in range(0, len(images), 256)]
    return np.concatenate([part.numpy() for part in parts])


def planted(images: np.ndarray, change: str, mirror: bool, seeds: int) -> dict:
    """{calibration: {share: (mean rate, share of alarms)}}."""
    results: dict = {"held out": {}, "among themselves": {}}
    for seed in range(seeds):
        order = np.random.RandomState(seed).permutation(len(images))
        trained, shown, rest = np.array_split(order, 3)
        evaluation = Planted(images, trained, mirror)
        asked = {
            "held out": Asked(features(images[rest])),
            "among themselves": Asked(features(images[trained]), np.arange(len(trained))),
            "unseen": Asked(features(images[shown])),
            "copied": Asked(features(CHANGES[change](images[trained]))),
        }
        found = nearest(cast(Any, evaluation), "pixels", list(asked.values()))
        distances = {name: apart for name, (apart, _) in zip(asked, found)}
        for share in SHARES:
            count = round(share * len(shown))
            shown_distances = [distances["copied"][:count], distances["unseen"][count:]]
            for name in results:
                result = copy_rate(np.concatenate(shown_distances), without_copies(distances[name]))
                results[name].setdefault(share, []).append((result.rate, result.copies))
    return {
        name: {share: np.mean(values, axis=0) for share, values in by_share.items()}
        for name, by_share in results.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--most", type=int, default=3000, help="images of the data set")
    args = parser.parse_args()
    info = inspect(args.dataset)
    with open_dataset(info) as dataset:
        images, _ = dataset.read(np.arange(min(info.num_images, args.most)))
    shown = " | ".join(f"{share:.0%}" for share in SHARES)
    print(f"| copies in {len(images) // 3:,} images of {info.name} | calibrated | {shown} |")
    print("| --- | --- |" + " ---: |" * len(SHARES))
    for change in CHANGES:
        mirror = change == "mirrored"
        for name, by_share in planted(images, change, mirror, args.seeds).items():
            cells = [f"{rate:.1%} ({alarms:.0%})" for rate, alarms in by_share.values()]
            print(f"| {change} | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
