"""Augmentations without randomness, as the recordings were made."""

import math

import numpy as np
import tensorflow as tf
from scipy.special import erfinv


def channels_last(array):
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1))


def at_percentile(transforms, q, images, field):
    """Parameters without randomness, as the original's `debug_percentile`."""
    count = len(images)
    e = erfinv(2 * q - 1)
    t = transforms
    bands_on = np.array(t.imgfilter_bands) > 0
    values = {
        "xflip": math.floor(2 * q),
        "rotate90": math.floor(4 * q),
        "xint": [(2 * q - 1) * t.xint_max] * 2,
        "scale": 2 ** (e * t.scale_std),
        "rotate_before": (2 * q - 1) * math.pi * t.rotate_max,
        "rotate_after": 0,
        "aniso": 2 ** (e * t.aniso_std),
        "xfrac": [e * t.xfrac_std] * 2,
        "brightness": e * t.brightness_std,
        "contrast": 2 ** (e * t.contrast_std),
        "lumaflip": math.floor(2 * q),
        "hue": (2 * q - 1) * math.pi * t.hue_max,
        "saturation": 2 ** (e * t.saturation_std),
        "imgfilter": np.where(bands_on, 2 ** (e * t.imgfilter_std), 1),
        "noise": erfinv(q) * t.noise_std,
        "cutout": t.cutout_size,
        "cutout_center": [q, q],
    }
    of = {"rotate_before": "rotate", "rotate_after": "rotate", "cutout_center": "cutout"}
    colourless = ("hue", "saturation") if images.shape[-1] == 1 else ()
    parameters = {
        name: tf.constant(np.repeat(np.float32(value)[None], count, axis=0))
        for name, value in values.items()
        if getattr(t, of.get(name, name)) > 0 and name not in colourless
    }
    if t.noise:
        parameters["noise_field"] = tf.constant(channels_last(field))
    return parameters
