"""Data sets that need no download: scikit-learn's handwritten digits, and a synthetic one."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from datasets.format.writer import MultiResolutionWriter, choose_shuffled_order
from dnnlib.errors import explain_os_errors
from dnnlib.paths import cache_directory

DIGITS_RESOLUTION, DIGITS_COUNT, DIGITS_LABELS = 32, 1797, 10
_DIGITS_FILES = [f"digits-r{log2:02d}.tfrecords" for log2 in (2, 3, 4, 5)] + ["digits-rxx.labels"]


def digits_place() -> Path:
    """Where the `digits` data set is, or will be."""
    return cache_directory() / "digits-v1"  # another number when the content changes


def digits_written() -> bool:
    """Whether all files of the `digits` data set are there."""
    return all((digits_place() / name).is_file() for name in _DIGITS_FILES)


def digits_directory() -> Path:
    """The `digits` data set: 1,797 grey 32×32 images, 10 labels. Written at the first call.

    Several processes may call it at once. Raises UserError if the cache directory is not writable.
    """
    directory = digits_place()
    if digits_written():
        return directory
    # Every process writes a set of its own and moves its files over those of the others. That is
    # safe, since all write the same bytes, and it also completes a set that lost files.
    temporary = directory / f".tmp-{secrets.token_hex(4)}"
    with explain_os_errors("write the cache (STYLEGAN_CACHE_DIR chooses its place)", directory):
        directory.mkdir(parents=True, exist_ok=True)
        try:
            _write_digits(temporary)
            for name in _DIGITS_FILES:
                os.replace(temporary / name, directory / name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return directory


def digits_labels() -> np.ndarray:
    """The labels of the `digits` data set: float32 [1797, 10]. Nothing is written."""
    return _digits()[1]


def _write_digits(directory: Path) -> None:
    images, labels = _digits()
    with MultiResolutionWriter(directory, "digits") as writer:
        for image in images:
            writer.add_image(enlarge_digit(image)[np.newaxis])
        writer.add_labels(labels)


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's images [1797, 8, 8] and their labels, in the order of the files."""
    from sklearn.datasets import load_digits  # here, because it takes a second to import

    digits = load_digits()
    order = choose_shuffled_order(len(digits.images))
    return digits.images[order], np.eye(10, dtype=np.float32)[digits.target[order]]


def enlarge_digit(image: np.ndarray) -> np.ndarray:
    """A digit of scikit-learn, [8, 8] in [0, 16] → uint8 [32, 32].

    The strokes reach the borders of the 8×8 images. Like MNIST's digits these get a margin: 28×28
    pixels in 32×32. Bicubic looked best: bilinear dims thin strokes, Lanczos rings on the black.
    """
    padded = np.pad(image.astype(np.float32) * (255 / 16), 4)
    covered = 32 / 28 * 8  # source pixels under the 32×32 ones
    box = (8 - covered / 2, 8 - covered / 2, 8 + covered / 2, 8 + covered / 2)
    size = (DIGITS_RESOLUTION, DIGITS_RESOLUTION)
    enlarged = np.asarray(Image.fromarray(padded).resize(size, Image.Resampling.BICUBIC, box=box))
    return np.rint(enlarged).clip(0, 255).astype(np.uint8)


SYNTHETIC_COUNT = 4096
_BLOBS = 6
_CHUNK_VALUES = 1 << 22  # Bounds the float32 intermediates to 16 MB, or one image.


class SyntheticImages:
    """Smooth coloured blobs, a pure function of the image index, at any resolution.

    For benchmarks and tests. With labels, the background's hue tells the class, `index % classes`.
    """

    def __init__(self, label_size: int = 0):
        self.label_size = label_size

    def read(self, log2: int, indices: np.ndarray) -> np.ndarray:
        """Images [N] → uint8 [N, R, R, 3] with R = 2**log2."""
        resolution = 1 << log2
        out = np.empty([len(indices), resolution, resolution, 3], np.uint8)
        chunk = max(1, _CHUNK_VALUES // (resolution * resolution * 3))
        for start in range(0, len(indices), chunk):
            part = indices[start : start + chunk]
            out[start : start + chunk] = self._draw(resolution, part)
        return out

    def labels(self, count: int) -> np.ndarray:
        """One-hot float32 [count, label_size]."""
        if not self.label_size:
            return np.zeros([count, 0], np.float32)
        return np.eye(self.label_size, dtype=np.float32)[np.arange(count) % self.label_size]

    def close(self) -> None:
        """Nothing to close; for the same interface as files."""

    def _draw(self, resolution: int, indices: np.ndarray) -> np.ndarray:
        draws = np.stack([_uniform(int(index)) for index in indices])  # [N, blobs, 6]
        x, y, size = draws[..., 0], draws[..., 1], 0.05 + 0.2 * draws[..., 2]
        colours = draws[..., 3:] * 1.4 - 0.7
        background = 0.3 + 0.4 * draws[:, 0, 3:]
        if self.label_size:
            turn = np.asarray(indices) % self.label_size / self.label_size
            background = 0.5 + 0.3 * np.cos(2 * np.pi * (turn[:, np.newaxis] + np.arange(3) / 3))
        # A Gaussian is a product of one over x and one over y, so the sum over blobs is a matmul.
        pixels = (np.arange(resolution, dtype=np.float32) + 0.5) / resolution
        over_x = np.exp(-(((pixels - x[..., np.newaxis]) / size[..., np.newaxis]) ** 2))
        over_y = np.exp(-(((pixels - y[..., np.newaxis]) / size[..., np.newaxis]) ** 2))
        over_y = over_y[:, np.newaxis] * colours.transpose(0, 2, 1)[..., np.newaxis]  # [N, C, b, R]
        over_x, over_y = over_x.astype(np.float32), over_y.astype(np.float32)
        image = np.matmul(over_y.transpose(0, 1, 3, 2), over_x[:, np.newaxis])  # [N, C, R, R]
        image += background[..., np.newaxis, np.newaxis].astype(np.float32)
        return np.rint(image * 255).clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def _uniform(index: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox(key=index)).random([_BLOBS, 6])
