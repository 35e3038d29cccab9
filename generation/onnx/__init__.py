"""Networks as ONNX models, written from the networks' own structure.

    model = build(network, "generator", weights="float16", noise="fixed")   # an onnx.ModelProto
    onnxruntime.InferenceSession(model.SerializeToString()).run(["images"], {"z": z, "psi": psi})

Values are float32 unless said, minibatches of any size. Those of the inputs are there that mean
something: no labels for a network without them, no noise0 for one without noise.

| part | inputs | outputs |
| --- | --- | --- |
| generator | z [N, latent_size]; psi [1] or [N], with styles; labels [N, label_size] | images |
| mapping | z, labels | w, before truncation; w_avg [width], with styles |
| synthesis | w | images |
| noise | seed [N] int64 | noise0, noise1, …, [N, H, W, 1]: what noise='random' draws |

w is [N, layers, width]; of a network without styles, [N, latent_size + label_size], z and labels.
images are [N, R, R, channels], about [−1, 1], not clipped, at the network's own level of detail.
psi pulls the layers below the network's cutoff (metadata: truncation_cutoff) towards w_avg:
w_avg + psi·(w − w_avg).

noise: 'fixed', the network's own images; 'none'; 'input', the inputs noise0, noise1, … [1 or N, H,
W, 1], of which a network in the middle of growing has only those that it uses; 'random', the input
seed [N] int64, for numbers that generation/onnx/noise.py draws.

weights: how kernels, matrices, the constant input and noise images are stored. As 'int8': those of
the synthesis that have 4,096 values or more, with a scale for each output channel; the others are
float16 then. Biases stay float32, and so does all arithmetic.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Optional

from dnnlib.errors import UserError


def build(
    network: Any,
    part: str = "generator",
    *,
    weights: str = "float32",
    noise: str = "fixed",
    metadata: Optional[Mapping[str, str]] = None,
) -> Any:
    """A part of a generator as an onnx.ModelProto; the same bytes on every machine.

    part, weights, noise: as above, one of 'generator', 'mapping', 'synthesis' and 'noise'; of
    'float32', 'float16' and 'int8'; of 'fixed', 'none', 'random' and 'input'. metadata: what else
    the file says of itself, beside family, func_name, part, weights, noise, options (JSON) and
    truncation_cutoff. Raises UserError for a family without an ONNX form, and where the package
    onnx is missing.
    """
    package("onnx")
    from generation.onnx import models

    return models.build(network, part, weights, noise, metadata or {})


def package(name: str) -> ModuleType:
    """A package that is optional here; UserError where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"ONNX needs the packages onnx and onnxruntime: pip install -r requirements.txt "
            f"({error})"
        ) from error
