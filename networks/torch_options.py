"""The options of StyleGAN2-ADA's PyTorch networks, by TensorFlow's names, from what is in force.

PyTorch's modules each hold their own values. TensorFlow's networks have one of each, so blocks must
agree; what follows from others, as gains and paddings do, must be what it follows to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NoReturn, Optional

import numpy as np

from dnnlib.pickles.torch_modules import TorchModule
from dnnlib.terminal import shown

# Gain of each activation that is carried over; PyTorch and TensorFlow have these alike.
_GAINS = {"linear": 1.0, "lrelu": math.sqrt(2), "relu": math.sqrt(2)}
_MISSING = object()


def generator(network: TorchModule) -> dict[str, Any]:
    """The options of G_ada; ValueError naming the option that cannot be carried over."""
    resolution = _resolution(network)
    _check_modules(network, "", ["synthesis", "mapping"])
    synthesis = _need(network, "synthesis")
    named = {2**log2: f"b{2**log2}" for log2 in range(2, resolution.bit_length())}
    _check_modules(synthesis, "synthesis", [*named.values()])
    by_resolution = {res: _need(synthesis, name) for res, name in named.items()}
    blocks = [*by_resolution.values()]
    layers = [layer for block in blocks for layer in _layers(block, ("conv0", "conv1"))]
    colours = [layer for block in blocks for layer in _layers(block, ("torgb",))]
    options = _common(network, resolution, [block.attributes for block in blocks])
    options["use_noise"] = _agreed("use_noise", layers)
    options["nonlinearity"] = _nonlinearity(layers)
    options["conv_clamp"] = _clamp([*layers, *colours])
    options["resample_kernel"] = resample_kernel(
        [*blocks, *(layer for block in blocks for layer in _layers(block, ("conv0", "skip")))]
    )
    options.update(feature_maps({r: _rows(b, "conv1") for r, b in by_resolution.items()}))
    options.update(_mapping_of_generator(network, 2 * resolution.bit_length() - 4))
    _check_generator(by_resolution, layers, colours, options["architecture"])
    return options


def discriminator(network: TorchModule) -> dict[str, Any]:
    """The options of D_ada; ValueError naming the option that cannot be carried over."""
    resolution = _resolution(network, least=8)
    named = {2**log2: f"b{2**log2}" for log2 in range(resolution.bit_length() - 1, 2, -1)}
    mapping = ["mapping"] if network.modules.get("mapping") else []
    _check_modules(network, "", [*named.values(), *mapping, "b4"])
    by_resolution = {res: _need(network, name) for res, name in named.items()}
    blocks, last = [*by_resolution.values()], _need(network, "b4")
    layers = [x for block in blocks for x in _layers(block, ("fromrgb", "conv0", "conv1"))]
    settings = [*(block.attributes for block in blocks), last.attributes]
    options = _common(network, resolution, settings)
    options["nonlinearity"] = _nonlinearity(layers)
    final = _nonlinearity(_layers(last, ("fromrgb", "conv", "fc")), "final_nonlinearity")
    if final != options["nonlinearity"]:
        options["final_nonlinearity"] = final
    options["conv_clamp"] = _clamp([*layers, _need(last, "conv")])
    free = [_value(layer, "conv_clamp") is None for layer in _layers(last, ("fromrgb",))]
    if any(free) and options["conv_clamp"] is not None:
        options["clamp_last_from_rgb"] = False
    down = [layer for block in blocks for layer in _layers(block, ("conv1", "skip"))]
    options["resample_kernel"] = resample_kernel([*blocks, *down])
    widths = {res: _rows(block, "conv0") for res, block in by_resolution.items()}
    options.update(feature_maps({**widths, 4: _rows(last, "conv")}))
    mbstd = last.modules.get("mbstd")
    options["mbstd_group_size"] = None if mbstd is None else _value(mbstd, "group_size")
    options["mbstd_num_features"] = 0 if mbstd is None else _value(mbstd, "num_channels")
    options.update(_mapping_of_discriminator(network, last, options["label_size"]))
    _check_discriminator(by_resolution, layers, last, options["architecture"])
    return options


def frozen_layers(network: TorchModule) -> int:
    """How many layers of a discriminator, from the highest resolution on, are not trained."""
    return sum("weight" in module.buffers for module in network.walk())


# ---------------------------------------------------------------- groups of options


def _common(network: TorchModule, resolution: int, settings: list[dict[str, Any]]) -> dict:
    architectures = [_known(values.get("architecture", _MISSING)) for values in settings]
    architecture = _same("architecture", architectures)
    if architecture not in ("orig", "skip", "resnet"):
        _fail("architecture", architecture, "orig, skip or resnet")
    return {
        "num_channels": _count(network, "img_channels"),
        "resolution": resolution,
        "label_size": _count(network, "c_dim", least=0),
        "architecture": architecture,
        "num_fp16_res": sum(values.get("use_fp16") is True for values in settings),
    }


def _mapping_of_generator(network: TorchModule, num_ws: int) -> dict[str, Any]:
    mapping = _need(network, "mapping")
    for module in (network, mapping, _need(network, "synthesis")):
        _check("num_ws", _value(module, "num_ws"), num_ws)
    for name in ("z_dim", "c_dim", "w_dim"):
        _check(f"mapping.{name}", _value(mapping, name), _value(network, name))
    options = {
        "latent_size": _count(network, "z_dim"),
        "dlatent_size": _count(network, "w_dim"),
        "mapping_layers": _count(mapping, "num_layers", least=0),
        "dlatent_avg_beta": _value(mapping, "w_avg_beta"),
        "truncation_psi": 1.0,  # TensorFlow's default is 0.5
    }
    layers = _dense_layers(mapping, options["mapping_layers"])
    if layers:
        options["mapping_lrmul"] = _agreed("bias_gain", layers)
        options["mapping_nonlinearity"] = _nonlinearity(layers, "mapping_nonlinearity")
    options.update(_mapping_widths(mapping, len(layers), _value(network, "c_dim")))
    return options


def _mapping_of_discriminator(network: TorchModule, last: TorchModule, labels: int) -> dict:
    """With labels the score is a projection on what a mapping network makes of them."""
    if not labels:
        _check("cmap_dim", _value(last, "cmap_dim"), 0)
        return {"cmap_dim": 0, "mapping_layers": 0}
    mapping = _need(network, "mapping")
    options: dict[str, Any] = {
        "cmap_dim": _count(last, "cmap_dim"),
        "mapping_layers": _count(mapping, "num_layers", least=0),
    }
    layers = _dense_layers(mapping, options["mapping_layers"])
    if layers:
        options["mapping_lrmul"] = _agreed("bias_gain", layers)
        options["mapping_nonlinearity"] = _nonlinearity(layers, "mapping_nonlinearity")
    return {**options, **_mapping_widths(mapping, len(layers), labels)}


def _mapping_widths(mapping: TorchModule, layers: int, labels: int) -> dict[str, int]:
    """Of what is not as wide as the output: the hidden layers and the embedded labels."""
    widths = {}
    if layers > 1:
        hidden = [_rows(mapping, f"fc{i}") for i in range(layers - 1)]
        widths["mapping_fmaps"] = _same("layer_features", hidden)
    if labels:
        widths["label_fmaps"] = _rows(mapping, "embed")
    return widths


def _dense_layers(mapping: TorchModule, count: int) -> list[TorchModule]:
    if count > len(mapping.modules):  # before a list is as long as the file claims
        _fail("num_layers", count, f"{len(mapping.modules)} at most, the modules that there are")
    names = [f"fc{i}" for i in range(count)]
    embed = ["embed"] if mapping.modules.get("embed") else []
    _check_modules(mapping, "mapping", [*embed, *names])
    layers = [_need(mapping, name) for name in names]
    rate = _agreed("bias_gain", layers) if layers else None
    if rate is not None and (type(rate) not in (int, float) or rate <= 0):
        _fail("bias_gain", rate, "a positive number")
    for layer in layers:
        _check_gain(layer, "weight", scale=rate)
    for layer in _layers(mapping, ("embed",)):
        _check("activation of mapping.embed", _value(layer, "activation"), "linear")
        _check_number("bias_gain of mapping.embed", _value(layer, "bias_gain"), 1)
        _check_gain(layer, "weight")
    return layers


def feature_maps(widths: dict[int, int]) -> dict[str, int]:
    """fmap_base and fmap_max that give these widths by resolution, and are read off them."""
    most = widths[4]
    least, below = max(most, 1), math.inf  # 4x4's are clipped, or 2 fmap_base / 4
    for resolution, width in widths.items():
        half = resolution // 2
        if width > most:
            _fail("channel_base", width, f"at most {most} channels at {resolution}x{resolution}")
        least = max(least, width * half)
        if width < most:
            below = min(below, (width + 1) * half)
    if least >= below:
        shown = ", ".join(f"{width} at {res}x{res}" for res, width in widths.items())
        raise ValueError(f"channels that halve from no common channel_base: {shown}")
    return {"fmap_base": least, "fmap_max": most}


def resample_kernel(modules: Iterable[TorchModule]) -> Any:
    """The taps of a filter, its rows where it is no outer product, which `modules` agree on."""
    filters = [module.buffers.get("resample_filter") for module in modules]
    kernel = filters[0] if filters else None
    if kernel is None:
        raise ValueError("resample_filter: a block without one")
    for other in filters:
        if other is None or not np.array_equal(other, kernel):
            raise ValueError("resample_filter: blocks have different ones; expected one for all")
    return kernel_taps(kernel)


def kernel_taps(kernel: np.ndarray) -> Any:
    """The taps that a filter of sum 1 is the outer product of; its rows where it is none."""
    if kernel.ndim not in (1, 2) or not math.isclose(kernel.sum(), 1, rel_tol=1e-4):
        raise ValueError("resample_filter: expected one or two dimensions and a sum of 1")
    if kernel.ndim == 1:  # eight taps and more stay separate
        return _taps(kernel)
    taps = kernel.astype(np.float64).sum(axis=1)
    if kernel.shape[0] != kernel.shape[1] or not np.allclose(
        np.outer(taps, taps), kernel, rtol=1e-5, atol=1e-7
    ):
        return tuple(tuple(map(float, row)) for row in kernel)
    return _taps(taps)


def _taps(taps: np.ndarray) -> tuple:
    """Whole numbers, as they were given, where these taps are a multiple of them."""
    taps = taps.astype(np.float64)
    smallest = np.min(np.abs(taps[taps != 0]), initial=np.inf)
    for unit in smallest / np.arange(1, 9):
        whole = np.round(taps / unit)
        if np.allclose(whole * unit, taps, rtol=1e-6, atol=1e-9):
            return tuple(int(tap) for tap in whole)
    return tuple(float(tap) for tap in taps)


# ---------------------------------------------------------------- what follows from the options


def _check_generator(
    blocks: dict[int, TorchModule],
    layers: list[TorchModule],
    colours: list[TorchModule],
    architecture: str,
) -> None:
    for resolution, block in blocks.items():
        last = resolution == max(blocks)
        _check("num_conv", block.attributes.get("num_conv"), 1 if resolution == 4 else 2)
        colour = architecture == "skip" or last
        _check("num_torgb", block.attributes.get("num_torgb"), int(colour))
        names = ["conv1"] if resolution == 4 else ["conv0", "conv1"]
        names += ["torgb"] * colour
        names += ["skip"] * (architecture == "resnet" and resolution > 4)
        _check_modules(block, f"b{resolution}", names)
        for name, up in (("conv0", 2), ("conv1", 1), ("skip", 2)):
            for layer in _layers(block, (name,)):
                _check(f"up of {name}", _value(layer, "up"), up)
        for layer in _layers(block, ("skip",)):
            _check_plain(layer)
    for layer in layers:
        _check_convolution(layer, scaled=False)
    for layer in colours:
        _check_gain(layer, "weight")
    for layer in [*layers, *colours]:
        affine = _need(layer, "affine")
        _check("activation of affine", _value(affine, "activation"), "linear")
        _check_number("bias_gain of affine", _value(affine, "bias_gain"), 1)
        _check_gain(affine, "weight")


def _check_discriminator(
    blocks: dict[int, TorchModule],
    layers: list[TorchModule],
    last: TorchModule,
    architecture: str,
) -> None:
    for resolution, block in blocks.items():
        names = ["conv0", "conv1"]
        names += ["fromrgb"] * (resolution == max(blocks) or architecture == "skip")
        names += ["skip"] * (architecture == "resnet")
        _check_modules(block, f"b{resolution}", names)
        for name, down in (("fromrgb", 1), ("conv0", 1), ("conv1", 2), ("skip", 2)):
            for layer in _layers(block, (name,)):
                _check(f"down of {name}", _value(layer, "down"), down)
        for layer in _layers(block, ("skip",)):
            _check_plain(layer)
    ends = ["conv", "fc", "out", *["fromrgb"] * (architecture == "skip")]
    _check_modules(last, "b4", ends)
    for layer in [*layers, *_layers(last, ("conv", "fromrgb"))]:
        _check_convolution(layer, scaled=True)
    for name in ("fc", "out"):
        _check_number(f"bias_gain of {name}", _value(_need(last, name), "bias_gain"), 1)
        _check_gain(_need(last, name), "weight")
    _check("activation of out", _value(_need(last, "out"), "activation"), "linear")


def _check_convolution(layer: TorchModule, *, scaled: bool) -> None:
    weight = _weight(layer)
    _check("padding", _value(layer, "padding"), weight.shape[-1] // 2)
    _check_number("act_gain", _value(layer, "act_gain"), _GAINS[_value(layer, "activation")])
    if scaled:
        _check_gain(layer, "weight")


def _check_plain(skip: TorchModule) -> None:
    """The residual path: linear, without bias or clamp."""
    _check("activation of skip", _value(skip, "activation"), "linear")
    _check("conv_clamp of skip", _value(skip, "conv_clamp"), None)
    _check("bias of skip", "bias" in skip.parameters or "bias" in skip.buffers, False)
    _check_gain(skip, "weight")


def _check_gain(layer: TorchModule, name: str, scale: float = 1.0) -> None:
    fan_in = math.prod(_weight(layer).shape[1:])
    gain = f"{name}_gain of {layer.class_name}"
    _check_number(gain, _value(layer, f"{name}_gain"), scale / math.sqrt(fan_in))


# ---------------------------------------------------------------- modules and their values


def _resolution(network: TorchModule, least: int = 4) -> int:
    resolution = _count(network, "img_resolution", least)
    if resolution & (resolution - 1) or resolution > 2**16:
        _fail("img_resolution", resolution, "a power of two")
    return resolution


def _need(module: TorchModule, name: str) -> TorchModule:
    inside = module.modules.get(name)
    if inside is None:
        raise ValueError(f"a {module.class_name} without {name!r}")
    return inside


def _layers(block: TorchModule, names: Iterable[str]) -> list[TorchModule]:
    return [block.modules[name] for name in names if name in block.modules]


def _check_modules(module: TorchModule, path: str, names: list[str]) -> None:
    known = {*names, "mbstd"}
    missing = [name for name in names if name not in module.modules]
    extra = [name for name in module.modules if name not in known]
    if missing or extra:
        listed = ", ".join([*(f"no {name}" for name in missing), *(f"{name!r}" for name in extra)])
        raise ValueError(f"{path or module.class_name} is not as StyleGAN2-ADA's: it has {listed}")


def _weight(layer: TorchModule) -> np.ndarray:
    weight = layer.parameters.get("weight", layer.buffers.get("weight"))
    if weight is None or weight.ndim < 2:
        raise ValueError(f"a {layer.class_name} without weights")
    return weight


def _rows(module: TorchModule, name: str) -> int:
    return _weight(_need(module, name)).shape[0]


def _value(module: TorchModule, name: str) -> Any:
    return _known(module.attributes.get(name, _MISSING), f"{module.class_name}.{name}")


def _known(value: Any, name: str = "architecture") -> Any:
    if value is _MISSING:
        raise ValueError(f"{name} is missing")
    return value


def _count(module: TorchModule, name: str, least: int = 1) -> int:
    value = _value(module, name)
    if type(value) is not int or value < least:
        _fail(name, value, f"a whole number of {least} or more")
    return value


def _nonlinearity(layers: list[TorchModule], option: str = "nonlinearity") -> str:
    value = _agreed("activation", layers)
    if value not in ("lrelu", "relu"):
        _fail(option, value, "lrelu or relu")
    return value


def _clamp(layers: list[TorchModule]) -> Optional[float]:
    value = _agreed("conv_clamp", layers)
    if value is not None and (type(value) not in (int, float) or value <= 0):
        _fail("conv_clamp", value, "a positive number or None")
    return value


def _agreed(name: str, modules: list[TorchModule]) -> Any:
    return _same(name, [_value(module, name) for module in modules])


def _same(name: str, values: list[Any]) -> Any:
    if not values:
        raise ValueError(f"{name}: no layer that has it")
    for value in values:
        if type(value) is not type(values[0]) or value != values[0]:
            _fail(name, value, f"{values[0]!r} as in another block: they must agree")
    return values[0]


def _check(name: str, value: Any, expected: Any) -> None:
    if type(value) is not type(expected) or value != expected:
        _fail(name, value, repr(expected))


def _check_number(name: str, value: Any, expected: float) -> None:
    if type(value) not in (int, float) or not math.isclose(value, expected, rel_tol=1e-5):
        _fail(name, value, f"{expected:g}, which follows from the rest")


def _fail(name: str, value: Any, expected: str) -> NoReturn:
    raise ValueError(f"{name}={shown(value, 60)}, expected {expected}")
