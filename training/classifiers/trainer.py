"""Trains attribute classifiers, one after another (StyleGAN, appendix on linear separability)."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

import networks
from compute.devices import Replicas, make_strategy, silence_xla
from compute.prefetch import prefetch
from datasets.format.reader import Dataset, open_dataset
from dnnlib import atomic, config as config_lib, json_files, run_dirs
from dnnlib.errors import UserError, explain_write_errors
from dnnlib.paths import open_to_append
from dnnlib.progress import format_time
from training.classifiers.config import (
    ClassifierConfig,
    check_minibatch,
    held_out,
    learning_rate,
    network_options,
    targets,
)
from training.classifiers.runs import ClassifierRun, own_config, path_of
from training.optimizer import Adam
from training.reals import process_reals
from training.report import Means, Report

_EVALUATED = 64  # images at a time when accuracy is measured


def train(
    run: ClassifierRun, strategy: tf.distribute.Strategy | None = None, *, locked: bool = False
) -> int:
    """Trains those of `run.attributes` that are not finished; returns the exit code 0.

    strategy: for tests; by default the machine's devices decide. locked: whether the caller has
    the lock of the run's directory. Raises UserError for what the user can mend.
    """
    config, run_dir = run.config, run.run_dir
    replicas = Replicas(strategy or make_strategy(config.num_gpus))
    silence_xla()
    check_minibatch(config, replicas.total)
    opened = open_dataset(run.dataset_info, replace_damaged=config.dataset.replace_damaged)
    lock = contextlib.nullcontext() if locked else run_dirs.lock(run_dir)
    with lock, opened as dataset:
        atomic.clean_stale(run_dir)
        report = ClassifierReport(run_dir, keep=run.finished)
        try:
            trainer = Trainer(config, dataset, replicas, run.D)
            results = dict(run.finished)
            for name in run.attributes:
                if name not in results:
                    results[name] = _train_one(run, name, trainer, report)
            report.say(_summary([results[name] for name in run.attributes]))
            report.say(f"Saved {run_dir}/classifier-*.safetensors")
        finally:
            report.close()
    return 0


def _train_one(run: ClassifierRun, name: str, trainer: Trainer, report: ClassifierReport) -> dict:
    """Trains and saves one attribute's classifier; returns the info saved with it."""
    config, columns = run.config, run.attributes[name]
    trainer.reset()
    start, shown, means = time.monotonic(), 0, Means()
    total, tick = round(config.kimg * 1000), round(config.status_kimg * 1000)
    for batch in trainer.batches(columns, total):
        means.add({"loss": trainer.step(*batch, tf.constant(learning_rate(config, shown)))})
        previous, shown = shown, shown + config.minibatch
        report.progress(shown % tick / tick, f"{name} kimg {shown / 1000:.1f}")
        if shown // tick > previous // tick or shown >= total:
            if "loss" not in means.means():
                raise UserError(
                    f"the classifier of attribute {name} has diverged: no finite loss up to "
                    f"kimg {shown / 1000:.1f}; it is not saved. Lower "
                    f"learning_rate={config.learning_rate}"
                )
            accuracy = trainer.accuracy(columns)
            seconds = time.monotonic() - start
            report.status(name, shown, {**means.means(), "accuracy": accuracy}, seconds)
            means = Means()
    measured = targets(trainer.dataset.labels[trainer.held_out], columns)
    info = {
        "attribute": name,
        "columns": list(columns),
        "dataset": run.dataset_info.name,
        "accuracy": accuracy,  # on held-out images
        "majority": float(max(measured.mean(), 1 - measured.mean())),  # of always the same answer
        "share": run.shares[name],
        "images": {"training": int((~trainer.held_out).sum()), "held_out": len(measured)},
        "cur_nimg": shown,
        "config": config_lib.to_dict(own_config(config, columns)),
    }
    networks.save(path_of(run.run_dir, name), D=trainer.D, info=info)
    return info


