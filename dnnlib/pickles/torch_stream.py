"""PyTorch's older format, a stream of pickles followed by the numbers, and arrays of its tensors.

State dicts of before 1.6 are such a stream (torch_file.py), and so is each tensor inside a pickle
of StyleGAN2-ADA (torch_networks.py).
"""

from __future__ import annotations

import math
import struct
from typing import ClassVar, Optional

import numpy as np

from dnnlib.pickles import torch_objects as objects
from dnnlib.pickles.objects import refuse, show, text
from dnnlib.pickles.opcodes import Machine

# A pickle with the number 0x1950a86a20f9469cfc6c: so begins a stream.
MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
_VERSION = 1001

Extent = tuple[int, int]  # first position in the file, and the one after the last


class Unpickler(Machine):
    """One run over the opcodes of one pickle; storages: those that it mentions, by key."""

    words = objects
    files = "state dicts"

    def __init__(self, view: memoryview, start: int, stop: Optional[int] = None) -> None:
        super().__init__(view, start, stop)
        self.storages: dict[str, objects.Storage] = {}

    def persistent(self) -> None:
        storage = objects.storage(self._pop(tuple, "a tuple"), self.offset)
        known = self.storages.setdefault(storage.key, storage)
        if known != storage:
            self._refuse(f"the storage {show(storage.key)} has two types or sizes")
        self.stack.append(known)

    opcodes: ClassVar = {**Machine.opcodes, 0x51: (persistent,)}  # BINPERSID


class Stream:
    """A stream from `start` to `stop`. root: its object, as stand-ins; spans: {key: where a storage
    lies}. max_opcodes: of each of its pickles; machine: that reads them."""

    def __init__(
        self,
        view: memoryview,
        start: int = 0,
        stop: Optional[int] = None,
        max_opcodes: int = Machine.max_opcodes,
        machine: type[Unpickler] = Unpickler,
    ) -> None:
        self.machine = machine
        self.view, self.stop = view, len(view) if stop is None else stop
        self.max_opcodes = max_opcodes
        self.spans: dict[str, Extent] = {}
        self.root = self._read(start + len(MAGIC))

    def _read(self, start: int) -> object:
        version, position = self._unpickled(start)
        if version != _VERSION:
            refuse(f"a stream of another version than {_VERSION}", start)
        system, begin = self._unpickled(position)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            refuse("not from a little-endian machine", position)
        unpickler = self._unpickler(begin)
        root = unpickler.run()
        keys, stop = self._unpickled(unpickler.position)
        if not isinstance(keys, list):
            refuse("the keys of the storages are no list", unpickler.position)
        for key in keys:
            key = text(key, "a storage's key", unpickler.position)
            if key in self.spans or key not in unpickler.storages:
                refuse(f"the storage {show(key)} is unknown or comes twice", stop)
            stop = self._storage(unpickler.storages[key], stop)
        if stop != self.stop:
            refuse(f"{self.stop - stop:,} bytes after the last storage", stop)
        return root

    def _unpickler(self, start: int) -> Unpickler:
        unpickler = self.machine(self.view, start, self.stop)
        unpickler.max_opcodes = self.max_opcodes
        return unpickler

    def _unpickled(self, start: int) -> tuple[object, int]:
        unpickler = self._unpickler(start)
        return unpickler.run(), unpickler.position

    def _storage(self, storage: objects.Storage, position: int) -> int:
        """Notes where a storage lies, and returns where it ends."""
        start = position + 8
        stop = start + storage.count * objects.ITEM_SIZES[storage.kind]
        if stop > self.stop:
            refuse(f"the file ends inside the storage {show(storage.key)}", position)
        if struct.unpack_from("<q", self.view, position) != (storage.count,):
            refuse(f"the storage {show(storage.key)} has another size than expected", position)
        self.spans[storage.key] = start, stop
        return stop


def bytes_of(tensor: objects.Tensor) -> int:
    """What a tensor takes as an array: bfloat16 becomes float32."""
    size = 4 if tensor.storage.kind == "bf" else objects.ITEM_SIZES[tensor.storage.kind]
    return math.prod(tensor.shape) * size


def layout(tensor: objects.Tensor, name: str) -> list[int]:
    """The tensor's axes in the order in which its numbers lie in the file, the slowest first.

    An error that names it where they have gaps or overlap, or are not all in its storage.
    """
    order = sorted(range(len(tensor.shape)), key=lambda axis: -tensor.strides[axis])
    step = 1
    for axis in reversed(order):
        if tensor.shape[axis] == 1:  # its stride may be anything
            continue
        if tensor.strides[axis] != step:
            refuse(f"tensor {show(name)} has gaps or overlaps", tensor.offset)
        step *= tensor.shape[axis]
    if tensor.start + math.prod(tensor.shape) > tensor.storage.count:
        refuse(f"tensor {show(name)} goes beyond its storage", tensor.offset)
    return order


def check_finite(array: np.ndarray, name: str, offset: int) -> None:
    """An error that names the tensor, unless all its numbers are finite."""
    flat = array.reshape(-1)
    for begin in range(0, flat.size, 2**18):  # in parts, because the answers take room as well
        if not np.isfinite(flat[begin : begin + 2**18]).all():
            refuse(f"tensor {show(name)} has values that are infinite or not a number", offset)


def as_array(view: memoryview, tensor: objects.Tensor, order: list[int], start: int) -> np.ndarray:
    """A tensor of this layout as a new array in C order. start: where its storage lies."""
    count, kind = math.prod(tensor.shape), tensor.storage.kind
    bfloat16 = kind == "bf"
    start += tensor.start * objects.ITEM_SIZES[kind]
    flat = np.frombuffer(view, "<u2" if bfloat16 else f"<{kind}", count, start)
    stored = flat.reshape([tensor.shape[axis] for axis in order])
    stored = stored.transpose([order.index(axis) for axis in range(len(order))])
    if not bfloat16:
        return np.array(stored, order="C")
    bits = np.array(stored, dtype="<u4", order="C")  # bfloat16 is the upper half of float32
    bits <<= 16
    return bits.view("<f4")
