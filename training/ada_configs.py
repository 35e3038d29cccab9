"""StyleGAN2-ADA's configurations, as data: `auto` and those of its paper, for any data set.

`auto` follows the resolution and the number of devices; the others say how many images one device
takes at a time, and gradients are added up where there are fewer devices than the paper had. So a
preset is complete when its `Setting` is known. Numbers are those of the PyTorch version.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Optional


class Setting(NamedTuple):
    """What the configurations depend on."""

    resolution: int = 1024  # pixels
    devices: int = 8  # over all machines
    reduced: bool = False  # precision: less than float32, so that values need bounds
    transfer: bool = False  # whether training starts from another network's weights


REFERENCE = Setting()  # the paper's machine


class Config(NamedTuple):
    """A line of the table."""

    devices: int  # that its minibatch is for
    minibatch: int  # images per step, over all devices
    group: int  # of the minibatch standard deviation, images
    fmap_base: int
    lrate: float  # of both networks
    gamma: float  # of R1
    smoothing_kimg: float  # half-life of the moving average
    rampup: Optional[float]  # and no more than this part of what has been shown
    mapping_layers: int
    kimg: int = 25000
    cifar: bool = False  # small pictures: D is plain, no style mixing, no path length


# By the name of the original's option --cfg; cifarbaseline is the TensorFlow version's.
FIXED = {
    "stylegan2": Config(8, 32, 4, 16384, 0.002, 10, 10, None, 8),
    "paper256": Config(8, 64, 8, 8192, 0.0025, 1, 20, None, 8),
    "paper512": Config(8, 64, 8, 16384, 0.0025, 0.5, 20, None, 8),
    "paper1024": Config(8, 32, 4, 16384, 0.002, 2, 10, None, 8),
    "cifar": Config(2, 64, 32, 16384, 0.0025, 0.01, 500, 0.05, 2, 100000, True),
    "cifarbaseline": Config(2, 64, 32, 8192, 0.0025, 0.01, 500, 0.05, 8, 100000, True),
}
NAMES = ("auto", *FIXED)


def preset(name: str, setting: Setting = REFERENCE) -> dict[str, Any]:
    """A configuration's values, complete for a setting."""
    config = _auto(setting) if name == "auto" else FIXED[name]
    minibatch, part = _minibatch(config, setting.devices)
    clamp = 256 if setting.reduced else None
    return {
        "G": {
            "func_name": "G_ada",
            "fmap_base": config.fmap_base,
            "mapping_layers": config.mapping_layers,
            "style_mixing_prob": 0.0 if config.cifar else 0.9,
            "conv_clamp": clamp,
        },
        "D": {
            "func_name": "D_ada",
            "architecture": "orig" if config.cifar else "resnet",
            "fmap_base": config.fmap_base,
            "mbstd_group_size": min(config.group, part),
            "mapping_layers": 8,  # of labels, where there are any
            "conv_clamp": clamp,
        },
        # Without a penalty, Adam's rate is 4/5 all the same.
        "G_loss": {
            "func_name": "G_logistic_ns" if config.cifar else "G_logistic_ns_pathreg",
            "interval": 4,
        },
        "D_loss": {"func_name": "D_logistic_r1", "gamma": config.gamma, "interval": 16},
        "G_reg": {},
        "D_reg": {},
        "G_first": True,
        "bad_gradients": "replace",
        "schedule": {
            "lod_initial_resolution": None,
            "minibatch_base": minibatch,
            "minibatch_gpu_base": part if part * setting.devices < minibatch else 0,
            "G_lrate_base": config.lrate,
            "D_lrate_base": config.lrate,
            "tick_kimg_base": 4,
            "tick_kimg_dict": {},
            "tick_at_start": True,
        },
        "grid": {"size": "8k", "layout": "auto"},
        "augment": {"transforms": "bgc"},
        "total_kimg": config.kimg,
        "G_smoothing_kimg": config.smoothing_kimg,
        # Another network's first steps need not be forgotten.
        "G_smoothing_rampup": None if setting.transfer else config.rampup,
        "image_snapshot_ticks": 50,
        "network_snapshot_ticks": 50,
        "preset_devices": setting.devices,
    }


def _auto(setting: Setting) -> Config:
    """What the original takes for any data set."""
    resolution, devices = setting.resolution, setting.devices
    minibatch = max(min(devices * min(4096 // resolution, 32), 64), devices)
    return Config(
        devices=devices,
        minibatch=minibatch,
        group=4,
        fmap_base=16384 if resolution >= 512 else 8192,
        lrate=0.002 if resolution >= 1024 else 0.0025,
        gamma=0.0002 * resolution**2 / minibatch,
        smoothing_kimg=minibatch * 10 / 32,
        rampup=0.05,
        mapping_layers=2,
    )


def _minibatch(config: Config, devices: int) -> tuple[int, int]:
    """(images per step, images per device and pass) on any number of devices.

    That of the table where whole passes of whole groups make it, else the nearest that they make.
    """
    part = max(config.minibatch // max(config.devices, devices), 1)
    part -= part % min(config.group, part)
    passes = max(round(config.minibatch / (part * devices)), 1)
    return part * devices * passes, part
