"""What the PyTorch ports of StyleGAN compute otherwise, absorbed in weights of a wider network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Optional

import numpy as np

from networks.port_parts import Arrays
from networks.torch_options import feature_maps

_SCALE = np.float32(math.sqrt(1e-8 / 1e-5))


def absorb(plain: Arrays, log2: int, *, bias_before_blur: bool) -> tuple[Arrays, dict[str, Any]]:
    """(arrays, options) of a generator that computes with StyleGAN's arithmetic what the port does.

    Leaky ReLU is homogeneous, so that all that comes into a normalisation may be scaled instead of
    its epsilon. A channel that is 1 everywhere becomes the bias of the next Conv0_up.
    """
    made = dict(plain)
    layers = list(_styled_layers(log2))
    for layer in layers:
        for name in ("const", "weight", "bias", "Noise/weight"):
            if f"{layer}/{name}" in made:
                made[f"{layer}/{name}"] = _SCALE * made[f"{layer}/{name}"]
    sides = [4 * 2**block for block in range(log2 - 1)]
    widths = {side: made[f"{layers[2 * i + 1]}/bias"].shape[0] for i, side in enumerate(sides)}
    options = feature_maps(widths)
    if bias_before_blur:
        options["fmap_base"] += 2 ** (log2 - 2)  # one channel more in all blocks but the last
        options["fmap_max"] += 1
        wider = {s: min(2 * options["fmap_base"] // s, options["fmap_max"]) for s in sides}
        _widen_generator(made, layers, sides, widths, wider)
    first, style = made["G_mapping/Dense0/weight"], made[f"{layers[0]}/StyleMod/weight"]
    return made, {
        "resolution": 2**log2,
        "latent_size": first.shape[0],
        "dlatent_size": style.shape[0],
        "mapping_fmaps": first.shape[1],
        "mapping_layers": sum(name.startswith("G_mapping/") for name in made) // 2,
        **options,
    }


def _widen_generator(
    made: Arrays, layers: list[str], sides: list[int], old: dict[int, int], new: dict[int, int]
) -> None:
    bias = None
    for index, side in enumerate(sides):
        taken = sides[index - 1] if index else side
        for layer in layers[2 * index : 2 * index + 2]:
            up, inputs = layer.endswith("Conv0_up"), new[side]
            if up:
                bias, inputs = made[f"{layer}/bias"], new[taken]
                made[f"{layer}/bias"] = np.zeros_like(bias)
            resize(made, layer, inputs, new[side])
            if up:  # the channel that is 1 everywhere is the first of those that are added
                gain = math.sqrt(2 / math.prod(made[f"{layer}/weight"].shape[:3]))
                made[f"{layer}/weight"][1, 1, old[taken], : old[side]] = bias / np.float32(gain)
            _resize_style(made, layer, old[side], new[side])
        if side < max(sides):
            made[f"{layers[2 * index + 1]}/StyleMod/bias"][new[side] + old[side]] = 1
        lod = len(sides) - 1 - index
        resize(made, f"G_synthesis/ToRGB_lod{lod}", new[side], None)


def _resize_style(made: Arrays, layer: str, old: int, new: int) -> None:
    """Scales and shifts of added channels: whatever comes, they are 0."""
    weight, bias = made[f"{layer}/StyleMod/weight"], made[f"{layer}/StyleMod/bias"]
    wide = np.zeros((weight.shape[0], 2, new), np.float32)
    wide[:, :, :old] = weight.reshape(-1, 2, old)
    shifted = np.zeros((2, new), np.float32)
    shifted[0, old:] = -1
    shifted[:, :old] = bias.reshape(2, old)
    made[f"{layer}/StyleMod/weight"] = wide.reshape(-1, 2 * new)
    made[f"{layer}/StyleMod/bias"] = shifted.reshape(-1)


def resize(made: Arrays, layer: str, inputs: Optional[int], outputs: Optional[int]) -> None:
    """Zeros for added channels. The scale at run time is by the number of inputs."""
    weight = made.get(f"{layer}/weight")
    if weight is not None:
        _, _, old_inputs, old_outputs = weight.shape
        shape = (*weight.shape[:2], inputs or old_inputs, outputs or old_outputs)
        if shape[2] < old_inputs or shape[3] < old_outputs:
            raise ValueError(f"{layer}: channels that are no StyleGAN's")
        wide = np.zeros(shape, np.float32)
        wide[:, :, :old_inputs, :old_outputs] = weight * np.float32(
            math.sqrt(shape[2] / old_inputs)
        )
        made[f"{layer}/weight"] = wide
    if outputs is None:
        return
    for name in ("const", "bias", "Noise/weight"):
        array = made.get(f"{layer}/{name}")
        if array is not None:
            axis = array.ndim - 3 if name == "const" else 0
            more = [(0, 0)] * array.ndim
            more[axis] = (0, outputs - array.shape[axis])
            made[f"{layer}/{name}"] = np.pad(array, more)


def layers_of(block: int) -> tuple[str, str]:
    """The names of a block's two layers with noise and styles."""
    return ("Conv0_up", "Conv1") if block else ("Const", "Conv")


def _styled_layers(log2: int) -> Iterator[str]:
    """The layers with noise and styles, in order."""
    for block in range(log2 - 1):
        side = 4 * 2**block
        for name in layers_of(block):
            yield f"G_synthesis/{side}x{side}/{name}"
