"""What was asked for on the command line, and the configuration that comes of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from datasets.format.info import is_built_in
from dnnlib import config as config_lib, paths
from dnnlib.errors import UserError
from training.classifiers.config import ClassifierConfig
from training.config import DatasetConfig, TrainingConfig

DEFAULT_RESULT_DIR = "results"

Config = TypeVar("Config", TrainingConfig, ClassifierConfig)


@dataclasses.dataclass(frozen=True)
class Request:
    """What was asked for; None: not mentioned. Field names are the flags' names."""

    preset: str | None = None
    overrides: tuple[str, ...] = ()  # 'key.key=value', the flag --set
    dataset: str | None = None
    data_dir: str | None = None
    subset: int | None = None  # images of the data set
    total_kimg: float | None = None
    seed: int | None = None
    num_gpus: int | None = None
    precision: str | None = None
    xla: bool | None = None
    augment: str | None = None  # a set of transforms
    metrics: str | None = None  # names with commas between
    result_dir: str | None = None  # None: DEFAULT_RESULT_DIR
    run_dir: str | None = None
    resume: str | None = None
    fork: str | None = None  # directory of a run that starts from a checkpoint of `resume`
    fork_kimg: float | None = None  # which checkpoint
    resume_from: str | None = None
    freeze_d: int | None = None

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> Request:
        """From {flag: value}, in which flags of no field may be, too."""
        names = {field.name for field in dataclasses.fields(cls)} & args.keys()
        return cls(overrides=tuple(args["set"] or ()), **{name: args[name] for name in names})

    @property
    def runs_in(self) -> Path:
        """Where numbered runs are."""
        return Path(self.result_dir or DEFAULT_RESULT_DIR)

    def check(self) -> None:
        """Raises UserError for a flag without a value, as of --run_dir=$DIR with DIR not set."""
        for field in dataclasses.fields(self):
            if getattr(self, field.name) == "":
                raise UserError(f"--{field.name} is empty")
        if self.fork_kimg is not None and self.fork is None:
            raise UserError("--fork_kimg needs --fork=DIR")
        for override in self.overrides:
            if override.partition(".")[0].partition("=")[0].strip() == "forked_from":
                raise UserError("forked_from: is written by --fork, and cannot be set")


def given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Those that were mentioned."""
    return {key: value for key, value in flags.items() if value is not None}


def apply(request: Request, base: Config, flags: Mapping[str, Any]) -> Config:
    """`base` with flags, then the overrides of a request in their place.

    flags: {field of the configuration: value}, None for those that were not mentioned; the data
    set's are taken from the request. Its directory is absolute, because the run may continue from
    another working directory. Raises UserError naming an unknown key or a wrong value.
    """
    chosen = given(
        {"name": request.dataset, "data_dir": request.data_dir, "subset": request.subset}
    )
    config = dataclasses.replace(
        base, dataset=dataclasses.replace(base.dataset, **chosen), **given(flags)
    )
    config = config_lib.apply_overrides(config, request.overrides)
    return dataclasses.replace(config, dataset=_located(config.dataset))


def _located(dataset: DatasetConfig) -> DatasetConfig:
    name, data_dir = paths.expand(dataset.name), dataset.data_dir
    if data_dir is None and not is_built_in(name):
        data_dir = "."
    return dataclasses.replace(dataset, name=name, data_dir=paths.absolute(data_dir))
