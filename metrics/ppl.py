"""Perceptual path length, PPL, of a generator: StyleGAN §4.1, tables 3 to 5."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dnnlib.errors import UserError
from metrics.declaration import GeneratorFacts, Metric, metric

if TYPE_CHECKING:
    import tensorflow as tf

    from metrics.evaluation import Evaluation
    from metrics.tools import Needs

EPSILON = 1e-4
NETWORK = "vgg16"
NOISE_GROUP = 16  # paths that share their noise, as the paper's minibatch did
LEAST_SIDE = 16  # pixels, for VGG16


def check(generator: GeneratorFacts, tools: Needs, *, space: str, sampling: str) -> None:
    """Raises UserError unless paths of a generator can be measured."""
    check_paths(generator, tools, space)
    side = generator.resolution
    if side < 2 * LEAST_SIDE:
        raise UserError(
            f"ppl: the network's images are {side}x{side}, and the part that is compared too small "
            f"for VGG16; {2 * LEAST_SIDE}x{2 * LEAST_SIDE} is the least"
        )


def check_paths(generator: GeneratorFacts, tools: Needs, space: str) -> None:
    """Raises UserError where the space or the precision does not allow it."""
    if space == "w" and not generator.has_styles:
        raise UserError("ppl in w: the network has no w; ppl_zfull and ppl_zend measure its z")
    precision = tools.settings.precision
    if precision != "float32":
        raise UserError(
            f"ppl: steps of {EPSILON:g} are lost in the rounding of {precision}; "
            "--precision=float32"
        )


@metric(
    title="perceptual path length",
    families={
        f"ppl_{space}{sampling}": {"space": space, "sampling": sampling}
        for sampling in ("full", "end")
        for space in "zw"
    },
    count=100_000,
    least=3,
    samples="paths",
    networks=(NETWORK,),
    check=check,
    in_all=True,
)
def ppl(evaluation: Evaluation, metric: Metric, *, space: str, sampling: str) -> dict[str, float]:
    """{'': PPL} of paths.

    space: 'z', great circles through normalised latents; 'w', lines. sampling: 'full', at a random
    point of the path; 'end', at its beginning. Both ends of a step have the same noise.
    """
    return {"": measure(evaluation, metric, space, sampling)}


def measure(
    evaluation: Evaluation,
    metric: Metric,
    space: str,
    sampling: str,
    *,
    whole: bool = False,
    noise_group: int = NOISE_GROUP,
) -> float:
    """The mean length of a metric's paths, in LPIPS / ε².

    space, sampling: as `ppl` has them. whole: compare images, not the part of them where a face
    would be. noise_group: how many paths share their noise. Both ends of a path have one label.
    """
    from metrics import path_length

    samples, distance = evaluation.samples, evaluation.tools.network(NETWORK)

    def step(numbers: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, ...]:
        ends = path_length.path_codes(samples, numbers, labels, space, sampling, EPSILON)
        first, second = path_length.path_images(samples, ends, numbers // noise_group, whole)
        return (distance(first, second) / EPSILON**2,)

    minibatch = max(evaluation.minibatch // 2, 1)  # of two images each
    parts = evaluation.map(step, metric.count, minibatch=minibatch, unit=f"paths in {space}")
    lengths = np.concatenate([part for (part,) in parts])
    evaluation.check_finite(lengths, "path lengths")
    return path_length.filtered_mean(lengths)
