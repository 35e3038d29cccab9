"""What the objects in a pickle of StyleGAN2-ADA's PyTorch networks become: inert stand-ins.

The original pickles each module as its Python source and its state, and runs the source to load it.
Here that stays where it is, a span of the file.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

from dnnlib.pickles import objects
from dnnlib.pickles.objects import Array, DType, Global, Span, refuse, show, text
from dnnlib.pickles.torch_objects import check_view

VERSION = 6  # of torch_utils.persistence, in all known files
MAX_SOURCE_BYTES = 4 * 2**20
_KEYS = {"type", "version", "module_src", "class_name", "state"}


@dataclasses.dataclass(frozen=True, eq=False)
class Persistent:
    """An object that brings its class's source along. state: its attributes, {name: stand-in}."""

    class_name: str
    source: Span
    state: dict
    offset: int


@dataclasses.dataclass(frozen=True, eq=False)
class Stored:
    """The numbers of tensors: bytes that are one of PyTorch's streams (torch_stream.py)."""

    stream: Span


@dataclasses.dataclass(frozen=True, eq=False)
class View:
    """A tensor; start and strides count its storage's numbers. offset: position in the file."""

    storage: Stored
    start: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int


@dataclasses.dataclass(frozen=True, eq=False)
class Parameter:
    """A tensor that is trained."""

    view: View


def _globals() -> dict[tuple[str, str], Global]:
    table = {
        ("torch_utils.persistence", "_reconstruct_persistent_obj"): "persistent",
        ("collections", "OrderedDict"): "ordereddict",
        ("dnnlib.util", "EasyDict"): "easydict",
        ("dnnlib", "EasyDict"): "easydict",
        ("builtins", "set"): "set",
        ("torch._utils", "_rebuild_tensor_v2"): "rebuild_tensor",
        ("torch._utils", "_rebuild_parameter"): "rebuild_parameter",
        ("torch.storage", "_load_from_bytes"): "load_from_bytes",
        ("numpy", "ndarray"): "ndarray",
        ("numpy", "dtype"): "dtype",
    }
    for core in ("numpy.core", "numpy._core"):  # NumPy 1 and 2
        table[f"{core}.multiarray", "_reconstruct"] = "reconstruct"
        table[f"{core}.multiarray", "scalar"] = "scalar"
    return {key: Global(".".join(key), role) for key, role in table.items()}


_GLOBALS = _globals()
_ARRAYS = ("dtype", "reconstruct", "scalar")  # as objects.py reads them


def find(module: str, name: str, offset: int) -> Global:
    """The row of a global. Nothing is imported, and a dotted name is just an unknown one."""
    known = _GLOBALS.get((module, name))
    if known is None:
        hint = ""
        if module.startswith(("training.", "torch.nn")):
            hint = "; a network that was pickled without torch_utils.persistence?"
        elif module == "dnnlib.tflib.network":
            hint = "; a TensorFlow network: those come as a tuple (G, D, Gs)"
        elif (module, name) == ("torch._utils", "_rebuild_tensor"):
            hint = "; a tensor of a PyTorch before 0.4"
        refuse(f"the global {show(f'{module}.{name}')} is not allowed{hint}", offset)
    return known


def new(cls: Global, args: tuple, offset: int) -> object:
    """What NEWOBJ makes."""
    if args or cls.role != "easydict":
        refuse(f"{cls.name} is created in an unknown way", offset)
    return {}


def call(function: Global, args: tuple, offset: int) -> object:
    """What REDUCE makes."""
    if function.role in _ARRAYS:
        return objects.call(function, args, offset)
    meaning = _CALLS.get((function.role, len(args)))
    if meaning is None:
        refuse(f"{function.name} is called in an unknown way", offset)
    return meaning(offset, *args)


def build(target: object, state: object, offset: int) -> None:
    """What BUILD does: the state of a dtype or an array, once. Modules get theirs as arguments."""
    if not isinstance(target, (DType, Array)):
        refuse("BUILD for an object that is neither a dtype nor an array", offset)
    objects.build(target, state, offset)


def _persistent(offset: int, meta: object) -> Persistent:
    if not isinstance(meta, dict):
        refuse("a persistent object of something that is no dictionary", offset)
    if set(meta) != _KEYS or text(meta["type"], "its type", offset) != "class":
        listed = ", ".join(show(key) for key in list(meta)[:6])
        refuse(f"a persistent object of an unknown kind, with the keys {listed}", offset)
    version = meta["version"]
    if type(version) is not int or version != VERSION:
        shown = str(version) if type(version) is int else "that is no number"
        refuse(f"a persistent object of version {shown}; {VERSION} is known", offset)
    source, state = meta["module_src"], meta["state"]
    if not isinstance(source, Span) or source.kind != "text":
        refuse("the module_src of a persistent object is no text", offset)
    if len(source) > MAX_SOURCE_BYTES:
        refuse(f"a module_src of more than {MAX_SOURCE_BYTES:,} bytes", offset)
    if not isinstance(state, dict):
        refuse("the state of a persistent object is no dictionary", offset)
    return Persistent(text(meta["class_name"], "a class_name", offset), source, state, offset)


def _empty_dict(offset: int) -> dict:
    return {}


def _empty_set(offset: int, items: object) -> frozenset:
    if items != []:
        refuse("a set that is not empty", offset)
    return frozenset()


def _stored(offset: int, stream: object) -> Stored:
    if not isinstance(stream, Span) or stream.kind != "bytes":
        refuse("a storage of something that is no bytes", offset)
    return Stored(stream)


def _tensor(
    offset: int,
    storage: object,
    start: Any,
    shape: Any,
    strides: Any,
    requires_grad: object,
    hooks: object,
    metadata: Optional[object] = None,
) -> View:
    if not isinstance(storage, Stored):
        refuse("a tensor without a storage", offset)
    check_view(offset, start, shape, strides)
    _check_grad(offset, requires_grad, hooks)
    if metadata not in (None, {}):
        refuse("a tensor with metadata", offset)
    return View(storage, start, shape, strides, offset)


def _parameter(offset: int, tensor: object, requires_grad: object, hooks: object) -> Parameter:
    if not isinstance(tensor, View):
        refuse("a parameter of something that is no tensor", offset)
    _check_grad(offset, requires_grad, hooks)
    return Parameter(tensor)


def _check_grad(offset: int, requires_grad: object, hooks: object) -> None:
    if not isinstance(requires_grad, bool):
        refuse("requires_grad is neither True nor False", offset)
    if not isinstance(hooks, dict) or hooks:
        refuse("a tensor with hooks, which are code", offset)


# (Role of a function, number of arguments): what calling it means.
_CALLS: dict[tuple[str, int], Any] = {
    ("persistent", 1): _persistent,
    ("ordereddict", 0): _empty_dict,
    ("set", 1): _empty_set,
    ("load_from_bytes", 1): _stored,
    ("rebuild_tensor", 6): _tensor,
    ("rebuild_tensor", 7): _tensor,
    ("rebuild_parameter", 3): _parameter,
}
