"""Snapshots: trained networks in one `.safetensors` file, which cannot carry code.

Tensors are named `<network>/<legacy name>` with network one of G, D, Gs; the metadata holds
each network's build function and options as JSON, so that `load` needs the file alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Optional, Union

import numpy as np

from dnnlib import file_kinds, json_files, tensor_file
from dnnlib.download import local_path
from dnnlib.errors import UserError
from dnnlib.paths import check_input
from networks import legacy, registry
from networks.legacy import ROLES
from networks.original import runnable
from networks.registry import build

FORMAT = "stylegan-tf2 snapshot 1"
StrPath = Union[str, os.PathLike]


def save(
    path: StrPath, *, G: Any = None, D: Any = None, Gs: Any = None, info: Optional[dict] = None
) -> None:
    """Writes networks to `path`, which appears complete or not at all.

    Any of the three may be absent. info: anything JSON can hold, kept in the metadata.
    """
    networks = {role: net for role, net in zip(ROLES, (G, D, Gs)) if net is not None}
    if not networks:
        raise ValueError("networks.save: no network given")
    tensors, kinds = {}, {}
    for role, network in networks.items():
        kinds[role] = {
            "family": network.FAMILY,
            "func_name": network.func_name,
            "options": dict(network.options),
        }
        tensors.update({f"{role}/{name}": array for name, array in network.arrays().items()})
    metadata = {"networks": json.dumps(kinds), "info": json.dumps(info or {})}
    tensor_file.save(path, tensors, FORMAT, metadata)


def read(path: StrPath) -> tuple[dict, dict, dict]:
    """A snapshot without building it: (kinds, arrays, info).

    kinds: {role: {"family", "func_name", "options"}}; arrays: {role: {legacy name: array}}.
    Raises UserError naming the file when it is missing or not a snapshot.
    """
    with _usable(path):
        kinds, pairs, _, info = _open(path)
        return kinds, {role: dict(arrays) for role, arrays in pairs.items()}, info


def read_blank(path: StrPath) -> tuple[dict, dict, dict]:
    """As `read`, with ones of the arrays' shapes that take no memory: none is read."""
    with _usable(path):
        kinds, _, shapes, info = _open(path)
        blank = {
            role: {name: np.broadcast_to(np.float32(1), shape) for name, shape in inside.items()}
            for role, inside in shapes.items()
        }
        return kinds, blank, info


def read_info(path: StrPath) -> dict:
    """What `save` was given as info; nothing for others' files. Raises as `read` does."""
    if os.path.isfile(path) and legacy.is_legacy(path):
        return {}
    with _usable(path):
        return _open(path)[3]


def _open(path: StrPath) -> tuple[dict, dict[str, Iterator], dict[str, dict], dict]:
    """(kinds, pairs, shapes, info) as `read`, but with pairs (legacy name, array) that are read
    one at a time, and shapes {role: {legacy name: shape}} by the file's header."""
    file = tensor_file.TensorFile(path, FORMAT)
    kinds = json_files.parse(file.metadata["networks"], finite=False)
    info = json_files.parse(file.metadata.get("info", "{}"), finite=False)
    names = {role: [] for role in kinds}
    for key in file.names:
        role, _, name = key.partition("/")
        if role not in names:
            raise ValueError(f"tensor {key!r} belongs to no network of the file")
        names[role].append(name)

    def pairs(role: str) -> Iterator[tuple[str, np.ndarray]]:
        return ((name, file.read(f"{role}/{name}")) for name in names[role])

    shapes = {
        role: {name: file.shape(f"{role}/{name}") for name in inside}
        for role, inside in names.items()
    }
    return kinds, {role: pairs(role) for role in kinds}, shapes, info


@contextlib.contextmanager
def _usable(path: StrPath) -> Iterator[None]:
    if not os.path.exists(path):
        raise UserError(f"no snapshot at {path}")
    check_input(path)
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        kind = file_kinds.describe_file(path)
        if kind is not None:
            raise UserError(f"{path}: not a usable snapshot or pickle: it is {kind}") from error
        raise UserError(f"{path}: not a usable snapshot: {error}") from error


def load(
    source: StrPath,
    *,
    resolution: Optional[int] = None,
    say: Optional[Callable[[str], object]] = None,
) -> tuple:
    """(G, D, Gs) of a snapshot, a pickle or a port's checkpoint; None for one that it lacks.

    source: a path, an http(s) address, or the name of a published network (dnnlib/download.py).
    resolution: of a StyleGAN of a PyTorch port, whose file does not say it. What a pickle or
    checkpoint holds and this package has not is None as well: `say`, by default a line on stderr,
    is told so, and what was done to open the others. Raises UserError naming the file when it
    cannot be had, is damaged or has no network that can be had. No code in the file is executed,
    whatever it is.
    """
    path = local_path(source)
    made, refused = opened(path, resolution)
    for line in said_of(path, made, refused):
        (say or _note)(line)
    return tuple(made.get(role) for role in ROLES)


