"""From what a legacy pickle holds (dnnlib/pickles/tf_networks.py) to networks.

Nothing in the file is executed: its options choose among our own networks, its arrays are
assigned by name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Union

from dnnlib import file_kinds
from dnnlib.errors import UserError
from dnnlib.paths import open_input
from dnnlib.pickles import tf_networks
from dnnlib.pickles.tf_networks import LegacyNetwork
from networks import registry
from networks.registry import build

ROLES = ("G", "D", "Gs")
_ADA = 5  # the version of StyleGAN2-ADA's own pickles


def makers(path: Union[str, os.PathLike]) -> dict[str, Callable]:
    """{role: a function that builds the network} of those of G, D, Gs that a legacy pickle holds.

    The function takes options in place of the file's own, and is for one call: the file's arrays
    go as the network gets them, so that they are not in memory twice. It, and this, raise UserError
    naming the file when it is not a legacy network or not one of those that this package has.
    """
    found = read(path)

    def make(role: str, **changed: Any) -> Any:
        try:
            return _build(*_parts(found.pop(role)), changed)
        except (ValueError, TypeError) as error:  # also an option named as build's own
            raise UserError(f"{path}: {role}: {error}") from error

    return {role: partial(make, role) for role in found}


def read(path: Union[str, os.PathLike], *, blank: bool = False) -> dict[str, LegacyNetwork]:
    """{role: network} of those of G, D, Gs that a legacy pickle holds, as plain data.

    A file of one network gives it the place that its kind has: a generator's is Gs. blank: ones
    that take no memory in place of all numbers. Raises UserError naming the file when it is not a
    legacy network.
    """
    with open_input(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > tf_networks.MAX_BYTES:  # before it is in memory
            most = tf_networks.MAX_BYTES
            raise UserError(
                f"{path}: not a readable legacy network: the file has {size:,} bytes, more than "
                f"the {most:,} allowed"
            )
        data = file.read(size)
    try:
        recorded = tf_networks.read(data, blank=blank).networks
    except tf_networks.LegacyPickleError as error:
        kind = file_kinds.describe(data[: file_kinds.HEAD], len(data))
        reason = error if kind is None else f"not a readable legacy network: it is {kind}"
        raise UserError(f"{path}: {reason}") from error
    if len(recorded) == 3:
        return {role: network for role, network in zip(ROLES, recorded) if network is not None}
    roles: dict[str, LegacyNetwork] = {}
    for network in recorded:
        role = "D" if network is not None and network.func_name.startswith("D_") else "Gs"
        if network is None or role in roles:
            raise UserError(f"{path}: expected (G, D, Gs) or one network, not {len(recorded)}")
        roles[role] = network
    return roles


def to_keras(recorded: LegacyNetwork, **changed: Any) -> Any:
    """The network with the file's options, but for those in `changed`, and its arrays.

    Raises ValueError for an unknown build function or option, listing the known ones, or for
    arrays that are not the network's, listing all that differ.
    """
    return _build(*_parts(recorded), changed)


def _parts(recorded: LegacyNetwork) -> tuple[tuple[str, str, dict], dict]:
    """What `own_options` says, and all arrays, in a dictionary of its own."""
    return own_options(recorded), recorded.all_variables()


def _build(kind: tuple[str, str, dict], arrays: dict, changed: dict[str, Any]) -> Any:
    """The network; arrays is empty afterwards."""
    family, name, kwargs = kind
    shapes = {key: array.shape for key, array in arrays.items()}
    pairs = ((key, arrays.pop(key)) for key in list(arrays))
    options = {**kwargs, **changed}
    return build(name, family=family, seed=0, arrays=pairs, shapes=shapes, **options)


def own_options(recorded: LegacyNetwork) -> tuple[str, str, dict]:
    """(family, build function, its own options); ValueError for an unknown function."""
    if recorded.version >= _ADA:
        raise ValueError("a network of StyleGAN2-ADA (TensorFlow), which this package has not")
    family, function = registry.locate(recorded.func_name)
    name, kwargs = function.name, dict(recorded.static_kwargs)
    if function.role == "part":
        # It was given the whole generator's options and used its own.
        wholes = {key for other in family.functions if other.role == "G" for key in other.options}
        kwargs = {
            key: value
            for key, value in kwargs.items()
            if key in function.options or key not in wholes
        }
    bias = recorded.variables.get("4x4/Dense1/bias")
    if name == "D_paper" and bias is not None:
        # Progressive GAN's own repository also trained it to tell labels apart.
        labels = kwargs.get("label_size", 0)
        kwargs["label_outputs"] = bias.size == 1 + labels and labels > 0
    return family.name, name, kwargs


def provenance(recorded: dict[str, LegacyNetwork]) -> dict:
    """Where the networks of `read` come from, as values that JSON can hold."""
    return {
        "pickled as": sorted({network.class_name for network in recorded.values()}),
        "pickle version": sorted({network.version for network in recorded.values()}),
        # Of the Python source inside, which the original executed and this package never does.
        "source sha256": sorted({network.source_sha256 for network in recorded.values()}),
    }
