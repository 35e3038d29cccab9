"""Snapshots: trained networks in one `.safetensors` file, which cannot carry code.

Tensors are named `<network>/<legacy name>` with network one of G, D, Gs; the metadata holds
each network's build function and options as JSON, so that `load` needs the file alone.
"""

from __future__ import annotations

import json
from pathlib import Path

from dnnlib import tensor_file
from dnnlib.errors import UserError
from networks.registry import build

FORMAT = "stylegan-tf2 snapshot 1"
ROLES = ("G", "D", "Gs")


def save(path, *, G=None, D=None, Gs=None, info: dict | None = None) -> None:
    """Writes networks to `path`, which appears complete or not at all.

    Any of the three may be absent. info: anything JSON can hold, kept in the metadata.
    """
    networks = {role: net for role, net in zip(ROLES, (G, D, Gs)) if net is not None}
    if not networks:
        raise ValueError("networks.save: no network given")
    tensors, kinds = {}, {}
    for role, network in networks.items():
        kinds[role] = {"func_name": network.func_name, "options": dict(network.options)}
        tensors.update({f"{role}/{name}": array for name, array in network.arrays().items()})
    metadata = {"networks": json.dumps(kinds), "info": json.dumps(info or {})}
    tensor_file.save(path, tensors, FORMAT, metadata)


def read(path) -> tuple[dict, dict, dict]:
    """A snapshot without building it: (kinds, arrays, info).

    kinds: {role: {"func_name", "options"}}; arrays: {role: {legacy name: array}}.
    Raises UserError naming the file when it is missing or not a snapshot.
    """
    if not Path(path).is_file():
        raise UserError(f"no snapshot at {path}")
    try:
        tensors, metadata = tensor_file.load(path, FORMAT)
        kinds, info = json.loads(metadata["networks"]), json.loads(metadata.get("info", "{}"))
        arrays = {role: {} for role in kinds}
        for key, array in tensors.items():
            role, _, name = key.partition("/")
            if role not in arrays:
                raise ValueError(f"tensor {key!r} belongs to no network of the file")
            arrays[role][name] = array
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a usable snapshot: {error}") from error
    return kinds, arrays, info


def load(path):
    """(G, D, Gs) from a snapshot; None for a network that the file does not hold.

    Raises UserError naming the file when it is missing, damaged or does not fit.
    """
    kinds, arrays, _ = read(path)
    result = []
    for role in ROLES:
        network = None
        if role in kinds:
            try:
                network = build(kinds[role]["func_name"], seed=0, **kinds[role]["options"])
                network.set_arrays(arrays[role])
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{path}: {role}: {error}") from error
        result.append(network)
    return tuple(result)
