"""Writes what torch.save writes, in both formats, without PyTorch.

State dicts go through Python's own pickler, with classes that bear PyTorch's names, or are
assembled opcode by opcode (pickle_assembler.py), as Python 2 wrote them or as nobody would.
"""

import collections
import io
import pickle
import struct
import sys
import types
import zipfile
from unittest import mock

import numpy as np

from tests.dnnlib.pickles.pickle_assembler import (
    FALSE,
    STOP,
    call,
    many,
    name,
    number,
    shape_of,
    text,
)

MAGIC = 0x1950A86A20F9469CFC6C
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4, "long": 8}}
STORAGES = {
    "f2": "HalfStorage",
    "f4": "FloatStorage",
    "f8": "DoubleStorage",
    "u1": "ByteStorage",
    "i1": "CharStorage",
    "i2": "ShortStorage",
    "i4": "IntStorage",
    "i8": "LongStorage",
    "u2": "BFloat16Storage",
}


# ---------------------------------------------------------------- Python's own pickler


def _named(path):
    module, attribute = path.rsplit(".", 1)
    return type(attribute, (), {"__module__": module})


TORCH = {storage: _named(f"torch.{storage}") for storage in STORAGES.values()}
for path in (
    "torch.Size",
    "torch.nn.parameter.Parameter",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
):
    TORCH[path.rsplit(".", 1)[1]] = _named(path)


class Storage:
    """values: a flat array; NumPy has no bfloat16: uint16 stands for its bits."""

    def __init__(self, key, values):
        self.key, self.values = key, values

    def persistent_id(self):
        cls = TORCH[STORAGES[self.values.dtype.str[1:]]]
        return ("storage", cls, self.key, "cuda:0", self.values.size)


class Reduced:
    """What a pickler writes of an object with this __reduce__."""

    def __init__(self, function, args, state=None):
        self.parts = TORCH[function], args, *([] if state is None else [state])

    def __reduce_ex__(self, protocol):
        return self.parts


def tensor(storage, view=None, version=2):
    """view: an array inside the storage's; default: all of it. version: 1 before PyTorch 0.4."""
    view = storage.values if view is None else view
    size = view.itemsize
    start = (view.ctypes.data - storage.values.ctypes.data) // size
    args = (storage, start, view.shape, tuple(stride // size for stride in view.strides))
    if version == 1:
        return Reduced("_rebuild_tensor", args)
    return Reduced("_rebuild_tensor_v2", (*args, False, collections.OrderedDict()))


class _Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return (*value.persistent_id(), *self.more) if isinstance(value, Storage) else None


def pickled(state_dict, stream=False, protocol=2):
    modules = {}
    for cls in TORCH.values():
        module = modules.setdefault(cls.__module__, types.ModuleType(cls.__module__))
        setattr(module, cls.__name__, cls)
    written = io.BytesIO()
    pickler = _Pickler(written, protocol)
    pickler.more = (None,) if stream else ()  # which part of another storage it is
    with mock.patch.dict(sys.modules, modules):
        pickler.dump(state_dict)
    return written.getvalue()


# ---------------------------------------------------------------- the two formats


def stream(state_dict, storages, system=SYSTEM, version=1001, keys=None):
    """state_dict: its pickle; storages: {key: flat array}; keys: a pickle instead of their list."""
    parts = [pickle.dumps(MAGIC, 2), pickle.dumps(version, 2), pickle.dumps(system, 2), state_dict]
    parts.append(pickle.dumps(sorted(storages), 2) if keys is None else keys)
    for key in sorted(storages):
        parts += [struct.pack("<q", storages[key].size), storages[key].tobytes()]
    return b"".join(parts)


def archive(state_dict, storages, top="archive", compression=zipfile.ZIP_STORED, **others):
    """others: further entries, or other contents; None leaves one out."""
    entries = {"data.pkl": state_dict, "byteorder": b"little"}
    entries.update({f"data/{key}": values.tobytes() for key, values in storages.items()})
    entries.update({"version": b"3\n", **others})
    paths = {f"{top}/{path}": data for path, data in entries.items() if data is not None}
    return zipped(paths.items(), compression)


def zipped(entries, compression=zipfile.ZIP_STORED):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compression) as file:
        for path, contents in entries:
            file.writestr(path, contents)
    return written.getvalue()


def saved(state_dict, storages, format, protocol=2):
    """What torch.save writes. format: "stream" or "archive"."""
    written = pickled(state_dict, format == "stream", protocol)
    return FORMATS[format](written, {storage.key: storage.values for storage in storages})


FORMATS = {"stream": stream, "archive": archive}


# ---------------------------------------------------------------- opcodes

VALUES = np.arange(6, dtype="<f4")  # the storage "0" of `file`
FLOATS = name("torch", "FloatStorage")
REBUILD = name("torch._utils", "_rebuild_tensor_v2")
PARAMETER = name("torch.nn.parameter", "Parameter")
ORDERED = name("collections", "OrderedDict")


def identity(kind=FLOATS, count=6, key="0", tag="storage", more=()):
    return many(text(tag), kind, text(key), text("cpu"), number(count), *more) + b"Q"


def rebuilt(storage=None, start=0, shape=(2, 3), strides=(3, 1)):
    """A tensor of all of VALUES, [2, 3]."""
    storage = identity() if storage is None else storage
    numbers = number(start), shape_of(*shape), shape_of(*strides)
    return call(REBUILD, storage, *numbers, FALSE, call(ORDERED))


def strided(shape, strides, start=0):
    return rebuilt(shape=shape, strides=strides, start=start)


def file(body, format):
    """body: the opcodes of a state dict, of VALUES if it mentions any storage."""
    storages = {"0": VALUES} if b"storage" in body else {}
    return FORMATS[format](b"\x80\x02" + body + STOP, storages)
