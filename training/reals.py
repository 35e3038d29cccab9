"""Real images as the discriminator sees them: from uint8 to the networks' range."""

from __future__ import annotations

import tensorflow as tf

from networks import ops


def process_reals(
    images: tf.Tensor, fade: tf.Tensor | float | None = None, mirror: tf.Tensor | None = None
) -> tf.Tensor:
    """Stored images at the current resolution: uint8 [N, H, W, C] → float32 in [-1, 1].

    images: of lod floor(lod). fade: scalar lod − floor(lod) in [0, 1), how far they are blended
    with themselves at half the resolution while the networks grow (Progressive GAN §2); None: not
    at all. mirror: bool [N], the images to flip horizontally; None: none.
    """
    x = tf.cast(images, tf.float32) * (2 / 255) - 1
    if mirror is not None:
        x = tf.where(mirror[:, tf.newaxis, tf.newaxis, tf.newaxis], x[:, :, ::-1], x)
    if fade is not None:
        blurred = ops.upscale2d(ops.downscale2d(x))
        x += (blurred - x) * tf.cast(fade, tf.float32)
    return x
