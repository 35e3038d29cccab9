"""Evaluates the snapshots of a run: afterwards, or while it trains."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Union

import tensorflow as tf

from compute.devices import Replicas
from compute.replica_map import ReplicaMap, Stopped
from datasets.format.reader import inspect
from dnnlib.errors import UserError
from dnnlib.paths import check_input
from metrics.declaration import GeneratorFacts, Metric
from metrics.evaluation import evaluate
from metrics.features import weights
from metrics.registry import parse_list
from metrics.tools import Needs, Plan, Settings, Tools
from networks import registry
from training.config import TrainingConfig


def choose(run_dir: Union[str, os.PathLike], choice: str) -> list[Path]:
    """The snapshots of a run, oldest first: 'all', 'newest', or one by its kimg ('40') or name.

    Raises UserError when there is none.
    """
    run_dir = Path(run_dir)
    numbered = sorted(run_dir.glob("network-snapshot-*.safetensors"))
    final = sorted(run_dir.glob("network-final.safetensors"))
    if choice in ("all", "newest"):
        snapshots = numbered or final
        if not snapshots:
            raise UserError(f"{run_dir} has no snapshots (network-snapshot-….safetensors)")
        return snapshots if choice == "all" else snapshots[-1:]
    kimg = choice.isdecimal() and len(choice) <= 12
    name = f"network-snapshot-{int(choice):06d}" if kimg else choice
    path = run_dir / f"{name.removesuffix('.safetensors')}.safetensors"
    if path.exists():
        check_input(path)
    else:
        newest = ", ".join(snapshot.stem for snapshot in numbered[-5:] + final)
        raise UserError(f"--snapshots={choice}: no {path}; the newest are: {newest or 'none'}")
    return [path]


class DuringTraining:
    """Evaluates each snapshot of a run as it is saved; config.metrics says how.

    Makes everything that the metrics need, so that what is missing or does not fit shows before
    the training begins: raises UserError then. Nothing random of the training is touched.
    """

    def __init__(
        self,
        config: TrainingConfig,
        run_dir: Union[str, os.PathLike],
        replicas: Replicas,
        say: Callable[[str], object],
        stop: Callable[[], bool],
    ) -> None:
        # Other machines wait: their devices are no part of the chief's evaluation.
        strategy = tf.distribute.get_strategy() if replicas.num_workers > 1 else replicas.strategy
        self._run_dir, self._say = run_dir, say
        replica_map = ReplicaMap(strategy, progress=False, stop=stop)
        self._tools = Tools(_settings(config), replica_map, say)
        self._metrics = _check(config, self._tools)

    def __call__(self, path: Union[str, os.PathLike]) -> None:
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

    def __enter__(self) -> DuringTraining:
        return self

    def __exit__(self, *_: object) -> None:
        self._tools.close()


def check(config: TrainingConfig) -> list[str]:
    """Raises UserError where DuringTraining would, as far as it shows without loading anything.

    Returns what there is to say of what does not show yet.
    """
    plan = Plan(_settings(config))
    _check(config, plan)
    return [
        f"{address} is not looked at: the start downloads it first"
        for address in dict.fromkeys(plan.later)
    ]


def _settings(config: TrainingConfig) -> Settings:
    chosen, data = config.metrics, config.dataset
    return Settings(
        seed=chosen.seed,
        mirror=data.mirror_augment,
        inception_weights=chosen.inception_weights,
        vgg16_weights=chosen.vgg16_weights,
        classifiers=chosen.classifiers,
        dataset=data.name,
        data_dir=data.data_dir,
        replace_damaged=data.replace_damaged,
        subset=data.subset,
        subset_seed=data.subset_seed,
    )


def _as_settings(message: str) -> str:
    """A message of what metrics need, with a run's settings in place of run_metrics.py's flags."""
    for name in weights.FLAGS:
        message = message.replace(weights.FLAGS[name], f"--set metrics.{name}_weights")
    return message.replace("--classifiers=DIR", "--set metrics.classifiers='[\"DIR\"]'")


def _check(config: TrainingConfig, needs: Needs) -> list[Metric]:
    """The metrics of a run; UserError where one of them cannot be taken."""
    metrics, data = parse_list(",".join(config.metrics.names)), config.dataset
    try:
        needs.check(metrics)
    except UserError as error:
        raise UserError(_as_settings(str(error))) from error
    info = inspect(data.name, data.data_dir, resolution=data.resolution, write=False)
    styled = registry.has_styles(config.G["func_name"])
    generator = GeneratorFacts(styled, info.resolution, info.channels)
    for metric in metrics:
        needs.check_generator(metric, generator)
    return metrics
