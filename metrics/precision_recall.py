"""Improved precision and recall, pr50k3: Kynkäänniemi et al. 2019; StyleGAN2; StyleGAN2-ADA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dnnlib.progress import Progress
from metrics import neighbours
from metrics.declaration import Metric, Reals, metric
from metrics.shared_features import rows

if TYPE_CHECKING:
    from metrics.evaluation import Evaluation

NETWORK = "vgg16_fc2"
K = 3
_DECLARED: dict[str, Any] = dict(
    families={"pr": {}},
    count=50_000,
    least=K + 1,
    samples="fakes",
    parts=("precision", "recall"),
    networks=(NETWORK,),
    method=f"k = {K}, float32 features, float64 distances",
)


@metric(
    title="precision and recall",
    spelling=f"pr{{count}}{K}{{part}}",
    standard_spelling=f"pr{{count}}{K}{{part}}",
    reals=Reals(once=True, least=K + 1),
    **_DECLARED,
)
def pr(evaluation: Evaluation, metric: Metric) -> dict[str, float]:
    """{'precision': …, 'recall': …} of generated images and as many of the data set, or all if
    there are fewer.

    Precision: the share of generated images as near to a real one as its K-th neighbour among the
    reals is. Recall: the converse. All features are kept, 16 KiB an image; distances come in tiles.
    """
    number_of_reals, _ = evaluation.number_of_reals(metric)
    reals = rows(evaluation.real_features(NETWORK, metric), np.arange(number_of_reals))
    fakes = rows(evaluation.fake_features(NETWORK, metric), np.arange(metric.count))
    replica_map = evaluation.tools.replica_map
    tiles = neighbours.number_of_tiles(len(reals), len(fakes))
    with Progress(tiles, "tiles of distances", replica_map.progress) as progress:

        def poll() -> None:
            progress.update(1)
            replica_map.check_stop()

        precision, recall = neighbours.precision_and_recall(reals, fakes, K, poll)
    return {"precision": precision, "recall": recall}


pr_full = metric(
    title="precision and recall over the whole data set",
    spelling=f"pr{{count}}{K}_full{{part}}",
    standard_spelling=f"pr{{count}}{K}_full{{part}}",
    reals=Reals(whole=True, limit=200_000, least=K + 1),
    **_DECLARED,
)(pr.compute)
