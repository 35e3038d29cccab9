"""Whether a data set's lower resolutions are worth their room on disk.

Reads minibatches of a set of 1024x1024 images as training does, from the files of each
resolution, and as they would be derived from the full images alone. Prints one line of JSON.
"""

from __future__ import annotations

import json
import tempfile
import time
from functools import partial

import numpy as np

from compute.box_means import box_halve
from datasets.format.builtin import SyntheticImages
from datasets.format.reader import inspect, open_dataset
from datasets.format.writer import MultiResolutionWriter

SIDE, COUNT, MINIBATCH = 1024, 64, 16


def measure(seconds: float = 2.0) -> list[dict]:
    """Images/s by resolution, stored and derived."""
    rates = []
    with tempfile.TemporaryDirectory() as directory:
        with MultiResolutionWriter(f"{directory}/set", "set") as writer:
            for image in SyntheticImages().read(SIDE.bit_length() - 1, np.arange(COUNT)):
                writer.add_image(image.transpose(2, 0, 1))
        with open_dataset(inspect("set", directory), cache_bytes=0) as dataset:
            for lod in (0, 2, 4, 7):
                stored = _rate(partial(_stored, dataset, lod), seconds)
                derived = _rate(partial(_derived, dataset, lod), seconds)
                rates.append({"resolution": SIDE >> lod, "stored": stored, "derived": derived})
    return rates


def _stored(dataset, lod, position):
    dataset.minibatch(position, MINIBATCH, lod, 0)


def _derived(dataset, lod, position):
    images, _ = dataset.minibatch(position, MINIBATCH, 0, 0)
    for image in images.transpose(0, 3, 1, 2).astype(np.float32):
        for _ in range(lod):
            image = box_halve(image)
        np.rint(image).clip(0, 255).astype(np.uint8)


def _rate(read, seconds):
    read(0)  # opens the file
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        read(count)
        count += MINIBATCH
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    print(json.dumps(measure()))
