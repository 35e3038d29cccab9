"""State dicts in PyTorch's `.pth` files, from bytes to NumPy arrays, without PyTorch.

Both of torch.save's formats: a ZIP file (since 1.6), and before a stream of pickles followed by
the numbers. As in tf_networks.py nothing in a file is run, imported or unpickled: opcodes become
inert stand-ins (opcodes.py, torch_objects.py), and this file checks those.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Optional, Union

import numpy as np

from dnnlib.paths import open_input
from dnnlib.pickles import torch_objects as objects
from dnnlib.pickles.objects import LegacyPickleError, UnreadableError, refuse, show, text
from dnnlib.pickles.torch_stream import MAGIC, Extent, Stream, Unpickler, as_array, bytes_of, layout

__all__ = ["TorchFileError", "is_torch", "read"]

# Some 10,000 entries. zipfile needs about 20 times the directory's size.
_MAX_DIRECTORY = 2**20
# zipfile's way to refuse; it may also warn, and warnings may be errors.
_ZIP_ERRORS = (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, OSError, Warning)


class TorchFileError(UnreadableError):
    """No state dict."""

    wanted = "PyTorch state dict"


def is_torch(path: str | os.PathLike) -> bool:
    """Whether a file begins as torch.save's do. Raises UserError or OSError."""
    with open_input(path) as file:
        head = file.read(1024)
    if head[:4] != b"PK\3\4" or len(head) < 30:
        return head.startswith(MAGIC)
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
        return TorchFile(view, blank=blank).arrays()
    except LegacyPickleError as error:
        raise TorchFileError(error.reason, error.offset) from None


class TorchFile:
    """One file. spans: where the storages lie, by key; root: what it holds, as stand-ins.

    machine: that reads its pickles. blank: ones in place of all numbers. Raises LegacyPickleError.
    """

    def __init__(
        self, view: memoryview, machine: type[Unpickler] = Unpickler, blank: bool = False
    ) -> None:
        self.view, self.machine, self.blank = view, machine, blank
        self.budget = 2 * len(view) + 4 * 2**20  # bytes that all arrays together may take
        self.spans: dict[str, Extent] = {}
        if view[: len(MAGIC)] == MAGIC:
            stream = Stream(view, machine=machine)
            self.root, self.spans = stream.root, stream.spans
        elif view[:2] == b"PK":
            self.root = self.archive()
        else:
            refuse(_no_torch(bytes(view[:256])), 0)

    def archive(self) -> object:
        entries = zip_entries(self.view)
        pickles = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            refuse("a ZIP file without exactly one data.pkl")
        top = pickles[0][: -len("data.pkl")]
        start, stop = entries.get(f"{top}byteorder", (0, 0))
        if start and self.view[start:stop] != b"little":
            refuse("not from a little-endian machine", start)
        start, stop = entries[pickles[0]]
        unpickler = self.machine(self.view, start, stop)
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
        order = layout(tensor, name)
        if tensor.storage.key not in self.spans:
            refuse(f"tensor {show(name)} goes beyond its storage", tensor.offset)
        self.budget -= bytes_of(tensor)
        if self.budget < 0:
            refuse("the tensors would take far more room than the file", tensor.offset)
        if self.blank:
            kind = tensor.storage.kind
            return np.broadcast_to(np.ones((), "<f4" if kind == "bf" else f"<{kind}"), tensor.shape)
        return as_array(self.view, tensor, order, self.spans[tensor.storage.key][0])


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


def zip_entries(view: memoryview) -> dict[str, Extent]:
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
