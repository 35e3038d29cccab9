"""GIF: its blocks, one after the other, to the trailer."""

from __future__ import annotations

import struct

from datasets.pictures.damage import Damage

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B


def check(data: bytes) -> None:
    """Raises Damage unless whole blocks follow each other up to the trailer, one of them a picture.

    What follows the trailer is not looked at.
    """
    position = 13 + _table_size(data[10]) if len(data) > 10 else len(data)
    pictures = 0
    while True:
        if position >= len(data):
            raise Damage("it ends before its trailer")
        kind = data[position]
        if kind == _TRAILER:
            break
        if kind == _EXTENSION:
            position = _skip_blocks(data, position + 2)
        elif kind == _IMAGE:
            if position + 11 > len(data):
                raise Damage("it ends before its trailer")
            left, top, *size = struct.unpack_from("<HHHH", data, position + 1)
            screen = struct.unpack_from("<HH", data, 6)
            if 0 in size or left + size[0] > screen[0] or top + size[1] > screen[1]:
                raise Damage("its picture does not lie within its size")
            pictures += 1
            position = _skip_blocks(data, position + 11 + _table_size(data[position + 9]))
        else:
            raise Damage(f"no block begins at byte {position:,}")
    if not pictures:
        raise Damage("it has no picture")


def _table_size(flags: int) -> int:
    """Bytes of the table of colours, if there is one."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _skip_blocks(data: bytes, position: int) -> int:
    """Past blocks that each begin with their length, and the empty one that ends them."""
    while position < len(data) and data[position]:
        position += 1 + data[position]
    return position + 1
