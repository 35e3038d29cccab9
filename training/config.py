"""The configuration of one training run: data, checked before anything heavy starts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Optional, Union  # dnnlib.config evaluates the types, on 3.9 as well

from datasets.format.info import DatasetInfo, inspect
from dnnlib.errors import UserError
from networks import registry
from training import choices, loss_options, schedule as schedules
from training.augmentation.transforms import SMALLEST_FOR_FILTER, Transforms, transforms_of
from training.schedule import ScheduleConfig

# Precision of training → compute dtype of the networks; their variables are always float32.
PRECISIONS = {"float32": "float32", "mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}
BAD_GRADIENTS = ("skip", "replace")
GRID_LAYOUTS = ("random", "auto", "row_per_class", "col_per_class", "class4x4")


@dataclass(frozen=True)
class DatasetConfig:
    """What to train on."""

    name: str = "digits"  # a directory in data_dir or a path, or built in: 'digits', 'synthetic'
    data_dir: Optional[str] = None  # where data sets are; None: the default place
    resolution: Optional[int] = None  # pixels; None: the data set's own
    max_label_size: Union[int, str] = 0  # 0: no labels; 'full'; or that many columns of them
    subset: Optional[int] = None  # images to train on, of those there are; None: all
    subset_seed: int = 0  # which ones
    mirror_augment: bool = False  # flip each image with probability 1/2
    replace_damaged: bool = False  # train on another image for a damaged record, or stop


@dataclass(frozen=True)
class GridConfig:
    """The image grids that are saved during training."""

    size: str = "1080p"  # '1080p', '4k', '8k' (as many as fit), or columns x rows: '16x8'
    # 'random', 'row_per_class', 'col_per_class', 'class4x4'; 'auto': row_per_class or random
    layout: str = "random"


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam, except for the learning rate, which is the schedule's."""

    beta1: float = 0.0
    beta2: float = 0.99
    epsilon: float = 1e-8


@dataclass(frozen=True)
class MetricsConfig:
    """What is measured of every network snapshot; paths may be addresses (metrics/)."""

    names: tuple[str, ...] = ()  # 'fid50k', 'fid5k', 'ppl_wend', 'ls-20k' and so on
    seed: int = 0  # of the images that are measured, apart from the run's
    inception_weights: Optional[str] = None  # None: a file in the cache directory
    vgg16_weights: Optional[str] = None
    classifiers: tuple[str, ...] = ()  # for 'ls': files or directories


