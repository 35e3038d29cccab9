"""From what was asked for on the command line to a run of classifiers that can start.

The same as training/runs.py for generators: without TensorFlow, and before a directory is made.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import safetensors

from compute.cluster import read_cluster
from datasets.format.info import DatasetInfo
from datasets.format.reader import is_built_in, open_dataset
from dnnlib import atomic, config as config_lib, run_dirs
from dnnlib.errors import UserError, explain_os_errors
from networks import registry
from training.classifiers import config as classifier_config
from training.classifiers.config import PRESETS, ClassifierConfig
from training.runs import (
    CONFIG_NAME,
    DEFAULT_RESULT_DIR,
    Request,
    absolute,
    feature_maps,
    given,
)

# What may differ from the run that trained an attribute: none of it changes what is computed.
_MAY_CHANGE = frozenset({"dataset.data_dir", "description", "status_kimg"})


@dataclasses.dataclass(frozen=True)
class ClassifierRun:
    """A checked run."""

    config: ClassifierConfig
    dataset_info: DatasetInfo
    attributes: dict[str, tuple[int, ...]]  # name → label columns, in the order of training
    shares: dict[str, float]  # name → share of the images that have it
    finished: dict[str, dict]  # name → info of its file in run_dir, of those trained already
    run_dir: Path | None  # None: a new numbered directory, not made yet
    result_dir: Path  # where that will be
    notes: tuple[str, ...] = ()

    @property
    def resume(self) -> bool:
        """Whether the directory holds a part of this run already."""
        return bool(self.finished)


def wanted(request: Request) -> bool:
    """Whether the request is about classifiers: by its preset, or by the run it continues.

    Raises UserError when the two disagree.
    """
    found = {} if request.preset is None else {request.preset: "--preset"}
    run_dir = None
    if request.resume:
        run_dir = run_dirs.find(request.result_dir or DEFAULT_RESULT_DIR, request.resume)
    elif request.run_dir:
        run_dir = Path(request.run_dir)
    saved = run_dir and _saved_preset(run_dir)
    if saved:
        found.setdefault(saved, "saved")
    kinds = {name.partition("+")[0] in PRESETS for name in found}
    if len(kinds) == 2:
        raise UserError(
            f"{run_dir} was started with preset={saved!r}, not {request.preset!r}; choose another "
            "directory"
        )
    return kinds == {True}


def plan(request: Request) -> ClassifierRun:
    """Checks everything and makes no run. Raises UserError, one line."""
    _check_flags(request)
    result_dir = Path(request.result_dir or DEFAULT_RESULT_DIR)
    run_dir = Path(request.run_dir) if request.run_dir else None
    if request.resume:
        run_dir = run_dirs.find(result_dir, request.resume)
        base = _load_config(run_dir)
    else:
        base = classifier_config.make(request.preset or "classifier")
    if run_dir is not None and run_dir.exists() and not run_dir.is_dir():
        raise UserError(f"--run_dir={run_dir} is not a directory")
    config = _resolve(request, base)
    classifier_config.validate(config)
    info = classifier_config.inspect_dataset(config)
    classifier_config.network_options(config, info)
    attributes = classifier_config.attributes(config, info)
    with open_dataset(info) as dataset:
        measured, shares = classifier_config.held_out(dataset, config), {}
        for name, columns in attributes.items():
            present = classifier_config.targets(dataset.labels, columns)
            classifier_config.check_both_kinds(name, present, measured)
            shares[name] = float(present.mean())
    finished = {}
    for name, columns in attributes.items():
        if run_dir is not None and path_of(run_dir, name).exists():
            finished[name] = _check_finished(path_of(run_dir, name), own_config(config, columns))
    return ClassifierRun(config, info, attributes, shares, finished, run_dir, result_dir)


def start(run: ClassifierRun) -> ClassifierRun:
    """Makes the run directory, saves the configuration there; returns `run` with `run_dir` set."""
    run_dir = run.run_dir or run_dirs.create(run.result_dir, run.config.description)
    with explain_os_errors("create", run_dir):
        run_dir.mkdir(parents=True, exist_ok=True)
    atomic.write_json(run_dir / CONFIG_NAME, config_lib.to_dict(run.config))
    return dataclasses.replace(run, run_dir=run_dir)


def path_of(run_dir: Path, attribute: str) -> Path:
    """The file that an attribute's classifier is saved in when it is done."""
    return run_dir / f"classifier-{attribute}.safetensors"


def own_config(config: ClassifierConfig, columns: tuple[int, ...]) -> ClassifierConfig:
    """What one classifier depends on: no other attribute, nor what its own is called."""
    return dataclasses.replace(config, attribute={"columns": tuple(columns)})


