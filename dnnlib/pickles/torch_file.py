"""State dicts in PyTorch's `.pth` files, from bytes to NumPy arrays, without PyTorch.

Both of torch.save's formats: a ZIP file (since 1.6), and before a stream of pickles followed by
the numbers. As in tf_networks.py nothing in a file is run, imported or unpickled: opcodes become
inert stand-ins (opcodes.py, torch_objects.py), and this file checks those.
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import ClassVar, Optional, Union

import numpy as np

from dnnlib.paths import open_input
from dnnlib.pickles import torch_objects as objects
from dnnlib.pickles.objects import LegacyPickleError, UnreadableError, refuse, show, text
from dnnlib.pickles.opcodes import Machine

__all__ = ["TorchFileError", "is_torch", "read"]

# A pickle with the number 0x1950a86a20f9469cfc6c: so begins a stream.
_MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
_STREAM_VERSION = 1001
# Some 10,000 entries. zipfile needs about 20 times the directory's size.
_MAX_DIRECTORY = 2**20
# zipfile's way to refuse; it may also warn, and warnings may be errors.
_ZIP_ERRORS = (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, OSError, Warning)

Extent = tuple[int, int]  # first position in the file, and the one after the last


class TorchFileError(UnreadableError):
    """No state dict."""

    wanted = "PyTorch state dict"


def is_torch(path: str | os.PathLike) -> bool:
    """Whether a file begins as torch.save's do. Raises UserError or OSError."""
    with open_input(path) as file:
        head = file.read(1024)
    if head[:4] != b"PK\3\4" or len(head) < 30:
        return head.startswith(_MAGIC)
    (size,) = struct.unpack_from("<H", head, 26)
    return head[30 : 30 + size].endswith(b"/data.pkl")


def read(
    data: Union[bytes, memoryview], *, sha256: Optional[str] = None, blank: bool = False
) -> dict[str, np.ndarray]:
    """{name: array} of a state dict, in the file's order; no code in it is run or imported.

    Arrays are independent of `data`, little-endian and in C order; their types are the file's,
    float32 for bfloat16. sha256: the expected hash in hexadecimal. blank: ones that take no memory
    in place of all numbers.
    Raises TorchFileError, and nothing else whatever the bytes are. All arrays together take at
    most twice the file's size + 4 MiB.
    """
    view = memoryview(data).cast("B")
    if sha256 is not None:
        came = hashlib.sha256(view).hexdigest()
        if came != sha256.lower():
            raise TorchFileError(f"its SHA-256 is {came}, expected {sha256}")
    try:
        return _Reader(view, blank).arrays()
    except LegacyPickleError as error:
        raise TorchFileError(error.reason, error.offset) from None


class _Unpickler(Machine):
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


class _Reader:
    """One file. spans: where the storages lie, by key; root: the state dict, as stand-ins."""

    def __init__(self, view: memoryview, blank: bool = False) -> None:
        self.view, self.blank = view, blank
        self.budget = 2 * len(view) + 4 * 2**20  # bytes that all arrays together may take
        self.spans: dict[str, Extent] = {}
        if view[: len(_MAGIC)] == _MAGIC:
            self.root = self.stream()
        elif view[:2] == b"PK":
            self.root = self.archive()
        else:
            refuse(_no_torch(bytes(view[:256])), 0)

    # The two formats.

    def stream(self) -> object:
        version, position = self.unpickle(len(_MAGIC))
        if version != _STREAM_VERSION:
            refuse(f"a stream of another version than {_STREAM_VERSION}", len(_MAGIC))
        system, state_dict = self.unpickle(position)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            refuse("not from a little-endian machine", position)
        unpickler = _Unpickler(self.view, state_dict)
        root = unpickler.run()
        keys, stop = self.unpickle(unpickler.position)
        if not isinstance(keys, list):
            refuse("the keys of the storages are no list", unpickler.position)
        for key in keys:
            key = text(key, "a storage's key", unpickler.position)
            if key in self.spans or key not in unpickler.storages:
                refuse(f"the storage {show(key)} is unknown or comes twice", stop)
            stop = self.storage(unpickler.storages[key], stop)
        if stop != len(self.view):
            refuse(f"{len(self.view) - stop:,} bytes after the last storage", stop)
        return root

    def unpickle(self, start: int) -> tuple[object, int]:
        unpickler = _Unpickler(self.view, start)
        return unpickler.run(), unpickler.position

    def storage(self, storage: objects.Storage, position: int) -> int:
        """Notes where a storage of a stream lies, and returns where it ends."""
        start = position + 8
        stop = start + storage.count * objects.ITEM_SIZES[storage.kind]
        if stop > len(self.view):
            refuse(f"the file ends inside the storage {show(storage.key)}", position)
        if struct.unpack_from("<q", self.view, position) != (storage.count,):
            refuse(f"the storage {show(storage.key)} has another size than expected", position)
        self.spans[storage.key] = start, stop
        return stop

    def archive(self) -> object:
        entries = _entries(self.view)
        pickles = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            refuse("a ZIP file without exactly one data.pkl")
        top = pickles[0][: -len("data.pkl")]
        start, stop = entries.get(f"{top}byteorder", (0, 0))
        if start and self.view[start:stop] != b"little":
            refuse("not from a little-endian machine", start)
        start, stop = entries[pickles[0]]
        unpickler = _Unpickler(self.view, start, stop)
        root = unpickler.run()
        if unpickler.position != stop:
            refuse(f"{stop - unpickler.position:,} bytes after the pickle", unpickler.position)
        for key, storage in unpickler.storages.items():
            size = storage.count * objects.ITEM_SIZES[storage.kind]
            start, stop = entries.get(f"{top}data/{key}", (0, 0))
            if not start or stop - start != size:
                refuse(f"the storage {show(key)} is missing or not of {size:,} bytes")
            self.spans[key] = start, stop
        return root

    # From stand-ins to arrays.

    def arrays(self) -> dict[str, np.ndarray]:
        arrays: dict[str, np.ndarray] = {}
        for name, value in self.items():
            if isinstance(value, objects.Parameter):
                value = value.tensor
            if not isinstance(value, objects.Tensor):
                refuse(f"the value of {show(name)} is no tensor; not a state dict?")
            if name in arrays:
                refuse(f"two tensors have the name {show(name)}", value.offset)
            arrays[name] = self.array(value, name)
        return arrays

    def items(self) -> Iterator[tuple[str, object]]:
        if isinstance(self.root, dict):
            yield from self.root.items()
        elif isinstance(self.root, objects.Pairs):
            for pair in self.root.items:
                if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                    refuse("an item of a dictionary is no pair of key and value")
                yield text(pair[0], "a dictionary's key", None), pair[1]
        else:
            refuse("not a dictionary; only state dicts are read, no whole models")

    def array(self, tensor: objects.Tensor, name: str) -> np.ndarray:
        """A tensor as a new array."""
        order = _slowest_first(tensor, name)
        count, kind = math.prod(tensor.shape), tensor.storage.kind
        if tensor.start + count > tensor.storage.count or tensor.storage.key not in self.spans:
            refuse(f"tensor {show(name)} goes beyond its storage", tensor.offset)
        bfloat16, size = kind == "bf", objects.ITEM_SIZES[kind]
        self.budget -= count * (4 if bfloat16 else size)
        if self.budget < 0:
            refuse("the tensors would take far more room than the file", tensor.offset)
        if self.blank:
            one = np.ones((), "<f4" if bfloat16 else f"<{kind}")
            return np.broadcast_to(one, tensor.shape)
        start = self.spans[tensor.storage.key][0] + tensor.start * size
        flat = np.frombuffer(self.view, "<u2" if bfloat16 else f"<{kind}", count, start)
        stored = flat.reshape([tensor.shape[axis] for axis in order])
        stored = stored.transpose([order.index(axis) for axis in range(len(order))])
        if not bfloat16:
            return np.array(stored, order="C")
        bits = np.array(stored, dtype="<u4", order="C")  # bfloat16 is the upper half of float32
        bits <<= 16
        return bits.view("<f4")


