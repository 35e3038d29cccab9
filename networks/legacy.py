"""From what others' files hold (dnnlib/pickles) to networks: TensorFlow 1's and PyTorch's pickles,
and checkpoints of PyTorch ports.

Nothing in the file is executed: its options choose among our own networks, its arrays are
assigned by name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Optional, Union

import numpy as np

from dnnlib import file_kinds
from dnnlib.errors import UserError
from dnnlib.paths import is_pickle, open_input
from dnnlib.pickles import port_files, tf_networks, torch_file, torch_networks
from dnnlib.pickles.objects import UnreadableError
from dnnlib.pickles.port_files import PortFile
from dnnlib.pickles.tf_networks import LegacyFile, LegacyNetwork
from dnnlib.pickles.torch_modules import TorchModule, TorchNetworkFile
from networks import port_names, registry, torch_names
from networks.options import Family, Function, check_width
from networks.port_names import PortNetwork
from networks.registry import build

ROLES = ("G", "D", "Gs")
_ADA = 5  # the version of StyleGAN2-ADA's own pickles
_ENDS_EARLY = re.compile("the file ends|incomplete or damaged")
_OF_TORCH = {"G": "G", "D": "D", "G_ema": "Gs"}
# By the order of what is in a file.
_WRITERS = {
    "stylegan2-ada-pytorch": "training_set_kwargs G D G_ema augment_pipe",
    "stylegan2-ada-pytorch's converter of TensorFlow's": (
        "G D G_ema training_set_kwargs augment_pipe"
    ),
    "the stylegan3 repository": "G D G_ema augment_pipe training_set_kwargs",
}
Recorded = Union[LegacyNetwork, TorchModule, PortNetwork]
_File = Union[LegacyFile, TorchNetworkFile, PortFile]


class RefusedNetwork(UserError):
    """A network of a file that cannot be had, whose neighbours may be.

    role: of ROLES; reason: the sentence alone, without file and role.
    """

    def __init__(self, path: Union[str, os.PathLike], role: str, reason: str) -> None:
        super().__init__(f"{path}: {role}: {reason}")
        self.role, self.reason = role, reason


def is_legacy(path: Union[str, os.PathLike]) -> bool:
    """Whether a file begins as a pickle or one of PyTorch's. Raises UserError or OSError."""
    return is_pickle(path) or torch_file.is_torch(path)


def makers(path: Union[str, os.PathLike], resolution: Optional[int] = None) -> dict[str, Callable]:
    """{role: a function that builds the network} of those of G, D, Gs that a file holds.

    The function takes options in place of the file's own, and is for one call: the file's arrays
    go as the network gets them, so that they are not in memory twice. It raises RefusedNetwork for
    one that this package has not, or whose arrays do not fit. resolution: of networks whose file
    does not say it. Raises UserError naming the file when it is not a legacy network.
    """
    file = _open(path)
    recorded = _by_role(path, file, resolution)

    def make(role: str, **changed: Any) -> Any:
        try:
            of_port = recorded[role]
            if isinstance(of_port, PortNetwork):
                return _of_port(of_port, changed)
            del of_port
            return _build(*parts(recorded.pop(role)), changed)
        except (ValueError, TypeError, ArithmeticError) as error:  # also an option named as build's
            raise RefusedNetwork(path, role, str(error)) from error

    def refuse(role: str, reason: str, **_: Any) -> Any:
        raise RefusedNetwork(path, role, reason)

    made: dict[str, Callable] = {role: partial(make, role) for role in recorded}
    for role, reason in _refused(file).items():
        made[role] = partial(refuse, role, reason)
    return made


def read(path: Union[str, os.PathLike], *, blank: bool = False) -> dict[str, Recorded]:
    """{role: network} of those of G, D, Gs that a file holds, as plain data.

    A file of one network gives it the place that its kind has: a generator's is Gs. blank: ones
    that take no memory in place of all numbers. Raises UserError naming the file when it is not a
    legacy network.
    """
    return _by_role(path, _open(path, blank))


