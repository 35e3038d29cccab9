"""Small generators for the tests of generation/ and editing/, and what runs the command line."""

import numpy as np
from PIL import Image

import networks
import run_generator
from networks.sampling import Sampler
from tests.networks.common import TRADITIONAL, generator, randomize

KINDS = {
    "style": lambda: generator(),
    "labels": lambda: generator(label_size=3, num_channels=1),
    "traditional": lambda: generator(**TRADITIONAL),
    "paper": lambda: networks.build(
        "G_paper", seed=1, resolution=16, num_channels=3, fmap_base=64, fmap_max=8, label_size=2
    ),
}


def made(kind="style"):
    """A generator in which every variable counts; images are mostly within [-1, 1]."""
    Gs = KINDS[kind]()
    randomize(Gs, seed=5)
    arrays = Gs.arrays()
    for name, array in arrays.items():
        if "ToRGB" in name and name.endswith("weight"):
            arrays[name] = array * np.float32(0.3)
    Gs.set_arrays(arrays)
    return Gs


def sampler(kind="style", **options):
    return Sampler(made(kind), progress=False, **options)


def close_levels(actual, expected):
    """uint8 images that may differ where a value lies between two levels."""
    actual, expected = np.asarray(actual, int), np.asarray(expected, int)
    assert actual.shape == expected.shape
    difference = np.abs(actual - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


def run(*args):
    """The exit code of run_generator.py."""
    return run_generator.main(["run_generator.py", *map(str, args)])


def pixels(path):
    """Of a picture, as an array."""
    with Image.open(path) as picture:
        return np.asarray(picture)
