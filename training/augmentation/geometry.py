"""Geometric transforms: one affine map of pixels, carried out without aliasing (appendix B).

The image is doubled with an orthogonal wavelet's filter, sampled bilinearly and halved again, so
that a map that moves no pixel returns the image. Doubling and halving are products with matrices,
which are quick on every device and have exact gradients.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from training.augmentation.draws import Parameters

SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633,
    0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252,
    -0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
_TAPS = (np.array(SYM6) / sum(SYM6)).astype(np.float32)
_REACH = len(_TAPS) // 2  # pixels beyond an image's border that its filtered pixels depend on


# ---------------------------------------------------------------- matrices


def _scaling(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    return tf.linalg.diag(tf.stack([x, y, tf.ones_like(x)], axis=-1))


def _rotation(angle: tf.Tensor) -> tf.Tensor:
    cosine, sine = tf.cos(angle), tf.sin(angle)
    zero, one = tf.zeros_like(angle), tf.ones_like(angle)
    flat = tf.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], axis=-1)
    return tf.reshape(flat, [-1, 3, 3])


def _translation(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    zero, one = tf.zeros_like(x), tf.ones_like(x)
    flat = tf.stack([one, zero, x, zero, one, y, zero, zero, one], axis=-1)
    return tf.reshape(flat, [-1, 3, 3])


def inverse_map(parameters: Parameters, height: int, width: int) -> tf.Tensor:
    """[N, 3, 3]: pixels of the result → pixels of the image, (x, y, 1) from the centre.

    The transforms' inverses in order, each on the right.
    """
    steps = {
        "xflip": lambda flip: _scaling(1 - 2 * flip, tf.ones_like(flip)),
        "rotate90": lambda turns: _rotation(turns * (math.pi / 2)),
        "xint": lambda part: _translation(
            -tf.round(part[:, 0] * width), -tf.round(part[:, 1] * height)
        ),
        "scale": lambda scale: _scaling(1 / scale, 1 / scale),
        "rotate_before": _rotation,
        "aniso": lambda scale: _scaling(1 / scale, scale),
        "rotate_after": _rotation,
        "xfrac": lambda part: _translation(-part[:, 0] * width, -part[:, 1] * height),
    }
    matrix = None
    for name, make in steps.items():
        if name in parameters:
            step = make(parameters[name])
            matrix = step if matrix is None else matrix @ step
    assert matrix is not None, "no geometric transform is on"
    return matrix


# ---------------------------------------------------------------- doubling and halving


def _doubling(size: int, before: tf.Tensor, after: tf.Tensor) -> tf.Tensor:
    """[2 · (before + size + after), size]: reflects at the ends, then doubles along an axis."""
    padded = before + size + after
    source = tf.abs(tf.range(padded) - before)
    source = tf.where(source >= size, 2 * (size - 1) - source, source)
    reflecting = tf.one_hot(source, size)
    outputs, inputs = tf.range(2 * padded)[:, None], tf.range(padded)[None]
    tap = outputs + _REACH - 1 - 2 * inputs
    values = tf.gather(2 * _TAPS, tf.clip_by_value(tap, 0, len(_TAPS) - 1))
    within = tf.logical_and(tap >= 0, tap < len(_TAPS))
    return tf.where(within, values, 0.0) @ reflecting


def _halving(size: int) -> np.ndarray:
    """float32 [size, 2 · (size + 6)]: halves along an axis, and cuts the margins off."""
    matrix = np.zeros([size, 2 * (size + _REACH)], np.float32)
    for row in range(size):
        matrix[row, 2 * row + 1 : 2 * row + 1 + len(_TAPS)] = _TAPS
    return matrix


def _along_axes(images: tf.Tensor, along_y: tf.Tensor, along_x: tf.Tensor) -> tf.Tensor:
    """[N, H, W, C] → [N, H', W', C], by matrices [H', H] and [W', W]."""
    planes = _along_last(tf.transpose(images, [0, 3, 1, 2]), along_x)
    planes = _along_last(tf.transpose(planes, [0, 1, 3, 2]), along_y)
    return tf.transpose(planes, [0, 3, 2, 1])


def _along_last(planes: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    # As one product of two matrices: those that broadcast crash TensorFlow 2.21's CPU kernel.
    rows = tf.reshape(planes, [-1, tf.shape(planes)[-1]])
    result = tf.matmul(rows, matrix, transpose_b=True)
    return tf.reshape(result, tf.concat([tf.shape(planes)[:-1], [-1]], axis=0))


# ---------------------------------------------------------------- sampling


def _bilinear(images: tf.Tensor, matrix: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Samples images [N, H', W', C] at matrix · (x, y, 1), zeros outside: [N, height, width, C].

    A pixel's coordinates are its index − (size − 1)/2, in both images.
    """
    shape = tf.shape(images)
    x = tf.range(width, dtype=tf.float32) - (width - 1) / 2
    y = tf.range(height, dtype=tf.float32) - (height - 1) / 2
    row, column = y[:, None], x[None]

    def axis(number: int, size: tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """Of both neighbours along an axis: index, and weight, 0 outside; [N, height, width]."""
        by_x, by_y, shift = tf.unstack(matrix[:, number, :, None, None], axis=1)
        at = by_x * column + (by_y * row + (shift + (tf.cast(size, tf.float32) - 1) / 2))
        first = tf.floor(at)
        part = at - first
        # All that is farther away than one pixel is the same: outside.
        first = tf.cast(tf.clip_by_value(first, -2.0, tf.cast(size, tf.float32)), tf.int32)
        indices, weights = [], []
        for index, weight in ((first, 1 - part), (first + 1, part)):
            inside = tf.clip_by_value(index, 0, size - 1)
            indices.append(inside)
            weights.append(tf.where(tf.equal(inside, index), weight, 0.0))
        return indices, weights

    columns, column_weights = axis(0, shape[2])
    rows, row_weights = axis(1, shape[1])
    image = (tf.range(shape[0]) * shape[1])[:, None, None]
    starts = [(image + index) * shape[2] for index in rows]
    index = [tf.reshape(start + column, [-1]) for start in starts for column in columns]
    weight = [tf.reshape(a * b, [-1, 1]) for a in row_weights for b in column_weights]
    channels = images.shape[-1]
    pixels = tf.reshape(images, [-1, channels])
    sampled = _weighted_rows(pixels, index, weight)
    return tf.reshape(sampled, [shape[0], height, width, channels])


def _weighted_rows(
    rows: tf.Tensor, indices: list[tf.Tensor], weights: list[tf.Tensor]
) -> tf.Tensor:
    """Σ over k of weights[k] · rows[indices[k]]; linear in rows, with its exact adjoint.

    The adjoint of a gather is written out, because TensorFlow's own is a sparse tensor, of whose
    conversion it warns in every graph. Indices and weights have no gradient.
    """

    @tf.custom_gradient
    def gather(rows: tf.Tensor):
        def grad(dy: tf.Tensor) -> tf.Tensor:
            return scatter(dy)

        parts = [weight * tf.gather(rows, index) for index, weight in zip(indices, weights)]
        return tf.add_n(parts), grad

    @tf.custom_gradient
    def scatter(values: tf.Tensor):
        count = tf.shape(rows)[0]
        parts = [
            tf.math.unsorted_segment_sum(weight * values, index, count)
            for index, weight in zip(indices, weights)
        ]

        def grad(dy: tf.Tensor) -> tf.Tensor:
            return gather(dy)

        return tf.add_n(parts), grad

    return gather(rows)


# ---------------------------------------------------------------- all of it


def apply_geometry(images: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """images [N, H, W, C] through inverse maps [N, 3, 3]; what lies outside is reflected."""
    _, height, width, _ = images.shape
    left, top, right, bottom = _margins(matrix, height, width)
    doubled = _along_axes(images, _doubling(height, top, bottom), _doubling(width, left, right))
    doubled = tf.ensure_shape(doubled, [None, None, None, images.shape[-1]])
    one = tf.ones([tf.shape(images)[0]])
    shift_x = tf.cast(left - right, tf.float32) / 2
    shift_y = tf.cast(top - bottom, tf.float32) / 2
    matrix = _translation(shift_x * one, shift_y * one) @ matrix
    matrix = _scaling(2 * one, 2 * one) @ matrix @ _scaling(one / 2, one / 2)
    matrix = _translation(-one / 2, -one / 2) @ matrix @ _translation(one / 2, one / 2)
    sampled = _bilinear(doubled, matrix, 2 * (height + _REACH), 2 * (width + _REACH))
    result = _along_axes(sampled, tf.constant(_halving(height)), tf.constant(_halving(width)))
    return tf.ensure_shape(result, images.shape)


def _margins(matrix: tf.Tensor, height: int, width: int) -> list[tf.Tensor]:
    """Pixels that the minibatch needs beyond its images: left, top, right, bottom."""
    center_x, center_y = (width - 1) / 2, (height - 1) / 2
    corners = np.array(
        [[x, y, 1] for x in (-center_x, center_x) for y in (-center_y, center_y)], np.float32
    )
    at = tf.einsum("nij,kj->nki", matrix[:, :2], corners)
    limits = np.array([width - 1, height - 1], np.float32)
    centers = np.array([center_x, center_y], np.float32)
    margins = []
    for sign in (-1.0, 1.0):
        beyond = tf.reduce_max(sign * at, axis=[0, 1]) + _REACH - centers
        whole = tf.cast(tf.math.ceil(tf.clip_by_value(beyond, 0.0, limits)), tf.int32)
        margins += tf.unstack(whole)
    return margins
