"""Making data sets: how the rate grows with workers, where the time goes, and the memory.

`python -m benchmarks.conversion photos` converts JPEG photos; `small` converts 100,000 images of
32×32 and measures memory. Each prints one line of JSON; `make bench` runs both.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import threading
import time

import numpy as np
from PIL import Image

from datasets.convert import convert
from datasets.format.builtin import SyntheticImages
from datasets.sources.base import Source
from datasets.sources.images import Images
from dnnlib.spawning import core_count

PHOTO = (3000, 2000)  # width, height
RESOLUTIONS = (256, 1024)
SMALL = 100_000
DIFFERENT = 24


class Small(Source):
    """100,000 different images of 32×32 that cost nothing to make."""

    name, resolution, channels = "small", 32, 3

    def __len__(self) -> int:
        return SMALL

    def read(self, number: int) -> np.ndarray:
        return np.full([3, 32, 32], number % 256, np.uint8)


class Photos(Source):
    """A few JPEG photos again and again, cropped and resized."""

    name, channels = "photos", 3

    def __init__(self, directory: str, resolution: int, count: int):
        self.resolution, self._count = resolution, count
        self._images = Images(directory, resolution=resolution, crop="center", resize="lanczos")

    def __len__(self) -> int:
        return self._count

    def read(self, number: int) -> np.ndarray:
        return self._images.read(number % len(self._images))


def make_photos(directory: str) -> None:
    """JPEG files with the detail of photos: smooth shapes and noise."""
    images = SyntheticImages().read(9, np.arange(DIFFERENT))
    noise = np.random.RandomState(0)
    for number, image in enumerate(images):
        large = np.asarray(Image.fromarray(image).resize(PHOTO))
        grain = noise.normal(0, 8, large.shape)
        picture = Image.fromarray((large + grain).clip(0, 255).astype(np.uint8))
        picture.save(os.path.join(directory, f"{number:04d}.jpg"), quality=90)


def run(source: Source, workers: int) -> dict:
    """Of one conversion: images per second, seconds by part, and processor seconds of this
    process and of its workers."""
    parent, children = time.process_time(), children_seconds()
    with tempfile.TemporaryDirectory() as directory:
        report = convert(source, f"{directory}/set", workers=workers, say=lambda line: None)
    return {
        "images_per_second": report.written / report.seconds["total"],
        "seconds": report.seconds,
        "parent_cpu": time.process_time() - parent,
        "workers_cpu": children_seconds() - children,
    }


def children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def photos(count: int, repeats: int) -> dict:
    """Rates with one worker and with one for each core, at two resolutions.

    speedup is of the rates; speedup_cpu what the processor time of parent and workers allows on
    an idle machine, where the parent takes its share from them.
    """
    result: dict[str, object] = {"workers": core_count()}
    with tempfile.TemporaryDirectory() as directory:
        make_photos(directory)
        for resolution in RESOLUTIONS:
            source = Photos(directory, resolution, count)
            by_rate = [
                max(
                    (run(source, workers) for _ in range(repeats)),
                    key=lambda rate: rate["images_per_second"],
                )
                for workers in (1, core_count())
            ]
            one, every = by_rate
            all_cpu = every["parent_cpu"] + every["workers_cpu"]
            result[str(resolution)] = {
                "one_worker": one["images_per_second"],
                "images_per_second": every["images_per_second"],
                "speedup": every["images_per_second"] / one["images_per_second"],
                "speedup_cpu": core_count() * one["workers_cpu"] / all_cpu,
                **{part: seconds / count for part, seconds in every["seconds"].items()},
                "parent_cpu": every["parent_cpu"] / count,
            }
    return result


def small() -> dict:
    """Rate and memory of very many small images: of this process, and with its workers."""
    largest = [0.0, 0.0]
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(0.1):
            sizes = resident()
            largest[:] = max(largest[0], sizes[0]), max(largest[1], sum(sizes))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as directory:
            report = convert(Small(), f"{directory}/set", say=lambda line: None)
        seconds = time.perf_counter() - start
    finally:
        finished.set()
        watcher.join()
    return {
        "images": report.written,
        "images_per_second": report.written / seconds,
        "peak_gb": largest[0],
        "peak_gb_with_workers": largest[1],
    }


def resident() -> list[float]:
    """GB of memory of this process, then of each of its children. Linux only."""
    processes = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                with open(f"/proc/{entry}/status", encoding="utf-8") as file:
                    fields = dict(line.split(":", 1) for line in file)
            except OSError:  # ended just now
                continue
            kilobytes = int(fields.get("VmRSS", "0").split()[0])
            processes[int(entry)] = int(fields["PPid"]), kilobytes / 1e6
    own = processes[os.getpid()][1]
    return [own] + [size for parent, size in processes.values() if parent == os.getpid()]


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conversion", description=__doc__)
    parser.add_argument("what", choices=["photos", "small"])
    parser.add_argument("--count", type=int, default=120, help="of photos")
    parser.add_argument("--repeats", type=int, default=2, help="the best of so many counts")
    args = parser.parse_args()
    print(json.dumps(photos(args.count, args.repeats) if args.what == "photos" else small()))


if __name__ == "__main__":
    main()
