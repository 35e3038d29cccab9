"""NVIDIA's pickled feature networks, whose names are not documented: matched by order and shape.

Where more than one reading is possible, that is an error: wrong weights give plausible numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Optional

import numpy as np

from dnnlib.errors import UserError
from dnnlib.pickles.objects import show
from metrics.features import inception, vgg16

Arrays = dict[str, np.ndarray]
_CONSTANT = 3  # values at most: the input's normalisation and the like
_ROLES = {
    "gamma": "gamma|scale",
    "beta": "beta|bias|offset",
    "moving_mean": "mean",
    "moving_variance": "var",
}


def match(network: str, stored: Arrays) -> tuple[Arrays, Arrays]:
    """({canonical name: array}, {name in the file: gamma}) of a network's variables in order.

    Ignored are arrays of up to 3 values and the dense layers that follow the features. Raises
    UserError naming the first array that has no place, or no certain one.
    """
    if network == "inception":
        return _inception(stored)
    return {"inception_classes": _classes, "vgg16": _vgg16, "vgg16_fc2": _dense}[network](
        stored
    ), {}


def _classes(stored: Arrays) -> Arrays:
    ((name, shape),) = inception.class_shapes().items()
    fitting = [array for array in stored.values() if array.shape == shape]
    if len(fitting) != 1:
        raise UserError(f"{len(fitting)} arrays of shape {list(shape)}, expected one")
    return {name: fitting[0]}


def _dense(stored: Arrays) -> Arrays:
    # Nothing tells whether rows are in the order of channel, height, width, or of height, width.
    raise UserError(
        "a legacy pickle, in which the order of the first dense layer's rows is unknown"
    )


def _kept(stored: Arrays, ignored: Sequence[tuple[int, ...]]) -> Arrays:
    return {
        name: array
        for name, array in stored.items()
        if array.size > _CONSTANT and array.shape not in ignored
    }


def _in_order(stored: Arrays, shapes: Mapping[str, tuple[int, ...]], noun: str) -> Arrays:
    """The arrays under the names of `shapes`, whose shapes they must have one by one."""
    for (name, array), (expected, shape) in zip(stored.items(), shapes.items()):
        if array.shape != shape:
            raise UserError(
                f"{show(name)} has shape {list(array.shape)}, expected {list(shape)} for {expected}"
            )
    if len(stored) != len(shapes):
        raise UserError(f"{len(stored)} {noun}, expected {len(shapes)}")
    return dict(zip(shapes, stored.values()))


# ---------------------------------------------------------------- VGG16


def _vgg16(stored: Arrays) -> Arrays:
    dense: list[tuple[int, ...]] = [(7, 7, 512, 4096), (1, 1, 4096, 4096), (1, 1, 4096, 1000)]
    dense += [(25088, 4096), (4096, 4096), (4096, 1000), (4096,), (1000,)]
    heads = vgg16.heads().values()
    kept = {
        name: array
        for name, array in _kept(stored, dense).items()
        if not any(_equal(array, head) for head in heads)
    }
    for name, array in kept.items():
        if array.ndim not in (1, 4):
            raise UserError(f"{show(name)} has shape {list(array.shape)}, unknown in this network")
        if array.ndim == 4 and array.size == max(array.shape):
            raise UserError(f"{show(name)} is not what LPIPS v0.1 weighs channels with")
    result: Arrays = {}
    for dims, noun in ((4, "kernels"), (1, "vectors besides LPIPS v0.1's weights of channels")):
        part = {name: array for name, array in kept.items() if array.ndim == dims}
        shapes = {n: shape for n, shape in vgg16.trunk_shapes().items() if len(shape) == dims}
        result.update(_in_order(part, shapes, noun))
    return {name: result[name] for name in vgg16.trunk_shapes()}


def _equal(array: np.ndarray, head: np.ndarray) -> bool:
    one_axis = array.size == head.size == max(array.shape, default=0)
    return one_axis and np.allclose(array.reshape(-1), head, rtol=0, atol=1e-5)


# ---------------------------------------------------------------- Inception


def _inception(stored: Arrays) -> tuple[Arrays, Arrays]:
    dense = [shape for n in (1000, 1001, 1008) for shape in ((inception.FEATURES, n), (n,))]
    kept = _kept(stored, dense)
    shapes = inception.shapes()
    kernel_shapes = {name: shape for name, shape in shapes.items() if len(shape) == 4}
    kernels = {name: array for name, array in kept.items() if array.ndim == 4}
    result = _in_order(kernels, kernel_shapes, "kernels")

    # For each convolution the vectors that follow it.
    widths = [shape[-1:] for shape in kernel_shapes.values()]
    groups: list[list[tuple[str, np.ndarray]]] = []
    for name, array in kept.items():
        if array.ndim == 4:
            groups.append([])
        elif groups and array.shape == widths[len(groups) - 1]:
            groups[-1].append((name, array))
        else:
            raise UserError(f"{show(name)} of shape {list(array.shape)} follows no kernel like it")
    counts = sorted({len(group) for group in groups})
    if counts not in ([3], [4]):
        raise UserError(
            f"{' or '.join(map(str, counts))} vectors follow a kernel, expected always 3 or "
            "always 4: beta, mean, variance and perhaps gamma"
        )
    gammas: Arrays = {}
    columns = list(zip(*groups))
    for role, column in zip(_roles(columns), columns):
        for kernel, (name, array) in zip(kernel_shapes, column):
            if role == "gamma":
                gammas[name] = array
            else:
                result[kernel.replace("conv2d_params", f"batchnorm/{role}")] = array
    return {name: result[name] for name in shapes}, gammas


def _roles(columns: list[tuple[tuple[str, np.ndarray], ...]]) -> list[str]:
    """What each place among a convolution's vectors holds, the same for all convolutions."""
    named = [{_role(name) for name, _ in column} for column in columns]
    if any(roles != {None} for roles in named):
        told = [next(iter(roles)) if len(roles) == 1 else None for roles in named]
        wanted = set(_ROLES) if len(columns) == 4 else set(_ROLES) - {"gamma"}
        if set(told) != wanted:
            names = ", ".join(show(column[0][0]) for column in columns)
            raise UserError(f"the names do not tell {', '.join(sorted(wanted))} apart: {names}")
        return told

    # Without names: only a variance is above 0 in every channel of all 94.
    ones = [all((array == 1).all() for _, array in column) for column in columns]
    above = [all((array > 0).all() for _, array in column) for column in columns]
    variances = [place for place, one in enumerate(ones) if above[place] and not one]
    if sum(ones) != len(columns) - 3 or len(variances) != 1:
        raise UserError(
            f"of {len(columns)} vectors at each convolution {sum(ones)} are 1 everywhere and "
            f"{len(variances)} above 0, expected {len(columns) - 3} (gamma) and 1 (variance)"
        )
    rest = iter(("beta", "moving_mean"))
    return [
        "gamma" if one else "moving_variance" if place == variances[0] else next(rest)
        for place, one in enumerate(ones)
    ]


def _role(name: str) -> Optional[str]:
    last = name.lower().rpartition("/")[2]
    roles = [role for role, pattern in _ROLES.items() if re.search(pattern, last)]
    return roles[0] if len(roles) == 1 else None
