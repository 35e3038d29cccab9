"""rosinality's and huangzh13's StyleGAN by our names, exact for making pictures.

Both ports add 1e-5 to variances, StyleGAN 1e-8; rosinality's adds the bias of Conv0_up before the
blur, which changes the edges, StyleGAN after it. The weights absorb both (`absorb`): what a network
computes is the port's, but its learning rates, relative to each other, are not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np

from networks.port_absorbing import absorb, layers_of, resize
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
from networks.torch_options import feature_maps

_STEPS = 9  # 4x4 to 1024x1024, which all files of rosinality's hold
_EPSILON_NOTE = (
    "the port's epsilon is absorbed in the weights: exact pictures, other learning rates"
)
_BIAS_NOTE = "the port's order of bias and blur is absorbed in a further channel"
_RES_NOTE = (
    "the file does not say its resolution: {0}x{0} seems the highest that was trained; "
    "--resolution=N says another one"
)
_WHOLE_MINIBATCH = 2**20  # as a size of groups: all images are in one
_ROOT2 = np.float32(math.sqrt(2))

# ---------------------------------------------------------------- rosinality's


def rosinality_step(
    state: Mapping[str, np.ndarray], name: str = "", resolution: Optional[int] = None
) -> tuple[int, list[str]]:
    """(the last step that was trained, notes); step i is of 4·2^i pixels.

    From the resolution, else from the file's name, train_step-<step + 1>, else from the strengths
    of the noise, which training moves away from 0.
    """
    if resolution is not None:
        steps = [step for step in range(_STEPS) if 4 * 2**step == resolution]
        if not steps:
            raise ValueError(f"resolution={resolution}: expected 4 to {4 * 2 ** (_STEPS - 1)}")
        return steps[0], []
    said = re.search(r"train_step-([1-9])(?!\d)", name)
    if said:
        return int(said[1]) - 1, []
    for step in reversed(range(_STEPS)):
        strengths = state.get(f"generator.progression.{step}.noise1.weight_orig")
        if strengths is not None and strengths.any():
            return step, [_RES_NOTE.format(4 * 2**step)]
    raise ValueError("no step was trained: its noise has no strength; give a resolution")


def rosinality_generator(state: Arrays, step: int, notes: Sequence[str] = ()) -> Translated:
    """A generator up to a step: G_style, exact. notes: further ones."""
    plain = rosinality_plain(state, step)
    arrays, options = absorb(plain, step + 2, bias_before_blur=True)
    mean = estimated_mean(plain, gain_after_bias=False)
    notes = (*notes, _EPSILON_NOTE, _BIAS_NOTE, MEAN_NOTE, NOISE_NOTE)
    return _completed(arrays, options, step + 2, mean, shared=True, notes=notes)


def rosinality_plain(state: Arrays, step: int) -> Arrays:
    """A generator up to a step by our names, without what the two differences change."""
    made: Arrays = {}
    layers = sum(bool(re.fullmatch(r"style\.\d+\.linear\.weight_orig", name)) for name in state)
    for index in range(layers):
        source = f"style.{2 * index + 1}.linear"
        made[f"G_mapping/Dense{index}/weight"] = 100 * take(state, f"{source}.weight_orig", 2).T
        made[f"G_mapping/Dense{index}/bias"] = 100 * take(state, f"{source}.bias", 1)
    for block in range(step + 1):
        source = f"generator.progression.{block}"
        scope = f"G_synthesis/{4 * 2**block}x{4 * 2**block}"
        first, second = (f"{scope}/{name}" for name in layers_of(block))
        if block == 0:
            const = take(state, f"{source}.conv1.input", 4)
            made[f"{first}/const"] = const
            made[f"{first}/bias"] = np.zeros(const.shape[1], np.float32)
        elif f"{source}.conv1.0.weight" in state:  # ×2 and convolution in one, from 128x128 on
            weight = take(state, f"{source}.conv1.0.weight", 4)
            made[f"{first}/weight"] = weight.transpose(2, 3, 0, 1) / 4
            made[f"{first}/bias"] = take(state, f"{source}.conv1.0.bias", 1)
        else:
            _convolution(state, made, f"{source}.conv1.1.conv", first)
        _convolution(state, made, f"{source}.conv2.conv", second)
        for number, layer in ((1, first), (2, second)):
            noise = take(state, f"{source}.noise{number}.weight_orig", 4).reshape(-1)
            made[f"{layer}/Noise/weight"] = noise * np.float32(math.sqrt(2 / noise.size))
            style = f"{source}.adain{number}.style.linear"
            made[f"{layer}/StyleMod/weight"] = _ROOT2 * take(state, f"{style}.weight_orig", 2).T
            bias = take(state, f"{style}.bias", 1).copy()
            bias[: bias.size // 2] -= 1  # the 1 that TensorFlow adds when it runs
            made[f"{layer}/StyleMod/bias"] = bias
        colour = f"generator.to_rgb.{block}.conv"
        to_rgb = f"G_synthesis/ToRGB_lod{step - block}"
        made[f"{to_rgb}/weight"] = _ROOT2 * hwio(take(state, f"{colour}.weight_orig", 4))
        made[f"{to_rgb}/bias"] = take(state, f"{colour}.bias", 1)
    return made


def rosinality_discriminator(state: Arrays, step: int) -> Translated:
    """A discriminator up to a step: D_basic of twice the feature maps, exact.

    The port's Conv0 is the layer that widens, StyleGAN's is Conv1_down.
    """
    made: Arrays = {"lod": np.float32(0).reshape(())}
    widths = {}  # what a resolution's layers return
    # Until September 2019 FromRGB had no activation, and so no place in front of one.
    linear = any(re.fullmatch(r"from_rgb\.\d\.conv\..*", name) for name in state)
    from_rgb = f"from_rgb.{{}}.{'' if linear else '0.'}conv".format
    for block in range(step, -1, -1):
        x, side = _STEPS - 1 - block, 4 * 2**block
        source, scope = f"progression.{x}", f"{side}x{side}"
        _convolution(state, made, from_rgb(x), f"FromRGB_lod{step - block}")
        if block:
            _convolution(state, made, f"{source}.conv1.0.conv", f"{scope}/Conv0")
            last = f"{source}.conv2.1"
            fused = f"{last}.weight" in state  # ÷2 and convolution in one
            last, weight = (last, "weight") if fused else (f"{last}.conv", "weight_orig")
            _convolution(state, made, last, f"{scope}/Conv1_down", weight)
            widths[side] = made[f"{scope}/Conv0/weight"].shape[3]
        else:
            _convolution(state, made, f"{source}.conv1.0.conv", "4x4/Conv")
            dense = take(state, f"{source}.conv2.0.conv.weight_orig", 4)
            made["4x4/Dense0/weight"] = dense.reshape(dense.shape[0], -1).T
            made["4x4/Dense0/bias"] = take(state, f"{source}.conv2.0.conv.bias", 1)
            widths[side] = made["4x4/Conv/weight"].shape[3]
    made["4x4/Dense1/weight"] = _ROOT2 * take(state, "linear.linear.weight_orig", 2).T
    made["4x4/Dense1/bias"] = take(state, "linear.linear.bias", 1)
    _widen_discriminator(made, widths)
    options = {
        "resolution": 4 * 2**step,
        "num_channels": 3,
        **feature_maps(widths),
        "mbstd_group_size": _WHOLE_MINIBATCH,
        **({"activate_from_rgb": False} if linear else {}),
    }
    return Translated("D_basic", options, made, family="stylegan")


def _widen_discriminator(made: Arrays, widths: dict[int, int]) -> None:
    """Zeros for the channels that StyleGAN's layers take and the port's have not."""
    for side, width in widths.items():
        names = ["4x4/Conv"] if side == 4 else [f"{side}x{side}/Conv0", f"{side}x{side}/Conv1_down"]
        lod = max(widths).bit_length() - side.bit_length()
        resize(made, f"FromRGB_lod{lod}", None, width)
        for layer in names:
            outputs = width if not layer.endswith("down") else widths[side // 2]
            resize(made, layer, width + (side == 4), outputs)


# ---------------------------------------------------------------- huangzh13's


def huangzh13_generator(
    state: Arrays, name: str = "", resolution: Optional[int] = None
) -> Translated:
    """A generator up to a depth: G_style, exact. name: the file's, GAN_GEN_<depth>_<epoch>."""
    blocks = sum(bool(re.fullmatch(r".*\.blocks\.\d+\.conv1\.weight", key)) for key in state)
    trained = next((i for i in reversed(range(blocks)) if _has_noise(state, i)), blocks - 1)
    log2, said = _huangzh13_log2(blocks, trained + 3, name, resolution)
    notes = [*said, _EPSILON_NOTE, NOISE_NOTE]
    made = huangzh13_plain(state, log2 - 2)
    arrays, options = absorb(made, log2, bias_before_blur=False)
    mean = state.get("truncation.avg_latent")
    if mean is None:
        mean = estimated_mean(made, gain_after_bias=False)
        notes.append(MEAN_NOTE)
    return _completed(arrays, options, log2, mean, shared=False, notes=tuple(notes))


