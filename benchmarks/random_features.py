"""Features of pictures without anybody's weights: a small convolutional network, never trained.

Networks with random weights tell distributions of pictures apart, and more evenly over domains than
those trained on photographs (Naeem et al. 2020, "Reliable fidelity and diversity metrics", §4).
Numbers made with them compare among pictures of one data set alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_WIDTHS = (64, 128, 256)
_BATCH = 256


class Features(NamedTuple):
    """Maps pictures [N, H, W, C] in [0, 1] to points [N, 1792], 0 ± 1 over those it was made of."""

    kernels: tuple[np.ndarray, ...]
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, pictures: np.ndarray, seed: int = 0) -> Features:
        """With weights by `seed`, and the scale by pictures that stand for what is wanted."""
        rng, channels, kernels = np.random.RandomState(seed), pictures.shape[-1], []
        for width in _WIDTHS:
            kernel = rng.randn(3, 3, channels, width) * np.sqrt(2 / (9 * channels))
            kernels.append(kernel.astype(np.float32))
            channels = width
        points = _points(pictures, tuple(kernels))
        # What hardly varies says hardly anything, and would be all noise at unit variance.
        deviation = points.std(0)
        return cls(tuple(kernels), points.mean(0), np.maximum(deviation, deviation.mean() / 100))

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        return (_points(pictures, self.kernels) - self.mean) / self.deviation


def _points(pictures: np.ndarray, kernels: tuple[np.ndarray, ...]) -> np.ndarray:
    """Means over the quarters of a picture of what each layer sees there."""
    batches = [
        _of_batch(pictures[start : start + _BATCH], kernels)
        for start in range(0, len(pictures), _BATCH)
    ]
    return np.concatenate(batches)


def _of_batch(pictures: np.ndarray, kernels: tuple[np.ndarray, ...]) -> np.ndarray:
    import tensorflow as tf

    x, points = tf.constant(pictures, tf.float32) * 2 - 1, []
    for kernel in kernels:
        x = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME"))
        half = x.shape[1] // 2
        quarters = tf.nn.avg_pool2d(x, half, half, "VALID")
        points.append(tf.reshape(quarters, [len(pictures), -1]))
        x = tf.nn.avg_pool2d(x, 2, 2, "VALID")
    return tf.concat(points, axis=1).numpy()
