"""Checkpoints of StyleGAN's common PyTorch ports, from bytes to NumPy arrays, without PyTorch.

Both of torch.save's formats, as torch_file.py reads them; optimizers are skipped. Names of tensors
tell which port wrote a file, and what this package cannot use is refused by its name.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any, NoReturn, Optional, Union

import numpy as np

from dnnlib.pickles import port_objects, torch_objects
from dnnlib.pickles.objects import LegacyPickleError, UnreadableError, refuse, show
from dnnlib.pickles.port_objects import Namespace
from dnnlib.pickles.torch_file import TorchFile
from dnnlib.pickles.torch_stream import Unpickler, check_finite

__all__ = ["PortFile", "PortFileError", "read"]

MAX_BYTES = 4 * 2**30  # training states, with optimizers
MAX_TENSORS = 5_000
# As messages call them.
TITLES = {
    "ros2": "rosinality's StyleGAN2 (stylegan2-pytorch)",
    "ros1": "rosinality's StyleGAN (style-based-gan-pytorch)",
    "h13": "huangzh13's StyleGAN (StyleGAN.pytorch)",
}

StateDict = dict[str, torch_objects.Tensor]


class PortFileError(UnreadableError):
    """No checkpoint of a port."""

    wanted = "checkpoint of a StyleGAN port"


@dataclasses.dataclass(frozen=True, eq=False)
class PortFile:
    """What a file holds.

    port: of TITLES; networks: {"G", "D" or "Gs": {the port's name: float32 array in C order}};
    refused: {role: why it cannot be used} of others; latent_avg: mean of w, [latents], where the
    file has one; augment_p: ros2's probability of augmentation, or None; settings: numbers among
    the settings of the training run, whose texts are somebody's paths; sha256: the file's.
    """

    port: str
    networks: dict[str, dict[str, np.ndarray]] = dataclasses.field(repr=False)
    refused: dict[str, str]
    latent_avg: Optional[np.ndarray]
    augment_p: Optional[float]
    settings: dict[str, Any]
    sha256: str


def read(data: Union[bytes, memoryview], name: str = "") -> PortFile:
    """The networks of a checkpoint; no code in it is run or imported.

    name: the file's, which says what h13's files hold. Arrays are independent of `data`.
    Raises PortFileError, and nothing else whatever the bytes are; for files of other projects it
    says which. Besides `data` this takes as much memory again and some 25 MiB.
    """
    view = memoryview(data).cast("B")
    try:
        if len(view) > MAX_BYTES:
            refuse(f"the file has {len(view):,} bytes, more than the {MAX_BYTES:,} allowed")
        return _Reader(view, name).file()
    except LegacyPickleError as error:
        raise PortFileError(error.reason, error.offset) from None


class _PortUnpickler(Unpickler):
    """One run over the opcodes. What has a number as its key belongs to an optimizer: dropped."""

    words = port_objects
    files = "checkpoints"

    def _update(self, items: list) -> None:
        if len(items) % 2:
            self._refuse("a key without a value")
        named: list = []
        for key, value in zip(items[::2], items[1::2]):
            if type(key) is not int:
                named += key, value
        super()._update(named)


class _Reader:
    def __init__(self, view: memoryview, name: str) -> None:
        self.view, self.name = view, name
        self.torch = TorchFile(view, _PortUnpickler)
        # Below the limit of state dicts: these are float32, each of them once.
        self.torch.budget = len(view) + 4 * 2**20
        self.tensors = 0
        self.refused: dict[str, str] = {}

    def file(self) -> PortFile:
        root = self.torch.root
        if isinstance(root, torch_objects.Tensor):
            refuse("a single tensor")
        if not isinstance(root, dict):
            refuse("neither a dictionary nor a state dict")
        _refuse_others(root)
        for port, find in _PORTS.items():
            states = find(root, self.name)
            if states is not None:
                return self.made(port, states, root)
        listed = ", ".join(show(key) for key in list(root)[:6]) or "nothing"
        refuse(f"a file of an unknown project; it has {listed}")

    def made(self, port: str, states: dict[str, StateDict], root: dict) -> PortFile:
        networks = {}
        for role, state in states.items():
            reason = _REASONS[port](role, state)
            if reason:
                self.refused[role] = reason
            else:
                networks[role] = {name: self.array(state, name, role) for name in state}
        if not networks:
            role, reason = next(iter(self.refused.items()))
            refuse(f"{role} of {TITLES[port]}: {reason}")
        average = root.get("latent_avg")
        args = root.get("args")
        p = root.get("ada_aug_p")
        return PortFile(
            port=port,
            networks=networks,
            refused=self.refused,
            latent_avg=None if average is None else self.array(root, "latent_avg", port),
            augment_p=p if isinstance(p, float) and 0 <= p <= 1 else None,
            settings=_numbers(args.values) if isinstance(args, Namespace) else {},
            sha256=hashlib.sha256(self.view).hexdigest(),
        )

    def array(self, state: dict, name: str, role: str) -> np.ndarray:
        full, tensor = f"{role}/{name}", state[name]
        if isinstance(tensor, torch_objects.Parameter):
            tensor = tensor.tensor
        if not isinstance(tensor, torch_objects.Tensor):
            refuse(f"{show(full)} is no tensor")
        self.tensors += 1
        if self.tensors > MAX_TENSORS:
            refuse(f"more than {MAX_TENSORS:,} tensors", tensor.offset)
        if tensor.storage.kind != "f4":
            refuse(f"tensor {show(full)} is not float32, as all of these are", tensor.offset)
        array = self.torch.array(tensor, full)
        check_finite(array, full, tensor.offset)
        return array


def _numbers(values: Optional[dict]) -> dict[str, Any]:
    """What is no text of a run's settings."""
    plain = (bool, int, float)
    return {key: value for key, value in (values or {}).items() if type(value) in plain}


# ---------------------------------------------------------------- whose file it is


def _state(root: dict, key: str, *names: str) -> Optional[dict]:
    """The dictionary under a key, where it has tensors of these names."""
    state = root.get(key)
    return state if isinstance(state, dict) and all(name in state for name in names) else None


def _ros2(root: dict, name: str) -> Optional[dict[str, StateDict]]:
    mark = ("input.input", "conv1.conv.modulation.weight", "convs.0.conv.blur.kernel")
    found = {"G": _state(root, "g", *mark), "Gs": _state(root, "g_ema", *mark)}
    if not any(found.values()):
        return None
    found["D"] = _state(root, "d", "final_linear.1.weight")
    return {role: found[role] for role in ("G", "D", "Gs") if found[role]}


_ROS1_G, _ROS1_D = "generator.progression.0.conv1.input", "linear.linear.weight_orig"


def _ros1(root: dict, name: str) -> Optional[dict[str, StateDict]]:
    if _ROS1_G in root:  # <iteration>.model is the average alone
        return {"Gs": root}
    G, Gs = _state(root, "generator", _ROS1_G), _state(root, "g_running", _ROS1_G)
    if G is None and Gs is None:
        return None
    found = {"G": G, "D": _state(root, "discriminator", _ROS1_D), "Gs": Gs}
    return {role: state for role, state in found.items() if state}


def _h13(root: dict, name: str) -> Optional[dict[str, StateDict]]:
    if "g_synthesis.init_block.const" in root:
        return {"G" if "GEN" in name and "SHADOW" not in name else "Gs": root}
    return {"D": root} if "final_block.dense0.weight" in root else None


_PORTS: dict[str, Callable[[dict, str], Optional[dict[str, StateDict]]]] = {
    "ros2": _ros2,
    "ros1": _ros1,
    "h13": _h13,
}

# ---------------------------------------------------------------- what cannot be used


def _no_reason(role: str, state: StateDict) -> Optional[str]:
    return None


def _reason_of_ros1(role: str, state: StateDict) -> Optional[str]:
    if role != "D" and not any(name.endswith(".weight_flip") for name in state):
        return "it has no blur, as before 4 July 2019; StyleGAN's has one"
    return None


def _reason_of_h13(role: str, state: StateDict) -> Optional[str]:
    if any("class_embedding" in name for name in state):
        return "it embeds classes in another way than StyleGAN"
    return None


_REASONS: dict[str, Callable[[str, StateDict], Optional[str]]] = {
    "ros2": _no_reason,
    "ros1": _reason_of_ros1,
    "h13": _reason_of_h13,
}


def _refuse_others(root: dict) -> None:
    """Files of other projects, and others of these projects, by name."""
    lucidrains = root.get("GAN")
    if isinstance(lucidrains, dict) and "version" in root:
        _refuse_other(
            "lucidrains' stylegan2-pytorch, whose networks scale images and weights otherwise"
        )
    if "ckpt" in root and "eigvec" in root:
        _refuse_other("a factor file of rosinality's stylegan2-pytorch: directions, no network")
    if "mapping.w_avg" in root or "b4.fc.weight" in root:
        _refuse_other(
            "the weights of stylegan2-ada-pytorch without their options: save the network's pickle"
        )
    if set(root) == {"state", "param_groups"}:
        _refuse_other("an optimizer's state, as GAN_GEN_OPTIM files hold, no network")
    for value in root.values():
        if not isinstance(value, dict):
            continue
        if "iwt.ll" in value or "dwt.ll" in value:
            _refuse_other("a SWAGAN, which computes wavelets instead of images")
        if {"latent", "noise"} <= set(value):
            _refuse_other("a projection: images with their latents, no network")


def _refuse_other(sentence: str) -> NoReturn:
    refuse(f"it is {sentence}")
