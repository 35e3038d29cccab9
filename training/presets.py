"""Named configurations, as data: each is only what differs from `TrainingConfig`'s defaults.

`demo` learns the built-in digits in minutes, with StyleGAN2; `demo-stylegan` with StyleGAN, which
grows. `<data set>-<n>gpu` are the paper's runs
(configuration F): start at 8x8, 600 + 600 kimg per resolution, 25,000 kimg in all.
`progan-<data set>-<n>gpu` are Progressive GAN's (configuration A): start at 4x4, 12,000 kimg.
`stylegan2-<data set>-<n>gpu` are StyleGAN2's (its configuration F, training/stylegan2_configs.py).
`ada-<configuration>` are StyleGAN2-ADA's, for any data set and number of devices
(training/ada_configs.py).
Rows (training/ablations.py, training/stylegan2_configs.py) go on top of any of them:
`demo-stylegan+table1-b`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable

from dnnlib import config as config_lib
from dnnlib.config import nearest
from dnnlib.errors import UserError
from training import ada_configs, choices, stylegan2_configs
from training.ablations import PROGAN, ROWS as ABLATIONS, TABLES, WGAN_GP
from training.classifiers.config import PRESETS as CLASSIFIERS
from training.config import TrainingConfig

# --------------------------------------------------------------------------------------
# The demos: small networks, for two CPU cores.

_DEMO = {**stylegan2_configs.DEMO, "num_gpus": 0}

# 8x8 -> 16x16 -> 32x32.
_DEMO_STYLEGAN = {
    "dataset": {"name": "digits"},
    "G": {
        "func_name": "G_style",
        "fmap_base": 512,
        "fmap_max": 64,
        "latent_size": 64,
        "dlatent_size": 64,
        "mapping_fmaps": 64,
        "mapping_layers": 4,  # eight learn too slowly for so short a run
    },
    "D": {"func_name": "D_basic", "fmap_base": 512, "fmap_max": 64},
    "schedule": {
        "lod_initial_resolution": 8,
        "lod_training_kimg": 20,
        "lod_transition_kimg": 8,
        "minibatch_base": 16,  # many small steps learn more in the same time
        "G_lrate_base": 0.003,
        "D_lrate_base": 0.003,
        "tick_kimg_base": 4,
        "tick_kimg_dict": {},
    },
    "grid": {"size": "16x8"},
    "total_kimg": 76,
    "G_smoothing_kimg": 2,
    "num_gpus": 0,
}

# --------------------------------------------------------------------------------------
# The paper's runs.

_GPUS = (1, 2, 4, 8)

# Images per step, over all GPUs: what fits on GPUs of 16 GB.
_MINIBATCH = {
    1: {
        "minibatch_base": 4,
        "minibatch_dict": {4: 128, 8: 128, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8, 512: 4},
    },
    2: {
        "minibatch_base": 8,
        "minibatch_dict": {4: 256, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8},
    },
    4: {
        "minibatch_base": 16,
        "minibatch_dict": {4: 512, 8: 256, 16: 128, 32: 64, 64: 32, 128: 16},
    },
    8: {
        "minibatch_base": 32,
        "minibatch_dict": {4: 512, 8: 256, 16: 128, 32: 64, 64: 32},
    },
}
# As many GPUs as there are: the minibatches for 8, as far as they fit. On 8 GPUs, and on 1, these
# are the paper's above. On 2 and 4 they are twice those at 128x128 and 256x256 (32 and 16 images on
# 2 GPUs, 32 and 32 on 4), where the paper's fill half of each GPU.
_MINIBATCH[0] = {
    **_MINIBATCH[8],
    "max_minibatch_per_gpu": {
        4: 128, 8: 128, 16: 128, 32: 64, 64: 32, 128: 16, 256: 8, 512: 4, 1024: 4,
    },
}  # fmt: skip

_LRATE = {128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003}
# WGAN-GP does not bear the highest rates.
_LRATE_WGAN = {resolution: min(rate, 0.002) for resolution, rate in _LRATE.items()}

_LOGISTIC_R1 = {
    "G_loss": {"func_name": "G_logistic_nonsaturating"},
    "D_loss": {"func_name": "D_logistic_simplegp"},  # with the default r1_gamma of 10
}

# Data set → (directory, resolution to train at, None: the data set's own), mirror, losses.
_DATASETS = {
    "ffhq": ("ffhq", None, True, _LOGISTIC_R1),
    "ffhq512": ("ffhq", 512, True, _LOGISTIC_R1),
    "ffhq256": ("ffhq", 256, True, _LOGISTIC_R1),
    "celebahq": ("celebahq", None, True, WGAN_GP),
    "bedroom": ("lsun-bedroom-full", None, False, _LOGISTIC_R1),
    "car": ("lsun-car-512x384", None, False, _LOGISTIC_R1),
    "cat": ("lsun-cat-full", None, False, _LOGISTIC_R1),
}


def _paper(dataset: str, num_gpus: int) -> dict:
    directory, resolution, mirror, losses = _DATASETS[dataset]
    lrate = _LRATE_WGAN if losses is WGAN_GP else _LRATE
    return {
        "dataset": {"name": directory, "resolution": resolution, "mirror_augment": mirror},
        "G": {"func_name": "G_style"},
        "D": {"func_name": "D_basic"},
        **losses,
        "schedule": {
            "lod_initial_resolution": 8,
            **_MINIBATCH[num_gpus],
            "G_lrate_dict": lrate,
            "D_lrate_dict": lrate,
        },
        "grid": {"size": "4k", "layout": "random"},
        "total_kimg": 25000,
        "num_gpus": num_gpus,
    }


# --------------------------------------------------------------------------------------
# Progressive GAN's runs, with the numbers of its second version.

# Data set → (directory, mirror).
_PROGAN_DATASETS = {
    "celebahq": ("celebahq", True),
    "ffhq": ("ffhq", True),
    "lsun": ("lsun-bedroom-full", False),  # --dataset names another category
    "celeba": ("celeba", True),
    "cifar10": ("cifar10", False),
    "cifar100": ("cifar100", False),
    "svhn": ("svhn", False),
    "mnist": ("mnist", False),
}

_PROGAN_LRATE = {
    1: {1024: 0.0015},
    2: {512: 0.0015, 1024: 0.002},
    4: {256: 0.0015, 512: 0.002, 1024: 0.003},
    8: _LRATE,
    0: _LRATE,  # with fewer than 8 GPUs the smaller minibatches have the rates of 8, too
}


def _progan(dataset: str, num_gpus: int) -> dict:
    directory, mirror = _PROGAN_DATASETS[dataset]
    lrate = _PROGAN_LRATE[num_gpus]
    return {
        **PROGAN,
        "dataset": {"name": directory, "mirror_augment": mirror},
        "schedule": {
            **PROGAN["schedule"],
            "max_minibatch_per_gpu": {256: 16, 512: 8, 1024: 4},  # in float32
            **_MINIBATCH[num_gpus],
            "G_lrate_dict": lrate,
            "D_lrate_dict": lrate,
        },
        "total_kimg": 12000,
        "num_gpus": num_gpus,
    }


# --------------------------------------------------------------------------------------
# Names

_ADA = "ada-"
PRESETS: dict[str, dict] = {
    "demo": _DEMO,
    "demo-stylegan": _DEMO_STYLEGAN,
    "demo-stylegan2": _DEMO,  # by its family's name, for what compares the two
    **{f"{d}-{n}gpu": _paper(d, n) for d in _DATASETS for n in _GPUS},
    **{f"progan-{d}-{n}gpu": _progan(d, n) for d in _PROGAN_DATASETS for n in _GPUS},
    **{
        f"stylegan2-{d}-{n}gpu": stylegan2_configs.preset(d, n)
        for d in stylegan2_configs.DATASETS
        for n in _GPUS
    },
    **{f"{_ADA}{name}": ada_configs.preset(name) for name in ada_configs.NAMES},
}
ROWS: dict[str, dict] = {**ABLATIONS, **stylegan2_configs.ROWS}


def follows_setting(name: str) -> bool:
    """Whether the preset `name` depends on the data set and the devices: one of StyleGAN2-ADA's."""
    first = name.split("+")[0]
    return first in PRESETS and first.startswith(_ADA)


