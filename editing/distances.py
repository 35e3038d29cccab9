"""How different two images look: what a projection makes small.

A distance embeds images, and compares what it embedded, so that a target is embedded once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Optional, Protocol

import tensorflow as tf

from compute.box_means import downscale2d
from dnnlib.errors import UserError
from metrics.features import vgg16, weights

MAX_SIDE = 256  # pixels of what is compared (StyleGAN2, appendix D)


class Distance(Protocol):
    """Images [N, H, W, 1 or 3] in 0…255 → list of tensors [N, …]; two of those → float32 [N].

    strange: a picture that ends further from its target than this share of what lies between two
    of the network's own is not of the kind that it makes.
    """

    name: str
    strange: float

    def embed(self, images: tf.Tensor) -> list[tf.Tensor]: ...

    def between(self, first: list[tf.Tensor], second: list[tf.Tensor]) -> tf.Tensor: ...


class Perceptual:
    """LPIPS over VGG16, as the originals' projectors have it."""

    name = "LPIPS"
    strange = 0.5

    def __init__(self, lpips: vgg16.Lpips) -> None:
        self._lpips = lpips

    def embed(self, images: tf.Tensor) -> list[tf.Tensor]:
        return self._lpips.embed(images)

    def between(self, first: list[tf.Tensor], second: list[tf.Tensor]) -> tf.Tensor:
        return self._lpips.between(first, second)


class PixelScales:
    """Mean squared differences of the pixels in [−1, 1], and of their means over 2×2, 4×4, …, down
    to 4×4 means, added up. The small ones lead w when nothing is in its place yet."""

    name = "pixels at several scales"
    # Digits that the demo has not seen end at 0.02 to 0.08, emoji at 0.12 to 0.25, stripes at 1.1.
    strange = 0.2

    def embed(self, images: tf.Tensor) -> list[tf.Tensor]:
        scales = [tf.cast(images, tf.float32) / 127.5 - 1]
        while scales[-1].shape[1] > 4:
            scales.append(downscale2d(scales[-1]))
        return scales

    def between(self, first: list[tf.Tensor], second: list[tf.Tensor]) -> tf.Tensor:
        squares = [tf.math.squared_difference(a, b) for a, b in zip(first, second)]
        return tf.add_n([tf.reduce_mean(square, axis=[1, 2, 3]) for square in squares])


def shrink(images: tf.Tensor) -> tf.Tensor:
    """Images [N, R, R, C] as the distance sees them: means of equal squares, 256×256 at most."""
    return downscale2d(images, max(images.shape[1] // MAX_SIDE, 1))


def choose(
    kind: Optional[str],
    resolution: int,
    channels: int,
    *,
    vgg16_weights: Optional[str] = None,
    cache_dir: str | os.PathLike | None = None,
    say: Callable[[str], Any] = print,
) -> Distance:
    """'lpips', 'pixels', or None: LPIPS where it can be had, after a line on what stands in.

    vgg16_weights, cache_dir: as `metrics.features.weights.load` takes them. Raises UserError where
    'lpips' or a file of weights is asked for and cannot be had.
    """
    wanted = kind == "lpips" or vgg16_weights is not None
    if kind == "pixels":
        if vgg16_weights is not None:
            raise UserError("--vgg16_weights is for --distance=lpips; leave out --distance=pixels")
        return PixelScales()
    refused = _refused(resolution, channels)
    if refused is None:
        try:
            found = weights.load("vgg16", vgg16_weights, cache_dir, say)
        except UserError as error:
            if wanted:
                raise
            refused = str(error)
        else:
            return Perceptual(vgg16.Lpips(found.arrays))
    if wanted:
        raise UserError(f"--distance=lpips: {refused}")
    say(f"note: pixels at several scales are compared, which blurs details; LPIPS: {refused}")
    return PixelScales()


def _refused(resolution: int, channels: int) -> Optional[str]:
    if channels not in (1, 3):
        return f"VGG16 takes 1 or 3 channels, the network's images have {channels}"
    if resolution < vgg16.MIN_SIZE:
        least = vgg16.MIN_SIZE
        return f"VGG16 takes {least}×{least} pixels or more, the network's images have {resolution}"
    return None
