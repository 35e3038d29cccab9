"""From a request to a run of G and D that can start.

Everything that can be wrong is found here: without TensorFlow, and before a directory is made.
"""

from __future__ import annotations

import dataclasses
import textwrap
from pathlib import Path
from typing import Any

from compute import machine
from compute.cluster import read_cluster
from datasets import grids
from datasets.format.info import DatasetInfo, is_unwritten
from datasets.format.reader import open_dataset
from dnnlib import config as config_lib, paths, run_dirs
from dnnlib.errors import UserError
from training import (
    checkpoint,
    choices,
    config as training_config,
    memory,
    presets,
    request as requests,
    saved_config,
    schedule as schedules,
)
from training.ada_configs import Setting
from training.augmentation.transforms import transforms_of
from training.config import AugmentConfig, TrainingConfig
from training.request import Request
from training.resolved import Resolved, Seen, describe_data, describe_maps
from training.source import Source, located

DEFAULT_PRESET = "demo"

# What may change when a run goes on: none of it changes what is computed.
_MAY_CHANGE = frozenset(
    {
        "dataset.data_dir",
        "image_snapshot_ticks",
        "network_snapshot_ticks",
        "checkpoint_ticks",
        "checkpoint_minutes",
        "diverged_ticks",
        "checks",
        "metrics.names",
        "metrics.seed",
        "metrics.inception_weights",
        "metrics.vgg16_weights",
        "metrics.classifiers",
    }
)
# What only a run writes: without its configuration nobody can tell how it went on.
_REMAINS = (
    "checkpoint-*.safetensors",
    "network-snapshot-*.safetensors",
    "network-final.safetensors",
    "stats.jsonl",
)
_READ = 64  # images at once, of those that are only looked at
# Options that tell what a generator takes, as far as it has them.
_TAKES = {"latent_size": "z {}", "mapping_layers": "{} mapping layers", "dlatent_size": "w {}"}


@dataclasses.dataclass(frozen=True)
class ResolvedRun(Resolved):
    """A checked run of G and D."""

    config: TrainingConfig
    parts: choices.Parts  # networks and losses with all their options
    continues: bool  # the directory holds this run already
    source: Source | None  # what to take weights from; None: nothing to take over
    num_replicas: int  # devices over all machines; as far as it shows without TensorFlow

    @property
    def resume(self) -> bool:
        return self.continues

    @property
    def transfer_from(self) -> Path | None:
        """The file to take weights from; None also before it is downloaded."""
        return None if self.source is None else self.source.path

    def prepared(self) -> ResolvedRun:
        """With the file that it starts from, and the hash of that in its settings."""
        if self.source is None:
            return self
        source = self.source.fetched()
        if self.source.path is None:
            source.check(self.parts.networks)
        source.check_sha256(self.config.resume_from_sha256)
        config = dataclasses.replace(self.config, resume_from_sha256=source.sha256)
        return dataclasses.replace(self, config=config, source=source)

    def check_data(self) -> None:
        """Raises UserError where the labels, or the images of the grids, cannot be had."""
        info, grid = self.dataset_info, self.config.grid
        replace_damaged = self.config.dataset.replace_damaged
        with open_dataset(info, replace_damaged=replace_damaged) as dataset:
            _, indices = grids.choose_images(dataset, grid.size, grid.layout, self.config.seed)
            for start in range(0, 0 if is_unwritten(info) else len(indices), _READ):
                dataset.read(indices[start : start + _READ])

    def facts(self) -> dict[str, Any]:
        return {
            "dataset": dataclasses.asdict(self.dataset_info),
            "G": self.parts.G,
            "D": self.parts.D,
            **self.parts.losses,
            "transfer_from": self.transfer_from and str(self.transfer_from),
        }

    def describe(self) -> str:
        info, parts = self.dataset_info, self.parts
        labels = f"{info.label_size} labels" if info.label_size else "no labels"
        takes = [text.format(parts.G[key]) for key, text in _TAKES.items() if key in parts.G]
        lines = [
            describe_data(info, labels, self.config.dataset.mirror_augment),
            f"Generator  {self.config.G['func_name']}: {', '.join(takes)}",
            f"           {describe_maps(parts.G)}",
            f"Discrim.   {self.config.D['func_name']}: {describe_maps(parts.D)}",
            f"Losses     {', '.join(map(_describe_loss, parts.losses.values()))}",
            *_describe_augmentation(self.config.augment),
            "",
            *_schedule_table(self),
        ]
        return "\n".join(lines)

    def defaults(self) -> list[str]:
        lines = []
        for key in ("G", "D"):
            chosen = getattr(self.config, key)
            rest = [
                f"{option}={value}"
                for option, value in choices.defaults(chosen["func_name"]).items()
                if option not in chosen and option not in choices.SETTLED
            ]
            lines.append(f"Other options of {key}, at their defaults:")
            lines += textwrap.wrap(", ".join(rest), 96, initial_indent="  ", subsequent_indent="  ")
        return lines


