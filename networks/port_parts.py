"""What the names of all ports share: layouts, widths, and what their files do not hold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Arrays = dict[str, np.ndarray]

SEED = 0
SAMPLES = 10_000
MEAN_NOTE = f"the file has no mean of w: estimated from {SAMPLES:,} latents of a fixed seed"
NOISE_NOTE = "the file has no noise images: drawn with a fixed seed"


def hwio(array: np.ndarray) -> np.ndarray:
    """[O, I, k, k] → [k, k, I, O]."""
    return array.transpose(2, 3, 1, 0)


def take(state: Mapping[str, np.ndarray], name: str, ndim: int) -> np.ndarray:
    """A tensor of so many dimensions; ValueError naming it where there is none."""
    array = state.get(name)
    if array is None or array.ndim != ndim:
        found = "it is missing" if array is None else f"its shape is {array.shape}"
        raise ValueError(f"tensor {name!r}: expected {ndim} dimensions, but {found}")
    return array


def noise_images(count: int, *, shared: bool) -> Arrays:
    """{name: [1, 1, h, h]} of a StyleGAN; shared: both layers of a block have one."""
    random = np.random.RandomState(SEED)
    images: Arrays = {}
    for index in range(count):
        side = 4 * 2 ** (index // 2)
        if not shared or index % 2 == 0:
            image = random.randn(1, 1, side, side).astype(np.float32)
        images[f"G_synthesis/noise{index}"] = image
    return images


def estimated_mean(arrays: Arrays, *, gain_after_bias: bool) -> np.ndarray:
    """The mean of w, [dlatent_size], of a mapping network by our names without labels.

    gain_after_bias: of StyleGAN2, whose activation's √2 is after the bias; StyleGAN's is not.
    """
    first = arrays["G_mapping/Dense0/weight"]
    x = np.random.RandomState(SEED).randn(SAMPLES, first.shape[0]).astype(np.float32)
    x /= np.sqrt(np.mean(x**2, axis=1, keepdims=True) + np.float32(1e-8))
    root, rate = np.float32(np.sqrt(2)), np.float32(0.01)
    layer = 0
    while f"G_mapping/Dense{layer}/weight" in arrays:
        weight, bias = (arrays[f"G_mapping/Dense{layer}/{name}"] for name in ("weight", "bias"))
        he = root * rate / np.float32(np.sqrt(weight.shape[0]))
        x = x @ (weight * he) + bias * (rate * (root if gain_after_bias else np.float32(1)))
        x = np.maximum(x, np.float32(0.2) * x)
        layer += 1
    return x.mean(axis=0, dtype=np.float64).astype(np.float32)