@dataclass(frozen=True)
class AugmentConfig:
    """What all that D is shown goes through (Karras et al. 2020); metrics and pictures do not."""

    # A set: 'none', 'blit', 'geom', 'color', 'filter', 'noise', 'cutout', 'bg', 'bgc', 'bgcf',
    # 'bgcfn', 'bgcfnc'; or single transforms: 'xflip+hue'.
    transforms: str = "none"
    p: Optional[float] = None  # strength; None: from 0, as `target` says
    target: float = 0.6  # of r, the mean sign of D's scores of real images
    kimg: Optional[float] = None  # in which p moves by 1; None: 500, or 100 with resume_from
    interval: int = 4  # rounds of G and D between two moves of p
    options: dict = field(default_factory=dict)  # multipliers and ranges: training/augmentation


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides what a run computes, and how often it writes."""

    preset: str = ""  # where the configuration started from
    description: str = "custom"  # the run directory's name, after its number
    dataset: DatasetConfig = DatasetConfig()
    # The networks' and losses' names, and those of their options that differ from the defaults.
    G: dict = field(default_factory=partial(dict, func_name="G_style"))
    D: dict = field(default_factory=partial(dict, func_name="D_basic"))
    G_loss: dict = field(default_factory=partial(dict, func_name="G_logistic_nonsaturating"))
    D_loss: dict = field(default_factory=partial(dict, func_name="D_logistic_simplegp"))
    # Regularisers with steps of their own, in the same form; empty: none.
    G_reg: dict = field(default_factory=dict)
    D_reg: dict = field(default_factory=dict)
    G_opt: OptimizerConfig = OptimizerConfig()
    D_opt: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    grid: GridConfig = GridConfig()
    total_kimg: float = 25000.0  # kimg (thousands of real images) shown to the discriminator
    G_smoothing_kimg: float = 10.0  # half-life of the moving average of G, kimg ...
    # ... and no more than this part of what has been shown, so that Gs forgets G's beginning
    G_smoothing_rampup: Optional[float] = None
    minibatch_repeats: int = 4  # steps of D and G per look at the schedule
    D_repeats: int = 1  # steps of D per step of G
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    freeze_d: int = 0  # layers of D, from the highest resolution on, that stay as they are
    G_first: bool = False  # G's steps before D's, and Gs follows the new G, as in StyleGAN2
    reset_opt_for_new_lod: bool = True  # forget Adam's moments when a fade begins or ends
    seed: int = 1000  # of everything random
    num_gpus: int = 0  # GPUs on each machine; 0: all there are, or the CPU
    preset_devices: int = 0  # that the preset was completed for, over all machines; 0: for any
    precision: str = "float32"  # 'float32', 'mixed_bfloat16', 'mixed_float16'
    loss_scaling: Optional[bool] = None  # None: only with mixed_float16
    # Steps with infinite or NaN gradients: 'skip' them; or 'replace' those, NaN by 0 and ±inf by
    # ±1e5, as StyleGAN2-ADA does. With loss scaling they are skipped, for it to lower the scale.
    bad_gradients: str = "skip"
    xla: bool = False  # compile the training steps with XLA
    image_snapshot_ticks: int = 1  # ticks between two image grids
    network_snapshot_ticks: int = 10  # ticks between two network snapshots
    checkpoint_ticks: int = 1  # ticks between two checkpoints ...
    checkpoint_minutes: float = 10.0  # ... and at least this often, minutes
    checks: bool = True  # whether a run tells what is wrong with it: training/checks.py
    diverged_ticks: int = 3  # ticks without one usable step of G or of D that end a run
    metrics: MetricsConfig = MetricsConfig()
    resume_from: Optional[str] = None  # file, address or name of weights that training starts from
    resume_from_sha256: Optional[str] = None  # of its content; the start fills it in
    # Of a fork: the run and kimg that it goes back to, and what it changes; not to be set.
    forked_from: dict = field(default_factory=dict)


def inspect_dataset(chosen: DatasetConfig, write: bool = True) -> DatasetInfo:
    """The data set of a run; UserError when there is none. write: as of `inspect`."""
    return inspect(
        chosen.name,
        chosen.data_dir,
        resolution=chosen.resolution,
        max_label_size=chosen.max_label_size,
        subset=chosen.subset,
        subset_seed=chosen.subset_seed,
        write=write,
    )


def network_options(config: TrainingConfig, dataset_info: Any) -> tuple[dict, dict]:
    """Returns the keyword arguments of `networks.build` for G and for D, every option included.

    Resolution, channels and label width come from `dataset_info`, the dtype from the precision.
    Raises UserError naming an unknown option or an impossible value.
    """
    settled = settled_options(dataset_info, config.precision)
    return choices.network("G", config.G, settled), choices.network("D", config.D, settled)


def settled_options(dataset_info: Any, precision: str) -> dict[str, Any]:
    """The options of every network that follow from the data set and the precision."""
    return {
        "resolution": dataset_info.resolution,
        "num_channels": dataset_info.channels,
        "label_size": dataset_info.label_size,
        "dtype": PRECISIONS[precision],
    }


def resolve(
    config: TrainingConfig, dataset_info: Any, num_replicas: Optional[int] = None
) -> choices.Parts:
    """Checks all that can be known before TensorFlow starts; returns networks and losses in full.

    `dataset_info` is what `datasets.format.reader.inspect` returned for `config.dataset`.
    `num_replicas` is the number of devices over all machines; None: `num_gpus`, at least 1
    (`check_minibatches` checks again, once the devices are known).
    Raises UserError, one line naming the key.
    """
    _check_ranges(config)
    losses = {
        key: choices.loss(key, getattr(config, key))
        for key in loss_options.TABLES
        if key.endswith("_loss") or getattr(config, key)
    }
    G, D = network_options(config, dataset_info)
    _check_objectives(config, G["func_name"])
    initial = config.schedule.lod_initial_resolution
    growing = initial is not None and initial < dataset_info.resolution
    for key, options in (("G", G), ("D", D)):
        if growing and not registry.grows(options["func_name"], options):
            raise UserError(
                f"{key}: this {options['func_name']} has layers for the full resolution alone and "
                "cannot grow; set schedule.lod_initial_resolution=null"
            )
    if config.grid.layout not in ("random", "auto") and not dataset_info.label_size:
        raise UserError(
            f"grid.layout={config.grid.layout!r} needs labels; set dataset.max_label_size=full "
            "for a data set that has them"
        )
    augmentation_of(config, dataset_info)  # or an error
    check_minibatches(config, dataset_info, num_replicas or max(config.num_gpus, 1), D)
    return choices.Parts(G=G, D=D, losses=losses)


def _check_objectives(config: TrainingConfig, generator: str) -> None:
    objectives = {
        "G": loss_options.objective("G", config.G_loss, config.G_reg),
        "D": loss_options.objective("D", config.D_loss, config.D_reg),
    }
    if objectives["G"].regularizer == "G_path_length" and not registry.has_styles(generator):
        raise UserError(
            f"G_path_length measures paths of w, which a {generator} has not; choose another "
            "G_reg.func_name or G_loss.func_name"
        )


def augmentation_of(config: TrainingConfig, dataset_info: Any) -> Optional[Transforms]:
    """The transforms of a run, None for none; UserError naming the setting that cannot be."""
    chosen = transforms_of(config.augment.transforms, config.augment.options)
    if chosen is None:
        return None
    if dataset_info.channels not in (1, 3):
        raise UserError(
            f"augment.transforms={config.augment.transforms}: images have {dataset_info.channels} "
            "channels, expected 1 or 3"
        )
    smallest = min(schedules.resolutions(config.schedule, dataset_info.resolution))
    if chosen.imgfilter and smallest < SMALLEST_FOR_FILTER:
        raise UserError(
            f"augment.transforms={config.augment.transforms}: the filter needs images of "
            f"{SMALLEST_FOR_FILTER} pixels or more, and training has some of {smallest}; take bgc"
        )
    return chosen


def check_minibatches(
    config: TrainingConfig,
    dataset_info: Any,
    num_replicas: int,
    D: Optional[dict[str, Any]] = None,
) -> None:
    """Raises UserError unless the schedule works on `num_replicas` devices, at every stage.

    D: all its options; None: those that `network_options` returns.
    """
    schedules.check(config.schedule, dataset_info.resolution, num_replicas)
    if D is None:
        D = network_options(config, dataset_info)[1]
    group_size = D.get("mbstd_group_size") or 1
    for resolution in schedules.resolutions(config.schedule, dataset_info.resolution):
        minibatch = schedules.minibatch(config.schedule, resolution, num_replicas)
        passes = schedules.passes(config.schedule, resolution, num_replicas)
        images = minibatch // (num_replicas * passes)
        if images % min(group_size, images):
            raise UserError(
                f"schedule.minibatch_dict.{resolution}: {images} images on each of {num_replicas} "
                f"device(s) cannot be divided into groups of {group_size} "
                "(D.mbstd_group_size, minibatch standard deviation)"
            )


def _check_ranges(config: TrainingConfig) -> None:
    def check(key: str, good: bool, expected: str) -> None:
        if not good:
            value: Any = config
            for part in key.split("."):
                value = getattr(value, part)
            raise UserError(f"{key}={value!r}: expected {expected}")

    check("precision", config.precision in PRECISIONS, "one of " + ", ".join(PRECISIONS))
    check("grid.layout", config.grid.layout in GRID_LAYOUTS, "one of " + ", ".join(GRID_LAYOUTS))
    sized = re.fullmatch(r"1080p|4k|8k|[1-9]\d{0,2}x[1-9]\d{0,2}", config.grid.size)
    check("grid.size", sized is not None, "'1080p', '4k', '8k' or columns x rows like '16x8'")
    check("seed", 0 <= config.seed < 2**31, "0 to 2147483647")
    check("metrics.seed", 0 <= config.metrics.seed < 2**31, "0 to 2147483647")
    check("num_gpus", config.num_gpus >= 0, "0 (all) or more")
    check("preset_devices", config.preset_devices >= 0, "0 or more")
    check("bad_gradients", config.bad_gradients in BAD_GRADIENTS, "'skip' or 'replace'")
    labels = config.dataset.max_label_size
    full_or_number = labels == "full" or (isinstance(labels, int) and labels >= 0)
    check("dataset.subset_seed", 0 <= config.dataset.subset_seed < 2**32, "0 to 4294967295")
    check("dataset.max_label_size", full_or_number, "'full', or 0 or more")
    for key in ("total_kimg", "checkpoint_minutes"):
        check(key, 0 < getattr(config, key) < float("inf"), "more than 0")
    rampup = config.G_smoothing_rampup
    check("G_smoothing_rampup", rampup is None or 0 < rampup < float("inf"), "more than 0, or null")
    check("G_smoothing_kimg", config.G_smoothing_kimg >= 0, "0 (no averaging) or more")
    for key in (
        "minibatch_repeats",
        "D_repeats",
        "image_snapshot_ticks",
        "network_snapshot_ticks",
        "checkpoint_ticks",
        "diverged_ticks",
    ):
        check(key, getattr(config, key) >= 1, "1 or more")
    augment = config.augment
    for key in ("target", "p", "kimg"):
        value = getattr(augment, key)
        finite = value is None or abs(value) < float("inf")
        check(f"augment.{key}", finite, "a number")
    check("augment.p", augment.p is None or augment.p >= 0, "0 or more, or null to adapt it")
    check("augment.kimg", augment.kimg is None or augment.kimg > 0, "more than 0")
    check("freeze_d", config.freeze_d >= 0, "0 or more")
    sha256 = config.resume_from_sha256
    hexadecimal = sha256 is None or re.fullmatch("[0-9a-f]{64}", sha256) is not None
    check("resume_from_sha256", hexadecimal, "64 hexadecimal digits")
    check("augment.interval", augment.interval >= 1, "1 or more")
    for key in ("G_opt", "D_opt"):
        opt = getattr(config, key)
        check(f"{key}.beta1", 0 <= opt.beta1 < 1, "0 or more, less than 1")
        check(f"{key}.beta2", 0 <= opt.beta2 < 1, "0 or more, less than 1")
        check(f"{key}.epsilon", opt.epsilon > 0, "more than 0")
