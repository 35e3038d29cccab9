"""Multi-scale pixels: features of images that need no weights."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from compute.box_means import downscale2d

LARGEST, SMALLEST = 32, 4  # pixels, height and width of the scales
COARSE = 8  # of those among which neighbours are looked for
MOVES = [(down, right) for down in (0, -1, 1) for right in (0, -1, 1)]


class Pixels(tf.Module):
    """Images → their pixels at 32×32, 16×16, 8×8 and 4×4, each scale with the same weight."""

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Images [N, H, W, C], uint8 or float in 0…255 → float32 [N, D]: of all scales that the
        images have, values in 0…1 divided by the scale's side."""
        x = tf.cast(images, tf.float32) / 255
        side = x.shape[1]
        parts = []
        if side > LARGEST:
            x, side = downscale2d(x, side // LARGEST), LARGEST
        while side >= SMALLEST:
            parts.append(tf.reshape(x, [-1, side * side * x.shape[-1]]) / side)
            x, side = downscale2d(x), side // 2
        return tf.concat(parts, axis=1)


def scales(resolution: int) -> list[int]:
    """The sides of the scales of images, largest first."""
    side = min(resolution, LARGEST)
    return [side >> level for level in range(side.bit_length()) if side >> level >= SMALLEST]


def coarse(features: np.ndarray, resolution: int, channels: int) -> np.ndarray:
    """The part of features [N, D] of 8×8 pixels and fewer: a move by a pixel of 32 hardly matters.

    resolution, channels: of the images.
    """
    fine = sum(channels * side * side for side in scales(resolution) if side > COARSE)
    return features[:, fine:]


def moved_squares(features: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Squared distances [N] of features [N, D] to those of images, uint8 [N, R, R, C] of at most 32
    pixels, the least where an image is moved by up to a pixel of 32×32, its edge repeated."""
    side, channels = images.shape[1], images.shape[3]
    values = np.float32(1 / (255 * side)) * images
    padded = np.pad(values, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
    best = np.full([len(features)], np.inf)
    for down, right in MOVES if side >= LARGEST else MOVES[:1]:
        level = padded[:, 1 + down : 1 + down + side, 1 + right : 1 + right + side]
        squares, start = np.zeros([len(features)]), 0
        for size in scales(side):
            if size < side:  # values are divided by the side: twice the means of four
                level = level.reshape(-1, size, 2, size, 2, channels).sum(axis=(2, 4)) / 2
            flat = level.reshape(len(level), -1)
            part = features[:, start : start + flat.shape[1]]
            squares += np.square(flat - part).sum(axis=1, dtype=np.float64)
            start += flat.shape[1]
        best = np.minimum(best, squares)
    return best
