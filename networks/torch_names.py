"""From PyTorch's names of StyleGAN2-ADA's variables to TensorFlow's, and their values.

NumPy alone: what dnnlib/pickles/torch_networks.py reads becomes a function of the family stylegan2,
its options and its variables, from which networks.build makes the network.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any, Optional

import numpy as np

from dnnlib.pickles.torch_modules import TorchModule
from networks import torch_options

FAMILY = "stylegan2"


@dataclasses.dataclass(frozen=True, eq=False)
class Translated:
    """A network as networks.build takes it.

    func_name: 'G_ada' or 'D_ada' of the family stylegan2; options: those in
    force, by their TensorFlow names, complete but for what every such network has; variables:
    {TensorFlow's name: float32 array}, some of them transposed views, in the file's order;
    frozen_layers: how many of D's layers were not trained (Freeze-D); notes: what users should know
    of what the file did not hold.
    """

    func_name: str
    options: dict[str, Any]
    variables: dict[str, np.ndarray] = dataclasses.field(repr=False)
    frozen_layers: int = 0
    family: str = FAMILY
    notes: tuple[str, ...] = ()


def translate(network: TorchModule) -> Translated:
    """A generator or discriminator of PyTorch by TensorFlow's names.

    Raises ValueError for options that blocks do not agree on, or that TensorFlow's networks have
    not, naming the option; for parameters of unknown names, listing them.
    """
    variables = {}
    for name, array in network.tensors().items():
        row = tensorflow_name(network.class_name, name)
        if row is not None:
            renamed, operation = row
            if array.ndim != _DIMENSIONS.get(operation, array.ndim):
                raise ValueError(f"the tensor {name!r} has an impossible shape, {array.shape}")
            variables[renamed] = FORWARD[operation](array)
    name = function(network)
    if name == "G_ada":
        return Translated(name, torch_options.generator(network), variables)
    options = torch_options.discriminator(network)
    return Translated(name, options, variables, torch_options.frozen_layers(network))


def function(network: TorchModule) -> str:
    """The name of the function that makes a generator or a discriminator of PyTorch's."""
    return "G_ada" if network.class_name == "Generator" else "D_ada"


# ---------------------------------------------------------------- values


def _hwio(array: np.ndarray) -> np.ndarray:
    return array.transpose(2, 3, 1, 0)


def _oihw(array: np.ndarray) -> np.ndarray:
    return array.transpose(3, 2, 0, 1)


# From PyTorch to TensorFlow, by the names of the operations, and back. PyTorch stores the 1 that
# TensorFlow adds to the style's bias when it runs.
FORWARD: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "copy": lambda array: array,
    "T": np.transpose,
    "HWIO": _hwio,
    "HWIO flipped": lambda array: _hwio(array)[::-1, ::-1],
    "minus 1": lambda array: array - np.float32(1),
    "[None]": lambda array: array[None],
    "[None,None]": lambda array: array[None, None],
}
_DIMENSIONS = {"T": 2, "HWIO": 4, "HWIO flipped": 4, "[None]": 3, "[None,None]": 2}
BACKWARD: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "copy": lambda array: array,
    "T": np.transpose,
    "HWIO": _oihw,
    "HWIO flipped": lambda array: _oihw(array[::-1, ::-1]),
    "minus 1": lambda array: array + np.float32(1),
    "[None]": lambda array: array[0],
    "[None,None]": lambda array: array[0, 0],
}

# ---------------------------------------------------------------- names

_DENSE = {"weight": "T", "bias": "copy"}
_CONV = {"weight": "HWIO", "bias": "copy"}
# Variables of a layer: PyTorch's name, TensorFlow's, operation.
_STYLED = {
    "weight": ("weight", "HWIO"),
    "bias": ("bias", "copy"),
    "affine.weight": ("mod_weight", "T"),
    "affine.bias": ("mod_bias", "minus 1"),
    "noise_strength": ("noise_strength", "copy"),
}
_LAYERS_G = {"conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB", "skip": "Skip"}
_LAYERS_D = {"fromrgb": "FromRGB", "conv0": "Conv0", "conv1": "Conv1_down", "skip": "Skip"}
_EPILOGUE = {
    "fromrgb": ("4x4/FromRGB", _CONV),
    "conv": ("4x4/Conv", _CONV),
    "fc": ("4x4/Dense0", _DENSE),
    "out": ("Output", _DENSE),
}
_BLOCK = re.compile(r"b([1-9]\d*)\.(\w+)\.([\w.]+)")
_MAPPING = re.compile(r"mapping\.(?:embed|fc(\d+))\.(weight|bias)")

Row = tuple[str, str]  # TensorFlow's name, and the operation that gives its value


def tensorflow_name(class_name: str, name: str) -> Optional[Row]:
    """The TensorFlow variable of a PyTorch tensor; None for filters, which are an option.

    class_name: 'Generator' or 'Discriminator'. Raises ValueError for an unknown name.
    """
    if name.rpartition(".")[2] == "resample_filter":
        return None
    generator = class_name == "Generator"
    mapping = _MAPPING.fullmatch(name)
    if mapping:
        number, variable = mapping.groups()
        prefix, layer = ("G_mapping/", "Dense") if generator else ("", "Mapping")
        layer = "LabelEmbed" if number is None else f"{layer}{int(number)}"
        return f"{prefix}{layer}/{variable}", _DENSE[variable]
    row = _generator_row(name) if generator else _discriminator_row(name)
    if row is None:
        raise ValueError(f"the tensor {name!r} is none of StyleGAN2-ADA's {class_name}")
    return row


def _generator_row(name: str) -> Optional[Row]:
    if name == "mapping.w_avg":
        return "dlatent_avg", "copy"
    if name == "synthesis.b4.const":
        return "G_synthesis/4x4/Const/const", "[None]"
    scope, _, rest = name.partition(".")
    block = _BLOCK.fullmatch(rest) if scope == "synthesis" else None
    if block is None:
        return None
    res, layer, variable = int(block[1]), block[2], block[3]
    if variable == "noise_const" and layer in ("conv0", "conv1"):
        index = 2 * (res.bit_length() - 1) - (5 if layer == "conv0" else 4)
        return f"G_synthesis/noise{index}", "[None,None]"
    if layer not in _LAYERS_G or variable not in _STYLED:
        return None
    renamed, operation = _STYLED[variable]
    if layer == "conv0" and variable == "weight":
        operation = "HWIO flipped"
    own = "Conv" if (res, layer) == (4, "conv1") else _LAYERS_G[layer]
    return f"G_synthesis/{res}x{res}/{own}/{renamed}", operation


def _discriminator_row(name: str) -> Optional[Row]:
    block = _BLOCK.fullmatch(name)
    if block is None:
        return None
    res, layer, variable = int(block[1]), block[2], block[3]
    operations: dict[str, str] = {}
    if res == 4 and layer in _EPILOGUE:
        scope, operations = _EPILOGUE[layer]
    elif res > 4 and layer in _LAYERS_D:
        scope, operations = f"{res}x{res}/{_LAYERS_D[layer]}", _CONV
    return (f"{scope}/{variable}", operations[variable]) if variable in operations else None
