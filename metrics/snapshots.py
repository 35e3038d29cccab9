"""Evaluates the snapshots of a run: afterwards, or while it trains."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from compute.devices import Replicas
from compute.replica_map import Stopped, Work
from datasets.format.reader import inspect
from dnnlib.errors import UserError
from metrics import ls, ppl
from metrics.evaluation import Settings, Tools, evaluate
from metrics.registry import parse_list
from networks import registry
from training.config import TrainingConfig


def choose(run_dir, which: str) -> list[Path]:
    """The snapshots of a run, oldest first: 'all', 'newest', or one by its kimg ('40') or name.

    Raises UserError when there is none.
    """
    run_dir = Path(run_dir)
    found = sorted(run_dir.glob("network-snapshot-*.safetensors"))
    final = run_dir / "network-final.safetensors"
    if not found and final.is_file():
        found = [final]
    if which in ("all", "newest"):
        if not found:
            raise UserError(f"{run_dir} has no snapshots (network-snapshot-….safetensors)")
        return found if which == "all" else found[-1:]
    name = f"network-snapshot-{int(which):06d}" if which.isdecimal() else which
    path = run_dir / f"{name.removesuffix('.safetensors')}.safetensors"
    if not path.is_file():
        there = ", ".join(item.stem for item in [*found[-5:], *[final][: final.is_file()]])
        raise UserError(f"--snapshots={which}: no {path}; the newest are: {there or 'none'}")
    return [path]


class DuringTraining:
    """Evaluates each snapshot of a run as it is saved; config.metrics says how.

    Makes everything that the metrics need, so that what is missing or does not fit shows before
    the training begins: raises UserError then. Nothing random of the training is touched.
    """

    def __init__(self, config: TrainingConfig, run_dir, replicas: Replicas, say, stop):
        chosen, data = config.metrics, config.dataset
        # Other machines wait: their devices are no part of the chief's evaluation.
        strategy = tf.distribute.get_strategy() if replicas.num_workers > 1 else replicas.strategy
        self._metrics = parse_list(",".join(chosen.names))
        self._run_dir, self._say = run_dir, say
        settings = Settings(
            seed=chosen.seed,
            mirror=data.mirror_augment,
            inception_weights=chosen.inception_weights,
            vgg16_weights=chosen.vgg16_weights,
            classifiers=chosen.classifiers,
            dataset=data.name,
            data_dir=data.data_dir,
            replace_damaged=data.replace_damaged,
        )
        self._tools = Tools(settings, Work(strategy, progress=False, stop=stop), say)
        self._tools.check(self._metrics)
        info = inspect(data.name, data.data_dir, resolution=data.resolution)
        for metric in self._metrics:
            if metric.kind == "ppl":
                styled = registry.has_styles(config.G["func_name"])
                ppl.check(dict(metric.options)["space"], styled, info.resolution, "float32")
            if metric.kind == "ls":
                ls.check(self._tools.classifiers, info.resolution, info.channels)

    def __call__(self, path) -> None:
        """Evaluates a snapshot; what its run has recorded of it already is not computed again.

        What goes wrong is said, and no reason to end the training.
        """
        try:
            evaluate(path, self._metrics, self._tools, run_dir=self._run_dir)
        except Stopped:
            self._say(f"Stopped evaluating {Path(path).name}; it goes on when the run does.")
        except (UserError, OSError, MemoryError, tf.errors.ResourceExhaustedError) as error:
            reason = " ".join(str(error).split())[:500]
            self._say(f"{Path(path).name} is not evaluated: {reason}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._tools.close()