# --------------------------------------------------------------------------------------
# What a run will do, for people


def describe(run: ClassifierRun) -> str:
    """Returns data set, network and attributes; several lines, no newline at the end."""
    config, info = run.config, run.dataset_info
    options = registry.resolve(**classifier_config.network_options(config, info))
    mirror = ", mirrored" if config.dataset.mirror_augment else ""
    width = max(map(len, ("attribute", *run.attributes)))
    lines = [
        f"Data set   {info.name}: {info.num_images:,} images of {info.resolution}x"
        f"{info.resolution}x{info.channels}, {info.label_size} labels{mirror}; "
        f"{config.holdout:.0%} held out",
        f"Network    {config.D['func_name']}: feature maps {feature_maps(options)}",
        f"Training   {config.kimg:g} kimg for each attribute, minibatch {config.minibatch}, "
        f"rate {config.learning_rate:g}"
        + (f", to 0 in the last {config.rampdown_kimg:g} kimg" if config.rampdown_kimg else ""),
        "",
        f"{'':11}{'attribute':<{width}}{'images':>9}  label columns",
    ]
    for name, columns in run.attributes.items():
        done = "  (done)" if name in run.finished else ""
        listed = ",".join(map(str, columns))
        lines.append(f"{'':11}{name:<{width}}{run.shares[name]:>9.1%}  {listed}{done}")
    return "\n".join(lines)


def describe_all(run: ClassifierRun) -> str:
    """Returns every setting, in the form that `--set` accepts, and what `describe` returns."""
    where = str(run.run_dir or f"a new directory in {run.result_dir}")
    verb = "Continues" if run.resume else "Would write to"
    settings = config_lib.format(run.config)
    return f"Configuration:\n{settings}\n\n{describe(run)}\n\n{verb} {where}"


# --------------------------------------------------------------------------------------
# The steps of `plan`


def _check_flags(request: Request) -> None:
    for field in dataclasses.fields(request):
        if getattr(request, field.name) == "":
            raise UserError(f"--{field.name} is empty")
    for name in ("resume_from", "xla", "metrics"):
        if getattr(request, name):
            raise UserError(f"--{name} is not for classifiers; leave it out")
    if request.run_dir and request.resume:
        raise UserError("--run_dir and --resume: give one of them")
    if read_cluster().num_workers > 1:
        raise UserError("TF_CONFIG names several machines; classifiers train on one: unset it")


def _saved_preset(run_dir: Path) -> str | None:
    try:
        preset = json.loads((run_dir / CONFIG_NAME).read_text(encoding="utf-8"))["preset"]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # what reads the whole of it says what is wrong
    return preset if isinstance(preset, str) else None


def _load_config(run_dir: Path) -> ClassifierConfig:
    path = run_dir / CONFIG_NAME
    with explain_os_errors("read", path):
        values = json.loads(path.read_text(encoding="utf-8"))  # `wanted` has read it, too
    return _as_config(path, values)


def _as_config(path: Path, values) -> ClassifierConfig:
    try:
        return config_lib.from_dict(ClassifierConfig, values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _resolve(request: Request, base: ClassifierConfig) -> ClassifierConfig:
    """Returns `base` with the flags, then the overrides, applied."""
    flags = {
        "preset": request.preset,
        "kimg": request.total_kimg,
        "seed": request.seed,
        "num_gpus": request.num_gpus,
        "precision": request.precision,
    }
    data_flags = {"name": request.dataset, "data_dir": request.data_dir}
    config = dataclasses.replace(
        base, dataset=dataclasses.replace(base.dataset, **given(data_flags)), **given(flags)
    )
    config = config_lib.apply_overrides(config, request.overrides)
    # The run may continue from another working directory.
    data_dir = config.dataset.data_dir
    if data_dir is None and not is_built_in(config.dataset.name):
        data_dir = "."
    chosen = dataclasses.replace(config.dataset, data_dir=absolute(data_dir))
    return dataclasses.replace(config, dataset=chosen)


def _check_finished(path: Path, config: ClassifierConfig) -> dict:
    """Returns the info of a classifier that is there; UserError unless it is of this run."""
    try:
        with explain_os_errors("read", path), safetensors.safe_open(path, framework="np") as file:
            info = json.loads((file.metadata() or {})["info"])
        saved = _as_config(path, info["config"])
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a classifier of a run: {error!r}; remove it") from error
    for key, old, new in config_lib.diff(saved, config):
        if key not in _MAY_CHANGE:
            raise UserError(
                f"{path} was trained with {key}={old!r}, not {new!r}; remove it to train it "
                "again, or choose another --run_dir"
            )
    return info
