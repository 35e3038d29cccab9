"""Perceptual path length of whole images, ppl2_wend: StyleGAN2 (Karras et al. 2020), table 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dnnlib.errors import UserError
from metrics.declaration import GeneratorFacts, Metric, metric
from metrics.ppl import LEAST_SIDE, NETWORK, check_paths, measure

if TYPE_CHECKING:
    from metrics.evaluation import Evaluation
    from metrics.tools import Needs

NOISE_GROUP = 4  # paths that share their noise, as StyleGAN2's minibatch did


def check(generator: GeneratorFacts, tools: Needs) -> None:
    """Raises UserError unless paths of a generator can be measured."""
    check_paths(generator, tools, "w")
    side = generator.resolution
    if side < LEAST_SIDE:
        raise UserError(
            f"ppl2_wend: the network's images are {side}x{side}, too small for VGG16; "
            f"{LEAST_SIDE}x{LEAST_SIDE} is the least"
        )


@metric(
    title="perceptual path length of whole images",
    families={"ppl2_wend": {}},
    count=50_000,
    least=3,
    samples="paths",
    networks=(NETWORK,),
    check=check,
)
def ppl2(evaluation: Evaluation, metric: Metric) -> dict[str, float]:
    """{'': PPL} at the beginnings of paths in w, of any family that has a w.

    Unlike ppl_wend it leaves no part of the images out, so that it measures data other than faces;
    the numbers of both cannot be compared.
    """
    return {"": measure(evaluation, metric, "w", "end", whole=True, noise_group=NOISE_GROUP)}
