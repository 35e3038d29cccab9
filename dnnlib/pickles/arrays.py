"""Pickled dictionaries of byte arrays, numbers and text, as CIFAR is published, without unpickling.

As in tf_networks.py nothing in a file is run or imported: opcodes become inert stand-ins
(opcodes.py, objects.py), and this file takes those that are plain data.
"""

from __future__ import annotations

import math
from typing import ClassVar, Union

import numpy as np

from dnnlib.pickles import objects
from dnnlib.pickles.objects import MAX_TEXT, LegacyPickleError, Span, UnreadableError, refuse, show
from dnnlib.pickles.opcodes import Machine

__all__ = ["ArrayPickleError", "read"]

# CIFAR-100 has 200,000; written anew by Python 3 with names as bytes, some 500,000.
_MAX_OPCODES = 600_000

Value = Union[None, bool, int, float, str, list[int], list[str], np.ndarray]


class ArrayPickleError(UnreadableError):
    """No dictionary of arrays, numbers and text."""

    wanted = "pickle of arrays"


def read(data: Union[bytes, memoryview]) -> dict[str, Value]:
    """{key: value} of a pickled dictionary, of protocol 2 (Python 2 or 3) to 5; runs no code.

    Keys and text, ASCII, are str whether the file has them as text or bytes. Lists hold either
    integers or text. Arrays are uint8, read-only, and views of `data` wherever that holds their
    bytes as they are.
    Raises ArrayPickleError, and nothing else whatever the bytes are. Memory: the arrays that are
    no views take at most the file's size, four times that while one is decoded, and all else
    some 200 bytes for each opcode.
    """
    data = memoryview(data).cast("B")
    try:
        if data[:1] != b"\x80":
            refuse("this is no pickle of protocol 2 to 5", 0)
        machine = _Unpickler(data)
        root = machine.run()
        if machine.position != len(data):
            refuse(f"{len(data) - machine.position:,} bytes after its end", machine.position)
        if not isinstance(root, dict):
            refuse("it is no dictionary")
        return _Values(len(data)).of(root)
    except LegacyPickleError as error:
        raise ArrayPickleError(error.reason, error.offset) from None


class _Unpickler(Machine):
    """One run over the opcodes. Short bytes are taken for what they were in Python 2: a str."""

    max_opcodes = _MAX_OPCODES
    files = "arrays"

    def reduce(self) -> None:
        super().reduce()
        made = self._top()
        # Bytes in protocol 2 by Python 3. Those of an array are at home in both kinds.
        if isinstance(made, Span) and len(made) <= MAX_TEXT and bytes(made.raw()).isascii():
            made.kind = "str"

    opcodes: ClassVar = {
        **Machine.opcodes,
        0x43: (Machine.span, "str", "<B"),  # SHORT_BINBYTES
        0x42: (Machine.span, "str", "<I"),  # BINBYTES
        0x52: (reduce,),
    }


class _Values:
    """From stand-ins to values. Files may mention one thing many times; what that costs is bounded.

    items: how many list elements may still be read; room: bytes that may still be decoded.
    """

    def __init__(self, size: int) -> None:
        self.items, self.room = _MAX_OPCODES, size

    def of(self, root: dict) -> dict[str, Value]:
        return {key: self.value(key, stand_in) for key, stand_in in root.items()}

    def value(self, key: str, stand_in: object) -> Value:
        if stand_in is None or type(stand_in) in (bool, int, float):
            return stand_in
        if isinstance(stand_in, Span):
            return objects.text(stand_in, f"the value of {show(key)}", stand_in.start)
        if isinstance(stand_in, list):
            return self.list(key, stand_in)
        if isinstance(stand_in, objects.Array):
            return self.array(key, stand_in)
        refuse(f"the value of {show(key)} is neither numbers, text, a list nor an array")

    def list(self, key: str, items: list) -> Value:
        self.items -= len(items)
        if self.items < 0:
            refuse("lists of far more elements than the file has")
        if all(type(item) is int for item in items):
            return items
        if all(isinstance(item, Span) for item in items):
            subject = f"an element of {show(key)}"
            return [objects.text(item, subject, item.start) for item in items]
        refuse(f"the list {show(key)} holds other things than only integers or only text")

    def array(self, key: str, array: objects.Array) -> np.ndarray:
        if array.shape is None or array.dtype != "u1":
            refuse(f"the array {show(key)} is not uint8, or without a state", array.offset)
        data: Union[bytes, memoryview] = array.data.raw()
        if array.data.kind == "latin1":
            data = self.decoded(array.data)
        if len(data) != math.prod(array.shape):
            refuse(f"the array {show(key)} has {len(data):,} bytes of data", array.offset)
        values = np.frombuffer(data, np.uint8).reshape(
            array.shape, order="F" if array.fortran else "C"
        )
        values.flags.writeable = False
        return values

    def decoded(self, span: Span) -> bytes:
        """Bytes that Python 3 wrote as text for protocol 2."""
        self.room -= len(span)
        if self.room < 0:
            refuse("the arrays would take far more room than the file", span.start)
        try:
            return str(span.raw(), "utf-8").encode("latin-1")
        except UnicodeError:
            raise LegacyPickleError("array data that are not bytes", span.start) from None
