"""Means of squares of pixels, one beside the other: all lower resolutions of an image are such.

There are four, for what goes in and how exact it must be; where the sums are exact, as of 8-bit
levels, they agree in every bit. Nothing here imports TensorFlow before a tensor comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf


def downscale2d(images: tf.Tensor, factor: int = 2) -> tf.Tensor:
    """Of a tensor, differentiable: [N, H, W, C] → [N, H / factor, W / factor, C]."""
    import tensorflow as tf  # the others here do without

    return images if factor == 1 else tf.nn.avg_pool2d(images, factor, factor, "VALID")


def box_mean(images: np.ndarray, factor: int) -> np.ndarray:
    """Of floats: [..., H, W] → [..., H // factor, W // factor], in the type of `images`.

    What is left over at the end is dropped.
    """
    *lead, height, width = images.shape
    rows, columns = height // factor, width // factor
    images = images[..., : rows * factor, : columns * factor]
    return images.reshape(*lead, rows, factor, columns, factor).mean(axis=(-3, -1))


def box_reduce(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Of 8-bit levels, rounded half to even: uint8 [H, W, …] → [H // factor, W // factor, …].

    Exact for powers of two up to 4096. Pillow's box filter rounds twice, after the rows too. What
    is left over at the end is dropped.
    """
    height, width = (size // factor * factor for size in pixels.shape[:2])
    pixels = pixels[:height, :width]
    rows = pixels[::factor].astype(np.uint32)
    for start in range(1, factor):
        rows += pixels[start::factor]
    sums = rows[:, ::factor].copy()
    for start in range(1, factor):
        sums += rows[:, start::factor]
    return np.rint(sums / (factor * factor)).astype(np.uint8)


def box_halve(image: np.ndarray) -> np.ndarray:
    """Of 2×2 pixels: uint8 or float32 [C, H, W] → float32 [C, H/2, W/2].

    Some times faster than `box_mean`, which matters where every image of a data set is halved
    down to 4×4; of 1024×1024 levels all of these means are exact in float32.
    """
    rows = np.add(image[:, 0::2], image[:, 1::2], dtype=np.float32)
    means = rows[:, :, 0::2] + rows[:, :, 1::2]
    means *= np.float32(0.25)
    return means
