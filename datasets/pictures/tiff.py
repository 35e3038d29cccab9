"""TIFF: what kind of pixels, and the strips or tiles that they are stored in."""

from __future__ import annotations

import struct
import zlib

from datasets.pictures import jpeg
from datasets.pictures.damage import Damage, Unsupported

BEGINNINGS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIP_OFFSETS, _SAMPLES, _STRIP_ROWS, _STRIP_SIZES = 273, 277, 278, 279
_PLANAR, _COLOUR_MAP, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 284, 320, 338, 339
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_SIZES = 322, 323, 324, 325
_RAW, _LZW, _JPEG, _DEFLATE, _PACK_BITS = 1, 5, 7, (8, 32946), 32773
_COMPRESSIONS = (_RAW, _LZW, _JPEG, *_DEFLATE, _PACK_BITS)
_UNSIGNED, _PALETTE, _YCBCR, _UNASSOCIATED_ALPHA = 1, 3, 6, 2
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # of types
_BIG_SIZES = {**_SIZES, 13: 4, 16: 8, 17: 8, 18: 8}
_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}  # of types of numbers that are not negative
_SINGLE = (_WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _STRIP_ROWS, _PLANAR)
_MEASURES = (
    *(_BITS, _STRIP_OFFSETS, _STRIP_SIZES, _COLOUR_MAP, _EXTRA_SAMPLES, _SAMPLE_FORMAT),
    *(_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_SIZES),
)
_Tags = dict[int, tuple[int, ...]]


def check(data: bytes) -> None:
    """Raises Unsupported for pixels that versions of Pillow take for others than they are, Damage
    where the directory contradicts itself, and strips or tiles are missing, lie outside of the
    file, or are too short. Streams of Deflate are read to their checksums.
    """
    tags = _directory(data)
    if max(tags.get(_BITS, (1,))) > 8:
        return  # refused elsewhere
    if set(tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))) != {_UNSIGNED}:
        raise Unsupported("of numbers other than unsigned ones; convert it to 8 bits first")
    compression = _one(tags, _COMPRESSION, _RAW)
    if compression not in _COMPRESSIONS:
        raise Unsupported(f"a TIFF of compression {compression}; convert it to PNG first")
    photometric, extra = _one(tags, _PHOTOMETRIC, 0), set(tags.get(_EXTRA_SAMPLES, ()))
    if photometric == _YCBCR and compression != _JPEG:
        raise Unsupported("YCbCr, neither gray nor RGB; convert it to RGB first")
    apart = _one(tags, _PLANAR, 1) == 2
    if extra and extra != {_UNASSOCIATED_ALPHA} and (photometric in (0, 1, _PALETTE) or apart):
        raise Unsupported("with channels of no stated use; convert it to gray or RGB first")
    if photometric == _PALETTE:
        _check_palette(tags)
    _check_parts(tags, data, apart, compression)


def _directory(data: bytes) -> _Tags:
    """The first directory's tags of numbers that are not negative."""
    order, big = "<" if data.startswith(b"II") else ">", 43 in data[2:4]
    sizes, number, room = (_BIG_SIZES, "Q", 8) if big else (_SIZES, "I", 4)
    tags: _Tags = {}
    names = set()
    try:
        (start,) = struct.unpack_from(order + number, data, 8 if big else 4)
        (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
        start += 8 if big else 2
        for entry in range(start, start + count * (4 + 2 * room), 4 + 2 * room):
            tag, kind, values = struct.unpack_from(order + "HH" + number, data, entry)
            if tag in names:
                raise Damage(f"its directory has tag {tag} twice")
            names.add(tag)
            size = sizes.get(kind, 0) * values
            place = entry + 4 + room
            if size > room:
                (place,) = struct.unpack_from(order + number, data, place)
            if place + size > len(data):
                raise Damage(f"its tag {tag} lies outside of the file")
            if kind in _NUMBERS:
                tags[tag] = struct.unpack_from(f"{order}{values}{_NUMBERS[kind]}", data, place)
            elif tag in (*_SINGLE, *_MEASURES):
                raise Damage(f"its tag {tag} is no number")
            if tag in _SINGLE and values != 1:
                raise Damage(f"its tag {tag} has {values:,} numbers, not one")
        struct.unpack_from(order + number, data, start + count * (4 + 2 * room))
    except struct.error as error:
        raise Damage("its directory lies outside of the file") from error
    return tags


def _check_palette(tags: _Tags) -> None:
    bits = tags.get(_BITS, (1,))[0]
    if bits > 8 or len(tags.get(_COLOUR_MAP, ())) != 3 << bits:
        raise Damage("its palette is missing, or of a wrong size")


def _check_parts(tags: _Tags, data: bytes, apart: bool, compression: int) -> None:
    """Strips, or tiles; apart: each channel has its own."""
    width, height = _one(tags, _WIDTH), _one(tags, _HEIGHT)
    tiled = _STRIP_OFFSETS not in tags
    name = "tiles" if tiled else "strips"
    columns = _one(tags, _TILE_WIDTH) if tiled else width
    rows = _one(tags, _TILE_HEIGHT) if tiled else min(_one(tags, _STRIP_ROWS, height), height)
    offsets = tags.get(_TILE_OFFSETS if tiled else _STRIP_OFFSETS, ())
    sizes = tags.get(_TILE_SIZES if tiled else _STRIP_SIZES, ())
    if min(width, height, columns, rows) < 1:
        raise Damage("it is empty")
    samples = _one(tags, _SAMPLES, 1)
    down = -(-height // rows)
    count = -(-width // columns) * down * (samples if apart else 1)
    if not len(offsets) == len(sizes) == count:
        raise Damage(f"it has {len(offsets):,} {name}, and needs {count:,} for its size")
    bits = tags.get(_BITS, (1,))[0] * (1 if apart else samples)
    row_bytes = (columns * bits + 7) // 8
    for number, (offset, size) in enumerate(zip(offsets, sizes)):
        here = rows if tiled else min(rows, height - number % down * rows)
        part = memoryview(data)[offset : offset + size]
        if offset < 8 or not size or len(part) < size:
            raise Damage(f"one of its {name} lies outside of the file")
        if compression == _RAW and size < here * row_bytes:
            raise Damage(f"one of its {name} has {size:,} bytes, not {here * row_bytes:,}")
        if compression in _DEFLATE:
            _check_deflated(part, here * row_bytes)
        if compression == _JPEG and jpeg.parse(bytes(part)).size != (columns, here):
            raise Damage(f"one of its {name} is of another size")


def _one(tags: _Tags, tag: int, default: int = 0) -> int:
    return tags.get(tag, (default,))[0]


def _check_deflated(part: memoryview, needed: int) -> None:
    inflater = zlib.decompressobj()
    try:
        size = len(inflater.decompress(part, needed + 1))
        if size == needed and not inflater.eof:
            size += len(inflater.decompress(inflater.unconsumed_tail, 1))
    except zlib.error as error:
        raise Damage(f"its pixels do not inflate ({error})") from error
    if size != needed or not inflater.eof:
        raise Damage(f"its pixels do not inflate to {needed:,} bytes")
