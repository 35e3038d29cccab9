"""Colour transforms: one affine map of an image's channels."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from training.augmentation.draws import Parameters

# The direction of gray, in homogeneous coordinates (R, G, B, 1).
_GRAY = np.array([1, 1, 1, 0], np.float32) / np.sqrt(np.float32(3))
_ALONG = np.outer(_GRAY, _GRAY)
_IDENTITY = np.eye(4, dtype=np.float32)
_RGB = np.diag([1, 1, 1, 0]).astype(np.float32)
_ONE = _IDENTITY - _RGB
_SHIFT = np.outer([1, 1, 1, 0], [0, 0, 0, 1]).astype(np.float32)
# x ↦ v × x, of which a rotation about v is made.
_CROSS = np.zeros([4, 4], np.float32)
_CROSS[:3, :3] = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)


def colour_matrix(parameters: Parameters) -> tf.Tensor:
    """[N, 4, 4], acting on (R, G, B, 1): the transforms in order, each on the left."""
    matrix = None
    for name, make in _MATRICES.items():
        if name in parameters:
            step = make(parameters[name][:, None, None])
            matrix = step if matrix is None else step @ matrix
    assert matrix is not None, "no colour transform is on"
    return matrix


def _rotation(angle: tf.Tensor) -> tf.Tensor:
    """By `angle` about gray (Rodrigues)."""
    cosine, sine = tf.cos(angle), tf.sin(angle)
    return _ONE + cosine * _RGB + (1 - cosine) * _ALONG + sine * _CROSS


_MATRICES = {
    "brightness": lambda shift: _IDENTITY + shift * _SHIFT,
    "contrast": lambda factor: _ONE + factor * _RGB,
    "lumaflip": lambda flip: _IDENTITY - 2 * flip * _ALONG,
    "hue": _rotation,
    "saturation": lambda factor: _ALONG + factor * (_IDENTITY - _ALONG),
}


def apply_colour(images: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """images [N, H, W, 3 or 1]; a gray one's value goes through the mean of the three rows."""
    matrix = matrix[..., :3, :]
    if images.shape[-1] == 1:
        matrix = tf.reduce_mean(matrix, axis=-2, keepdims=True)
        factors = tf.reduce_sum(matrix[..., :3], axis=-1, keepdims=True)
    else:
        factors = matrix[..., :3]
    shape = tf.shape(images)
    pixels = tf.reshape(images, [shape[0], -1, images.shape[-1]])
    pixels = tf.matmul(pixels, factors, transpose_b=True) + tf.linalg.matrix_transpose(
        matrix[..., 3:]
    )
    return tf.reshape(pixels, shape)
