"""Perceptual path length: how much images change for a small step in latent space.

StyleGAN §4.1, StyleGAN2 §3. A path's length is measured at one point t of it, from there to t + ε.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from compute.box_means import downscale2d
from metrics.samples import SECOND_LATENT, Samples

MAX_SIDE = 256  # pixels of what is compared


def normalize(v: tf.Tensor) -> tf.Tensor:
    """Vectors [..., L] of length 1."""
    return v / tf.norm(v, axis=-1, keepdims=True)


def slerp(a: tf.Tensor, b: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
    """Spherical interpolation of a, b [N, L] at t [N, 1]: unit vectors [N, L]."""
    a, b = normalize(a), normalize(b)
    cosine = tf.reduce_sum(a * b, axis=-1, keepdims=True)
    angle = t * tf.acos(cosine)
    across = normalize(b - cosine * a)
    return normalize(a * tf.cos(angle) + across * tf.sin(angle))


def lerp(a: tf.Tensor, b: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
    """a, b [N, ...] interpolated at t [N, ...]."""
    return a + (b - a) * t


def crop(images: tf.Tensor) -> tf.Tensor:
    """The part of images [N, R, R, C] where a face would be, at most 256×256.

    Of every data set, as the paper's numbers have it: the middle half of the columns, and half
    of the rows, from 3/8 on.
    """
    unit = images.shape[1] // 8
    images = images[:, 3 * unit : 7 * unit, 2 * unit : 6 * unit]
    return shrink(images, MAX_SIDE)


def shrink(images: tf.Tensor, side: int) -> tf.Tensor:
    """Means of equal squares of images [N, R, R, C], so that at most `side` pixels are left."""
    factor = images.shape[1] // side
    return downscale2d(images, max(factor, 1))


def path_codes(
    samples: Samples,
    numbers: tf.Tensor,
    labels: tf.Tensor,
    space: str,
    sampling: str,
    epsilon: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Codes of both ends of a step on the paths of `numbers`.

    space: 'z' or 'w'; sampling: 'full' or 'end' (metrics/ppl.py).
    """
    z0, z1 = samples.latents(numbers), samples.latents(numbers, SECOND_LATENT)
    t = tf.zeros_like(z0[:, :1]) if sampling == "end" else samples.positions(numbers)
    return step_codes(samples.codes, z0, z1, labels, t, epsilon, space)


def step_codes(
    codes: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    z0: tf.Tensor,
    z1: tf.Tensor,
    labels: tf.Tensor,
    t: tf.Tensor,
    epsilon: float,
    space: str,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Codes at t [N, 1] and at t + ε of paths from z0 to z1 [N, L]; codes: (z, labels) → codes."""
    if space == "z":
        near, far = (codes(slerp(z0, z1, at), labels) for at in (t, t + epsilon))
    else:
        w0, w1 = codes(z0, labels), codes(z1, labels)
        t = t[:, :, None]
        near, far = (lerp(w0, w1, at) for at in (t, t + epsilon))
    return near, far


def path_images(
    samples: Samples,
    ends: tuple[tf.Tensor, tf.Tensor],
    noise_numbers: tf.Tensor,
    whole: bool = False,
) -> list[tf.Tensor]:
    """What is compared: both ends' images, or the parts of them where a face would be."""
    images = samples.images(tf.concat(ends, axis=0), tf.tile(noise_numbers, [2]))
    return tf.split(compared(images, whole), 2)


def compared(images: tf.Tensor, whole: bool = False) -> tf.Tensor:
    """What LPIPS sees of images [N, R, R, C] in about [−1, 1]: the whole, or what `crop` leaves, of
    at most 256×256 pixels, in 0 … 255, not rounded."""
    images = shrink(images, MAX_SIDE) if whole else crop(images)
    return (images + 1) * 127.5


def filtered_mean(distances: np.ndarray) -> float:
    """The mean [N] → number, without what lies beyond the 1st and the 99th percentile.

    Both are values that occur: the lower neighbour of the first, the upper one of the second.
    """
    low = np.percentile(distances, 1, method="lower")
    high = np.percentile(distances, 99, method="higher")
    kept = distances[(low <= distances) & (distances <= high)]
    return float(kept.mean(dtype=np.float64))