class Trainer:
    """One network and its optimizer, which learn one attribute after another.

    Neither order nor initial weights depend on the attribute, so that each result is the same
    whatever else a run trains. options: of the network; None: they follow from config. held_out:
    bool [num_images], the images that measure accuracy.
    """

    def __init__(
        self,
        config: ClassifierConfig,
        dataset: Dataset,
        replicas: Replicas,
        options: dict | None = None,
    ):
        self.config, self.dataset, self.replicas = config, dataset, replicas
        self.held_out = held_out(dataset, config)
        with replicas.strategy.scope():
            options = options or network_options(config, dataset.info)
            self.D = networks.build(seed=config.seed, **options)
            self.optimizer = Adam(
                self.D.trainable(0),
                **dataclasses.asdict(config.opt),
                loss_scaling=config.precision == "mixed_float16",
            )
        self._initial = self.D.arrays()
        # No Python branches on tensors here.
        self.step = tf.function(self._step, autograph=False)
        self._logits = tf.function(self._evaluate, autograph=False)

    def reset(self) -> None:
        """Back to the beginning, for the next attribute."""
        self.D.set_arrays(self._initial)
        self.optimizer.reset()
        self.optimizer.log2_scale.assign(Adam.SCALE_INIT)

    # ------------------------------------------------------------ training

    def batches(self, columns: tuple[int, ...], total: int) -> Iterator[tuple]:
        """Yields (images uint8, present bool, mirror bool), each divided over the replicas.

        columns: of the labels, those that make an image's `present` true. total: images to show;
        the last minibatch is whole.
        """
        size, replicas = self.config.minibatch, self.replicas

        def fetch(request):
            step, indices = request
            images, labels = self.dataset.read(indices)
            values = images, targets(labels, columns), self._mirror(step)
            return [np.split(value, replicas.total) for value in values]

        self.dataset.minibatch(0, 1, 0, self.config.seed)  # decodes all images, if they fit
        steps = -(-total // size)
        for batch in prefetch(itertools.islice(self._requests(), steps), fetch):
            yield tuple(replicas.distribute([*map(tf.constant, parts)]) for parts in batch)

    def _requests(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yields (step, indices of its images), without end: each epoch in another order."""
        size, total, pending = self.config.minibatch, self.dataset.info.num_images, []
        steps = itertools.count()
        for epoch in itertools.count():
            order = self.dataset.order(epoch * total, total, self.config.seed)
            pending = np.concatenate([*pending, order[~self.held_out[order]]])
            whole = len(pending) // size * size
            for start in range(0, whole, size):
                yield next(steps), pending[start : start + size]
            pending = [pending[whole:]]

    def _mirror(self, step: int) -> np.ndarray:
        """The images of a step to flip; bool [minibatch], the same on any number of replicas."""
        size = self.config.minibatch
        if not self.config.dataset.mirror_augment:
            return np.zeros([size], bool)
        # Raw output: what NumPy promises never to change.
        draws = np.random.Philox(key=[self.config.seed, step]).random_raw(size)
        return draws >> np.uint64(63) == 1

    def _step(self, images, present, mirror, rate):
        self.D.normalize_kernels(0)  # here, because replicas cannot assign to others' variables
        strategy = self.replicas.strategy
        losses = strategy.run(self._replica_step, (images, present, mirror, rate))
        return tf.reduce_mean(tf.stack(strategy.experimental_local_results(losses)))

    def _replica_step(self, images, present, mirror, rate):
        variables = self.optimizer.variables_by_name
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(variables.values()))
            logits = self.D.stage(process_reals(images, mirror=mirror), None, 0)
            loss = tf.reduce_mean(classification_loss(logits[:, 0], present))
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, list(variables.values()))
        self.optimizer.apply(list(variables), gradients, rate)
        return loss

    # ------------------------------------------------------------ accuracy

    def accuracy(self, columns: tuple[int, ...]) -> float:
        """The share of held-out images that are told right."""
        indices, right = np.flatnonzero(self.held_out), 0
        for start in range(0, len(indices), _EVALUATED):
            images, labels = self.dataset.read(indices[start : start + _EVALUATED])
            logits = self._logits(tf.constant(images)).numpy()
            right += int(((logits > 0) == targets(labels, columns)).sum())
        return right / len(indices)

    def _evaluate(self, images):
        return self.D.stage(process_reals(images), None, 0)[:, 0]


def classification_loss(logits: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Softmax cross-entropy over [ℓ, −ℓ], class 0 for what has the attribute.

    logits: float32 [N]; present: bool [N]. Returns float32 [N]. The metric takes the same
    softmax for a classifier's confidence.
    """
    return tf.nn.softplus(tf.where(present, -2.0, 2.0) * logits)


class ClassifierReport(Report):
    """A status line for so many images of one attribute; the same to stats.jsonl, TensorBoard."""

    def __init__(self, run_dir: str | os.PathLike, keep: Iterable[str] = ()):
        """keep: the attributes whose earlier lines stay; others start over."""
        super().__init__(run_dir)
        path = Path(run_dir) / "stats.jsonl"
        if path.exists():
            lines = json_files.read_text(path).splitlines(keepends=True)
            atomic.write_text(path, "".join(line for line in lines if _attribute_of(line) in keep))

    def status(self, attribute: str, cur_nimg: int, values: dict, seconds: float) -> None:
        """values: `accuracy` on held-out images, and `loss` unless no step was finite."""
        if self._bar:
            self._print("\r\x1b[K", orders=True)
        self.say(
            f"{attribute:<16} kimg {cur_nimg / 1000:<8.1f} "
            f"loss {values.get('loss', float('nan')):<8.4f} "
            f"held-out {values['accuracy']:<7.2%} time {format_time(seconds):<12s} "
            f"sec/kimg {seconds / cur_nimg * 1000:<8.2f}"
        )
        entry = {"attribute": attribute, "cur_nimg": cur_nimg, **values, "seconds": seconds}
        path = self.run_dir / "stats.jsonl"
        with explain_write_errors(path), open_to_append(path) as file:
            file.write(json.dumps(entry).encode() + b"\n")
        tags = {f"{name.capitalize()}/{attribute}": value for name, value in values.items()}
        self.events.scalars(cur_nimg, tags)


def _attribute_of(line: str) -> str | None:
    try:
        return str(json_files.parse(line)["attribute"])
    except (ValueError, KeyError, TypeError):
        return None  # half a line: it was being written


def _summary(infos: list[dict]) -> str:
    width = max(len("attribute"), *(len(info["attribute"]) for info in infos))
    lines = [f"\n{'attribute':<{width}}  images with it  held-out accuracy  always the same answer"]
    lines += [
        f"{info['attribute']:<{width}}{info['share']:>16.1%}{info['accuracy']:>19.2%}"
        f"{info['majority']:>24.2%}"
        for info in infos
    ]
    return "\n".join(lines)