def huangzh13_discriminator(
    state: Arrays, name: str = "", resolution: Optional[int] = None
) -> Translated:
    """A discriminator up to a depth: D_basic with a linear FromRGB, exact. name: as
    GAN_DIS_<depth>_<epoch>."""
    blocks = sum(bool(re.fullmatch(r"blocks\.\d+\.conv0\.weight", key)) for key in state)
    top, notes = _huangzh13_log2(blocks, blocks + 2, name, resolution)
    made: Arrays = {"lod": np.float32(0).reshape(())}
    widths = {}
    for log2 in range(top, 1, -1):
        index, scope = blocks + 2 - log2, f"{2**log2}x{2**log2}"
        _convolution(state, made, f"from_rgb.{index}", f"FromRGB_lod{top - log2}", "weight")
        if log2 > 2:
            for layer in ("conv0", "conv1_down"):
                source = f"blocks.{index}.{layer}"
                _convolution(state, made, source, f"{scope}/{layer.capitalize()}", "weight")
            widths[2**log2] = made[f"{scope}/Conv0/weight"].shape[3]
    _convolution(state, made, "final_block.conv", "4x4/Conv", "weight")
    widths[4] = made["4x4/Conv/weight"].shape[3]
    for layer in ("dense0", "dense1"):
        weight = take(state, f"final_block.{layer}.weight", 2)
        made[f"4x4/{layer.capitalize()}/weight"] = weight.T
        made[f"4x4/{layer.capitalize()}/bias"] = take(state, f"final_block.{layer}.bias", 1)
    options = {
        "resolution": 2**top,
        "num_channels": made["FromRGB_lod0/weight"].shape[2],
        **feature_maps(widths),
        "mbstd_num_features": 1,
        "mbstd_group_size": 4 if made["4x4/Conv/weight"].shape[2] > widths[4] else 0,
        "activate_from_rgb": False,
    }
    return Translated("D_basic", options, made, family="stylegan", notes=tuple(notes))


