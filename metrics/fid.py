"""Fréchet inception distance, FID: Heusel et al. 2017; StyleGAN table 1."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import tensorflow as tf

from compute.images import images_to_uint8
from dnnlib import tensor_file
from dnnlib.errors import UserError
from metrics import frechet
from metrics.frechet import Moments, Statistics
from metrics.results import VERSION

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
        images = samples.images(samples.codes(samples.latents(numbers), labels), numbers)
        features = inception(images_to_uint8(images))
        # As whole numbers they would look like images.
        finite = tf.reduce_all(tf.math.is_finite(images), axis=[1, 2, 3])
        return (tf.where(finite[:, None], features, np.nan),)

    moments = Moments()
    for (features,) in evaluation.work.map(
        step, count, evaluation.minibatch, fetch=evaluation.fetch_labels, what="generated images"
    ):
        evaluation.check_finite(features, "images or their features")
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
        "replace_damaged": evaluation.tools.settings.replace_damaged,
        "inception": evaluation.weights("inception").sha256,
        "version": VERSION,
    }
    text = json.dumps(key, sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:20]
    path = evaluation.cache_dir / "metrics" / f"reals-{name}.safetensors"
    cached = _read(path, text)
    if cached is not None:
        return cached
    found = _compute(evaluation, count)
    arrays = {"mean": found.mean, "covariance": found.covariance}
    metadata = {"count": str(found.count), "key": text, "digest": _digest(arrays)}
    try:
        tensor_file.save(path, arrays, FORMAT, metadata)
    except UserError as error:  # a full or read-only cache costs time and nothing else
        evaluation.tools.say(f"The data set's statistics are not kept: {error}")
    return found


def _read(path, key: str) -> Statistics | None:
    """The statistics of a file; None when it is missing, damaged, or of something else."""
    try:
        arrays, metadata = tensor_file.load(path, FORMAT)
        if (metadata["key"], metadata["digest"]) == (key, _digest(arrays)):
            return Statistics(arrays["mean"], arrays["covariance"], int(metadata["count"]))
    except (OSError, ValueError, KeyError):
        pass
    return None


def _digest(arrays: dict) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def _compute(evaluation, count: int) -> Statistics:
    inception, reals = evaluation.features("inception"), evaluation.reals
    flipped = flips(count) if evaluation.mirror else np.zeros([count], bool)

    def fetch(numbers):
        images = reals.read(numbers % reals.info.num_images)[0]
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


def flips(count: int) -> np.ndarray:
    """Which of the first `count` images are flipped, of mirrored data: each with probability 1/2,
    bool [count]. The same for every seed, so that statistics can be kept."""
    return np.random.RandomState(2019).randint(2, size=count).astype(bool)
