"""What the objects in a legacy network pickle become: inert stand-ins, never the real things.

A global is a row of a table, and calling it means one of the few functions below. Text and array
data stay where they are, as spans of the file, so that nothing is as large as the file claims.
"""

from __future__ import annotations

import math
from typing import Any, NoReturn, Optional

from dnnlib.errors import UserError

MAX_TEXT = 500  # characters of a name or an option
MAX_DIMS = 8

# Item sizes of the number types allowed in a file; NumPy's own abbreviations.
ITEM_SIZES = {"f2": 2, "f4": 4, "f8": 8, "b1": 1}
ITEM_SIZES.update({f"{kind}{size}": size for kind in "iu" for size in (1, 2, 4, 8)})


class UnreadableError(UserError):
    """A file that is damaged, hostile or something else; says what and where, not which file.

    reason: one line; offset: position in the file, None where it concerns the whole file.
    """

    wanted = ""  # what the file should have been

    def __init__(self, reason: str, offset: Optional[int] = None) -> None:
        where = "" if offset is None else f" (byte {offset})"
        super().__init__(f"not a readable {self.wanted}: {reason}{where}")
        self.reason = reason
        self.offset = offset


class LegacyPickleError(UnreadableError):
    """No legacy network."""

    wanted = "legacy network"


def refuse(reason: str, offset: Optional[int] = None) -> NoReturn:
    raise LegacyPickleError(reason, offset)


