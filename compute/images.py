"""Images from floats to whole numbers: the four roundings that the originals had, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from compute.box_means import box_mean, downscale2d

if TYPE_CHECKING:
    import tensorflow as tf


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Floats in [-1, 1] (clipped) → levels 0 to 255, to the nearest, halves to even."""
    levels = np.asarray(images, np.float32) * np.float32(127.5) + np.float32(127.5)
    return np.rint(levels).clip(0, 255).astype(np.uint8)


def images_to_uint8(images: tf.Tensor, shrink: int = 1) -> tf.Tensor:
    """[N, H, W, C] in [-1, 1] → uint8 [N, H/shrink, W/shrink, C].

    floor(x · 127.5 + 128), saturated; `shrink` × `shrink` means are taken first. This is how
    generated images reach users and metrics; saved grids round differently (datasets/grids.py).
    """
    import tensorflow as tf  # the others here do without

    x = tf.cast(images, tf.float32)
    x = downscale2d(x, shrink)
    # Saturating first makes the cast's truncation the floor.
    return tf.cast(tf.clip_by_value(x * 127.5 + 128, 0, 255), tf.uint8)


def convert_images_to_uint8(
    images: np.ndarray,
    drange: tuple[float, float] = (-1, 1),
    nchw_to_nhwc: bool = False,
    shrink: int = 1,
) -> np.ndarray:
    """Images [N, C, H, W] with values in `drange` → uint8, 0 to 255; what lies outside is cut off.

    nchw_to_nhwc: returns [N, H, W, C]. shrink: the mean of shrink × shrink pixels first.
    Raises ValueError naming an argument that does not fit.
    """
    images = np.asarray(images, np.float32)
    low, high = (float(edge) for edge in drange)
    if not low < high:
        raise ValueError(f"convert_images_to_uint8: drange={drange!r}, expected (low, high)")
    images = _shrunk(images, shrink)
    if nchw_to_nhwc:
        images = np.transpose(_four_axes(images), [0, 2, 3, 1])
    # In float32 and in one step, which decides the values that lie at an edge. Half a step is
    # added and the rest cut off: the nearest whole number, and the upper one of two.
    scale = 255 / (high - low)
    return np.clip(images * np.float32(scale) + np.float32(0.5 - low * scale), 0, 255).astype(
        np.uint8
    )


def legacy_output(
    values: np.ndarray,
    *,
    out_mul: float = 1.0,
    out_add: float = 0.0,
    out_shrink: int = 1,
    out_dtype: Any = None,
) -> np.ndarray:
    """What Progressive GAN's `run` did with its output, in this order: × out_mul, + out_add, the
    mean of out_shrink × out_shrink pixels, conversion to out_dtype.

    A whole-number type gets the nearest number, the even one of two, and its own limits.
    """
    values = np.asarray(values, np.float32) * np.float32(out_mul) + np.float32(out_add)
    values = _shrunk(values, out_shrink, "out_shrink")
    if out_dtype is None:
        return values
    dtype = np.dtype(getattr(out_dtype, "as_numpy_dtype", out_dtype))  # also TensorFlow's
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        # Of a 32-bit type the limits are no float32.
        values = np.clip(np.rint(np.float64(values)), limits.min, limits.max)
    return values.astype(dtype)


def _four_axes(images: np.ndarray) -> np.ndarray:
    if images.ndim != 4:
        raise ValueError(f"images have shape {images.shape}, expected [N, C, H, W]")
    return images


def _shrunk(images: np.ndarray, factor: int, name: str = "shrink") -> np.ndarray:
    """[N, C, H, W] → [N, C, H // factor, W // factor]; what is left over at the end is dropped."""
    if factor == 1:
        return images
    whole = isinstance(factor, (int, np.integer)) and factor > 0
    height, width = _four_axes(images).shape[2:]
    if not whole or factor > min(height, width):
        raise ValueError(f"{name}={factor!r}, expected a whole number, 1 to {min(height, width)}")
    return box_mean(images, factor)