def make(name: str, setting: ada_configs.Setting = ada_configs.REFERENCE) -> TrainingConfig:
    """Returns the preset `name` as a configuration.

    setting: what those that follow it are completed for.

    `name` is BASE, BASE+ROW[+ROW...], or ROW[+ROW...], with BASE from `PRESETS` and ROW from
    `ROWS`; later rows win. Rows without a base change FFHQ's configuration F (`table1-a`:
    Progressive GAN on FFHQ; StyleGAN2's: its own F), for as many GPUs as there are. StyleGAN's
    rows on `demo` change `demo-stylegan`.
    Raises UserError naming the part that is unknown or in the wrong place.
    """
    base, rows = _parse(name)
    if follows_setting(name):
        base = ada_configs.preset(name.split("+")[0].removeprefix(_ADA), setting)
    values = copy.deepcopy(base)
    for row in rows:
        values = _change(values, copy.deepcopy(ROWS[row]))
    return config_lib.from_dict(TrainingConfig, {"preset": name, "description": name, **values})


def _parse(name: str) -> tuple[dict, list[str]]:
    """Returns the values to start from, and the names of the rows that change them."""
    first, *rows = name.split("+")
    if first == "demo" and any(row in ABLATIONS for row in rows):
        base = _DEMO_STYLEGAN
    elif first in PRESETS:
        base = PRESETS[first]
    elif first in ROWS:
        rows.insert(0, first)
        base = _ffhq(rows)
    else:
        hint = nearest(first, [*PRESETS, *CLASSIFIERS, *ROWS]) or f" (known: {summary()})"
        raise UserError(f"unknown preset {first!r}{hint}")
    for row in rows:
        if row in PRESETS:
            raise UserError(f"preset {name!r}: {row!r} is no row; expected it at the beginning")
        if row not in ROWS:
            hint = nearest(row, ROWS) or f" (known: {', '.join(_row_families())})"
            raise UserError(f"preset {name!r}: unknown row {row!r}{hint}")
    for table in (*TABLES, "config"):
        same = [row for row in rows if row.startswith(f"{table}-")]
        if len(same) > 1:  # together they would be neither
            raise UserError(f"preset {name!r}: expected one row of {table}, not {len(same)}")
    return base, rows


