"""Fréchet inception distance, FID: Heusel et al. 2017; StyleGAN table 1."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from dnnlib import tensor_file
from metrics import frechet
from metrics.frechet import Moments, Statistics
from metrics.results import VERSION
from training.reals import images_to_uint8

FORMAT = "stylegan-tf2 statistics 1"


def fid(evaluation, count: int) -> dict:
    """{'': FID} of `count` images of the generator and as many of the data set.

    No truncation, random noise; the data set's images in the order of its files.
    """
    reals = real_statistics(evaluation, count)
    fakes = fake_statistics(evaluation, count)
    return {"": frechet.distance(reals, fakes)}


def fake_statistics(evaluation, count: int) -> Statistics:
    samples, inception = evaluation.samples, evaluation.features("inception")

    def step(numbers, labels):
        codes = samples.codes(samples.latents(numbers), labels)
        return (inception(images_to_uint8(samples.images(codes, numbers))),)

    moments = Moments()
    for (features,) in evaluation.work.map(
        step, count, evaluation.minibatch, fetch=evaluation.fetch_labels, what="generated images"
    ):
        moments.add(features)
    return moments.statistics()


def real_statistics(evaluation, count: int) -> Statistics:
    """Of the first `count` images, from the beginning again if there are fewer; from the cache,
    if they are there, which knows data sets and networks by their content."""
    key = {
        "content": evaluation.reals.content_key,
        "resolution": evaluation.reals.info.resolution,
        "count": count,
        "mirror": evaluation.mirror,
        "inception": evaluation.weights("inception").sha256,
        "version": VERSION,
    }
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:20]
    path = evaluation.cache_dir / "metrics" / f"reals-{name}.safetensors"
    cached = _read(path)
    if cached is not None:
        return cached
    found = _compute(evaluation, count)
    arrays = {"mean": found.mean, "covariance": found.covariance}
    metadata = {"count": str(found.count), "key": json.dumps(key)}
    tensor_file.save(path, arrays, FORMAT, metadata)
    return found


def _read(path) -> Statistics | None:
    """The statistics of a file; None when it is missing or damaged."""
    try:
        arrays, metadata = tensor_file.load(path, FORMAT)
        return Statistics(arrays["mean"], arrays["covariance"], int(metadata["count"]))
    except (OSError, ValueError, KeyError):
        return None


def _compute(evaluation, count: int) -> Statistics:
    inception, reals = evaluation.features("inception"), evaluation.reals
    flipped = reals.flips(count) if evaluation.mirror else np.zeros([count], bool)

    def fetch(numbers):
        images = reals.dataset.read(numbers % reals.info.num_images)[0]
        turn = flipped[numbers]
        images[turn] = images[turn, :, ::-1]
        return (images,)

    moments = Moments()
    for (features,) in evaluation.work.map(
        lambda numbers, images: (inception(images),),
        count, evaluation.minibatch, fetch=fetch, what="real images",
    ):  # fmt: skip
        moments.add(features)
    return moments.statistics()
