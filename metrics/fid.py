"""Fréchet inception distance, FID: Heusel et al. 2017; StyleGAN table 1; StyleGAN2-ADA."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import numpy as np

from dnnlib import tensor_file
from dnnlib.errors import UserError
from metrics import VERSION, frechet
from metrics.declaration import Metric, Reals, metric
from metrics.frechet import Moments, Statistics

if TYPE_CHECKING:
    from metrics.evaluation import Evaluation

FORMAT = "stylegan-tf2 statistics 1"
NETWORK = "inception"


@metric(
    title="Fréchet inception distance",
    families={"fid": {}},
    spelling="fid{count}",
    standard_spelling="fid{count}",
    count=50_000,
    least=2,
    samples="fakes",
    networks=(NETWORK,),
    reals=Reals(),
    method="covariances over n - 1, float64",
    in_all=True,
)
def fid(evaluation: Evaluation, metric: Metric) -> dict[str, float]:
    """{'': FID} of generated images and as many of the data set.

    No truncation, random noise; the data set's images in the order of its files, from the beginning
    again if there are fewer, as in the original. The record tells so.
    """
    return {"": frechet.distance(*_both(evaluation, metric))}


@metric(
    title="Fréchet inception distance to the whole data set",
    families={"fid": {}},
    spelling="fid{count}_full",
    standard_spelling="fid{count}_full",
    count=50_000,
    least=2,
    samples="fakes",
    networks=(NETWORK,),
    reals=Reals(whole=True, least=2),
    method="covariances over n, float64",
)
def fid_full(evaluation: Evaluation, metric: Metric) -> dict[str, float]:
    """{'': FID} of generated images and all of the data set, none of them mirrored.

    As StyleGAN2-ADA has it: covariances are divided by the number of images.
    """
    reals, fakes = (frechet.over_n(one) for one in _both(evaluation, metric))
    return {"": frechet.distance(reals, fakes)}


def _both(evaluation: Evaluation, metric: Metric) -> tuple[Statistics, Statistics]:
    reals = real_statistics(evaluation, metric)
    return reals, _statistics(evaluation.fake_features(NETWORK, metric))


def real_statistics(evaluation: Evaluation, metric: Metric) -> Statistics:
    """Of the first images, from the beginning again if there are fewer; from the cache, if they
    are there, which knows data sets and networks by their content."""
    tools, (count, mirror) = evaluation.tools, evaluation.number_of_reals(metric)
    key = {
        "content": evaluation.reals.content_key,
        "resolution": evaluation.reals.info.resolution,
        "count": count,
        "mirror": mirror,
        "replace_damaged": tools.settings.replace_damaged,
        "inception": tools.weights(NETWORK).sha256,
        "version": VERSION,
    }
    text = json.dumps(key, sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:20]
    path = tools.cache_dir / "metrics" / f"reals-{name}.safetensors"
    cached = _read(path, text)
    if cached is not None:
        return cached
    computed = _statistics(evaluation.real_features(NETWORK, metric))
    arrays = {"mean": computed.mean, "covariance": computed.covariance}
    metadata = {"count": str(computed.count), "key": text, "digest": _digest(arrays)}
    try:
        tensor_file.save(path, arrays, FORMAT, metadata)
    except UserError as error:  # a full or read-only cache costs time and nothing else
        tools.say(f"The data set's statistics are not kept: {error}")
    return computed


def _statistics(parts: Iterable[np.ndarray]) -> Statistics:
    moments = Moments()
    for features in parts:
        moments.add(features)
    return moments.statistics()


def _read(path: Path, key: str) -> Optional[Statistics]:
    """The statistics of a file; None when it is missing, damaged, or of something else."""
    try:
        arrays, metadata = tensor_file.load(path, FORMAT)
        if (metadata["key"], metadata["digest"]) == (key, _digest(arrays)):
            return Statistics(arrays["mean"], arrays["covariance"], int(metadata["count"]))
    except (OSError, ValueError, KeyError):
        pass
    return None


def _digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
