"""What a pickle's stand-ins hold: the numbers of arrays, piece by piece, and plain values."""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterator

import numpy as np

from dnnlib.pickles import objects
from dnnlib.pickles.objects import LegacyPickleError, refuse, show

MAX_DEPTH = 32
_CHUNK = 2**18


class PlainValues:
    """Options and attributes as plain Python values, no more of them than `most`.

    The tree shares and cycles as its author likes, so they are counted where they are visited.
    """

    def __init__(self, most: int) -> None:
        self.most, self.count = most, 0

    def plain(self, stand_in: object, subject: str, offset: int, depth: int = 0):
        """None, bool, int, float, str, list, tuple or dict; an error that names `subject` else."""
        self.count += 1
        if self.count > self.most or depth > MAX_DEPTH:
            refuse(f"{subject}: too many values, or too deep", offset)
        if isinstance(stand_in, objects.Array) and stand_in.shape == ():
            (stand_in,) = (number.item() for piece in array_pieces(stand_in) for number in piece)
        if isinstance(stand_in, float) and not math.isfinite(stand_in):
            refuse(f"{subject}: a number that is infinite or not a number", offset)
        if stand_in is None or isinstance(stand_in, (bool, int, float)):
            return stand_in
        if isinstance(stand_in, objects.Span):
            return objects.text(stand_in, subject, offset)
        if isinstance(stand_in, dict):
            self.count += len(stand_in)
            return {
                key: self.plain(item, f"{subject[:100]}[{show(key)}]", offset, depth + 1)
                for key, item in stand_in.items()
            }
        if isinstance(stand_in, (list, tuple)):
            items = [self.plain(item, subject, offset, depth + 1) for item in stand_in]
            return items if isinstance(stand_in, list) else tuple(items)
        refuse(f"{subject}: neither a number, text, a list nor a dictionary", offset)


def array_pieces(array: objects.Array) -> Iterator[np.ndarray]:
    """An array's numbers in their own type and the file's order, some at a time.

    A copy of a whole one, decoded or converted, would be memory beside the file and the result.
    """
    if array.shape is None:
        refuse("an array without a state", array.offset)
    return _pieces(array, np.dtype(f"<{array.dtype}"), math.prod(array.shape))


def _pieces(array: objects.Array, dtype: np.dtype, count: int) -> Iterator[np.ndarray]:
    if array.data.kind == "latin1":
        rest = b""
        for decoded in _latin1(array.data, count * dtype.itemsize):
            whole = rest + decoded
            numbers = len(whole) // dtype.itemsize
            yield np.frombuffer(whole, dtype, numbers)
            rest = whole[numbers * dtype.itemsize :]
        return
    flat = np.frombuffer(array.data.data, dtype, count, array.data.start)
    for start in range(0, count, _CHUNK):
        yield flat[start : start + _CHUNK]


def _latin1(span: objects.Span, size: int) -> Iterator[bytes]:
    """Bytes that were written as UTF-8 text, piece by piece: wide characters take room."""
    raw, position, done = span.raw(), 0, 0
    while position < len(raw):
        piece = raw[position : position + _CHUNK]
        final = position + len(piece) == len(raw)
        try:
            text, used = codecs.utf_8_decode(piece, "strict", final)
            values = text.encode("latin-1")
        except UnicodeError:
            raise LegacyPickleError("array data that are not bytes", span.start) from None
        if done + len(values) > size:
            break
        position, done = position + used, done + len(values)
        yield values
    if done != size or position != len(raw):
        refuse(f"an array of {size:,} bytes has another amount of data", span.start)
