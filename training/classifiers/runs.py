"""From a request to a run of classifiers that can start.

The same as training/runs.py for G and D: without TensorFlow, and before a directory is made.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import safetensors

from compute import machine
from compute.cluster import read_cluster
from datasets.format.reader import open_dataset
from dnnlib import config as config_lib, json_files, paths, run_dirs
from dnnlib.errors import UserError, explain_os_errors
from training import memory, request as requests, saved_config
from training.classifiers import config as classifier_config
from training.classifiers.config import PRESETS, ClassifierConfig
from training.request import Request
from training.resolved import Resolved, Seen, describe_data, describe_maps

DEFAULT_PRESET = "classifier"

# What may differ from the run that trained an attribute: none of it changes what is computed.
_MAY_CHANGE = frozenset({"dataset.data_dir", "description", "status_kimg"})

_NUMBER = (int, float)
# What is told of an attribute when all are done.
_TOLD: dict[str, Any] = {
    "attribute": str,
    "share": _NUMBER,
    "accuracy": _NUMBER,
    "majority": _NUMBER,
}


@dataclasses.dataclass(frozen=True)
class ClassifierRun(Resolved):
    """A checked run of classifiers."""

    config: ClassifierConfig
    D: dict[str, Any]  # `func_name` and all options of every classifier
    attributes: dict[str, tuple[int, ...]]  # name → label columns, in the order of training
    shares: dict[str, float]  # name → share of the images that have it
    finished: dict[str, dict]  # name → info of its file in run_dir, of those trained already

    @property
    def resume(self) -> bool:
        return bool(self.finished)

    def facts(self) -> dict[str, Any]:
        return {
            "dataset": dataclasses.asdict(self.dataset_info),
            "D": self.D,
            "attributes": self.attributes,
            "shares": self.shares,
        }

    def describe(self) -> str:
        config, info = self.config, self.dataset_info
        data = describe_data(info, f"{info.label_size} labels", config.dataset.mirror_augment)
        width = max(map(len, ("attribute", *self.attributes)))
        lines = [
            f"{data}; {config.holdout:.0%} held out",
            f"Network    {config.D['func_name']}: {describe_maps(self.D)}",
            f"Training   {config.kimg:g} kimg for each attribute, minibatch {config.minibatch}, "
            f"rate {config.learning_rate:g}"
            + (f", to 0 in the last {config.rampdown_kimg:g} kimg" if config.rampdown_kimg else ""),
            "",
            f"{'':11}{'attribute':<{width}}{'images':>9}  label columns",
        ]
        for name, columns in self.attributes.items():
            done = "  (done)" if name in self.finished else ""
            listed = ",".join(map(str, columns))
            lines.append(f"{'':11}{name:<{width}}{self.shares[name]:>9.1%}  {listed}{done}")
        return "\n".join(lines)


def wanted(request: Request) -> bool:
    """Whether the request is about classifiers: by its preset, or by the run it continues.

    Raises UserError when the two disagree.
    """
    run_dir = None
    if request.resume:
        run_dir = run_dirs.find(request.runs_in, request.resume)
    elif request.run_dir:
        run_dir = Path(request.run_dir)
    saved = saved_config.preset_of(run_dir) if run_dir else None
    kinds = {preset.partition("+")[0] in PRESETS for preset in (request.preset, saved) if preset}
    if len(kinds) == 2:
        raise UserError(
            f"{run_dir} was started with preset={saved!r}, not {request.preset!r}; choose another "
            "directory"
        )
    return kinds == {True}


def plan(request: Request) -> ClassifierRun:
    """Checks everything; makes no run and writes nothing. Raises UserError, one line."""
    _check_flags(request)
    run_dir = Path(request.run_dir) if request.run_dir else None
    if request.resume:
        run_dir = run_dirs.find(request.runs_in, request.resume)
        base = saved_config.load(run_dir, ClassifierConfig)
    else:
        base = classifier_config.make(request.preset or DEFAULT_PRESET)
    if run_dir is not None and run_dir.exists() and not run_dir.is_dir():
        raise UserError(f"--run_dir={run_dir} is not a directory")
    seen = Seen.of(run_dir)  # before all else is looked at
    if seen.checkpoints:
        raise UserError(f"{run_dir} holds checkpoints of another run; choose another --run_dir")
    config = _resolve(request, base)
    classifier_config.validate(config)
    info = classifier_config.inspect_dataset(config, write=False)
    D = classifier_config.network_options(config, info)
    gpus = config.num_gpus or machine.num_gpus()
    classifier_config.check_minibatch(config, gpus)
    memory.check("minibatch", config.minibatch, D, info.resolution, gpus, machine.memory_bytes())
    attributes = classifier_config.attributes(config, info)
    finished = {}
    for name, columns in attributes.items():
        if run_dir is not None and path_of(run_dir, name).exists():
            finished[name] = _check_finished(path_of(run_dir, name), own_config(config, columns))
    with open_dataset(info) as dataset:
        measured, shares = classifier_config.held_out(dataset, config), {}
        for name, columns in attributes.items():
            present = classifier_config.targets(dataset.labels, columns)
            classifier_config.check_both_kinds(name, present, measured)
            shares[name] = float(present.mean())
    return ClassifierRun(
        config=config,
        dataset_info=info,
        run_dir=run_dir,
        result_dir=request.runs_in,
        notes=(),
        seen=seen,
        D=D,
        attributes=attributes,
        shares=shares,
        finished=finished,
    )


def path_of(run_dir: Path, attribute: str) -> Path:
    """The file that an attribute's classifier is saved in when it is done."""
    return run_dir / f"classifier-{attribute}.safetensors"


def own_config(config: ClassifierConfig, columns: tuple[int, ...]) -> ClassifierConfig:
    """What one classifier depends on: no other attribute, nor what its own is called."""
    return dataclasses.replace(config, attribute={"columns": tuple(columns)})


# --------------------------------------------------------------------------------------
# The steps of `plan`


def _check_flags(request: Request) -> None:
    request.check()
    for name in ("resume_from", "freeze_d", "xla", "metrics", "augment"):
        if getattr(request, name):
            raise UserError(f"--{name} is not for classifiers; leave it out")
    if request.run_dir and request.resume:
        raise UserError("--run_dir and --resume: give one of them")
    if read_cluster().num_workers > 1:
        raise UserError("TF_CONFIG names several machines; classifiers train on one: unset it")


def _resolve(request: Request, base: ClassifierConfig) -> ClassifierConfig:
    """Returns `base` with the flags, then the overrides, applied."""
    flags = {
        "preset": request.preset,
        "kimg": request.total_kimg,
        "seed": request.seed,
        "num_gpus": request.num_gpus,
        "precision": request.precision,
    }
    return requests.apply(request, base, flags)


def _check_finished(path: Path, config: ClassifierConfig) -> dict:
    """Returns the info of a classifier that is there; UserError unless it is of this run."""
    try:
        paths.check_input(path)
        with explain_os_errors("read", path), safetensors.safe_open(path, framework="np") as file:
            info = json_files.parse((file.metadata() or {})["info"])
        saved = saved_config.parse(path, ClassifierConfig, info["config"])
        for key, kind in _TOLD.items():
            if not isinstance(info[key], kind):
                raise ValueError(f"{key} is {str(info[key])[:50]!r}")
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a classifier of a run: {error!r}; remove it") from error
    for key, old, new in config_lib.diff(saved, config):
        if key not in _MAY_CHANGE:
            raise UserError(
                f"{path} was trained with {key}={old!r}, not {new!r}; remove it to train it "
                "again, or choose another --run_dir"
            )
    return info