def _has_noise(state: Arrays, block: int) -> bool:
    """Whether the noise of a block has any strength, which training moves away from 0."""
    strength = state.get(f"g_synthesis.blocks.{block}.epi1.top_epi.noise.weight")
    return strength is not None and bool(strength.any())


def _huangzh13_log2(
    blocks: int, seems: int, name: str, resolution: Optional[int]
) -> tuple[int, list[str]]:
    """(log2 of the resolution, notes): as given, else by the file's name, else what it seems."""
    said = re.search(r"GAN_(?:GEN_SHADOW|GEN|DIS)_(\d{1,2})_\d+", name)
    log2, notes = seems, []
    if resolution is not None:
        log2 = resolution.bit_length() - 1
    elif said:
        log2 = int(said[1]) + 2
    else:
        notes.append(_RES_NOTE.format(2**log2))
    if not 3 <= log2 <= blocks + 2 or (resolution or 2**log2) != 2**log2:
        shown = resolution or 2**log2
        raise ValueError(f"a resolution of {shown}; the file has blocks of 8 to {4 * 2**blocks}")
    return log2, notes


def huangzh13_plain(state: Arrays, depth: int) -> Arrays:
    """A generator up to a depth by our names, without what the difference changes."""
    made: Arrays = {}
    layers = sum(bool(re.fullmatch(r"g_mapping\.map\.dense\d+\.weight", name)) for name in state)
    for index in range(layers):
        source = f"g_mapping.map.dense{index}"
        made[f"G_mapping/Dense{index}/weight"] = take(state, f"{source}.weight", 2).T
        made[f"G_mapping/Dense{index}/bias"] = take(state, f"{source}.bias", 1)
    for block in range(depth + 1):
        source = f"g_synthesis.blocks.{block - 1}" if block else "g_synthesis.init_block"
        scope = f"G_synthesis/{4 * 2**block}x{4 * 2**block}"
        first, second = (f"{scope}/{name}" for name in layers_of(block))
        if block:
            _convolution(state, made, f"{source}.conv0_up", first, "weight")
        else:
            made[f"{first}/const"] = take(state, f"{source}.const", 4)
            made[f"{first}/bias"] = take(state, f"{source}.bias", 1)
        _convolution(state, made, f"{source}.conv{1 if block else ''}", second, "weight")
        for number, layer in ((1, first), (2, second)):
            noise = f"{source}.epi{number}.top_epi.noise.weight"
            style = f"{source}.epi{number}.style_mod.lin"
            made[f"{layer}/Noise/weight"] = take(state, noise, 1)
            made[f"{layer}/StyleMod/weight"] = take(state, f"{style}.weight", 2).T
            made[f"{layer}/StyleMod/bias"] = take(state, f"{style}.bias", 1)
        to_rgb = f"G_synthesis/ToRGB_lod{depth - block}"
        _convolution(state, made, f"g_synthesis.to_rgb.{block}", to_rgb, "weight")
    return made


# ---------------------------------------------------------------- parts


def _convolution(
    state: Arrays, made: Arrays, source: str, layer: str, weight: str = "weight_orig"
) -> None:
    made[f"{layer}/weight"] = hwio(take(state, f"{source}.{weight}", 4))
    made[f"{layer}/bias"] = take(state, f"{source}.bias", 1)


def _completed(
    arrays: Arrays,
    options: dict[str, Any],
    log2: int,
    mean: np.ndarray,
    *,
    shared: bool,
    notes: tuple[str, ...],
) -> Translated:
    """With what files do not hold. Both ports truncate all layers."""
    zero = np.float32(0).reshape(())
    layers = 2 * log2 - 2
    arrays = {
        "lod": zero,
        "dlatent_avg": mean,
        "G_synthesis/lod": zero,
        **noise_images(layers, shared=shared),
        **arrays,
    }
    options = {**options, "truncation_psi": 0.7, "truncation_cutoff": layers}
    return Translated("G_style", options, arrays, family="stylegan", notes=notes)