def _ffhq(rows: list[str]) -> dict:
    """What rows without a base change."""
    if rows[0] in stylegan2_configs.ROWS:
        return stylegan2_configs.preset("ffhq", 0)
    return _progan("ffhq", 0) if "table1-a" in rows else _paper("ffhq", 0)


def _change(values: dict, row: dict) -> dict:
    """Returns `values` with those of `row` in their place, table by table.

    Where the row names another network or loss, the old one's options stay as far as the new one
    has them: widths do, for example, and the mapping network's options go.
    """
    changed = dict(values)
    for key, new in row.items():
        old = values.get(key)
        if isinstance(new, dict) and isinstance(old, dict):
            if "func_name" in new:
                has = choices.defaults(new["func_name"])
                old = {key: value for key, value in old.items() if key in has}
            new = _change(old, new)
        changed[key] = new
    return changed


def summary() -> str:
    """Returns all names by family, short enough for help and for messages."""
    gpus = _braces(_GPUS)
    return (
        f"demo, demo-{_braces(['stylegan', 'stylegan2'])}, {_braces(_DATASETS)}-{gpus}gpu, "
        f"progan-{_braces(_PROGAN_DATASETS)}-{gpus}gpu, "
        f"stylegan2-{_braces(stylegan2_configs.DATASETS)}-{gpus}gpu, "
        f"{_ADA}{_braces(ada_configs.NAMES)} (any data set, any number of devices); "
        f"{', '.join(CLASSIFIERS)} (what the separability metric takes); "
        f"and rows, alone or on top as in demo-stylegan+table1-b: {', '.join(_row_families())}"
    )


def listing() -> str:
    """Returns the name of every preset, one a line, then the rows and how to use them."""
    return "\n".join(
        [
            *PRESETS,
            *CLASSIFIERS,
            "",
            "--preset=NAME+ROW[+ROW...] is one of these with rows of the paper's tables on top",
            "(docs/ablations.md): demo-stylegan+table1-b, ffhq256-1gpu+table2-mix50+labels. Rows",
            "alone are on top of the paper's FFHQ run, on all GPUs there are; --dataset names",
            "other data. StyleGAN's rows on demo are on demo-stylegan.",
            "Rows:",
            *_row_families(),
        ]
    )


def _row_families() -> list[str]:
    """'table1-{a,b,c,d,e,f}' and so on: names that differ in a last number or letter alone, and
    the architectures of two networks."""
    families: dict[str, list[str]] = {}
    architectures = _braces(stylegan2_configs.ARCHITECTURES)
    for row in ROWS:
        if re.fullmatch(r"G[a-z]+-D[a-z]+", row):
            families[f"G{architectures}-D{architectures}"] = [""]
            continue
        last = re.search(r"(\d+|(?<=-)[a-z]|)$", row)[0]
        families.setdefault(row.removesuffix(last), []).append(last)
    return [family + (_braces(last) if last[0] else "") for family, last in families.items()]


def _braces(names: Iterable) -> str:
    return f"{{{','.join(map(str, names))}}}"
