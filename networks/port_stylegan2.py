"""rosinality's StyleGAN2 (stylegan2-pytorch) by our names: exact, both networks.

It is the original's G_main with `skip` and its D_stylegan2 with `resnet`, without labels.
"""

from __future__ import annotations

import re
from typing import Any, Optional

import numpy as np

from networks.port_parts import (
    MEAN_NOTE,
    NOISE_NOTE,
    Arrays,
    estimated_mean,
    hwio,
    noise_images,
    take,
)
from networks.torch_names import Translated
from networks.torch_options import feature_maps, kernel_taps

# Kernels that follow an insertion of zeros sum up to 4.
_KERNEL = re.compile(r".*\bkernel")
_UPSAMPLING = re.compile(r"(convs\.\d+\.conv\.blur|to_rgbs\.\d+\.upsample)\.kernel")


def generator(state: Arrays, latent_avg: Optional[np.ndarray]) -> Translated:
    """A generator: G_main. latent_avg: its mean of w, or None to estimate it."""
    left, notes = dict(state), []
    layers = sum(bool(re.fullmatch(r"style\.\d+\.weight", name)) for name in state)
    colours = sum(bool(re.fullmatch(r"to_rgbs\.\d+\.bias", name)) for name in state)
    resolution = 2 ** (2 + colours)
    options: dict[str, Any] = {"resolution": resolution, "mapping_layers": layers}
    options["resample_kernel"] = _kernel(left)
    made: Arrays = {"lod": np.float32(0).reshape(())}
    for index in range(layers):
        source, layer = f"style.{index + 1}", f"G_mapping/Dense{index}"
        made[f"{layer}/weight"] = _pop(left, f"{source}.weight", 2).T
        made[f"{layer}/bias"] = _pop(left, f"{source}.bias", 1)
    made["G_synthesis/4x4/Const/const"] = _pop(left, "input.input", 4)
    _styled(left, made, "conv1", "4x4/Conv", up=False)
    _to_rgb(left, made, "to_rgb1", "4x4/ToRGB")
    for block in range(colours):
        scope = f"{8 * 2**block}x{8 * 2**block}"
        _styled(left, made, f"convs.{2 * block}", f"{scope}/Conv0_up", up=True)
        _styled(left, made, f"convs.{2 * block + 1}", f"{scope}/Conv1", up=False)
        _to_rgb(left, made, f"to_rgbs.{block}", f"{scope}/ToRGB")
    notes += _noise(left, made, 2 * colours + 1)
    _check_empty(left)
    options.update(_generator_widths(made, layers, resolution))
    options["truncation_psi"] = 1.0  # the port's own default
    if latent_avg is None:
        latent_avg = estimated_mean(made, gain_after_bias=True)
        notes.append(MEAN_NOTE)
    made["dlatent_avg"] = latent_avg
    return Translated("G_main", options, made, notes=tuple(notes))


def discriminator(state: Arrays) -> Translated:
    """A discriminator: D_stylegan2."""
    left = dict(state)
    blocks = sum(bool(re.fullmatch(r"convs\.\d+\.conv1\.0\.weight", name)) for name in state)
    resolution = 4 * 2**blocks
    options: dict[str, Any] = {"resolution": resolution, "resample_kernel": _kernel(left)}
    made: Arrays = {}
    _plain(left, made, "convs.0", (0, 1), f"{resolution}x{resolution}/FromRGB")
    widths = {}
    for block in range(1, blocks + 1):
        side = resolution // 2 ** (block - 1)
        scope, source = f"{side}x{side}", f"convs.{block}"
        _plain(left, made, f"{source}.conv1", (0, 1), f"{scope}/Conv0")
        _plain(left, made, f"{source}.conv2", (1, 2), f"{scope}/Conv1_down")
        made[f"{scope}/Skip/weight"] = hwio(_pop(left, f"{source}.skip.1.weight", 4))
        widths[side] = made[f"{scope}/Conv0/weight"].shape[3]
    _plain(left, made, "final_conv", (0, 1), "4x4/Conv")
    widths[4] = made["4x4/Conv/weight"].shape[3]
    for source, layer in (("final_linear.0", "4x4/Dense0"), ("final_linear.1", "Output")):
        made[f"{layer}/weight"] = _pop(left, f"{source}.weight", 2).T
        made[f"{layer}/bias"] = _pop(left, f"{source}.bias", 1)
    _check_empty(left)
    return Translated("D_stylegan2", {**options, **feature_maps(widths)}, made)


