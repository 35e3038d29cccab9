"""From what was asked for on the command line to a run that can start.

Everything that can be wrong is found here: without TensorFlow, and before a directory is made.
"""

from __future__ import annotations

import dataclasses
import json
import os
import textwrap
from pathlib import Path
from typing import Any

import safetensors

from compute.cluster import read_cluster
from datasets.format import reader as dataset
from dnnlib import atomic, config as config_lib, run_dirs
from dnnlib.errors import UserError, explain_os_errors
from networks import registry
from training import (
    checkpoint,
    config as training_config,
    loss_options,
    presets,
    schedule as schedules,
)
from training.config import TrainingConfig, network_options

CONFIG_NAME = "config.json"  # in the run directory
DEFAULT_PRESET = "demo"
DEFAULT_RESULT_DIR = "results"

# What may change when a run goes on: none of it changes what is computed.
_MAY_CHANGE = frozenset(
    {
        "dataset.data_dir",
        "image_snapshot_ticks",
        "network_snapshot_ticks",
        "checkpoint_ticks",
        "checkpoint_minutes",
        "metrics.names",
        "metrics.seed",
        "metrics.inception_weights",
        "metrics.vgg16_weights",
        "metrics.classifiers",
    }
)


@dataclasses.dataclass(frozen=True)
class Request:
    """What was asked for; None: not mentioned. Field names are the flags' names."""

    preset: str | None = None
    overrides: tuple[str, ...] = ()  # 'key.key=value', the flag --set
    dataset: str | None = None
    data_dir: str | None = None
    total_kimg: float | None = None
    seed: int | None = None
    num_gpus: int | None = None
    precision: str | None = None
    xla: bool | None = None
    metrics: str | None = None  # names with commas between
    result_dir: str | None = None  # None: DEFAULT_RESULT_DIR
    run_dir: str | None = None
    resume: str | None = None
    resume_from: str | None = None


@dataclasses.dataclass(frozen=True)
class Run:
    """A checked run."""

    config: TrainingConfig
    dataset_info: Any  # datasets.format.reader.DatasetInfo
    run_dir: Path | None  # None: a new numbered directory, not made yet
    result_dir: Path  # where that will be
    resume: bool  # the directory holds this run already
    transfer_from: Path | None  # snapshot to take the weights from; None: nothing to take over
    num_replicas: int  # devices over all machines; as far as it is known without looking
    notes: tuple[str, ...] = ()  # for the user: what differs from the saved configuration


def prepare(request: Request) -> Run:
    """Checks everything, then makes the run directory and saves the configuration in it."""
    return start(plan(request))


def plan(request: Request) -> Run:
    """Checks everything and makes no run. Raises UserError, one line.

    The built-in digits are written to their cache at their first use.
    """
    for field in dataclasses.fields(request):
        if getattr(request, field.name) == "":  # --run_dir=$DIR with DIR not set, for example
            raise UserError(f"--{field.name} is empty")
    cluster = read_cluster()
    if cluster.num_workers > 1 and not (request.run_dir or request.resume):
        raise UserError(
            "TF_CONFIG names several machines: give --run_dir, so that all use the same directory"
        )
    if request.run_dir and request.resume:
        raise UserError(
            "--run_dir and --resume: give one of them (with --run_dir, the same command continues)"
        )
    result_dir = Path(request.result_dir or DEFAULT_RESULT_DIR)
    run_dir, saved = _find_saved(request, result_dir)
    notes: tuple[str, ...] = ()
    if request.resume:
        config = _resolve(request, saved)
    else:
        config = _resolve(request, presets.make(request.preset or DEFAULT_PRESET))
    if saved is not None:
        notes = _compare(saved, config, run_dir, bool(request.resume))
    info = dataset.inspect(
        config.dataset.name,
        config.dataset.data_dir,
        resolution=config.dataset.resolution,
        max_label_size=config.dataset.max_label_size,
    )
    num_replicas = max(config.num_gpus, 1) * cluster.num_workers
    training_config.validate(config, info, num_replicas)
    transfer_from = None
    if config.resume_from and not (run_dir and checkpoint.paths(run_dir)):
        transfer_from = _check_snapshot(config.resume_from)
    return Run(
        config=config,
        dataset_info=info,
        run_dir=run_dir,
        result_dir=result_dir,
        resume=saved is not None,
        transfer_from=transfer_from,
        num_replicas=num_replicas,
        notes=notes,
    )


