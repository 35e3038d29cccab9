"""Linear separability, LS, of a generator's latent spaces: StyleGAN §4.2, tables 3 and 4."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dnnlib.errors import UserError
from dnnlib.progress import Progress
from metrics.declaration import GeneratorFacts, Metric, metric

if TYPE_CHECKING:
    from metrics.evaluation import Evaluation
    from metrics.tools import Needs

MAX_SIDE = 256  # pixels of what classifiers see


def check(generator: GeneratorFacts, tools: Needs) -> None:
    """Raises UserError unless all classifiers can see a generator's images."""
    resolution, channels = generator.resolution, generator.channels
    side = min(resolution, MAX_SIDE)
    for classifier in tools.classifiers():
        if classifier.resolution > side or (channels, classifier.channels) == (3, 1):
            raise UserError(
                f"{classifier.file}: a classifier of {classifier.resolution}x"
                f"{classifier.resolution}x{classifier.channels} images; the network's are "
                f"{resolution}x{resolution}x{channels}"
            )


@metric(
    title="linear separability",
    families={"ls": {}},
    count=200_000,
    least=8,
    samples="samples",
    parts=("z", "w"),
    classifiers=True,
    settings=("svm",),
    check=check,
    in_all=True,
)
def ls(evaluation: Evaluation, metric: Metric) -> dict[str, float]:
    """{'z': LS, 'w': LS} of samples, of which the surer half counts; 'w' if there is a w.

    One SVM for each attribute and space; evaluation.details gets the bits of each.
    """
    import tensorflow as tf

    from metrics.path_length import shrink

    samples, classifiers = evaluation.samples, evaluation.tools.classifiers()
    spaces = ("z", "w") if evaluation.generator.has_styles else ("z",)

    def step(numbers: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, ...]:
        z = samples.latents(numbers)
        codes = samples.codes(z, labels)
        images = shrink(samples.images(codes, numbers), MAX_SIDE)
        logits = tf.stack([classify(images) for classify in classifiers], axis=1)
        latents = {"z": z, "w": codes[:, -1]}
        return logits, *(latents[space] for space in spaces)

    parts = list(evaluation.map(step, metric.count, unit="samples"))
    logits, *latents = (np.concatenate(arrays) for arrays in zip(*parts))
    evaluation.check_finite(logits, "the classifiers' logits")
    return _scores(evaluation, dict(zip(spaces, latents)), logits, keep=metric.count // 2)


def _scores(
    evaluation: Evaluation, latents: dict[str, np.ndarray], logits: np.ndarray, keep: int
) -> dict[str, float]:
    """{space: score} of {space: latents [M, L]} and logits [M, attributes]."""
    from metrics import separability
    from metrics.svm_pool import Problem, solve_all

    attributes = [classifier.attribute for classifier in evaluation.tools.classifiers()]
    # Of a single class there is nothing to know.
    bits = {space: dict.fromkeys(attributes, 0.0) for space in latents}
    problems: list[Problem] = []
    posed: list[tuple[str, str]] = []  # space and attribute of each
    for column, attribute in enumerate(attributes):
        rows = separability.most_confident(logits[:, column], keep)
        classes = separability.targets(logits[rows, column])
        if len(set(classes)) == 2:
            problems += [Problem(space, rows, classes) for space in latents]
            posed += [(space, attribute) for space in latents]
    replica_map = evaluation.tools.replica_map
    with Progress(len(problems), "SVMs", replica_map.progress) as progress:

        def poll(solved: int) -> None:
            progress.update(solved)
            replica_map.check_stop()

        solutions = solve_all(latents, problems, evaluation.settings.svm, poll=poll)
    for (space, attribute), (table, _) in zip(posed, solutions):
        bits[space][attribute] = separability.conditional_entropy(table)
    evaluation.details["bits"] = bits
    evaluation.details["SVMs stopped early"] = sum(not finished for _, finished in solutions)
    return {space: separability.score(list(bits[space].values())) for space in latents}