def _slowest_first(tensor: objects.Tensor, name: str) -> list[int]:
    """The tensor's axes in the order in which its numbers lie in the file, without any gaps."""
    order = sorted(range(len(tensor.shape)), key=lambda axis: -tensor.strides[axis])
    step = 1
    for axis in reversed(order):
        if tensor.shape[axis] == 1:  # its stride may be anything
            continue
        if tensor.strides[axis] != step:
            refuse(f"tensor {show(name)} has gaps or overlaps", tensor.offset)
        step *= tensor.shape[axis]
    return order


def _no_torch(head: bytes) -> str:
    if not head:
        return "the file is empty"
    if head.lstrip().startswith(b"<"):
        return "this is an HTML or XML page, perhaps in place of a download that failed"
    return "this is neither of the two formats that torch.save writes"


# ZIP files.


class _File:
    """The least of a file that zipfile asks for; it copies a directory's size at most."""

    def __init__(self, view: memoryview) -> None:
        self.view, self.position = view, 0

    def seek(self, offset: int, whence: int = 0) -> None:
        self.position = offset + (0, self.position, len(self.view))[whence]
        if self.position < 0:
            raise OSError("before the file's begin")

    def tell(self) -> int:
        return self.position

    def read(self, size: int = -1) -> bytes:
        stop = len(self.view) if size < 0 else self.position + size
        piece = self.view[self.position : stop]
        if len(piece) > _MAX_DIRECTORY:
            refuse(f"a ZIP directory of {len(piece):,} bytes", self.position)
        self.position += len(piece)
        return bytes(piece)


def _entries(view: memoryview) -> dict[str, Extent]:
    """{name: where its bytes lie}, for a ZIP file whose entries are all as they were stored."""
    try:
        with zipfile.ZipFile(_File(view)) as file:
            infos = file.infolist()
    except _ZIP_ERRORS:
        refuse("the ZIP file is incomplete or damaged")
    entries: dict[str, Extent] = {}
    unread = len(view)
    for entry in infos:
        name = show(entry.filename)
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            refuse(f"the ZIP entry {name} is compressed or encrypted")
        if entry.filename in entries:
            refuse(f"two ZIP entries have the name {name}")
        start, stop = _stored(view, entry, name)
        unread -= stop - start
        if unread < 0:  # so that reading all takes no longer than reading the file
            refuse("the ZIP entries overlap", start)
        if zlib.crc32(view[start:stop]) != entry.CRC:
            refuse(f"the ZIP entry {name} is damaged: its checksum differs", start)
        entries[entry.filename] = start, stop
    return entries


def _stored(view: memoryview, entry: zipfile.ZipInfo, name: str) -> Extent:
    header = entry.header_offset
    inside = 0 <= header <= len(view) - 30 and view[header : header + 4] == b"PK\3\4"
    if inside and entry.compress_size == entry.file_size:
        start = header + 30 + sum(struct.unpack_from("<2H", view, header + 26))
        if start + entry.file_size <= len(view):
            return start, start + entry.file_size
    refuse(f"the ZIP entry {name} lies outside the file, or its sizes differ")
