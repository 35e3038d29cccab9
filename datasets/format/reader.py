"""Reads multi-resolution image data sets (datasets/format/info.py says what they are).

A level of detail (lod) counts halvings: lod 0 is the data set's resolution, lod 1 half of it.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from datasets.format.builtin import SyntheticImages, digits_labels
from datasets.format.info import (
    DatasetInfo,
    count_error,
    inspect,
    is_built_in,
    is_unwritten,
    open_labels,
)
from datasets.format.tfrecords import DataError, ImageFile

__all__ = ["Dataset", "DatasetInfo", "inspect", "is_built_in", "open_dataset"]

# Below this, handing a record to a thread costs more than reading it.
_THREADED_BYTES = 1 << 16
_THREADS = 4


def open_dataset(
    info: DatasetInfo, *, cache_bytes: int = 512 << 20, replace_damaged: bool = False
) -> Dataset:
    """Opens what `inspect` described; of digits that are not written yet there are labels alone.

    `cache_bytes` bounds the decoded images kept in memory. Raises DataError for bad labels.
    `replace_damaged`: the next readable image, with its label, stands in for a damaged record,
    which is named on stderr; otherwise reading it raises DataError.
    """
    whole = replace(info, num_images=info.subset.of) if info.subset else info
    if info.path is None:
        images: Any = SyntheticImages(info.label_size)
        labels = images.labels(whole.num_images)
    else:
        images, labels = _RecordImages(whole), _read_labels(whole)
    if info.subset:
        chosen = info.subset.indices(info.num_images)
        images, labels = _ChosenImages(images, chosen), labels[chosen]
    return Dataset(info, images, labels, cache_bytes, replace_damaged)


class Dataset:
    """The images and labels of one data set; a context manager. Methods are thread-safe.

    `labels` is float32 [num_images, label_size], in file order.
    Reading raises DataError naming file and record when a record is damaged, unless it is to
    be replaced.
    """

    def __init__(
        self,
        info: DatasetInfo,
        images: SyntheticImages | _RecordImages | _ChosenImages,
        labels: np.ndarray,
        cache_bytes: int,
        replace_damaged: bool,
    ) -> None:
        self.info = info
        self.labels = labels
        self._images = images
        self._cache_bytes = cache_bytes
        # log2 → all images and the indices they are really of; oldest first.
        self._cache: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._replace_damaged = replace_damaged
        self._reported: set[str] = set()
        self._cache_lock = threading.Lock()

    def read(self, indices: Sequence[int], lod: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Images by their place in the file: uint8 [N, H, W, C], float32 [N, label_size].

        Raises IndexError for an index and ValueError for a lod that does not exist.
        """
        indices = self._check_indices(indices)
        log2 = self._log2(lod)
        cached = self._cache.get(log2)
        if cached is None:
            images, indices = self._read_images(log2, indices)
        else:
            images, indices = cached[0][indices], cached[1][indices]
        return images, self.labels[indices]

    def minibatch(
        self, position: int, count: int, lod: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Like `read`, of `count` items of the stream `order` describes, from `position` on."""
        self._fill_cache(self._log2(lod))
        return self.read(self.order(position, count, seed), lod)

    def order(self, position: int, count: int, seed: int) -> np.ndarray:
        """Indices of a part of the endless shuffled stream: int64 [count].

        Each epoch (num_images items) is another permutation of all images. A pure function of the
        arguments, the same at every lod, so that training resumes and changes resolution in place.
        """
        if position < 0 or count < 0:
            raise ValueError(f"position and count must not be negative: {position}, {count}")
        total = self.info.num_images
        parts = [np.zeros([0], np.int64)]
        while count > 0:
            epoch, start = divmod(position, total)
            part = _epoch_order(total, int(seed), epoch)[start : start + count]
            parts.append(part)
            position += len(part)
            count -= len(part)
        return np.concatenate(parts)

    @cached_property
    def content_key(self) -> str:
        """What the images and labels in use are, whatever their name and place: 40 hexadecimal
        digits. Of the files' own checksums, which are compared whenever an image is read."""
        info, digest = self.info, hashlib.sha256()
        if info.path is None:
            digest.update(f"{info.name} {info.num_images} {info.resolution}".encode())
        else:
            with ImageFile(info.files[max(info.files)]) as file:
                for checksum in file.checksums():
                    digest.update(checksum)
        if info.subset:
            digest.update(info.subset.indices(info.num_images).tobytes())
        digest.update(np.ascontiguousarray(self.labels).tobytes())
        return digest.hexdigest()[:40]

    def random_labels(self, seed_words: tuple[int, ...], count: int) -> np.ndarray:
        """Rows of `labels` drawn uniformly: float32 [count, label_size]; a pure function."""
        draws = _philox("labels", *seed_words).random_raw(count)
        return self.labels[draws % np.uint64(self.info.num_images)]

    def close(self) -> None:
        """Closes the files and frees the cache."""
        self._cache.clear()
        self._images.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _log2(self, lod: int) -> int:
        if lod != int(lod) or not 0 <= lod <= self.info.max_lod:
            raise ValueError(
                f"lod: expected 0 … {self.info.max_lod} for {self.info.name}, got {lod}"
            )
        return self.info.resolution.bit_length() - 1 - int(lod)

    def _check_indices(self, indices: Sequence[int]) -> np.ndarray:
        indices = np.asarray(indices, np.int64).reshape(-1)
        bad = indices[(indices < 0) | (indices >= self.info.num_images)]
        if len(bad):
            raise IndexError(f"{self.info.name} has {self.info.num_images} images, no {bad[0]}")
        return indices

    def _fill_cache(self, log2: int) -> None:
        """Decodes a whole lod once if it fits, at the cost of the lods not used for longest."""
        size = self.info.num_images * self.info.channels << 2 * log2
        if size > self._cache_bytes:
            return
        with self._cache_lock:
            if log2 in self._cache:
                self._cache.move_to_end(log2)
                return
            while sum(all.nbytes for all, _ in self._cache.values()) + size > self._cache_bytes:
                self._cache.popitem(last=False)
            self._cache[log2] = self._read_images(log2, np.arange(self.info.num_images))

    def _read_images(self, log2: int, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Images, and the indices they are really of where others stand in."""
        try:
            return self._images.read(log2, indices), indices
        except DataError:
            if not self._replace_damaged:
                raise
        indices = np.array([self._readable(log2, index) for index in indices], np.int64)
        return self._images.read(log2, indices), indices

    def _readable(self, log2: int, index: int) -> int:
        """`index`, or the next one that can be read; DataError when there is none."""
        damage = None
        for candidate in np.roll(np.arange(self.info.num_images), -index):
            try:
                self._images.read(log2, np.array([candidate]))
            except DataError as error:
                damage = damage or error
                continue
            if damage is not None and str(damage) not in self._reported:
                self._reported.add(str(damage))
                print(f"warning: {damage}; image {candidate} stands in for it", file=sys.stderr)
            return int(candidate)
        raise damage


class _RecordImages:
    """Reads images from the files of a data set, opening each at its first use."""

    def __init__(self, info: DatasetInfo):
        self._info = info
        self._files: dict[int, ImageFile] = {}
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def read(self, log2: int, indices: np.ndarray) -> np.ndarray:
        """Images [N] → uint8 [N, R, R, C] with R = 2**log2."""
        file = self._open(log2)
        shape = (self._info.channels, 1 << log2, 1 << log2)
        out = np.empty([len(indices), *shape[1:], shape[0]], np.uint8)

        def read_one(at: int) -> None:
            image = file.image(int(indices[at]))
            if image.shape != shape:
                raise DataError(
                    f"{file.path}: record {indices[at]}: the image is {list(image.shape)}, "
                    f"not {list(shape)} (channels, height, width)"
                )
            for channel, plane in enumerate(image):  # four times as fast as one transposed copy
                out[at, :, :, channel] = plane

        if len(indices) > 1 and out[0].nbytes >= _THREADED_BYTES:
            list(self._pool.map(read_one, range(len(indices))))
        else:
            for at in range(len(indices)):
                read_one(at)
        return out

    def close(self) -> None:
        with self._lock:
            if self._pool:
                self._pool.shutdown()
            for file in self._files.values():
                file.close()
            self._files.clear()

    def _open(self, log2: int) -> ImageFile:
        with self._lock:
            if self._pool is None:  # starts no thread before it is used
                self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="records")
            if log2 not in self._files:
                file = ImageFile(self._info.files[log2])
                if len(file) != self._info.num_images:
                    file.close()
                    raise count_error(file.path, len(file), self._info.num_images)
                self._files[log2] = file
            return self._files[log2]


class _ChosenImages:
    """Some of the images of `images`, under indices of their own."""

    def __init__(self, images: SyntheticImages | _RecordImages, chosen: np.ndarray):
        self._images, self._chosen = images, chosen

    def read(self, log2: int, indices: np.ndarray) -> np.ndarray:
        """Images [N] → uint8 [N, R, R, C] with R = 2**log2."""
        return self._images.read(log2, self._chosen[indices])

    def close(self) -> None:
        self._images.close()


def _philox(*words: str | int) -> np.random.Philox:
    """A counter-based generator whose raw output NumPy promises never to change."""
    plain = [word if isinstance(word, str) else int(word) for word in words]  # no NumPy numbers
    digest = hashlib.blake2b(repr(plain).encode(), digest_size=16).digest()
    return np.random.Philox(key=int.from_bytes(digest, "little"))


@lru_cache(maxsize=4)
def _epoch_order(total: int, seed: int, epoch: int) -> np.ndarray:
    # Sorting random 64-bit keys and not Generator.permutation, which may change between releases
    # of NumPy: a run resumed on another machine must find its place.
    keys = _philox("order", seed, epoch).random_raw(total)
    order = np.argsort(keys, kind="stable").astype(np.int64)
    order.flags.writeable = False
    return order


def _read_labels(info: DatasetInfo) -> np.ndarray:
    if info.labels_path is None:
        return np.zeros([info.num_images, 0], np.float32)
    if is_unwritten(info):
        return digits_labels()[:, : info.label_size]
    stored = open_labels(info.labels_path)
    if stored.shape[0] != info.num_images or stored.shape[1] < info.label_size:
        raise DataError(f"{info.labels_path}: has changed since the data set was inspected")
    labels = np.array(stored[:, : info.label_size], np.float32)
    bad = np.flatnonzero(~np.isfinite(labels).all(axis=1))
    if len(bad):
        raise DataError(f"{info.labels_path}: the label of image {bad[0]} is not finite")
    return labels