def start(run: Run) -> Run:
    """Makes the run directory, saves the configuration there; returns `run` with `run_dir` set."""
    run_dir = run.run_dir
    if run_dir is None:
        run_dir = run_dirs.create(run.result_dir, run.config.description)
    with explain_os_errors("create", run_dir):
        run_dir.mkdir(parents=True, exist_ok=True)
    if read_cluster().is_chief:  # one writer is enough
        atomic.write_json(run_dir / CONFIG_NAME, config_lib.to_dict(run.config))
    return dataclasses.replace(run, run_dir=run_dir)


def load_config(run_dir: str | os.PathLike) -> TrainingConfig:
    """Returns the configuration saved in a run directory; UserError when it cannot be read."""
    path = Path(run_dir) / CONFIG_NAME
    try:
        with explain_os_errors("read", path):
            values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{run_dir} is not a run directory: it has no {CONFIG_NAME}") from None
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}") from error
    try:
        return config_lib.from_dict(TrainingConfig, values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


# --------------------------------------------------------------------------------------
# What a run will do, for people


def describe(run: Run) -> str:
    """Returns data set, networks and schedule of a run; several lines, no newline at the end."""
    info = run.dataset_info
    labels = f"{info.label_size} labels" if info.label_size else "no labels"
    mirror = ", mirrored" if run.config.dataset.mirror_augment else ""
    lines = [
        f"Data set   {info.name}: {info.num_images:,} images of {info.resolution}x"
        f"{info.resolution}x{info.channels}, {labels}{mirror}"
    ]
    G, D = (registry.resolve(**kwargs) for kwargs in network_options(run.config, info))
    mapping = f"z {G['latent_size']}"
    if "mapping_layers" in G:
        mapping += f", {G['mapping_layers']} mapping layers, w {G['dlatent_size']}"
    lines += [
        f"Generator  {run.config.G['func_name']}: {mapping}",
        f"           feature maps {feature_maps(G)}",
        f"Discrim.   {run.config.D['func_name']}: feature maps {feature_maps(D)}",
        f"Losses     {_loss(run.config, 'G_loss')}, {_loss(run.config, 'D_loss')}",
        "",
        *_schedule_table(run),
    ]
    return "\n".join(lines)


def describe_all(run: Run) -> str:
    """Returns every setting, in the form that `--set` accepts, and what `describe` returns."""
    where = str(run.run_dir or f"a new directory in {run.result_dir}")
    lines = [
        "Configuration:",
        config_lib.format(run.config),
        "",
        *_network_defaults(run.config),
        "",
        describe(run),
        "",
        f"{'Continues' if run.resume else 'Would write to'} {where}",
    ]
    return "\n".join(lines)


def feature_maps(options: dict) -> str:
    counts = []
    for log2 in range(2, options["resolution"].bit_length()):
        maps = int(options["fmap_base"] / 2.0 ** ((log2 - 1) * options["fmap_decay"]))
        counts.append(f"{2**log2}:{min(maps, options['fmap_max'])}")
    return " ".join(counts)


def _loss(config: TrainingConfig, key: str) -> str:
    name, options = loss_options.resolve(key, getattr(config, key))
    given = ", ".join(f"{option} {value:g}" for option, value in options.items())
    return f"{name} ({given})" if given else name


def _network_defaults(config: TrainingConfig) -> list[str]:
    """Returns lines that list the networks' options that the configuration does not mention."""
    lines = []
    for key in ("G", "D"):
        chosen = getattr(config, key)
        table = registry.defaults(chosen["func_name"])
        rest = [
            f"{option}={value}"
            for option, value in table.items()
            if option not in chosen and option not in training_config.SETTLED
        ]
        lines.append(f"Other options of {key}, at their defaults:")
        lines += textwrap.wrap(", ".join(rest), 96, initial_indent="  ", subsequent_indent="  ")
    return lines


def _schedule_table(run: Run) -> list[str]:
    config, resolution = run.config.schedule, run.dataset_info.resolution
    devices = f"{run.num_replicas} device" + ("s" if run.num_replicas > 1 else "")
    if not run.config.num_gpus:
        devices += ", or as many as there are GPUs"
    lines = [
        f"Schedule   {run.config.total_kimg:g} kimg in all; minibatches are over {devices}",
        f"{'':11}{'size':>9}{'fades from':>12}{'stable from':>13}{'minibatch':>11}"
        f"{'G rate':>9}{'D rate':>9}{'tick':>7}",
    ]
    for phase in schedules.phases(config, resolution, run.num_replicas):
        size = f"{phase.resolution}x{phase.resolution}"
        fade = "-" if phase.fade_kimg == phase.stable_kimg else f"{phase.fade_kimg:g}"
        late = "  (not reached)" if phase.fade_kimg >= run.config.total_kimg else ""
        lines.append(
            f"{'':11}{size:>9}{fade:>12}{phase.stable_kimg:>13g}{phase.minibatch:>11}"
            f"{phase.G_lrate:>9g}{phase.D_lrate:>9g}{phase.tick_kimg:>7g}{late}"
        )
    return lines


# --------------------------------------------------------------------------------------
# The steps of `plan`


def _find_saved(request: Request, result_dir: Path) -> tuple[Path | None, TrainingConfig | None]:
    """Returns the directory asked for (None: a new one) and the configuration saved in it."""
    if request.resume:
        run_dir = run_dirs.find(result_dir, request.resume)
        return run_dir, load_config(run_dir)
    if not request.run_dir:
        return None, None
    run_dir = Path(request.run_dir)
    if run_dir.exists() and not run_dir.is_dir():
        raise UserError(f"--run_dir={run_dir} is not a directory")
    # Without a checkpoint there is nothing to continue: a start that failed binds nobody.
    started = (run_dir / CONFIG_NAME).exists() and checkpoint.paths(run_dir)
    return run_dir, load_config(run_dir) if started else None


def _resolve(request: Request, base: TrainingConfig) -> TrainingConfig:
    """Returns `base` with the flags, then the overrides, applied."""
    if request.preset and request.preset != base.preset:  # only when resuming
        base = dataclasses.replace(base, preset=presets.make(request.preset).preset)
    flags = {
        "total_kimg": request.total_kimg,
        "seed": request.seed,
        "num_gpus": request.num_gpus,
        "precision": request.precision,
        "xla": request.xla,
        "resume_from": request.resume_from,
    }
    data_flags = {"name": request.dataset, "data_dir": request.data_dir}
    config = dataclasses.replace(
        base,
        dataset=dataclasses.replace(base.dataset, **given(data_flags)),
        **given(flags),
    )
    if request.metrics is not None:
        names = tuple(name.strip() for name in request.metrics.split(",") if name.strip())
        names = () if names == ("none",) else names
        config = dataclasses.replace(
            config, metrics=dataclasses.replace(config.metrics, names=names)
        )
    config = config_lib.apply_overrides(config, request.overrides)
    # The run may continue from another working directory.
    data_dir = config.dataset.data_dir
    if data_dir is None and not dataset.is_built_in(config.dataset.name):
        data_dir = "."
    absolute_data_dir, measured = absolute(data_dir), config.metrics
    return dataclasses.replace(
        config,
        dataset=dataclasses.replace(config.dataset, data_dir=absolute_data_dir),
        metrics=dataclasses.replace(
            measured,
            inception_weights=_file_or_address(measured.inception_weights),
            vgg16_weights=_file_or_address(measured.vgg16_weights),
            classifiers=tuple(map(_file_or_address, measured.classifiers)),
        ),
        resume_from=absolute(config.resume_from),
    )


def given(flags: dict) -> dict:
    return {key: value for key, value in flags.items() if value is not None}


def absolute(path: str | None) -> str | None:
    return None if path is None else os.path.abspath(os.path.expanduser(path))


def _file_or_address(text: str | None) -> str | None:
    return text if text is None or "://" in text else absolute(text)


def _compare(
    saved: TrainingConfig, wanted: TrainingConfig, run_dir: Path, resume: bool
) -> tuple[str, ...]:
    """Returns notes on harmless differences; UserError naming the first other one."""
    notes = []
    for key, old, new in config_lib.diff(saved, wanted):
        if key in _MAY_CHANGE or (key == "total_kimg" and new > old):
            notes.append(f"{key}: {old} -> {new}")
            continue
        remedy = (
            "leave it out to continue, or start a new run"
            if resume
            else f"choose another --run_dir, or --resume={run_dir} to continue as it was"
        )
        raise UserError(f"{run_dir} was started with {key}={old!r}, not {new!r}; {remedy}")
    return tuple(notes)


def _check_snapshot(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise UserError(f"--resume_from: no file {path}")
    try:
        with explain_os_errors("read", path), safetensors.safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
    except safetensors.SafetensorError as error:
        raise UserError(f"--resume_from: {path} is not a .safetensors file: {error}") from error
    if "networks" not in metadata:  # networks/snapshot.py checks the rest, with TensorFlow
        raise UserError(f"--resume_from: {path} is not a snapshot of networks")
    return path