def plan(request: Request) -> ResolvedRun:
    """Checks everything; makes no run and writes nothing. Raises UserError, one line."""
    request.check()
    cluster = read_cluster()
    if cluster.num_workers > 1 and not (request.run_dir or request.resume):
        raise UserError(
            "TF_CONFIG names several machines: give --run_dir, so that all use the same directory"
        )
    if request.run_dir and request.resume:
        raise UserError(
            "--run_dir and --resume: give one of them (with --run_dir, the same command continues)"
        )
    run_dir = _find(request)
    seen = Seen.of(run_dir)  # before all else is looked at
    saved = _find_saved(request, run_dir)
    base = saved if request.resume else presets.make(request.preset or DEFAULT_PRESET)
    config = resolve_config(request, base)
    info = None
    if not request.resume and presets.follows_setting(config.preset):
        info = training_config.inspect_dataset(config.dataset, write=False)
        setting = _setting(config, info, saved, cluster.num_workers)
        config = resolve_config(request, presets.make(config.preset, setting))
    notes: tuple[str, ...] = ()
    if saved is not None:
        config = _with_hash(config, saved)
        notes = _compare(saved, config, run_dir, bool(request.resume))
    continues = bool(request.resume) or seen.checkpoints
    return complete(config, request, run_dir, seen, continues=continues, notes=notes, info=info)


def complete(
    config: TrainingConfig,
    request: Request,
    run_dir: Path | None,
    seen: Seen,
    *,
    continues: bool,
    notes: tuple[str, ...] = (),
    info: DatasetInfo | None = None,
) -> ResolvedRun:
    """Checks a configuration, and what it needs on this machine; as `plan`. info: of its data set,
    where that is known."""
    # A command that is refused leaves no trace, in the cache neither.
    info = info or training_config.inspect_dataset(config.dataset, write=False)
    gpus, num_workers = machine.num_gpus(), read_cluster().num_workers
    num_replicas = _local_replicas(config) * num_workers
    parts = training_config.resolve(config, info, num_replicas)
    for size in schedules.resolutions(config.schedule, info.resolution):
        images = schedules.minibatch(config.schedule, size, num_replicas) // num_workers
        key = f"schedule.minibatch_dict.{size}"
        memory.check(key, images, parts.D, size, config.num_gpus or gpus, machine.memory_bytes())
    source = None
    if config.resume_from and not (run_dir and checkpoint.paths(run_dir)):
        source = Source.of(config.resume_from)
        source.check(parts.networks)
    return ResolvedRun(
        config=config,
        dataset_info=info,
        run_dir=run_dir,
        result_dir=request.runs_in,
        notes=notes,
        seen=seen,
        parts=parts,
        continues=continues,
        source=source,
        num_replicas=num_replicas,
    )


# --------------------------------------------------------------------------------------
# What a run will do, for people


def _describe_augmentation(augment: AugmentConfig) -> list[str]:
    """A line, if D's images are augmented."""
    if transforms_of(augment.transforms, augment.options) is None:
        return []
    strength = f"p towards r = {augment.target:g}" if augment.p is None else f"p = {augment.p:g}"
    return [f"Augmented  {augment.transforms}, {strength}"]


def _describe_loss(loss: dict[str, Any]) -> str:
    options = (f"{key} {value:g}" for key, value in loss.items() if key != "func_name")
    shown = ", ".join(options)
    return f"{loss['func_name']} ({shown})" if shown else loss["func_name"]


def _schedule_table(run: ResolvedRun) -> list[str]:
    config, resolution = run.config.schedule, run.dataset_info.resolution
    devices = f"{run.num_replicas} device" + ("s" if run.num_replicas > 1 else "")
    if not run.config.num_gpus:
        devices += ", all that there are"
    elif run.config.num_gpus > machine.num_gpus():
        devices += f" (GPUs here: {machine.num_gpus()})"
    lines = [
        f"Schedule   {run.config.total_kimg:g} kimg in all; minibatches are over {devices}",
        f"{'':11}{'size':>9}{'fades from':>12}{'stable from':>13}{'minibatch':>11}"
        f"{'G rate':>9}{'D rate':>9}{'tick':>7}",
    ]
    for period in schedules.periods(config, resolution, run.num_replicas):
        size = f"{period.resolution}x{period.resolution}"
        fade = "-" if period.fade_kimg == period.stable_kimg else f"{period.fade_kimg:g}"
        late = "  (not reached)" if period.fade_kimg >= run.config.total_kimg else ""
        lines.append(
            f"{'':11}{size:>9}{fade:>12}{period.stable_kimg:>13g}{period.minibatch:>11}"
            f"{period.G_lrate:>9g}{period.D_lrate:>9g}{period.tick_kimg:>7g}{late}"
        )
    return lines


