"""StyleGAN2's configurations A to F, its architectures and its data sets, as data.

Configurations and architectures are rows: each is put on top of any preset
(`training.presets.make`), as those of training/ablations.py. E and F train at the full resolution
from the start; A to D grow from 8×8, with StyleGAN's rates. A is StyleGAN, in StyleGAN2's loop.
"""

from __future__ import annotations

from typing import Any

_RATES = {128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003}
_SCHEDULE = {
    "minibatch_base": 32,
    "minibatch_gpu_base": 4,
    "max_minibatch_per_gpu": {},
    "lrate_rampup_kimg": 0,
    "tick_at_start": True,
    "tick_kimg_base": 4,
    "tick_kimg_dict": {8: 28, 16: 24, 32: 20, 64: 16, 128: 12, 256: 8, 512: 6, 1024: 4},
}
_AT_FULL_RESOLUTION = {
    **_SCHEDULE,
    "lod_initial_resolution": None,
    "minibatch_dict": {},
    "minibatch_gpu_dict": {},
    "G_lrate_base": 0.002,
    "G_lrate_dict": {},
    "D_lrate_base": 0.002,
    "D_lrate_dict": {},
}
_GROWING = {
    **_SCHEDULE,
    "lod_initial_resolution": 8,
    "lod_training_kimg": 600,
    "lod_transition_kimg": 600,
    "minibatch_dict": {8: 256, 16: 128, 32: 64, 64: 32},
    "minibatch_gpu_dict": {8: 32, 16: 16, 32: 8, 64: 4},
    "G_lrate_base": 0.001,
    "G_lrate_dict": _RATES,
    "D_lrate_base": 0.001,
    "D_lrate_dict": _RATES,
}

_PATH_LENGTH = {"func_name": "G_logistic_ns_pathreg", "interval": 4}
# Of Adam alone: there is nothing to regularise, and its rate is 4/5 all the same.
_LAZY_WITHOUT = {"func_name": "G_logistic_ns", "interval": 4}


def _r1(gamma: float = 10, interval: int = 16) -> dict:
    return {"func_name": "D_logistic_r1", "gamma": gamma, "interval": interval}


def _architectures(G: str, D: str) -> dict[str, dict]:
    return {
        "G": {"func_name": "G_main", "synthesis_func": "G_synthesis_stylegan2", "architecture": G},
        "D": {"func_name": "D_stylegan2", "architecture": D},
    }


def _widths(networks: dict[str, dict], fmap_base: int) -> dict[str, dict]:
    return {key: {**options, "fmap_base": fmap_base} for key, options in networks.items()}


_REVISED = _widths(
    {
        "G": {"func_name": "G_main", "synthesis_func": "G_synthesis_stylegan_revised"},
        "D": {"func_name": "D_stylegan"},
    },
    8192,
)
_COMMON: dict[str, Any] = {"G_first": True, "G_reg": {}, "D_reg": {}}
_SKIP_RESNET = _architectures("skip", "resnet")

CONFIGS: dict[str, dict] = {
    "config-a": {
        **_COMMON,
        **_widths({"G": {"func_name": "G_style"}, "D": {"func_name": "D_basic"}}, 8192),
        "G_loss": {"func_name": "G_logistic_ns", "interval": 0},
        "D_loss": _r1(interval=0),
        "schedule": _GROWING,
    },
    "config-b": {
        **_COMMON,
        **_REVISED,
        "G_loss": {"func_name": "G_logistic_ns", "interval": 0},
        "D_loss": _r1(interval=0),
        "schedule": _GROWING,
    },
    "config-c": {
        **_COMMON,
        **_REVISED,
        "G_loss": _LAZY_WITHOUT,
        "D_loss": _r1(),
        "schedule": _GROWING,
    },
    "config-d": {
        **_COMMON,
        **_REVISED,
        "G_loss": _PATH_LENGTH,
        "D_loss": _r1(),
        "schedule": _GROWING,
    },
    "config-e": {
        **_COMMON,
        **_widths(_SKIP_RESNET, 8192),
        "G_loss": _PATH_LENGTH,
        "D_loss": _r1(gamma=100),
        "schedule": _AT_FULL_RESOLUTION,
    },
    "config-f": {
        **_COMMON,
        **_widths(_SKIP_RESNET, 16384),
        "G_loss": _PATH_LENGTH,
        "D_loss": _r1(),
        "schedule": _AT_FULL_RESOLUTION,
    },
}

ARCHITECTURES = ("orig", "skip", "resnet")
ROWS: dict[str, dict] = {
    **CONFIGS,
    # To go on from its networks; the minibatch of the statistic is as in its PyTorch version.
    "ada-networks": {
        "G": {"func_name": "G_ada"},
        "D": {"func_name": "D_ada", "mbstd_group_size": 4},
        "schedule": {"lod_initial_resolution": None},
    },
    **{
        f"G{G}-D{D}": {**_architectures(G, D), "schedule": {"lod_initial_resolution": None}}
        for G in ARCHITECTURES
        for D in ARCHITECTURES
    },
}

# Data set → (directory, mirror, γ of R1, length in kimg).
DATASETS = {
    "ffhq": ("ffhq", True, 10, 25000),
    "car": ("lsun-car-512x384", False, 10, 57000),
    "cat": ("lsun-cat-full", False, 10, 88000),
    "church": ("lsun-church-full", False, 100, 88000),
    "horse": ("lsun-horse-full", False, 100, 100000),
}


def preset(dataset: str, num_gpus: int) -> dict:
    """Configuration F on a data set; num_gpus: 0 for as many as there are."""
    directory, mirror, gamma, kimg = DATASETS[dataset]
    return {
        **CONFIGS["config-f"],
        "D_loss": _r1(gamma),
        "dataset": {"name": directory, "mirror_augment": mirror},
        "grid": {"size": "8k", "layout": "random"},
        "total_kimg": kimg,
        "image_snapshot_ticks": 10,
        "network_snapshot_ticks": 10,
        "num_gpus": num_gpus,
    }


# For the built-in digits, on two CPU cores: small, at the full 32×32 from the start, with labels.
# Half as many feature maps as StyleGAN's demo has, so more images in the same time.
DEMO: dict[str, Any] = {
    **_COMMON,
    "dataset": {"name": "digits", "max_label_size": "full"},
    "G": {
        "func_name": "G_main",
        "fmap_base": 256,
        "fmap_max": 64,
        "latent_size": 64,
        "dlatent_size": 64,
        "mapping_fmaps": 64,
        "mapping_layers": 2,
        "style_mixing_prob": 0.0,
    },
    "D": {"func_name": "D_stylegan2", "fmap_base": 256, "fmap_max": 64},
    "G_loss": {"func_name": "G_logistic_ns", "interval": 0},
    "D_loss": _r1(gamma=0.5),
    "schedule": {
        "lod_initial_resolution": None,
        "minibatch_base": 32,
        "G_lrate_base": 0.004,
        "D_lrate_base": 0.004,
        "tick_kimg_base": 4,
        "tick_kimg_dict": {},
    },
    "grid": {"size": "16x10", "layout": "auto"},
    "total_kimg": 120,
    "G_smoothing_kimg": 5,
}
