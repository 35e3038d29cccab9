"""Our networks by PyTorch's names: what stylegan2-ada-pytorch's load_state_dict takes.

The other way round of torch_names.py, for G_ada and D_ada, and for StyleGAN2's G_main with `skip`,
`orig` or `resnet` and D_stylegan2 without labels, which are the same networks. NumPy alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from networks.torch_names import BACKWARD, tensorflow_name

Arrays = Mapping[str, np.ndarray]
_GENERATORS, _DISCRIMINATORS = ("G_ada", "G_main"), ("D_ada", "D_stylegan2")
_DEFAULT_TAPS = (1, 3, 3, 1)  # of layers that do not resample, whatever the network's are


def state_dict(func_name: str, options: Mapping[str, Any], arrays: Arrays) -> dict[str, np.ndarray]:
    """{PyTorch's name: float32 array}, complete and in PyTorch's order.

    options: all of them, resolved; arrays: the network's, by our names. Raises ValueError for
    networks that PyTorch's version has not, naming what differs.
    """
    class_name = _class_name(func_name, options)
    taps = {True: _filter(options["resample_kernel"]), False: _filter(_DEFAULT_TAPS)}
    made: dict[str, np.ndarray] = {}
    generator = class_name == "Generator"
    names = _generator_names(options) if generator else _discriminator_names(options, arrays)
    for name, resamples in names:
        row = tensorflow_name(class_name, name)
        if row is None:
            made[name] = taps[resamples]
            continue
        ours, operation = row
        if ours not in arrays:
            raise ValueError(f"no variable {ours!r}, which PyTorch's {name!r} is made of")
        made[name] = np.ascontiguousarray(BACKWARD[operation](np.asarray(arrays[ours], np.float32)))
        if made[name].ndim == 0 or arrays[ours].ndim == 0:
            made[name] = made[name].reshape(())
    _check_widths(options, made, generator)
    return made


def init_kwargs(func_name: str, options: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    """What the constructor of PyTorch's Generator or Discriminator is given for this network."""
    size = {
        "c_dim": options["label_size"],
        "img_resolution": options["resolution"],
        "img_channels": options["num_channels"],
    }
    block = {
        "architecture": options["architecture"],
        "channel_base": 2 * options["fmap_base"],
        "channel_max": options["fmap_max"],
        "conv_clamp": options.get("conv_clamp"),
        "num_fp16_res": 0,
    }
    layer = {
        "activation": options["nonlinearity"],
        "resample_filter": list(options["resample_kernel"]),
    }
    if _class_name(func_name, options) == "Generator":
        mapping = {
            "num_layers": options["mapping_layers"],
            "layer_features": options.get("mapping_fmaps"),
            "activation": options["mapping_nonlinearity"],
            "lr_multiplier": options["mapping_lrmul"],
            "w_avg_beta": options["dlatent_avg_beta"],
        }
        if options["label_size"]:
            mapping["embed_features"] = arrays["G_mapping/LabelEmbed/bias"].shape[0]
        return {
            "z_dim": options["latent_size"],
            "w_dim": options["dlatent_size"],
            **size,
            "mapping_kwargs": mapping,
            "synthesis_kwargs": {**block, **layer, "use_noise": options.get("use_noise", True)},
        }
    mbstd = options.get("mbstd_num_features", 1)
    epilogue = {
        "mbstd_group_size": options["mbstd_group_size"],
        "mbstd_num_channels": mbstd,
        "activation": options.get("final_nonlinearity") or options["nonlinearity"],
    }
    made = {**size, **block, "block_kwargs": layer, "epilogue_kwargs": epilogue}
    if options["label_size"]:
        outputs = arrays["Output/bias"].shape[0]
        made["cmap_dim"] = outputs
        made["mapping_kwargs"] = {
            "num_layers": options["mapping_layers"],
            "layer_features": options["mapping_fmaps"],
            "embed_features": arrays["LabelEmbed/bias"].shape[0],
            "activation": options["mapping_nonlinearity"],
            "lr_multiplier": options["mapping_lrmul"],
        }
    return made


def _class_name(func_name: str, options: Mapping[str, Any]) -> str:
    """Raises ValueError for what PyTorch's version has not."""
    if func_name not in _GENERATORS + _DISCRIMINATORS:
        raise ValueError(f"a {func_name}, which stylegan2-ada-pytorch has not")
    if options.get("synthesis_func", "G_synthesis_stylegan2") != "G_synthesis_stylegan2":
        raise ValueError(f"a {options['synthesis_func']}, which stylegan2-ada-pytorch has not")
    if options["label_size"] and not func_name.endswith("_ada"):
        raise ValueError("labels are embedded otherwise than in stylegan2-ada-pytorch")
    if options.get("fmap_decay", 1) != 1 or options["resample_kernel"] is None:
        raise ValueError("fmap_decay and no resample_kernel are not stylegan2-ada-pytorch's")
    if options.get("normalize_latents", True) is not True:
        raise ValueError("normalize_latents=False is not stylegan2-ada-pytorch's")
    return "Generator" if func_name in _GENERATORS else "Discriminator"


Name = tuple[str, bool]  # PyTorch's, and of a filter whether it is used


def _generator_names(options: Mapping[str, Any]) -> Iterator[Name]:
    architecture, noise = options["architecture"], options.get("use_noise", True)
    for log2 in range(2, options["resolution"].bit_length()):
        side = 2**log2
        block = f"synthesis.b{side}"
        if side == 4:
            yield f"{block}.const", False
        yield f"{block}.resample_filter", True
        for layer in ("conv0", "conv1") if side > 4 else ("conv1",):
            yield f"{block}.{layer}.weight", False
            if noise:
                yield f"{block}.{layer}.noise_strength", False
            yield f"{block}.{layer}.bias", False
            yield f"{block}.{layer}.resample_filter", layer == "conv0"
            if noise:
                yield f"{block}.{layer}.noise_const", False
            yield from _both(f"{block}.{layer}.affine")
        if architecture == "skip" or side == options["resolution"]:
            yield from _both(f"{block}.torgb")
            yield from _both(f"{block}.torgb.affine")
        if architecture == "resnet" and side > 4:
            yield f"{block}.skip.weight", False
            yield f"{block}.skip.resample_filter", True
    yield "mapping.w_avg", False
    yield from _mapping_names(options)


def _discriminator_names(options: Mapping[str, Any], arrays: Arrays) -> Iterator[Name]:
    architecture = options["architecture"]
    for log2 in range(options["resolution"].bit_length() - 1, 2, -1):
        block = f"b{2**log2}"
        yield f"{block}.resample_filter", True
        first = 2**log2 == options["resolution"]
        layers = ["fromrgb"] * (first or architecture == "skip") + ["conv0", "conv1"]
        for layer in layers:
            yield from _both(f"{block}.{layer}")
            yield f"{block}.{layer}.resample_filter", layer == "conv1"
        if architecture == "resnet":
            yield f"{block}.skip.weight", False
            yield f"{block}.skip.resample_filter", True
    if "LabelEmbed/weight" in arrays:
        yield from _mapping_names(options)
    for layer in ("fromrgb", "conv") if architecture == "skip" else ("conv",):
        yield from _both(f"b4.{layer}")
        yield f"b4.{layer}.resample_filter", False
    yield from _both("b4.fc")
    yield from _both("b4.out")


def _mapping_names(options: Mapping[str, Any]) -> Iterator[Name]:
    if options["label_size"]:
        yield from _both("mapping.embed")
    for index in range(options["mapping_layers"]):
        yield from _both(f"mapping.fc{index}")


def _both(layer: str) -> Iterator[Name]:
    yield f"{layer}.weight", False
    yield f"{layer}.bias", False


def _filter(taps: Any) -> np.ndarray:
    """A filter as PyTorch's version stores it: short taps as their outer product, sum 1."""
    kernel = np.asarray(taps, np.float32)
    if kernel.ndim == 1 and kernel.size < 8:
        kernel = np.outer(kernel, kernel)
    return kernel / kernel.sum(dtype=np.float32)


def _check_widths(options: Mapping[str, Any], made: dict[str, np.ndarray], generator: bool) -> None:
    """Channels are min(channel_base // resolution, channel_max) in PyTorch's version."""
    for log2 in range(2, options["resolution"].bit_length()):
        side = 2**log2
        layer = (
            f"synthesis.b{side}.conv1" if generator else f"b{side}.conv{'0' if side > 4 else ''}"
        )
        width = made[f"{layer}.bias"].shape[0]
        expected = min(2 * options["fmap_base"] // side, options["fmap_max"])
        if width != expected:
            raise ValueError(f"{width} feature maps at {side}x{side}, not {expected} as PyTorch's")
    if not generator and made["b4.fc.bias"].shape != made["b4.conv.bias"].shape:
        raise ValueError("4x4/Dense0 and 4x4/Conv have different widths, which PyTorch's have not")
