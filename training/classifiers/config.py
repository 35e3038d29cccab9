"""What attribute classifiers are trained on and how: checked data, and presets; no TensorFlow.

StyleGAN's appendix on linear separability: for every attribute a network like the discriminator,
without minibatch standard deviation, that tells images that have the attribute from the others.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Union  # dnnlib.config evaluates the types, on 3.9 as well

import numpy as np

from datasets.format.builtin import digits_place
from datasets.format.info import DatasetInfo
from datasets.format.reader import Dataset
from dnnlib import config as config_lib
from dnnlib.errors import UserError
from training import choices
from training.config import (
    PRECISIONS,
    DatasetConfig,
    OptimizerConfig,
    inspect_dataset as inspect_set,
    settled_options,
)

MAX_RESOLUTION = 256  # pixels; the metric shows classifiers nothing larger

# The attributes of the built-in digits, by label column.
DIGITS = {
    "zero": (0,),
    "one": (1,),
    "even": (0, 2, 4, 6, 8),
    "five-or-more": (5, 6, 7, 8, 9),
    "closed-loop": (0, 6, 8, 9),
    "straight": (1, 4, 7),
}

# What this module settles beside `training.choices.SETTLED`.
_SETTLED = {"mbstd_group_size": 0, "structure": "fixed"}


@dataclass(frozen=True)
class ClassifierConfig:
    """Everything that decides what a run of classifiers computes, and how often it tells."""

    preset: str = ""  # where the configuration started from
    description: str = "classifier"  # the run directory's name, after its number
    dataset: DatasetConfig = field(default_factory=partial(DatasetConfig, max_label_size="full"))
    # Name → columns of the label: an image has the attribute when one of them is above 0.5.
    # Empty: for the built-in digits `DIGITS`, else one attribute for each column.
    attribute: dict[str, Union[int, tuple[int, ...]]] = field(default_factory=dict)
    D: dict = field(default_factory=partial(dict, func_name="D_basic"))
    opt: OptimizerConfig = field(default_factory=OptimizerConfig)
    learning_rate: float = 0.001
    rampdown_kimg: float = 0.0  # the rate falls to 0 over the last so many kimg
    minibatch: int = 8  # images per step, over all devices
    kimg: float = 2000.0  # thousands of images shown, for each attribute
    holdout: float = 0.1  # share of the images kept for measuring accuracy, the same for all
    status_kimg: float = 100.0  # thousands of images between two status lines
    seed: int = 1000  # of everything random
    num_gpus: int = 0  # 0: all there are, or the CPU
    precision: str = "float32"  # 'float32', 'mixed_bfloat16', 'mixed_float16'


PRESETS: dict[str, dict] = {
    # All attributes of the digits in minutes on two CPU cores.
    "classifier": {
        "D": {"func_name": "D_basic", "fmap_base": 256, "fmap_max": 64},
        "learning_rate": 0.003,
        "rampdown_kimg": 24,
        "minibatch": 32,
        "kimg": 30,
        "status_kimg": 10,
    },
    # The paper's: 250,000 steps of 8 images.
    "classifier-celebahq": {"dataset": {"name": "celebahq", "max_label_size": "full"}},
}


def make(name: str) -> ClassifierConfig:
    """Returns a preset; UserError for a row on top (`classifier+labels`): there are none."""
    base, plus, row = name.partition("+")
    if plus:
        raise UserError(f"preset {name!r}: {base} takes no rows like {row!r}; leave them out")
    return config_lib.from_dict(ClassifierConfig, {"preset": name, **PRESETS[name]})


def inspect_dataset(config: ClassifierConfig, write: bool = True) -> DatasetInfo:
    """Finds the data set, at `MAX_RESOLUTION` where it is larger. Raises UserError.

    write: as of `inspect`.
    """
    chosen = config.dataset
    if chosen.resolution is not None and chosen.resolution > MAX_RESOLUTION:
        raise UserError(
            f"dataset.resolution={chosen.resolution}: expected at most {MAX_RESOLUTION}, which is "
            "what the metric shows classifiers"
        )
    info = inspect_set(chosen, write)
    if info.resolution > MAX_RESOLUTION:
        info = inspect_set(dataclasses.replace(chosen, resolution=MAX_RESOLUTION), write)
    if not info.label_size:
        hint = "" if chosen.max_label_size else "; set dataset.max_label_size=full"
        raise UserError(f"data set {info.name}: classifiers need labels, and it has none{hint}")
    return info


def attributes(config: ClassifierConfig, info: DatasetInfo) -> dict[str, tuple[int, ...]]:
    """Returns {name: label columns}; UserError for a name that no file can have, or no column."""
    chosen: Mapping[str, Union[int, tuple[int, ...]]] = config.attribute
    if not chosen and info.path is not None and Path(info.path) == digits_place():
        chosen = DIGITS
    if not chosen:
        width = max(2, len(str(info.label_size - 1)))
        chosen = {f"{column:0{width}d}": column for column in range(info.label_size)}
    columns_of = {}
    for name, columns in chosen.items():
        if not re.fullmatch(r"\w[\w+-]*", name, re.ASCII):
            raise UserError(f"attribute {name!r}: expected letters, digits, '-', '+' and '_'")
        columns_of[name] = (columns,) if isinstance(columns, int) else columns
        if not columns_of[name]:
            raise UserError(f"attribute.{name}: expected at least one column of the label")
        for column in columns_of[name]:
            if not 0 <= column < info.label_size:
                raise UserError(
                    f"attribute.{name}: there is no label column {column}; {info.name} has 0 to "
                    f"{info.label_size - 1}"
                )
    return columns_of


def targets(labels: np.ndarray, columns: tuple[int, ...]) -> np.ndarray:
    """Which images have an attribute: labels [N, label_size] → bool [N]."""
    return (labels[:, list(columns)] > 0.5).any(axis=1)


def learning_rate(config: ClassifierConfig, cur_nimg: int) -> float:
    """Returns the rate of the step that starts after `cur_nimg` images of an attribute."""
    if not config.rampdown_kimg:
        return config.learning_rate
    return config.learning_rate * min((config.kimg - cur_nimg / 1000) / config.rampdown_kimg, 1)


def held_out(dataset: Dataset, config: ClassifierConfig) -> np.ndarray:
    """Which images measure accuracy and are not trained on: bool [num_images].

    They are the first ones of the shuffled stream, so that the rest of it is left for training.
    """
    total = dataset.info.num_images
    mask = np.zeros([total], bool)
    mask[dataset.order(0, max(1, round(config.holdout * total)), config.seed)] = True
    return mask


def check_both_kinds(name: str, present: np.ndarray, measured: np.ndarray) -> None:
    """Raises UserError when all or none of the training or of the held-out images have it."""
    for kind, part in (("training", present[~measured]), ("held-out", present[measured])):
        if part.all() or not part.any():
            raise UserError(
                f"attribute.{name}: {'all' if part.any() else 'none'} of the {len(part):,} "
                f"{kind} images have it, so that there is nothing to tell apart; leave it out, "
                "or choose other columns or another holdout"
            )


def network_options(config: ClassifierConfig, info: DatasetInfo) -> dict:
    """Returns the keyword arguments of `networks.build`, every option included.

    Raises UserError naming a wrong one.
    """
    for key, value in _SETTLED.items():
        if key in config.D:
            raise UserError(f"D.{key}: is {value!r} in every classifier; leave it out")
    settled = settled_options(dataclasses.replace(info, label_size=0), config.precision)
    return choices.network("D", config.D, {**settled, **_SETTLED})


def check_minibatch(config: ClassifierConfig, devices: int) -> None:
    """Raises UserError unless the minibatch can be divided over so many devices."""
    if config.minibatch % max(devices, 1):
        raise UserError(
            f"minibatch={config.minibatch}: expected a multiple of the {devices} devices"
        )


def validate(config: ClassifierConfig) -> None:
    """Checks the ranges of the settings; UserError naming the key."""

    def check(key: str, good: bool, expected: str) -> None:
        if not good:
            raise UserError(f"{key}={getattr(config, key)!r}: expected {expected}")

    check("precision", config.precision in PRECISIONS, "one of " + ", ".join(PRECISIONS))
    check("seed", 0 <= config.seed < 2**31, "0 to 2147483647")
    check("num_gpus", config.num_gpus >= 0, "0 (all) or more")
    check("minibatch", config.minibatch >= 1, "1 or more")
    check("holdout", 0 < config.holdout < 1, "more than 0, less than 1")
    check("learning_rate", config.learning_rate > 0, "more than 0")
    for key in ("kimg", "status_kimg"):
        check(key, getattr(config, key) >= 0.001, "0.001 (one image) or more")
    check("rampdown_kimg", 0 <= config.rampdown_kimg <= config.kimg, "0 to kimg")
    if not (0 <= config.opt.beta1 < 1 and 0 <= config.opt.beta2 < 1 and config.opt.epsilon > 0):
        raise UserError(f"opt={config.opt}: expected beta1, beta2 in [0, 1) and epsilon above 0")
