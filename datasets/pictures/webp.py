"""WebP: the sizes of the RIFF file and of its chunks."""

from __future__ import annotations

import struct

from datasets.pictures.damage import Damage

_BITSTREAMS = (b"VP8 ", b"VP8L")
_HAS_ALPHA, _ANIMATED = 0x10, 0x02


def check(data: bytes) -> None:
    """Raises Damage where the chunks do not fill the file as long as it says it is, or the
    picture's own are missing or several. Bytes after the file's length are not looked at."""
    (length,) = struct.unpack_from("<I", data, 4)
    stop, position, names = 8 + length, 12, []
    if stop > len(data):
        raise Damage(f"it should have {stop:,} bytes and has {len(data):,}")
    flags, canvas, sizes = 0, None, []
    while position < stop:
        if position + 8 > stop:
            raise Damage("its chunks are not as long as the file says")
        name, size = struct.unpack_from("<4sI", data, position)
        content = data[position + 8 : position + 8 + min(size, 10)]
        position += 8 + size + size % 2
        if position > stop:
            raise Damage("its chunks are not as long as the file says")
        names.append(name)
        if name == b"VP8X" and len(content) == 10:
            flags = content[0]
            canvas = tuple(1 + int.from_bytes(content[i : i + 3], "little") for i in (4, 7))
        elif name in _BITSTREAMS:
            sizes.append(_frame_size(name, content))
    if flags & _ANIMATED:
        return  # refused elsewhere, and its pictures lie within other chunks
    if len(sizes) != 1:
        raise Damage(f"it has {len(sizes)} pictures")
    if canvas is not None and canvas != sizes[0]:
        raise Damage("its picture has another size than it says")
    if flags & _HAS_ALPHA and b"VP8 " in names and b"ALPH" not in names:
        raise Damage("its transparency is missing")


def _frame_size(name: bytes, content: bytes) -> tuple[int, int]:
    """Width and height, of the first 10 bytes of a picture."""
    if name == b"VP8L" and len(content) >= 5 and content[0] == 0x2F:
        (bits,) = struct.unpack_from("<I", content, 1)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if name == b"VP8 " and len(content) == 10 and content[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", content, 6)
        return width & 0x3FFF, height & 0x3FFF
    raise Damage("its picture has no header")