def _generator_widths(made: Arrays, layers: int, resolution: int) -> dict[str, int]:
    sides = [2**log2 for log2 in range(2, resolution.bit_length())]
    widths = {
        side: made[f"G_synthesis/{side}x{side}/Conv{'' if side == 4 else '1'}/weight"].shape[3]
        for side in sides
    }
    wide = made["G_synthesis/4x4/Conv/mod_weight"].shape[0]
    first = made["G_mapping/Dense0/weight"] if layers else np.empty((wide, wide))
    return {
        "latent_size": first.shape[0],
        "dlatent_size": wide,
        "mapping_fmaps": first.shape[1],
        **feature_maps(widths),
    }


def _styled(left: Arrays, made: Arrays, source: str, layer: str, *, up: bool) -> None:
    weight = hwio(_pop(left, f"{source}.conv.weight", 5)[0])
    scope = f"G_synthesis/{layer}"
    # The port convolves, TensorFlow's transposed convolution correlates.
    made[f"{scope}/weight"] = weight[::-1, ::-1] if up else weight
    _modulation(left, made, source, scope)
    made[f"{scope}/noise_strength"] = _pop(left, f"{source}.noise.weight", 1).reshape(())
    made[f"{scope}/bias"] = _pop(left, f"{source}.activate.bias", 1)


def _to_rgb(left: Arrays, made: Arrays, source: str, layer: str) -> None:
    scope = f"G_synthesis/{layer}"
    made[f"{scope}/weight"] = hwio(_pop(left, f"{source}.conv.weight", 5)[0])
    _modulation(left, made, source, scope)
    made[f"{scope}/bias"] = _pop(left, f"{source}.bias", 4).reshape(-1)


def _modulation(left: Arrays, made: Arrays, source: str, scope: str) -> None:
    made[f"{scope}/mod_weight"] = _pop(left, f"{source}.conv.modulation.weight", 2).T
    # The 1 that TensorFlow adds when it runs.
    bias = _pop(left, f"{source}.conv.modulation.bias", 1)
    made[f"{scope}/mod_bias"] = bias - np.float32(1)


def _plain(left: Arrays, made: Arrays, source: str, parts: tuple[int, int], layer: str) -> None:
    made[f"{layer}/weight"] = hwio(_pop(left, f"{source}.{parts[0]}.weight", 4))
    made[f"{layer}/bias"] = _pop(left, f"{source}.{parts[1]}.bias", 1)


def _noise(left: Arrays, made: Arrays, count: int) -> list[str]:
    """Files of before 15 January 2020 have none."""
    if "noises.noise_0" not in left:
        # StyleGAN2 has one of 4x4, StyleGAN two.
        drawn = noise_images(count + 1, shared=False)
        for index in range(count):
            made[f"G_synthesis/noise{index}"] = drawn[f"G_synthesis/noise{index + 1}"]
        return [NOISE_NOTE]
    for index in range(count):
        made[f"G_synthesis/noise{index}"] = _pop(left, f"noises.noise_{index}", 4)
    return []


def _kernel(left: Arrays) -> Any:
    """The taps of all kernels, which go."""
    taps: set[Any] = set()
    for name in [name for name in left if _KERNEL.fullmatch(name)]:
        kernel = left.pop(name)
        taps.add(kernel_taps(kernel / 4 if _UPSAMPLING.fullmatch(name) else kernel))
    if len(taps) != 1:
        raise ValueError(f"{len(taps)} different kernels of ×2 and ÷2; expected one")
    return taps.pop()


def _pop(left: Arrays, name: str, ndim: int) -> np.ndarray:
    array = take(left, name, ndim)
    del left[name]
    return array


def _check_empty(left: Arrays) -> None:
    if left:
        raise ValueError(f"tensors that this port's networks have not: {', '.join([*left][:6])}")
