"""Perceptual path length, PPL, of a generator: StyleGAN §4.1, tables 3 to 5."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from dnnlib.errors import UserError
from metrics import path_length
from metrics.samples import SECOND_LATENT

EPSILON = 1e-4
NOISE_GROUP = 16  # paths that share their noise, as the paper's minibatch did


def ppl(evaluation, count: int, *, space: str, sampling: str) -> dict:
    """{'': PPL} of `count` paths.

    space: 'z', great circles through normalised latents; 'w', lines. sampling: 'full', at a random
    point of the path; 'end', at its beginning. Both ends of a step have the same noise.
    Raises UserError when the generator's paths cannot be measured.
    """
    samples = evaluation.samples
    check(space, samples.has_styles, samples.resolution, evaluation.precision)
    distance = evaluation.features("vgg16")

    def step(numbers, labels):
        ends = path_codes(samples, numbers, labels, space=space, sampling=sampling)
        first, second = path_images(samples, ends, numbers // NOISE_GROUP)
        return (distance(first, second) / EPSILON**2,)

    paths = max(evaluation.minibatch // 2, 1)
    found = evaluation.work.map(
        step, count, paths, fetch=evaluation.fetch_labels, what=f"paths in {space}"
    )
    lengths = np.concatenate([part for (part,) in found])
    evaluation.check_finite(lengths, "path lengths")
    return {"": path_length.filtered_mean(lengths)}


def check(space: str, styled: bool, resolution: int, precision: str) -> None:
    """Raises UserError unless paths of a generator can be measured."""
    if space == "w" and not styled:
        raise UserError("ppl_w…: the network has no w; ppl_zfull and ppl_zend measure its z")
    if resolution < 32:
        raise UserError(
            f"ppl: the network's images are {resolution}x{resolution}, and the part that is "
            "compared too small for VGG16; 32x32 is the least"
        )
    if precision != "float32":
        raise UserError(
            f"ppl: steps of {EPSILON:g} are lost in the rounding of {precision}; "
            "--precision=float32"
        )


def path_codes(samples, numbers, labels, *, space, sampling):
    """Codes of both ends of each step: a pair of tensors."""
    z0, z1 = samples.latents(numbers), samples.latents(numbers, SECOND_LATENT)
    t = tf.zeros_like(z0[:, :1]) if sampling == "end" else samples.positions(numbers)
    return step_codes(samples.codes, z0, z1, labels, t, EPSILON, space)


def step_codes(codes, z0, z1, labels, t, epsilon, space):
    """Codes at t and at t + ε of paths from z0 to z1 [N, L]; codes: (z, labels) → codes."""
    if space == "z":
        return tuple(codes(path_length.slerp(z0, z1, at), labels) for at in (t, t + epsilon))
    w0, w1 = codes(z0, labels), codes(z1, labels)
    t = t[:, :, None]
    return tuple(path_length.lerp(w0, w1, at) for at in (t, t + epsilon))


def path_images(samples, ends, noise_numbers):
    """What is compared: the parts of both ends' images [N, S, S, C], in 0 … 255, not rounded."""
    images = samples.images(tf.concat(ends, axis=0), tf.tile(noise_numbers, [2]))
    return tf.split((path_length.crop(images) + 1) * 127.5, 2)
