"""Amplifying four bands of an image's frequencies, each image by its own gains (appendix B)."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf

SYM2 = (-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025)
# The power of each band in natural images, by which amplified bands keep the whole one's.
_POWER = np.array([10, 1, 1, 1], np.float32) / 13


@functools.lru_cache(maxsize=1)
def filter_bank() -> np.ndarray:
    """float64 [4, 43]: symmetric filters of the four bands, the lowest first; their sum is an
    impulse."""
    taps = np.array(SYM2)
    mirrored = taps * (-1.0) ** np.arange(len(taps))
    low = np.convolve(taps, taps[::-1]) / 2
    high = np.convolve(mirrored, mirrored[::-1]) / 2
    bank = np.eye(4, 1)
    for band in range(1, 4):
        spread = np.zeros([4, 2 * bank.shape[1] - 1])
        spread[:, ::2] = bank
        bank = np.stack([np.convolve(row, low) for row in spread])
        middle = bank.shape[1] // 2
        bank[band, middle - 3 : middle + 4] += high
    return bank


@functools.lru_cache(maxsize=16)
def band_matrices(size: int) -> np.ndarray:
    """float32 [4, size, size]: each band's filter along an axis, reflected at the ends.

    size: at least 22, because the filter reaches 21 pixels beyond an end.
    """
    bank = filter_bank()
    reach = bank.shape[1] // 2
    positions = np.arange(size)[:, None] + np.arange(-reach, reach + 1)
    positions = np.abs(positions)
    positions = np.where(positions >= size, 2 * (size - 1) - positions, positions)
    matrices = np.zeros([4, size, size])
    rows = np.broadcast_to(np.arange(size)[:, None], positions.shape)
    for matrix, taps in zip(matrices, bank):
        np.add.at(matrix, (rows, positions), np.broadcast_to(taps, positions.shape))
    return matrices.astype(np.float32)


def band_gains(amplified: tf.Tensor) -> tf.Tensor:
    """The gains [N, 4] in force, of the factors [N, 4] drawn for each band on its own."""
    gains = tf.ones_like(amplified)
    for band in range(4):
        own = tf.one_hot(band, 4)
        factors = 1 + (amplified - 1) * own
        gains *= factors * tf.math.rsqrt(tf.reduce_sum(_POWER * factors**2, 1, keepdims=True))
    return gains


def apply_bands(images: tf.Tensor, amplified: tf.Tensor) -> tf.Tensor:
    """images [N, H, W, C], each filtered along both axes."""
    _, height, width, _ = images.shape
    gains = band_gains(amplified)
    along_y = tf.einsum("nb,bij->nij", gains, band_matrices(height))
    along_x = tf.einsum("nb,bij->nij", gains, band_matrices(width))
    planes = _along_last(tf.transpose(images, [0, 3, 1, 2]), along_x)
    planes = _along_last(tf.transpose(planes, [0, 1, 3, 2]), along_y)
    return tf.transpose(planes, [0, 3, 2, 1])


def _along_last(planes: tf.Tensor, matrices: tf.Tensor) -> tf.Tensor:
    """[N, C, A, B] by each image's own matrix [N, B, B]."""
    _, channels, rows, size = planes.shape
    flat = tf.reshape(planes, [-1, channels * rows, size])
    return tf.reshape(tf.matmul(flat, matrices, transpose_b=True), [-1, channels, rows, size])
