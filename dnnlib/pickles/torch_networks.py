"""Networks in the pickles of StyleGAN2-ADA's PyTorch version and of StyleGAN3, as plain data.

The original's modules carry their Python source, which loading them ran. Here opcodes become inert
stand-ins (opcodes.py, persistent_objects.py), of the source only its hash is kept, and this file
makes arrays of what is checked. It needs neither PyTorch nor TensorFlow.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any, ClassVar, Optional

import numpy as np

from dnnlib.pickles import persistent_objects as words, torch_objects
from dnnlib.pickles.objects import LegacyPickleError, Span, UnreadableError, refuse, show
from dnnlib.pickles.opcodes import Machine
from dnnlib.pickles.persistent_objects import Parameter, Persistent, Stored, View
from dnnlib.pickles.torch_modules import TorchModule, TorchNetworkFile
from dnnlib.pickles.torch_stream import MAGIC, Stream, as_array, bytes_of, check_finite, layout
from dnnlib.pickles.values import PlainValues

__all__ = ["TorchModule", "TorchNetworkError", "TorchNetworkFile", "is_torch_networks", "read"]

MAX_BYTES = 2 * 2**30
MAX_MODULES = 3_000  # a snapshot at 1024x1024 has 500
MAX_DEPTH = 8
MAX_TENSORS = 5_000  # 450
MAX_VALUES = 100_000  # attributes and options in all modules together; 20,000
_MAX_NAME = 64
_STREAM_OPCODES = 100  # in each pickle of a tensor's stream; some 25
_SPARE = 4 * 2**20

ROLES = {"G": "Generator", "D": "Discriminator", "G_ema": "Generator"}
_AUGMENTATION = "augment_pipe"
_CLASSES = frozenset(
    "Generator MappingNetwork SynthesisNetwork SynthesisBlock SynthesisLayer ToRGBLayer "
    "FullyConnectedLayer Conv2dLayer Discriminator DiscriminatorBlock DiscriminatorEpilogue "
    "MinibatchStdLayer AugmentPipe".split()
)
_STYLEGAN3_LAYER = re.compile(r"L\d+_\d+_\d+")
_TENSORS = {"_parameters": "parameter", "_buffers": "buffer"}


class TorchNetworkError(UnreadableError):
    """No PyTorch network."""

    wanted = "PyTorch network"


class _Unsupported(Exception):
    """A network that is read, but is not one of those that are known; its argument says why."""


def is_torch_networks(data: bytes) -> bool:
    """Whether a pickle is of this kind rather than of TensorFlow's: its root is a dictionary or one
    persistent object. data: all of the file, or its first 1,024 bytes at least."""
    start = 2
    if data[2:3] == b"\x95":  # FRAME
        start += 9
    begins = data[start : start + 1]
    return begins == b"}" or b"_reconstruct_persistent_obj" in data[:128]


def read(
    data: bytes, *, max_bytes: int = MAX_BYTES, sha256: Optional[str] = None
) -> TorchNetworkFile:
    """The networks in the contents of a pickle; no code in it is run, imported or compiled.

    Arrays are independent of `data`. sha256: the expected hash in hexadecimal.
    Raises TorchNetworkError, and nothing else whatever the bytes are, also where every network of
    the file is one that is not supported; then it says what they are. Besides `data` this takes as
    much memory again and some 40 MiB.
    """
    try:
        if len(data) > max_bytes:
            refuse(f"the file has {len(data):,} bytes, more than the {max_bytes:,} allowed")
        came = hashlib.sha256(data).hexdigest()
        if sha256 is not None and came != sha256.lower():
            refuse(f"its SHA-256 is {came}, expected {sha256}")
        if data[:1] != b"\x80" or data[: len(MAGIC)] == MAGIC:
            refuse("this is no pickle of networks", 0)
        machine = _Unpickler(data)
        root = machine.run()
        if machine.position != len(data):
            refuse(f"{len(data) - machine.position:,} bytes after its end", machine.position)
        return _Reader(data, came).file(root)
    except LegacyPickleError as error:
        raise TorchNetworkError(error.reason, error.offset) from None


class _Unpickler(Machine):
    """One run over the opcodes."""

    words = words
    files = "PyTorch networks"
    opcodes: ClassVar = {**Machine.opcodes, 0x8F: (Machine.empty, frozenset)}  # EMPTY_SET


class _Reader:
    """Checks the stand-ins of one file and makes networks of them.

    The tree shares and cycles as its author likes, so everything is counted where it is visited.
    """

    def __init__(self, data: bytes, sha256: str) -> None:
        self.view, self.sha256 = memoryview(data), sha256
        self.stop = len(data) - 1  # where the file hands over its object
        self.budget = len(data) + _SPARE  # bytes of arrays that may be made of the file's
        self.values = PlainValues(MAX_VALUES)
        self.seen: set[int] = set()
        self.tensors = 0
        self.storages: dict[int, tuple[torch_objects.Storage, int]] = {}
        self.hashes: dict[int, str] = {}

    def file(self, root: object) -> TorchNetworkFile:
        if isinstance(root, Persistent):  # one network alone
            root = {"D" if root.class_name == "Discriminator" else "G_ema": root}
        if not isinstance(root, dict):
            refuse("neither a dictionary nor a network", self.stop)
        if all(root.get(role) is None for role in ROLES):
            listed = ", ".join(show(key) for key in list(root)[:6]) or "nothing"
            refuse(f"a dictionary without G_ema, G and D; it has {listed}", self.stop)
        networks: dict[str, TorchModule] = {}
        refused: dict[str, str] = {}
        made: dict[int, TorchModule] = {}  # G may be its own average
        for role, class_name in {**ROLES, _AUGMENTATION: "AugmentPipe"}.items():
            stand_in = root.get(role)
            if stand_in is None:
                continue
            try:
                if id(stand_in) not in made:
                    made[id(stand_in)] = self.network(stand_in, role, class_name)
                networks[role] = made[id(stand_in)]
            except _Unsupported as error:
                refused[role] = str(error)
        augmentation = networks.pop(_AUGMENTATION, None)
        if not networks:
            refused.pop(_AUGMENTATION, None)
            reasons = [
                f"{' and '.join(role for role in refused if refused[role] == reason)}: {reason}"
                for reason in dict.fromkeys(refused.values())
            ]
            refuse("; ".join(reasons), self.stop)
        facts = self.training_set(root.get("training_set_kwargs"))
        for key in root:
            if key not in {*ROLES, _AUGMENTATION, "training_set_kwargs"}:
                self.values.plain(root[key], f"the unknown entry {show(key)}", self.stop)
        return TorchNetworkFile(networks, refused, augmentation, facts, tuple(root), self.sha256)

    def training_set(self, stand_in: object) -> Optional[dict[str, Any]]:
        """What is no text of it, and its class: other texts are somebody's paths."""
        if stand_in is None:
            return None
        if not isinstance(stand_in, dict):
            refuse("training_set_kwargs is no dictionary", self.stop)
        subject = "training_set_kwargs"
        return {
            key: self.values.plain(value, subject, self.stop)
            for key, value in stand_in.items()
            if key == "class_name" or value is None or type(value) in (bool, int, float)
        }

    # Networks and their modules.

    def network(self, stand_in: object, role: str, class_name: str) -> TorchModule:
        if not isinstance(stand_in, Persistent):
            refuse(f"{role} is no network", self.stop)
        if _is_stylegan3(stand_in):
            raise _Unsupported("a StyleGAN3 generator, which this package has not")
        if stand_in.class_name != class_name:
            raise _Unsupported(f"a {show(stand_in.class_name)}, not StyleGAN2-ADA's {class_name}")
        for module in _persistents(stand_in):
            if module.class_name not in _CLASSES:
                name = show(module.class_name)
                raise _Unsupported(f"with modules {name}, somebody's extension of StyleGAN2-ADA")
        return self.module(stand_in, role, 1)

    def module(self, stand_in: object, path: str, depth: int) -> TorchModule:
        """path: its name from the network's on, for messages."""
        if not isinstance(stand_in, Persistent):
            refuse(f"{show(path)} is no module", self.stop)
        offset, state = stand_in.offset, stand_in.state
        if id(stand_in) in self.seen:
            refuse(f"{show(path)}: a module inside itself or in two places", offset)
        self.seen.add(id(stand_in))
        if len(self.seen) > MAX_MODULES or depth > MAX_DEPTH:
            refuse("too many modules, or too deep ones", offset)
        self.values.count += len(state)
        own = {key: self.entries(state, key, path, offset) for key in (*_TENSORS, "_modules")}
        names = [name for entries in own.values() for name in entries]
        attributes = self.attributes(state, path, offset)
        names += [name for name, value in attributes.items() if value is not None]
        if len(set(names)) < len(names):
            refuse(f"{show(path)} has two attributes of one name", offset)
        args, kwargs = state.get("_init_args", ()), state.get("_init_kwargs", {})
        if not isinstance(args, (list, tuple)) or not isinstance(kwargs, dict):
            refuse(f"the _init_args of {show(path)} are no list, or its _init_kwargs none", offset)
        return TorchModule(
            class_name=stand_in.class_name,
            source_sha256=self.source_sha256(stand_in.source),
            init_args=tuple(self.values.plain(args, f"_init_args of {show(path)}", offset)),
            init_kwargs=self.values.plain(kwargs, f"_init_kwargs of {show(path)}", offset),
            attributes=attributes,
            parameters={
                name: self.parameter(value, f"{path}.{name}", offset)
                for name, value in own["_parameters"].items()
            },
            buffers={
                name: self.tensor(value, f"{path}.{name}", offset)
                for name, value in own["_buffers"].items()
            },
            modules={
                name: self.module(value, f"{path}.{name}", depth + 1)
                for name, value in own["_modules"].items()
            },
        )

    def entries(self, state: dict, key: str, path: str, offset: int) -> dict[str, object]:
        """The parameters, buffers or modules of a state that are not switched off."""
        entries = state.get(key)
        if not isinstance(entries, dict):
            refuse(f"the {key} of {show(path)} are no dictionary", offset)
        self.values.count += len(entries)
        for name in entries:
            if not name or len(name) > _MAX_NAME or "." in name:
                refuse(f"{show(path)} has an impossible name, {show(name)}", offset)
        return {name: value for name, value in entries.items() if value is not None}

    def attributes(self, state: dict, path: str, offset: int) -> dict[str, Any]:
        """The plain ones. Of PyTorch's own, whose names begin with '_', most are empty."""
        plain = {}
        for name, value in state.items():
            subject = f"the attribute {show(name)} of {show(path)}"
            if not name.startswith("_"):
                plain[name] = self.values.plain(value, subject, offset)
            elif name not in {*_TENSORS, "_modules", "_init_args", "_init_kwargs"}:
                empty = isinstance(value, (dict, list, tuple, frozenset)) and not value
                if not empty and value is not None and type(value) not in (bool, int, float):
                    code = ", which is code" if "hook" in name else ""
                    refuse(f"{subject} is not empty{code}", offset)
        return plain

    def source_sha256(self, source: Span) -> str:
        # One text for all modules of a file. Its bytes are all that is ever looked at.
        if id(source) not in self.hashes:
            self.hashes[id(source)] = hashlib.sha256(source.raw()).hexdigest()
        return self.hashes[id(source)]

    # Tensors.

    def parameter(self, value: object, name: str, offset: int) -> np.ndarray:
        if not isinstance(value, Parameter):
            refuse(f"the parameter {show(name)} is none", offset)
        return self.tensor(value.view, name, offset)

    def tensor(self, value: object, name: str, offset: int) -> np.ndarray:
        if not isinstance(value, View):
            refuse(f"the tensor {show(name)} is none", offset)
        self.tensors += 1
        if self.tensors > MAX_TENSORS:
            refuse(f"more than {MAX_TENSORS:,} tensors", value.offset)
        storage, start = self.storage(value.storage, name)
        tensor = torch_objects.Tensor(
            storage, value.start, value.shape, value.strides, value.offset
        )
        order = layout(tensor, name)
        self.budget -= bytes_of(tensor)
        if self.budget < 0:
            refuse("the tensors would take far more room than the file", value.offset)
        array = as_array(self.view, tensor, order, start)
        check_finite(array, name, value.offset)
        return array

    def storage(self, stored: Stored, name: str) -> tuple[torch_objects.Storage, int]:
        """What a tensor's bytes hold, and where its numbers begin in the file."""
        span = stored.stream
        if id(span) not in self.storages:
            begins = self.view[span.start : span.start + len(MAGIC)]
            if span.stop - span.start < len(MAGIC) or begins != MAGIC:
                kind = "a ZIP file" if begins[:2] == b"PK" else "something else"
                refuse(f"tensor {show(name)} is {kind}, not PyTorch's older format", span.start)
            stream = Stream(self.view, span.start, span.stop, _STREAM_OPCODES)
            root = stream.root
            if not isinstance(root, torch_objects.Storage) or list(stream.spans) != [root.key]:
                refuse(f"tensor {show(name)} holds another thing than a storage", span.start)
            if root.kind != "f4":
                refuse(f"tensor {show(name)} is not float32, as all of these are", span.start)
            self.storages[id(span)] = root, stream.spans[root.key][0]
        return self.storages[id(span)]


def _persistents(root: Persistent) -> Iterator[Persistent]:
    """A module and those inside, each once, however they are entangled."""
    seen, waiting = {id(root)}, [root]
    while waiting:
        module = waiting.pop()
        yield module
        inside = module.state.get("_modules")
        if not isinstance(inside, dict) or id(inside) in seen:  # one may be many modules'
            continue
        seen.add(id(inside))
        for child in inside.values():
            if isinstance(child, Persistent) and id(child) not in seen:
                seen.add(id(child))
                waiting.append(child)


def _is_stylegan3(network: Persistent) -> bool:
    """Class names are the same; the names of modules tell."""
    modules = network.state.get("_modules")
    synthesis = modules.get("synthesis") if isinstance(modules, dict) else None
    inside = synthesis.state.get("_modules") if isinstance(synthesis, Persistent) else None
    if not isinstance(inside, dict) or "b4" in inside:
        return False
    return "input" in inside or any(map(_STYLEGAN3_LAYER.fullmatch, inside))
