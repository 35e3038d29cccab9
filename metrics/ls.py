"""Linear separability, LS, of a generator's latent spaces: StyleGAN §4.2, tables 3 and 4."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf
from sklearn.exceptions import ConvergenceWarning

from dnnlib.errors import UserError
from metrics import separability
from metrics.path_length import shrink
from metrics.work import Progress

MAX_SIDE = 256  # pixels of what classifiers see


def ls(evaluation, count: int) -> dict:
    """{'z': LS, 'w': LS} of `count` samples, of which the surer half counts; 'w' if there is a w.

    One SVM for each attribute and space; evaluation.details gets the bits of each. Raises
    UserError when a classifier does not fit the generator.
    """
    samples, classifiers = evaluation.samples, evaluation.classifiers
    check(samples, classifiers)

    def step(numbers, labels):
        z = samples.latents(numbers)
        codes = samples.codes(z, labels)
        images = shrink(samples.images(codes, numbers), MAX_SIDE)
        logits = tf.stack([classify(images) for classify in classifiers], axis=1)
        return (z, codes[:, -1], logits) if samples.styled else (z, logits)

    found = list(
        evaluation.work.map(
            step, count, evaluation.minibatch, fetch=evaluation.fetch_labels, what="samples"
        )
    )
    *spaces, logits = (np.concatenate(parts) for parts in zip(*found))
    return _scores(evaluation, dict(zip("zw", spaces)), logits, keep=count // 2)


def check(samples, classifiers) -> None:
    """Raises UserError unless all classifiers can see the generator's images."""
    side = min(samples.resolution, MAX_SIDE)
    for classifier in classifiers:
        if classifier.resolution > side or (samples.channels, classifier.channels) == (3, 1):
            raise UserError(
                f"{classifier.file}: a classifier of {classifier.resolution}x"
                f"{classifier.resolution}x{classifier.channels} images; the network's are "
                f"{samples.resolution}x{samples.resolution}x{samples.channels}"
            )


def _scores(evaluation, spaces: dict, logits: np.ndarray, keep: int) -> dict:
    """{space: score}; fits run side by side."""
    names = [classifier.attribute for classifier in evaluation.classifiers]

    def bits(attribute, space):
        rows = separability.most_confident(logits[:, attribute], keep)
        classes = separability.targets(logits[rows, attribute])
        if len(set(classes)) < 2:  # nothing to know
            return 0.0, True
        try:
            predicted, finished = separability.fit(spaces[space][rows], classes, evaluation.svm)
        except ValueError as error:
            raise UserError(f"ls: attribute {names[attribute]} in {space}: {error}") from error
        table = separability.joint_frequencies(predicted, classes)
        return separability.conditional_entropy(table), finished

    jobs = [(attribute, space) for attribute in range(len(names)) for space in spaces]
    progress = Progress(len(jobs), "attributes x spaces", evaluation.work.progress)
    with ThreadPoolExecutor(evaluation.threads) as pool, progress, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the details count those
        results = {}
        for job, result in zip(jobs, pool.map(lambda job: bits(*job), jobs)):
            results[job] = result
            progress.update(1)
    of = {
        space: [results[attribute, space][0] for attribute in range(len(names))] for space in spaces
    }
    evaluation.details["bits"] = {space: dict(zip(names, of[space])) for space in spaces}
    evaluation.details["SVMs stopped early"] = sum(not end for _, end in results.values())
    return {space: separability.score(of[space]) for space in spaces}
