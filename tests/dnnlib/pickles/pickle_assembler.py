"""Assembles legacy pickles opcode by opcode: whole ones, and parts that no pickler would write.

Each function returns the opcodes that leave its value on the stack. At the end: the same through
Python's own pickler, with classes that bear the original's names.
"""

import collections
import contextlib
import io
import pickle
import pickletools
import struct
import sys
import types
from unittest import mock

PROTO, STOP = b"\x80\x04", b"."
NONE, TRUE, FALSE = b"N", b"\x88", b"\x89"
MARK, TUPLE, REDUCE, BUILD, APPENDS, NEWOBJ = b"(", b"t", b"R", b"b", b"e", b"\x81"


def text(value):
    data = value.encode("utf-8")
    return b"X" + struct.pack("<I", len(data)) + data


def raw(data):
    return b"B" + struct.pack("<I", len(data)) + data


def string(data):
    """A str of Python 2."""
    return b"T" + struct.pack("<i", len(data)) + data


def number(value):
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def real(value):
    return b"G" + struct.pack(">d", value)


def many(*values):
    return MARK + b"".join(values) + TUPLE


def listed(*values):
    return b"](" + b"".join(values) + APPENDS


def table(**items):
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def put(index):
    return b"r" + struct.pack("<I", index)


def get(index):
    return b"j" + struct.pack("<I", index)


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def stacked(module, attribute):
    return text(module) + text(attribute) + b"\x93"


def call(function, *args):
    return function + many(*args) + REDUCE


def dtype(code="f4", order="<", version=3, extra=(NONE, NONE, NONE), sizes=(-1, -1, 0)):
    made = call(name("numpy", "dtype"), text(code), FALSE, TRUE)
    state = many(number(version), text(order), *extra, *map(number, sizes))
    return made + state + BUILD


NETWORK = name("dnnlib.tflib.network", "Network")
NDARRAY = name("numpy", "ndarray")
RECONSTRUCT = name("numpy.core.multiarray", "_reconstruct")
SCALAR = name("numpy.core.multiarray", "scalar")
FROMBUFFER = name("numpy.core.numeric", "_frombuffer")
CODECS = name("_codecs", "encode")
SHELL = call(name("os", "system"), text("exit 1"))


def shape_of(*dims):
    return many(*map(number, dims))


def array(data=bytes(8), shape=(2,), kind=None, fortran=FALSE, version=1):
    empty = call(RECONSTRUCT, NDARRAY, shape_of(0), raw(b"b"))
    data = raw(data) if isinstance(data, bytes) else data[0]
    shape = shape_of(*shape) if isinstance(shape, tuple) else shape
    return empty + many(number(version), shape, kind or dtype(), fortran, data) + BUILD


def variables(*pairs):
    return listed(*(many(text(key), value) for key, value in pairs))


def state(version=3, drop=(), **items):
    """A network's state; items replace or add keys, as opcodes."""
    found = {
        "version": number(version),
        "name": text("G"),
        "static_kwargs": table(resolution=number(8)),
        "components": table(),
        "build_module_src": text("import os\nos.system('exit 1')\n"),
        "build_func_name": text("G_style"),
        "variables": variables(("lod", call(SCALAR, dtype(), raw(bytes(4)))), ("w", array())),
    }
    if version == 2:
        del found["components"]
    if version == 5:
        found["input_shapes"] = found["output_shapes"] = listed(listed(NONE, number(512)))
        found["input_names"] = found["output_names"] = listed(text("x"))
    found.update(items)
    return table(**{key: value for key, value in found.items() if key not in drop})


def network(version=3, cls=NETWORK, drop=(), **items):
    return cls + b")" + NEWOBJ + state(version, drop, **items) + BUILD


def file(body, protocol=4):
    return bytes([0x80, protocol]) + body + STOP


def with_option(value):
    return file(network(static_kwargs=table(x=value)))


def with_weights(value):
    return file(network(variables=variables(("w", value))))


def with_array(**options):
    return with_weights(array(**options))


BENIGN = {f"version {version}": file(network(version)) for version in (2, 3, 4, 5)}
BENIGN["three"] = file(many(network(), network(name=text("D")), NONE))


# ---------------------------------------------------------------- Python's own pickler


class EasyDict(dict):
    """The original's: items as attributes too."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Network:
    """As the original, pickled as its state."""

    def __init__(self, **state):
        self.state = state

    def __getstate__(self):
        return self.state


@contextlib.contextmanager
def _named(cls, path):
    """The class under a module and name of the original's."""
    module, attribute = path.rsplit(".", 1)
    planted = types.ModuleType(module)
    setattr(planted, attribute, cls)
    before = cls.__module__, cls.__qualname__
    with mock.patch.dict(sys.modules, {module: planted}):
        cls.__module__, cls.__qualname__ = module, attribute
        yield
        cls.__module__, cls.__qualname__ = before


def pickled(value, protocol, network="dnnlib.tflib.network.Network", easy="dnnlib.util.EasyDict"):
    """What pickle.dump writes of Network, EasyDict and others."""
    written = io.BytesIO()
    with _named(Network, network), _named(EasyDict, easy):
        pickle.dump(value, written, protocol)
    return written.getvalue()


def original(version, variables, components=None, name="G", **static_kwargs):
    """A Network with the state of a version; variables: [(name, array)]."""
    state = {
        "version": version,
        "name": name,
        "static_kwargs": static_kwargs,
        "build_module_src": "# source removed\n",
        "build_func_name": "G_style",
        "variables": variables,
    }
    if version > 2:
        state["components"] = collections.OrderedDict(components or {})
    if version == 5:
        state.update(input_shapes=[[None, 512]], output_shapes=[[None, 3, 8, 8]])
        state.update(input_names=["latents_in"], output_names=["images_out"])
    return Network(**state)


def respelled(data):
    """The same pickle with the other of the names numpy.core and numpy._core, without frames."""
    starts = [position for _, _, position in pickletools.genops(data)]
    pieces = []
    for start, stop in zip(starts, [*starts[1:], len(data)]):
        piece = data[start:stop]
        if piece[:1] == b"\x95":
            continue
        for old, new in ((b"numpy.core.", b"numpy._core."), (b"numpy._core.", b"numpy.core.")):
            if piece[:1] == b"c" and old in piece:
                piece = piece.replace(old, new)
                break
            if piece[:1] == b"\x8c" and piece[2:].startswith(old):
                words = piece[2:].replace(old, new)
                piece = b"\x8c" + bytes([len(words)]) + words
                break
            if piece[:1] == b"X" and piece[5:].startswith(old):
                piece = text(piece[5:].replace(old, new).decode())
                break
        pieces.append(piece)
    return b"".join(pieces)
