"""Sources for the tests of the conversion, in a module that worker processes import quickly.

`python -m tests.datasets.sources.small_sources DIR PIDS` converts 64 slow images to DIR, each of
which leaves its worker's number in the directory PIDS.
"""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from datasets.convert import convert
from datasets.sources.base import BadImage, Source, TooSmall
from dnnlib.errors import exit_code


class Arrays(Source):
    """Images [N, C, R, R], written as they come unless shuffled."""

    name = "arrays"

    def __init__(self, images, labels=None, shuffled=False):
        self.images, self.labels, self.shuffled = images, labels, shuffled
        self.channels, self.resolution = images.shape[1:3]

    def __len__(self):
        return len(self.images)

    def read(self, number):
        return self.images[number]


class Faulty(Source):
    """RGB images of one colour, the number; some numbers do what `faults` says."""

    name, resolution, channels, shuffled = "faulty", 8, 3, False

    def __init__(self, count, faults, shuffled=False):
        self.count, self.faults, self.shuffled = count, faults, shuffled
        self.labels = np.arange(count, dtype=np.float32)[:, np.newaxis]

    def __len__(self):
        return self.count

    def describe(self, number):
        return f"img{number}.png"

    def read(self, number):
        fault = self.faults.get(number)
        what = self.describe(number)
        if fault == "bad":
            raise BadImage(what, "has {} bits per channel", number)
        if fault == "small":
            raise TooSmall(what, "is too small")
        if fault == "huge":
            np.ones(1 << 40, np.uint8)
        if fault == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "unreadable":
            raise PermissionError(13, "Permission denied")
        if fault == "bug":
            raise KeyError("a bug of ours")
        size = 16 if fault == "size" else 8
        return np.full([3, size, size], number, np.uint8)


class Slow(Faulty):
    """Takes a quarter of a second for each image."""

    def __init__(self, pids):
        super().__init__(64, {})
        self.pids = pids

    def read(self, number):
        (self.pids / str(os.getpid())).touch()
        time.sleep(0.25)
        return super().read(number)


def _main(argv):
    convert(Slow(Path(argv[2])), argv[1], workers=2)
    return 0


if __name__ == "__main__":
    # Where tests run as a shell's background job, Ctrl-C is ignored from the start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(exit_code(_main, sys.argv))