# --------------------------------------------------------------------------------------
# The steps of `plan`


def _find(request: Request) -> Path | None:
    """The directory asked for; None: a new one."""
    if request.resume:
        return run_dirs.find(request.runs_in, request.resume)
    if not request.run_dir:
        return None
    run_dir = Path(request.run_dir)
    if run_dir.exists() and not run_dir.is_dir():
        raise UserError(f"--run_dir={run_dir} is not a directory")
    return run_dir


def _find_saved(request: Request, run_dir: Path | None) -> TrainingConfig | None:
    """The configuration saved in a directory; UserError where a run has lost its own."""
    if run_dir is None:
        return None
    if request.resume or saved_config.exists(run_dir):
        return saved_config.load_config(run_dir)
    remains = sorted(path.name for pattern in _REMAINS for path in run_dir.glob(pattern))
    if remains:
        raise UserError(
            f"{run_dir} holds {remains[0]} of a run, but its {saved_config.CONFIG_NAME} is "
            "missing: put that back to continue, or choose another --run_dir"
        )
    return None


def _local_replicas(config: TrainingConfig) -> int:
    """Devices on this machine; as far as it shows without TensorFlow."""
    return max(config.num_gpus or machine.num_gpus(), 1)


def _setting(
    config: TrainingConfig, info: DatasetInfo, saved: TrainingConfig | None, machines: int
) -> Setting:
    """What a preset is completed for.

    A run that goes on keeps the devices that it was started for, wherever it goes on.
    """
    devices = _local_replicas(config) * machines
    if saved is not None and saved.preset == config.preset:
        devices = saved.preset_devices or devices
    return Setting(
        resolution=info.resolution,
        devices=devices,
        reduced=config.precision != "float32",
        transfer=config.resume_from is not None,
    )


def resolve_config(request: Request, base: TrainingConfig) -> TrainingConfig:
    """Returns `base` with the flags, then the overrides, applied; all paths are absolute."""
    if request.preset and request.preset != base.preset:  # only when resuming
        base = dataclasses.replace(base, preset=presets.make(request.preset).preset)
    metrics = None
    if request.metrics is not None:
        names = tuple(name.strip() for name in request.metrics.split(",") if name.strip())
        metrics = dataclasses.replace(base.metrics, names=() if names == ("none",) else names)
    augment = None
    if request.augment is not None:
        augment = dataclasses.replace(base.augment, transforms=request.augment)
    flags = {
        "augment": augment,
        "total_kimg": request.total_kimg,
        "seed": request.seed,
        "num_gpus": request.num_gpus,
        "precision": request.precision,
        "xla": request.xla,
        "metrics": metrics,
        "resume_from": request.resume_from,
        "freeze_d": request.freeze_d,
    }
    config = requests.apply(request, base, flags)
    measured = dataclasses.replace(
        config.metrics,
        inception_weights=paths.absolute(config.metrics.inception_weights),
        vgg16_weights=paths.absolute(config.metrics.vgg16_weights),
        classifiers=tuple(map(paths.absolute, config.metrics.classifiers)),
    )
    return dataclasses.replace(config, metrics=measured, resume_from=located(config.resume_from))


def _with_hash(config: TrainingConfig, saved: TrainingConfig) -> TrainingConfig:
    """With the hash of the file that the run was started from, where it is to be the same one."""
    if config.resume_from_sha256 is not None or config.resume_from != saved.resume_from:
        return config
    return dataclasses.replace(config, resume_from_sha256=saved.resume_from_sha256)


def _compare(
    saved: TrainingConfig, wanted: TrainingConfig, run_dir: Path, resume: bool
) -> tuple[str, ...]:
    """Returns notes on harmless differences; UserError naming the first other one."""
    notes = []
    for key, old, new in config_lib.diff(saved, wanted):
        if key in _MAY_CHANGE or (key == "total_kimg" and new > old):
            notes.append(f"{key}: {old} -> {new}")
            continue
        if read_cluster().is_chief:  # or the remedy would be to take its settings away
            run_dirs.check_free(run_dir)
        remedy = (
            "leave it out to continue, or start a new run"
            if resume
            else f"choose another --run_dir, or --resume={run_dir} to continue as it was"
        )
        if not (resume or checkpoint.paths(run_dir)):
            remedy += f" (it has no checkpoint yet: without {saved_config.CONFIG_NAME} it is free)"
        raise UserError(f"{run_dir} was started with {key}={old!r}, not {new!r}; {remedy}")
    return tuple(notes)
