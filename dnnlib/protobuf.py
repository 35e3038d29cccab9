"""The wire format of protocol buffers, as far as records of images and frozen graphs need it.

Messages are not trusted: a wrong length or number raises WireError, and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Union

Bytes = Union[bytes, memoryview]
Extent = tuple[int, int]  # where bytes begin, and where they end


class WireError(ValueError):
    """No message in this format; says why, without naming a file."""


def varint(data: Bytes, position: int, end: int) -> tuple[int, int]:
    """The number at `position`, 7 bits a byte, the lowest first → (value, position after it)."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
    raise WireError("bad varint")


def fields(data: Bytes, position: int, end: int) -> Iterator[tuple[int, Union[int, Extent]]]:
    """Yields (field number, value) of a message: a number, or the extent of a byte string.

    Fields of other wire types, as floats, are refused: no message that we read has one.
    """
    while position < end:
        tag, position = varint(data, position, end)
        number, wire_type = tag >> 3, tag & 7
        if wire_type not in (0, 2):
            raise WireError(f"wire type {wire_type}")
        value, position = varint(data, position, end)
        if wire_type == 0:
            yield number, value
            continue
        if value > end - position:
            raise WireError("field longer than the record")
        yield number, (position, position + value)
        position += value


def encode_varint(value: int) -> bytes:
    """A number from 0 on as `varint` reads it."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def bytes_field(number: int, value: bytes) -> bytes:
    """A field that holds a byte string, or a message."""
    return encode_varint(number << 3 | 2) + encode_varint(len(value)) + value
