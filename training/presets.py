"""Named configurations, as data: each is only what differs from `TrainingConfig`'s defaults.

`demo` learns the built-in digits in minutes. `<data set>-<n>gpu` are the paper's runs
(configuration F): start at 8x8, 600 + 600 kimg per resolution, 25,000 kimg in all.
"""

from __future__ import annotations

import copy

from dnnlib import config as config_lib
from dnnlib.config import nearest
from dnnlib.errors import UserError
from training.config import TrainingConfig

# --------------------------------------------------------------------------------------
# The demo: small networks, 8x8 -> 16x16 -> 32x32, for two CPU cores.

_DEMO = {
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

_LRATE = {128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003}
# WGAN-GP does not bear the highest rates.
_LRATE_WGAN = {resolution: min(rate, 0.002) for resolution, rate in _LRATE.items()}

_LOGISTIC_R1 = {
    "G_loss": {"func_name": "G_logistic_nonsaturating"},
    "D_loss": {"func_name": "D_logistic_simplegp"},  # with the default r1_gamma of 10
}
_WGAN_GP = {"G_loss": {"func_name": "G_wgan"}, "D_loss": {"func_name": "D_wgan_gp"}}

# Data set → (directory, resolution to train at, None: the data set's own), mirror, losses.
_DATASETS = {
    "ffhq": ("ffhq", None, True, _LOGISTIC_R1),
    "ffhq512": ("ffhq", 512, True, _LOGISTIC_R1),
    "ffhq256": ("ffhq", 256, True, _LOGISTIC_R1),
    "celebahq": ("celebahq", None, True, _WGAN_GP),
    "bedroom": ("lsun-bedroom-full", None, False, _LOGISTIC_R1),
    "car": ("lsun-car-512x384", None, False, _LOGISTIC_R1),
    "cat": ("lsun-cat-full", None, False, _LOGISTIC_R1),
}


def _paper(dataset: str, num_gpus: int) -> dict:
    directory, resolution, mirror, losses = _DATASETS[dataset]
    lrate = _LRATE_WGAN if losses is _WGAN_GP else _LRATE
    return {
        "dataset": {"name": directory, "resolution": resolution, "mirror_augment": mirror},
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


PRESETS: dict[str, dict] = {
    "demo": _DEMO,
    **{f"{d}-{n}gpu": _paper(d, n) for d in _DATASETS for n in _MINIBATCH},
}


def make(name: str) -> TrainingConfig:
    """Returns the preset `name` as a configuration; UserError when there is none."""
    if name not in PRESETS:
        hint = nearest(name, PRESETS) or f" (known: {summary()})"
        raise UserError(f"unknown preset {name!r}{hint}")
    values = {"preset": name, "description": name, **copy.deepcopy(PRESETS[name])}
    return config_lib.from_dict(TrainingConfig, values)


def summary() -> str:
    """Returns all names, short enough for a line of help."""
    counts = ",".join(str(n) for n in _MINIBATCH)
    return f"demo, {{{','.join(_DATASETS)}}}-{{{counts}}}gpu"
