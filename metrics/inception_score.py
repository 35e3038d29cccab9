"""Inception Score, is50k: Salimans et al. 2016; StyleGAN2-ADA, of CIFAR-10."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metrics import class_entropy
from metrics.declaration import Metric, metric

if TYPE_CHECKING:
    from metrics.evaluation import Evaluation

FEATURES, CLASSES = "inception", "inception_classes"
SPLITS = 10


@metric(
    title="Inception Score",
    families={"is": {}},
    spelling="is{count}{part}",
    standard_spelling="is{count}{part}",
    count=50_000,
    least=SPLITS,
    samples="fakes",
    parts=("mean", "std"),
    networks=(FEATURES, CLASSES),
    method=f"{SPLITS} splits, 1008 outputs without bias, float64",
)
def inception_score(evaluation: Evaluation, metric: Metric) -> dict[str, float]:
    """{'mean': …, 'std': …} over splits of generated images, in the order of their numbers.

    The more the classes differ between images and the surer Inception is of each, the higher.
    """
    weights = np.float64(evaluation.tools.weights(CLASSES).arrays["softmax/weights"])
    features = evaluation.fake_features(FEATURES, metric)
    parts = (class_entropy.log_softmax(part @ weights) for part in features)
    scores = class_entropy.scores(parts, metric.count, SPLITS)
    return {"mean": float(scores.mean()), "std": float(scores.std())}
