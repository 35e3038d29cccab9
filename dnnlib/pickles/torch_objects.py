"""What the objects in a PyTorch state dict become: inert stand-ins, as in objects.py.

Hooks, `requires_grad` and `_metadata` say nothing about the values and are ignored.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

from dnnlib.pickles.objects import MAX_DIMS, Global, refuse, show, text

# Item sizes by number type: NumPy's abbreviations, and "bf" for bfloat16.
ITEM_SIZES = {"bf": 2, "f2": 2, "f4": 4, "f8": 8, "u1": 1, "i1": 1, "i2": 2, "i4": 4, "i8": 8}

_STORAGES = {
    "BFloat16Storage": "bf",
    "HalfStorage": "f2",
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "ByteStorage": "u1",
    "CharStorage": "i1",
    "ShortStorage": "i2",
    "IntStorage": "i4",
    "LongStorage": "i8",
}


@dataclasses.dataclass(frozen=True)
class Storage:
    """Numbers that lie elsewhere in the file. kind: of ITEM_SIZES; count: how many numbers."""

    key: str
    kind: str
    count: int


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """A view of a storage; start and strides count its numbers. offset: position in the file."""

    storage: Storage
    start: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int


class Parameter:
    """A Parameter; tensor: None as long as the file has not given one."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: Optional[Tensor] = None) -> None:
        self.tensor = tensor


class Pairs:
    """What Python 2 gives an OrderedDict to start with: items, unchecked, [key, value] each."""

    __slots__ = ("items",)

    def __init__(self, items: list) -> None:
        self.items = items


def _globals() -> dict[tuple[str, str], Global]:
    table = {
        ("collections", "OrderedDict"): "ordereddict",
        ("torch", "Size"): "size",
        ("torch.nn.parameter", "Parameter"): "parameter",
        ("torch._utils", "_rebuild_parameter"): "rebuild_parameter",
        ("torch._utils", "_rebuild_tensor"): "rebuild_tensor",
        ("torch._utils", "_rebuild_tensor_v2"): "rebuild_tensor",
        **{("torch", name): kind for name, kind in _STORAGES.items()},
    }
    return {key: Global(".".join(key), role) for key, role in table.items()}


_GLOBALS = _globals()


def find(module: str, name: str, offset: int) -> Global:
    """The row of a global. Nothing is imported, and a dotted name is just an unknown one."""
    known = _GLOBALS.get((module, name))
    if known is None:
        hint = "only state dicts of plain dense tensors are read, no whole models"
        refuse(f"the global {show(f'{module}.{name}')} is not allowed; {hint}", offset)
    return known


def new(cls: Global, args: tuple, offset: int) -> object:
    """What NEWOBJ makes: the same as a call, for classes."""
    if cls.role not in ("parameter", "size"):
        refuse(f"{cls.name} is created in an unknown way", offset)
    return call(cls, args, offset)


def call(function: Global, args: tuple, offset: int) -> object:
    """What REDUCE makes."""
    meaning = _CALLS.get((function.role, len(args)))
    if meaning is None:
        refuse(f"{function.name} is called in an unknown way", offset)
    return meaning(offset, *args)


def build(target: object, state: object, offset: int) -> None:
    """What BUILD does: nothing, but for the data of the oldest parameters."""
    if isinstance(target, (dict, Pairs)) and isinstance(state, dict) and set(state) <= _ATTRIBUTES:
        return
    if isinstance(target, Parameter) and isinstance(state, tuple):
        if target.tensor is not None and len(state) == 3:
            return  # requires_grad, volatile, hooks
        if target.tensor is None and len(state) == 5:
            target.tensor = _tensor_of(state[0], offset)
            return
    refuse("BUILD for an unknown object, with an unknown state or a second time", offset)


_ATTRIBUTES = {"_metadata"}  # of a state dict: versions of the modules


def storage(parts: tuple, offset: int) -> Storage:
    """What a persistent id means: torch.save replaces storages by these, and nothing else."""
    # The sixth is for a storage that is a part of another one, which no state dict has.
    if len(parts) not in (5, 6) or (len(parts) == 6 and parts[5] is not None):
        refuse("a persistent id of an unknown form", offset)
    tag, kind, key, _, count = parts[:5]
    if text(tag, "a persistent id's type", offset) != "storage":
        refuse("a persistent id that is no storage", offset)
    if not isinstance(kind, Global) or kind.role not in ITEM_SIZES:
        refuse("a storage of an unknown type", offset)
    if type(count) is not int or count < 0:
        refuse("a storage whose size is no number", offset)
    return Storage(text(key, "a storage's key", offset), kind.role, count)


def _ordered_dict(offset: int) -> dict:
    return {}


def _ordered_pairs(offset: int, items: object) -> Pairs:
    # Not copied here: a file may call this with the same long list again and again.
    if not isinstance(items, list):
        refuse("an OrderedDict of something that is no list", offset)
    return Pairs(items)


def _size(offset: int, dims: object) -> tuple:
    if not isinstance(dims, tuple):
        refuse("a torch.Size of something that is no tuple", offset)
    return dims


def _parameter(offset: int, tensor: object = None, *ignored) -> Parameter:
    return Parameter(None if tensor is None else _tensor_of(tensor, offset))


def _tensor_of(value: object, offset: int) -> Tensor:
    if not isinstance(value, Tensor):
        refuse("a parameter of something that is no tensor", offset)
    return value


def _tensor(
    offset: int, storage: object, start: Any, shape: Any, strides: Any, *ignored: object
) -> Tensor:
    if not isinstance(storage, Storage):
        refuse("a tensor without a storage", offset)
    check_view(offset, start, shape, strides)
    return Tensor(storage, start, shape, strides, offset)


def check_view(offset: int, start: Any, shape: Any, strides: Any) -> None:
    """Refuses numbers that are no offset, shape and strides, whatever they are of."""
    for numbers, least in ((shape, 1), (strides, 0), ((start,), 0)):
        if not isinstance(numbers, tuple) or len(numbers) > MAX_DIMS:
            refuse(f"a tensor's shape is not a tuple of up to {MAX_DIMS} dimensions", offset)
        if not all(type(number) is int and least <= number < 2**40 for number in numbers):
            refuse("a dimension, stride or offset of a tensor is no valid number", offset)
    if len(shape) != len(strides):
        refuse("a tensor has other numbers of dimensions and strides", offset)


# (Role of a function, number of arguments): what calling it means.
_CALLS: dict[tuple[str, int], Any] = {
    ("ordereddict", 0): _ordered_dict,
    ("ordereddict", 1): _ordered_pairs,
    ("size", 1): _size,
    ("parameter", 0): _parameter,
    ("parameter", 1): _parameter,
    ("rebuild_parameter", 3): _parameter,
    ("rebuild_tensor", 4): _tensor,
    ("rebuild_tensor", 6): _tensor,
}
