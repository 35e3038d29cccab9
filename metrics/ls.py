"""Linear separability, LS, of a generator's latent spaces: StyleGAN §4.2, tables 3 and 4."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from dnnlib.errors import UserError
from dnnlib.progress import Progress
from metrics import separability
from metrics.fits import Fit, fit_all
from metrics.path_length import shrink

MAX_SIDE = 256  # pixels of what classifiers see


def ls(evaluation, count: int) -> dict:
    """{'z': LS, 'w': LS} of `count` samples, of which the surer half counts; 'w' if there is a w.

    One SVM for each attribute and space; evaluation.details gets the bits of each. Raises
    UserError when a classifier does not fit the generator.
    """
    samples, classifiers = evaluation.samples, evaluation.classifiers
    check(classifiers, samples.resolution, samples.channels)

    def step(numbers, labels):
        z = samples.latents(numbers)
        codes = samples.codes(z, labels)
        images = shrink(samples.images(codes, numbers), MAX_SIDE)
        logits = tf.stack([classify(images) for classify in classifiers], axis=1)
        return (z, codes[:, -1], logits) if samples.has_styles else (z, logits)

    found = list(
        evaluation.work.map(
            step, count, evaluation.minibatch, fetch=evaluation.fetch_labels, what="samples"
        )
    )
    *spaces, logits = (np.concatenate(parts) for parts in zip(*found))
    evaluation.check_finite(logits, "the classifiers' logits")
    return _scores(evaluation, dict(zip("zw", spaces)), logits, keep=count // 2)


def check(classifiers, resolution: int, channels: int) -> None:
    """Raises UserError unless all classifiers can see a generator's images."""
    side = min(resolution, MAX_SIDE)
    for classifier in classifiers:
        if classifier.resolution > side or (channels, classifier.channels) == (3, 1):
            raise UserError(
                f"{classifier.file}: a classifier of {classifier.resolution}x"
                f"{classifier.resolution}x{classifier.channels} images; the network's are "
                f"{resolution}x{resolution}x{channels}"
            )


def _scores(evaluation, spaces: dict, logits: np.ndarray, keep: int) -> dict:
    """{space: score}."""
    names = [classifier.attribute for classifier in evaluation.classifiers]
    of, fits = {}, []
    for attribute, name in enumerate(names):
        rows = separability.most_confident(logits[:, attribute], keep)
        classes = separability.targets(logits[rows, attribute])
        for space in spaces:
            of[space, name] = 0.0  # of a single class there is nothing to know
            if len(set(classes)) == 2:
                fits.append((name, Fit(space, rows, classes)))
    with Progress(len(fits), "SVMs", evaluation.work.progress) as progress:

        def poll(done):
            progress.update(done)
            evaluation.work.check_stop()

        results = fit_all(spaces, [fit for _, fit in fits], evaluation.svm, poll=poll)
    for (name, fit), (table, _) in zip(fits, results):
        of[fit.space, name] = separability.conditional_entropy(table)
    bits = {space: {name: of[space, name] for name in names} for space in spaces}
    evaluation.details["bits"] = bits
    evaluation.details["SVMs stopped early"] = sum(not finished for _, finished in results)
    return {space: separability.score(list(bits[space].values())) for space in spaces}