def opened(
    path: StrPath, resolution: Optional[int] = None, look: Optional[Callable[[Any], Any]] = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """({role: network}, {role: why it cannot be had}) of a file that holds one at least.

    look: what is wanted of each network, which is let go before the next is made; None: itself.
    Raises UserError as `load` does.
    """
    made: dict[str, Any] = {}
    refused: dict[str, legacy.RefusedNetwork] = {}
    for role, make in makers(path, resolution).items():
        try:
            network = make()
        except legacy.RefusedNetwork as error:
            refused[role] = error
            continue
        made[role] = network if look is None else look(network)
        del network
    if refused and not made:
        raise next(iter(refused.values()))
    return made, {role: error.reason for role, error in refused.items()}


def said_of(path: StrPath, made: dict[str, Any], refused: dict[str, str]) -> list[str]:
    """Lines on what was done to open networks, and on those that cannot be had."""
    roles: dict[str, list[str]] = {}
    for role, network in made.items():
        for note in notes(network):
            roles.setdefault(note, []).append(role)
    lines = [f"{path}: {', '.join(of)}: {note}" for note, of in roles.items()]
    return lines + [f"{path}: {role} is left out: {why}" for role, why in refused.items()]


def notes(network: Any) -> list[str]:
    """What users should know of what the network's file did not hold, or held otherwise."""
    return list(filter(None, getattr(network, "notes", "").split("\n")))


def _note(line: str) -> None:
    print(f"note: {line}", file=sys.stderr)


def load_runnable(source: StrPath) -> tuple:
    """(G, D, Gs) as `load` finds them, each a RunnableNetwork (networks/original.py) or None."""
    networks = tuple(map(runnable, load(source)))
    for role, network in zip(ROLES, networks):
        if network is not None:
            network.name = role
    return networks


def load_generator(path: StrPath, resolution: Optional[int] = None, **changed: Any) -> Any:
    """The Gs of a file, or its G where there is no Gs; UserError when it holds neither.

    resolution: as of `makers`. changed: options in place of the network's own.
    """
    network = load_one(path, "Gs", "G", of_resolution=resolution, **changed)
    if network is None:
        raise UserError(f"{path} holds no Gs")
    if registry.role(network.func_name, network.FAMILY) != "G":
        whole = ", ".join(registry.names("G"))
        raise UserError(f"{path}: expected a whole generator ({whole}), not a {network.func_name}")
    return network


def load_one(
    source: StrPath, *roles: str, of_resolution: Optional[int] = None, **changed: Any
) -> Any:
    """The first of `roles` that a file holds and that can be had; None when it holds none of them.

    source and errors: as for `load`. of_resolution: as of `makers`. changed: options in place of
    the network's own, which its variables must fit; `dtype` is one.
    """
    made = makers(local_path(source), of_resolution)
    refused = None
    for role in (role for role in roles if role in made):
        try:
            network = made[role](**changed)
        except legacy.RefusedNetwork as error:
            refused = refused or error
            continue
        if refused is not None:
            note = f"this is its {role}, for {refused.role} cannot be had: {refused.reason}"
            network.notes = "\n".join([*notes(network), note])
        return network
    if refused is not None:
        raise refused
    return None


def makers(path: StrPath, resolution: Optional[int] = None) -> dict[str, Callable]:
    """{role: a function that builds the network} of what a file holds; each is for one call.

    The functions take options in place of the file's own. They, and this, raise UserError naming
    the file, legacy.RefusedNetwork for a network that this package has not. resolution: of networks
    whose file does not say it, which are a port's of StyleGAN; UserError for others.
    """
    if legacy.is_legacy(path):
        return legacy.makers(path, resolution)
    with _usable(path):
        kinds, pairs, shapes, _ = _open(path)
    if resolution is not None:
        raise UserError(f"{path}: resolution={resolution}: this file says its own; leave it out")

    def make(role: str, **changed: Any) -> Any:
        try:
            kind = kinds[role]
            options, family = {**kind["options"], **changed}, kind.get("family")
            name, arrays, claimed = kind["func_name"], pairs[role], shapes[role]
            return build(name, family=family, seed=0, arrays=arrays, shapes=claimed, **options)
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: {role}: {error}") from error

    return {role: partial(make, role) for role in ROLES if role in kinds}
