"""Perceptual path length, PPL, of a generator: StyleGAN §4.1, tables 3 to 5."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dnnlib.errors import UserError
from metrics.declaration import GeneratorFacts, Metric, metric

if TYPE_CHECKING:
    import tensorflow as tf

    from metrics.evaluation import Evaluation
    from metrics.tools import Tools

EPSILON = 1e-4
NETWORK = "vgg16"
NOISE_GROUP = 16  # paths that share their noise, as the paper's minibatch did


def check(generator: GeneratorFacts, tools: Tools, *, space: str, sampling: str) -> None:
    """Raises UserError unless paths of a generator can be measured."""
    if space == "w" and not generator.has_styles:
        raise UserError("ppl_w…: the network has no w; ppl_zfull and ppl_zend measure its z")
    side = generator.resolution
    if side < 32:
        raise UserError(
            f"ppl: the network's images are {side}x{side}, and the part that is compared too small "
            "for VGG16; 32x32 is the least"
        )
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
    from metrics import path_length

    samples, distance = evaluation.samples, evaluation.tools.network(NETWORK)

    def step(numbers: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, ...]:
        ends = path_length.path_codes(samples, numbers, labels, space, sampling, EPSILON)
        first, second = path_length.path_images(samples, ends, numbers // NOISE_GROUP)
        return (distance(first, second) / EPSILON**2,)

    minibatch = max(evaluation.minibatch // 2, 1)  # of two images each
    parts = evaluation.map(step, metric.count, minibatch=minibatch, unit=f"paths in {space}")
    lengths = np.concatenate([part for (part,) in parts])
    evaluation.check_finite(lengths, "path lengths")
    return {"": path_length.filtered_mean(lengths)}
