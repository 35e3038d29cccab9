"""A data set as metrics see it: by content, in the order of its files."""

from __future__ import annotations

import contextlib
import functools
import hashlib

import numpy as np

from training import dataset as datasets
from training.dataset import DatasetInfo
from training.tfrecords import ImageFile


class Reals(contextlib.ExitStack):
    """An open data set; a context manager.

    info: what `training.dataset.inspect` found. replace_damaged: other images stand in for
    damaged ones (training/dataset.py).
    """

    def __init__(self, info: DatasetInfo, replace_damaged: bool = False):
        super().__init__()
        self.info, self.replace_damaged = info, replace_damaged
        self.dataset = self.enter_context(
            datasets.open_dataset(info, replace_damaged=replace_damaged)
        )

    @functools.cached_property
    def content_key(self) -> str:
        """What the images and labels in use are, whatever their name and place: 40 hexadecimal
        digits. Of the files' own checksums, which are compared when an image is read."""
        info, digest = self.info, hashlib.sha256()
        if info.path is None:
            digest.update(f"{info.name} {info.num_images} {info.resolution}".encode())
        else:
            with ImageFile(info.files[max(info.files)]) as file:
                for checksum in file.checksums():
                    digest.update(checksum)
        digest.update(np.ascontiguousarray(self.dataset.labels).tobytes())
        return digest.hexdigest()[:40]

    def flips(self, count: int) -> np.ndarray:
        """Which of the first `count` images are flipped, of mirrored data: each with probability
        1/2, bool [count]. The same for every seed, so that statistics can be kept."""
        return np.random.RandomState(2019).randint(2, size=count).astype(bool)
