"""Real images as the discriminator sees them: from uint8 to the networks' range."""

from __future__ import annotations

import tensorflow as tf


def process_reals(
    images: tf.Tensor, fade: tf.Tensor | float | None = None, mirror: tf.Tensor | None = None
) -> tf.Tensor:
    """Stored images as the discriminator sees them at the current resolution.

    Args:
        images: uint8 [N, H, W, C], of lod floor(lod).
        fade: scalar lod − floor(lod) in [0, 1): how far the images are blended with themselves at
            half the resolution while the networks grow (Progressive GAN §2). None: not at all.
        mirror: bool [N], the images to flip horizontally. None: none.

    Returns float32 [N, H, W, C] in [-1, 1].
    """
    x = tf.cast(images, tf.float32) * (2 / 255) - 1
    if mirror is not None:
        x = tf.where(mirror[:, tf.newaxis, tf.newaxis, tf.newaxis], x[:, :, ::-1], x)
    if fade is not None:
        x += (_box_blur(x) - x) * tf.cast(fade, tf.float32)
    return x


def _box_blur(x: tf.Tensor) -> tf.Tensor:
    """The means of 2×2 pixels in place of each of the four."""
    _, height, width, channels = x.shape
    x = tf.reshape(x, [-1, height // 2, 2, width // 2, 2, channels])
    mean = tf.reduce_mean(x, axis=[2, 4], keepdims=True)
    x = tf.broadcast_to(mean, tf.shape(x))
    return tf.reshape(x, [-1, height, width, channels])
