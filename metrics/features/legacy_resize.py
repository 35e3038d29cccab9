"""The bilinear resize of TensorFlow 1, which the feature networks were published with."""

from __future__ import annotations

import tensorflow as tf


def legacy_resize(images: tf.Tensor, size: int) -> tf.Tensor:
    """Images [N, H, W, 1 or 3], uint8 or float → float32 [N, size, size, 1 or 3].

    Pixel y comes from y·H/size of the source, not from (y + ½)·H/size − ½, and smaller images are
    not means of larger ones. Raises ValueError for other shapes.
    """
    images = tf.convert_to_tensor(images)
    if images.shape.rank != 4 or images.shape[-1] not in (1, 3, None):
        raise ValueError(f"images have shape {images.shape}, expected [N, H, W, 1 or 3]")
    return tf.raw_ops.ResizeBilinear(images=images, size=[size, size], half_pixel_centers=False)
