"""Kernel inception distance, KID: Bińkowski et al. 2018; StyleGAN2-ADA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dnnlib.progress import Progress
from metrics import kernel_distance
from metrics.declaration import Metric, Reals, metric
from metrics.shared_features import rows

if TYPE_CHECKING:
    from metrics.evaluation import Evaluation

NETWORK = "inception"
_DECLARED: dict[str, Any] = dict(
    families={"kid": {}},
    count=50_000,
    least=2,
    samples="fakes",
    networks=(NETWORK,),
    method=f"{kernel_distance.SUBSETS} subsets of up to {kernel_distance.SUBSET:,}, float64",
    digits=6,
)


@metric(
    title="kernel inception distance",
    spelling="kid{count}",
    standard_spelling="kid{count}",
    reals=Reals(once=True, least=2),
    **_DECLARED,
)
def kid(evaluation: Evaluation, metric: Metric) -> dict[str, float]:
    """{'': KID} of generated images and as many of the data set, or all if there are fewer.

    The mean over random subsets, as it is: papers print it times 1,000. It may be negative.
    evaluation.details gets the subsets' size, and the standard deviation over them.
    """
    number_of_reals, _ = evaluation.number_of_reals(metric)
    draws = kernel_distance.draw(evaluation.settings.seed, metric.count, number_of_reals)
    # Of a large data set most images are in no subset, and need not be kept.
    drawn = [kernel_distance.numbers(draws, side) for side in (0, 1)]
    fakes = rows(evaluation.fake_features(NETWORK, metric), drawn[0])
    reals = rows(evaluation.real_features(NETWORK, metric), drawn[1])
    replica_map, distances = evaluation.tools.replica_map, []
    with Progress(len(draws), "subsets", replica_map.progress) as progress:
        for pair in draws:
            x, y = (np.searchsorted(all_, one) for all_, one in zip(drawn, pair))
            distances.append(kernel_distance.squared_mmd(fakes[x], reals[y]))
            progress.update(1)
            replica_map.check_stop()
    evaluation.details["subset_size"] = len(draws[0][0])
    evaluation.details["std_of_subsets"] = float(np.std(distances))
    return {"": float(np.mean(distances))}


kid_full = metric(
    title="kernel inception distance to the whole data set",
    spelling="kid{count}_full",
    standard_spelling="kid{count}_full",
    reals=Reals(whole=True, limit=1_000_000, least=2),
    **_DECLARED,
)(kid.compute)
