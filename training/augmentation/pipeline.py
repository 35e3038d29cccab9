"""From a minibatch to its augmentation: differentiable, in the graph, drawn anew at each use."""

from __future__ import annotations

import tensorflow as tf

from training.augmentation.bands import apply_bands
from training.augmentation.colour import apply_colour, colour_matrix
from training.augmentation.draws import Parameters, SeededSource, draw
from training.augmentation.geometry import apply_geometry, inverse_map
from training.augmentation.transforms import BLIT, COLOR, GEOM, Transforms


def augment(images: tf.Tensor, transforms: Transforms, p: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """images [N, H, W, C] float32, C 3 or 1, each transformed at random with strength p.

    Linear in the images but for what is added to them; the numbers drawn of seed, int32 [2], have
    no gradient. Nothing is clipped.
    """
    source = SeededSource(seed, tf.shape(images)[0])
    return apply(images, transforms, draw(transforms, p, source, tuple(images.shape[1:])))


def apply(images: tf.Tensor, transforms: Transforms, parameters: Parameters) -> tf.Tensor:
    """images [N, H, W, C] by what `draw` returned for them."""
    if transforms.any_of((*BLIT, *GEOM)):
        _, height, width, _ = images.shape
        images = apply_geometry(images, inverse_map(parameters, height, width))
    if any(name in parameters for name in COLOR):  # of gray images hue has none
        images = apply_colour(images, colour_matrix(parameters))
    if "imgfilter" in parameters:
        images = apply_bands(images, parameters["imgfilter"])
    if "noise" in parameters:
        images += parameters["noise"][:, None, None, None] * parameters["noise_field"]
    if "cutout" in parameters:
        images *= _outside(images, parameters["cutout"], parameters["cutout_center"])
    return images


def _outside(images: tf.Tensor, size: tf.Tensor, center: tf.Tensor) -> tf.Tensor:
    """1 outside squares of `size`, parts of the image, around centers [N, 2] (x, y), else 0."""
    _, height, width, _ = images.shape

    def within(pixels: int, middle: tf.Tensor) -> tf.Tensor:
        at = (tf.range(pixels, dtype=tf.float32) + 0.5) / pixels
        return tf.abs(at - middle[:, None]) < size[:, None] / 2

    inside = tf.logical_and(
        within(height, center[:, 1])[:, :, None], within(width, center[:, 0])[:, None]
    )
    return tf.where(inside, 0.0, 1.0)[..., None]