def show(text: str) -> str:
    """Text from a file, quoted for an error message: one short line whatever it holds."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


class Span:
    """Text or bytes that stay in the file.

    kind: "bytes"; "text", UTF-8; "str", of Python 2, which may be either; "latin1", bytes
    written as the UTF-8 text whose characters have their values (protocol 2 by Python 3).
    """

    __slots__ = ("_decoded", "data", "kind", "start", "stop")

    def __init__(self, data: bytes, kind: str, start: int, stop: int) -> None:
        self.data, self.kind, self.start, self.stop = data, kind, start, stop
        self._decoded: Optional[str] = None

    def __len__(self) -> int:
        return self.stop - self.start

    def raw(self) -> memoryview:
        return memoryview(self.data)[self.start : self.stop]

    def text(self, subject: str, offset: Optional[int]) -> str:
        """Its text; real names and options are short and ASCII, else an error about `subject`.

        Decoded once: a file may mention one span a hundred thousand times.
        """
        if self.kind not in ("text", "str"):
            refuse(f"{subject} is not text", offset)
        if len(self) > MAX_TEXT:
            refuse(f"{subject} has more than {MAX_TEXT} characters", offset)
        if self._decoded is None:
            try:
                self._decoded = str(self.raw(), "ascii")
            except UnicodeDecodeError:
                raise LegacyPickleError(f"{subject} is not plain ASCII text", offset) from None
        return self._decoded


def text(value: object, subject: str, offset: Optional[int]) -> str:
    """The text that a stand-in must be; an error that names it by `subject` else."""
    if not isinstance(value, Span):
        refuse(f"{subject} is not text", offset)
    return value.text(subject, offset)


class Global:
    """A class or function that a file may name."""

    __slots__ = ("name", "role")

    def __init__(self, name: str, role: str) -> None:
        self.name, self.role = name, role


class Network:
    """A pickled network; state: dict, or None as long as the file has not given one."""

    __slots__ = ("class_name", "offset", "state")

    def __init__(self, class_name: str, offset: int) -> None:
        self.class_name, self.offset = class_name, offset
        self.state: Optional[dict] = None


class DType:
    """A number type; ready when the file has given its byte order, too."""

    __slots__ = ("name", "ready")

    def __init__(self, name: str) -> None:
        self.name, self.ready = name, False


class Array:
    """A NumPy array or scalar; data: a Span of exactly the bytes its type and shape need.

    For the kind "latin1" that is known only roughly before decoding. Until the file has given
    the state, shape is None.
    """

    __slots__ = ("data", "dtype", "fortran", "offset", "shape")

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.dtype: Any = None
        self.shape: Any = None
        self.fortran: Any = None
        self.data: Any = None


def _globals() -> dict[tuple[str, str], Global]:
    table = {
        ("dnnlib.tflib.network", "Network"): "network",
        ("tfutil", "Network"): "network",  # ProGAN
        ("dnnlib.util", "EasyDict"): "easydict",
        ("dnnlib", "EasyDict"): "easydict",
        ("collections", "OrderedDict"): "ordereddict",
        ("_codecs", "encode"): "encode",
        ("numpy", "ndarray"): "ndarray",
        ("numpy", "dtype"): "dtype",
    }
    for core in ("numpy.core", "numpy._core"):  # NumPy 1 and 2
        table[f"{core}.multiarray", "_reconstruct"] = "reconstruct"
        table[f"{core}.multiarray", "scalar"] = "scalar"
        table[f"{core}.numeric", "_frombuffer"] = "frombuffer"
    return {key: Global(".".join(key), role) for key, role in table.items()}


_GLOBALS = _globals()


def find(module: str, name: str, offset: int) -> Global:
    """The row of a global. Nothing is imported, and a dotted name is just an unknown one."""
    known = _GLOBALS.get((module, name))
    if known is None:
        hint = ""
        if module.startswith("torch_utils"):
            hint = "; a PyTorch network, as StyleGAN2-ADA's and StyleGAN3's are?"
        elif module.startswith("torch"):
            hint = "; a PyTorch network?"
        refuse(f"the global {show(f'{module}.{name}')} is not allowed{hint}", offset)
    return known


def new(cls: Global, args: tuple, offset: int) -> object:
    """What NEWOBJ makes."""
    if args or cls.role not in ("network", "easydict"):
        refuse(f"{cls.name} is created in an unknown way", offset)
    return Network(cls.name, offset) if cls.role == "network" else {}


def call(function: Global, args: tuple, offset: int) -> object:
    """What REDUCE makes."""
    count, meaning = _CALLS.get(function.role, (None, None))
    if count != len(args):
        refuse(f"{function.name} is called in an unknown way", offset)
    return meaning(offset, *args)


def build(target: object, state: object, offset: int) -> None:
    """What BUILD does: the state of an object, once."""
    if isinstance(target, Network) and isinstance(state, dict) and target.state is None:
        target.state = state
    elif isinstance(target, DType) and isinstance(state, tuple) and not target.ready:
        _finish_dtype(target, state, offset)
    elif isinstance(target, Array) and isinstance(state, tuple) and target.shape is None:
        if len(state) != 5 or state[0] != 1:
            refuse("an array's state is of an unknown kind", offset)
        _, shape, dtype, fortran, data = state
        _fill(target, offset, dtype, shape, fortran, data)
    elif isinstance(target, dict) and state == {}:
        pass  # Python 2 gives each EasyDict the attributes that it lacks
    else:
        refuse("BUILD for an unknown object, with an unknown state or a second time", offset)


def _ordered_dict(offset: int) -> dict:
    return {}


def _encode(offset: int, value: object, encoding: object) -> Span:
    if text(encoding, "an encoding", offset) != "latin1":
        refuse("_codecs.encode with another encoding than latin1", offset)
    if not isinstance(value, Span) or value.kind != "text":
        refuse("_codecs.encode of something that is not text", offset)
    return Span(value.data, "latin1", value.start, value.stop)


def _dtype(offset: int, name: object, align: object, copy: object) -> DType:
    name = text(name, "a dtype's name", offset)
    if name not in ITEM_SIZES or (align, copy) != (False, True):
        refuse(f"dtype {show(name)}; weights are plain numbers", offset)
    return DType(name)


def _finish_dtype(dtype: DType, state: tuple, offset: int) -> None:
    plain = len(state) == 8 and state[0] == 3 and state[2:] == (None, None, None, -1, -1, 0)
    if not plain:
        refuse("a structured dtype or one with metadata; weights are plain numbers", offset)
    order = text(state[1], "a byte order", offset)
    if order != ("|" if ITEM_SIZES[dtype.name] == 1 else "<"):
        refuse(f"byte order {show(order)}; networks come from little-endian machines", offset)
    dtype.ready = True


def _reconstruct(offset: int, cls: object, shape: object, code: object) -> Array:
    # NumPy writes an empty array here, whose state follows. Another shape would allocate.
    known = isinstance(cls, Global) and cls.role == "ndarray" and shape == (0,)
    if not (known and isinstance(code, Span) and code.raw() == b"b"):
        refuse("NumPy's _reconstruct is called in an unknown way", offset)
    return Array(offset)


def _scalar(offset: int, dtype: object, data: object) -> Array:
    return _fill(Array(offset), offset, dtype, (), False, data)


def _frombuffer(offset: int, data: object, dtype: object, shape: object, order: object) -> Array:
    order = text(order, "an array's order", offset)
    if order not in ("C", "F"):
        refuse(f"an array of order {show(order)}; C and F are known", offset)
    return _fill(Array(offset), offset, dtype, shape, order == "F", data)


def _fill(array: Array, offset: int, dtype, shape, fortran, data) -> Array:
    if not isinstance(dtype, DType) or not dtype.ready:
        refuse("an array without a complete dtype", offset)
    if not isinstance(shape, tuple) or len(shape) > MAX_DIMS:
        refuse(f"the shape of an array is not a tuple of up to {MAX_DIMS} dimensions", offset)
    if not all(type(size) is int and 0 < size < 2**31 for size in shape):
        refuse("a dimension of an array is not a positive 31-bit number", offset)
    if not isinstance(data, Span) or data.kind == "text" or not isinstance(fortran, bool):
        refuse("the data of an array are not bytes", offset)
    size = math.prod(shape) * ITEM_SIZES[dtype.name]
    # In UTF-8 each byte has become one or two. The exact check follows when they are decoded.
    most = 2 * size if data.kind == "latin1" else size
    if not size <= len(data) <= most:
        refuse(f"an array of {size:,} bytes has {len(data):,} bytes of data", offset)
    array.dtype, array.shape, array.fortran, array.data = dtype.name, shape, fortran, data
    return array


# Role of a function: (number of arguments, what calling it means).
_CALLS: dict[str, tuple[int, Any]] = {
    "ordereddict": (0, _ordered_dict),
    "encode": (2, _encode),
    "dtype": (3, _dtype),
    "reconstruct": (3, _reconstruct),
    "scalar": (2, _scalar),
    "frombuffer": (4, _frombuffer),
}
