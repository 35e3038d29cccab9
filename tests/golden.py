"""Golden data of the reference implementation: where it lies, and the weights behind it.

Functions only: importing this module, also while pytest collects, touches no file.
"""

import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest

# Tag whose weights carry their He factor, because its networks do not scale them at run time.
PRESCALED = "h_nowscale"

STYLEGAN2 = ("g", "g_cond", "g_resnet")  # tags of its networks
LARGE = ("b", "d", "g")  # tags in the folder of large files

# With pytest --fast: tests that need a golden file are skipped.
left_out = False


def golden_dir() -> Path:
    """The golden directory: $STYLEGAN_GOLDEN_DIR, or shared/golden beside the repository."""
    default = Path(__file__).resolve().parents[2] / "shared" / "golden"
    return Path(os.environ.get("STYLEGAN_GOLDEN_DIR") or default)


def path(relative_path) -> Path:
    """Path of a golden file. Where it is missing the test is skipped, but fails if $CI is set."""
    if left_out:
        pytest.skip("--fast leaves out golden data", allow_module_level=True)
    file = golden_dir() / relative_path
    if not file.is_file():
        message = f"no golden file {file} (set STYLEGAN_GOLDEN_DIR to the golden directory)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message, allow_module_level=True)
    return file


def load(relative_path):
    """Contents of a golden file: `.npz` → NpzFile (arrays by key), `.json` → what it holds."""
    file = path(relative_path)
    if file.suffix == ".npz":
        return np.load(file, allow_pickle=False)
    if file.suffix == ".json":
        return json.loads(file.read_text(encoding="utf-8"))
    raise ValueError(f"golden.load reads .npz and .json, not {relative_path}; use golden.path")


def network_file(tag, kind) -> str:
    """The relative path of a file of a configuration's networks.

    kind: 'net' (arrays), 'meta', 'layers' or 'pickle'.
    """
    root = "stylegan2/" if tag in STYLEGAN2 else ""
    folder = "large/" if tag in LARGE else {"pickle": "pickles/"}.get(kind, "nets/")
    if kind in ("meta", "layers"):
        return f"{root}nets/{tag}_{kind}.{'json' if kind == 'meta' else 'txt'}"
    return f"{root}{folder}" + (f"{tag}.pkl" if kind == "pickle" else f"net_{tag}.npz")


def recipe(tag, net, name, shape) -> np.ndarray:
    """Value of one variable, float32 of `shape`: the weight recipe of the golden README.

    tag: configuration ("a", "h_relu", "train_base"); net: "G", "D" or "Gs"; name: the variable's
    name within that network ("G_synthesis/8x8/Conv1/weight").
    """
    if net == "Gs" and tag.startswith("train_"):
        net = "G"  # training starts from Gs = G
    seed = zlib.crc32(f"{tag}/{net}/{name}".encode())
    r = np.random.RandomState(seed).randn(*shape)
    value = np.asarray(_scaled(name, r), dtype=np.float32)
    if tag == PRESCALED and name.endswith("/weight") and not name.endswith("Noise/weight"):
        value = value * _he_factor(name, shape)  # in float32, as the reference did
    return value


def torch_recipe(tag, net, name, shape, lr=0.01) -> np.ndarray:
    """Value of one tensor of a PyTorch pickle, float32 of `shape`: the recipe of ada/README.md.

    net: "G", "G_ema" or "D"; name: PyTorch's, "mapping.fc0.weight"; lr: of the mapping network.
    """
    r = np.random.RandomState(zlib.crc32(f"{tag}/{net}/{name}".encode())).randn(*shape)
    scale = 1.0
    if name.endswith(("noise_strength", "w_avg")):
        scale = 0.3
    elif name.endswith("bias"):
        scale = 0.2
    if name.startswith("mapping.fc"):
        scale /= lr
    value = scale * r + (1 if name.endswith("affine.bias") else 0)
    return np.asarray(value, dtype=np.float32)


def recipe_arrays(tag, net, meta_vars) -> dict:
    """All variables of a network, {name: array}.

    meta_vars: `G_vars` or `D_vars` of nets/<tag>_meta.json, rows of (name, shape, trainable).
    """
    return {name: recipe(tag, net, name, shape) for name, shape, _ in meta_vars}


def _scaled(name, r):
    """The standard normal draw r, scaled for this variable, in float64."""
    last = name.split("/")[-1]
    mapping = name.startswith("G_mapping/Dense")
    if last == "lod":
        return np.zeros_like(r)
    if name.endswith("Noise/weight") or last in ("noise_strength", "dlatent_avg"):
        return 0.3 * r
    if last == "bias":
        return (20 if mapping else 0.2) * r
    if last == "mod_bias":
        return 0.2 * r
    if last == "const":
        return 1 + 0.5 * r
    if last.startswith("noise"):
        return r
    if last in ("weight", "mod_weight"):
        return (100 if mapping else 1) * r
    raise ValueError(f"the recipe has no rule for a variable named {name}")


def _he_factor(name, shape):
    """He's gain / sqrt(fan_in); gain 1 where no activation follows."""
    linear = "ToRGB" in name or "StyleMod" in name or name == "4x4/Dense1/weight"
    return np.float32((1.0 if linear else np.sqrt(2.0)) / np.sqrt(np.prod(shape[:-1])))