def _open(path: Union[str, os.PathLike], blank: bool = False) -> _File:
    port = torch_file.is_torch(path)
    kind = "checkpoint" if port else "legacy network"
    most = port_files.MAX_BYTES if port else tf_networks.MAX_BYTES
    with open_input(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:  # before it is in memory
            raise UserError(
                f"{path}: not a readable {kind}: the file has {size:,} bytes, more than "
                f"the {most:,} allowed"
            )
        data = file.read(size)
    try:
        if port:
            return port_files.read(data, os.path.basename(path))
        if torch_networks.is_torch_networks(data):
            return torch_networks.read(data)
        return tf_networks.read(data, blank=blank)
    except UnreadableError as error:
        other = None if port else file_kinds.describe(data[: file_kinds.HEAD], len(data))
        reason = f"not a readable legacy network: it is {other}"
        if other is None:
            ends_early = _ENDS_EARLY.search(error.reason) is not None
            reason = f"{error}{': is the download complete?' if ends_early else ''}"
        raise UserError(f"{path}: {reason}") from error


def _by_role(
    path: Union[str, os.PathLike], file: _File, resolution: Optional[int] = None
) -> dict[str, Recorded]:
    if isinstance(file, PortFile):
        name = os.path.basename(path)
        return {role: PortNetwork(file, role, name, resolution) for role in file.networks}
    if resolution is not None:
        raise UserError(f"{path}: resolution={resolution}: this file says its own; leave it out")
    if isinstance(file, TorchNetworkFile):
        return {_OF_TORCH[key]: network for key, network in file.networks.items()}
    recorded = file.networks
    if len(recorded) == 3:
        return {role: network for role, network in zip(ROLES, recorded) if network is not None}
    roles: dict[str, Recorded] = {}
    for network in recorded:
        role = "D" if network is not None and network.func_name.startswith("D_") else "Gs"
        if network is None or role in roles:
            raise UserError(f"{path}: expected (G, D, Gs) or one network, not {len(recorded)}")
        roles[role] = network
    return roles


def _refused(file: _File) -> dict[str, str]:
    """{role: what it is instead} of networks that are not supported, beside some that are."""
    if isinstance(file, PortFile):
        return file.refused
    if not isinstance(file, TorchNetworkFile):
        return {}
    return {_OF_TORCH[key]: said for key, said in file.refused.items() if key in _OF_TORCH}


def kind(recorded: Recorded) -> tuple[str, str]:
    """(family, build function) of a network; ValueError for an unknown function."""
    if isinstance(recorded, LegacyNetwork):
        family, function = _function(recorded)
        return family.name, function.name
    if isinstance(recorded, PortNetwork):
        return recorded.kind()
    return torch_names.FAMILY, torch_names.function(recorded)


def to_keras(recorded: Recorded, **changed: Any) -> Any:
    """The network with the file's options, but for those in `changed`, and its arrays.

    Raises ValueError for an unknown build function or option, listing the known ones, or for
    arrays that are not the network's, listing all that differ.
    """
    return _build(*parts(recorded), changed)


def parts(recorded: Recorded) -> tuple[tuple[str, str, dict], dict[str, np.ndarray]]:
    """What `build` takes: (family, build function, its own options), and {name: array}, in a
    dictionary of its own.

    Raises ValueError for an unknown function, or for a network that no options describe.
    """
    if isinstance(recorded, TorchModule):
        made = torch_names.translate(recorded)
        arrays = dict(made.variables)
        if made.func_name == "G_ada" and "dlatent_avg" not in arrays:  # none was kept
            check_width(made.func_name, made.options, "dlatent_size")
            arrays["dlatent_avg"] = np.zeros(made.options["dlatent_size"], np.float32)
        return (made.family, made.func_name, made.options), arrays
    if isinstance(recorded, PortNetwork):
        of_port = recorded.translated()
        return (of_port.family, of_port.func_name, of_port.options), dict(of_port.variables)
    arrays = recorded.all_variables()
    if recorded.version >= _ADA and recorded.static_kwargs.get("use_noise") is False:
        # The original made the noise images of such networks all the same.
        arrays = {name: array for name, array in arrays.items() if not _is_noise(name)}
    return own_options(recorded), arrays


def _build(kind: tuple[str, str, dict], arrays: dict, changed: dict[str, Any]) -> Any:
    """The network; arrays is empty afterwards."""
    family, name, kwargs = kind
    shapes = {key: array.shape for key, array in arrays.items()}
    pairs = ((key, arrays.pop(key)) for key in list(arrays))
    options = {**kwargs, **changed}
    return build(name, family=family, seed=0, arrays=pairs, shapes=shapes, **options)


def _of_port(recorded: PortNetwork, changed: dict[str, Any]) -> Any:
    """The network, with the notes of its translation as lines of `notes`."""
    made = recorded.translated()
    kind = made.family, made.func_name, made.options
    network = _build(kind, dict(made.variables), changed)
    network.notes = "\n".join(made.notes)
    return network


def own_options(recorded: LegacyNetwork) -> tuple[str, str, dict]:
    """(family, build function, its own options); ValueError for an unknown function."""
    family, function = _function(recorded)
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
    if name == "D_ada":
        _settle_stddev(kwargs, recorded.variables)
    if name in ("G_ada", "G_synthesis_ada"):
        _settle_constant(kwargs, recorded.all_variables())
    return family.name, name, kwargs


def _function(recorded: LegacyNetwork) -> tuple[Family, Function]:
    # StyleGAN2's generator, which alone has lod, may have been saved again by StyleGAN2-ADA's code.
    name = recorded.func_name.rpartition(".")[2]
    if name == "G_main" and "lod" in recorded.variables:
        return registry.locate(name)
    return registry.locate_pickled(recorded.func_name, recorded.version)


def _settle_stddev(kwargs: dict, arrays: dict[str, np.ndarray]) -> None:
    """Groups of no or one image, which the original's versions mean differently: without the
    channel beside the feature maps there is no minibatch standard deviation."""
    weight = arrays.get("4x4/Conv/weight")
    if weight is not None and weight.ndim == 4 and weight.shape[2] == weight.shape[3]:
        kwargs["mbstd_num_features"] = 0
    if kwargs.get("mbstd_group_size") == 0 and not kwargs.get("mbstd_num_features", 1):
        del kwargs["mbstd_group_size"]


def _settle_constant(kwargs: dict, arrays: dict[str, np.ndarray]) -> None:
    """The width of the constant input, whatever the original's default is."""
    for name, array in arrays.items():
        if name.endswith("4x4/Const/const") and array.ndim == 4 and not kwargs.get("fmap_const"):
            kwargs["fmap_const"] = array.shape[1]


def _is_noise(name: str) -> bool:
    last = name.rpartition("/")[2]
    return last == "noise_strength" or (last.startswith("noise") and last[5:].isdigit())


def origin(path: Union[str, os.PathLike]) -> tuple[str, dict]:
    """(format, provenance) of a file, the latter as values that JSON can hold.

    Raises as `read` does.
    """
    file = _open(path)
    if isinstance(file, PortFile):
        return "PyTorch checkpoint", port_names.provenance(file)
    if isinstance(file, TorchNetworkFile):
        return "PyTorch pickle of StyleGAN2-ADA", _of_torch(file)
    recorded = [network for network in file.networks if network is not None]
    ada = any(network.version >= _ADA for network in recorded)
    return f"legacy pickle{' of StyleGAN2-ADA' if ada else ''}", {
        "pickled as": sorted({network.class_name for network in recorded}),
        "pickle version": sorted({network.version for network in recorded}),
        # Of the Python source inside, which the original executed and this package never does.
        "source sha256": sorted({network.source_sha256 for network in recorded}),
    }


def _of_torch(file: TorchNetworkFile) -> dict:
    """Where they come from: the data set's facts are without its path, which is somebody's own."""
    writers = {tuple(keys.split()): writer for writer, keys in _WRITERS.items()}
    said: dict[str, Any] = {"holds": list(file.keys)}
    if file.keys in writers:
        said["written by"] = writers[file.keys]
    if file.augment_p is not None:
        said["augmentation p"] = file.augment_p
    if file.training_set:
        said["data set"] = file.training_set
    for role, reason in _refused(file).items():
        said[f"{role} not read"] = reason
    hashes = sorted({value for values in file.sources().values() for value in values})
    return {**said, "source sha256": hashes}
