"""BMP, decoded here: versions of Pillow differ in run lengths, gray palettes and bit fields."""

from __future__ import annotations

import dataclasses
import struct

import numpy as np
from PIL import Image

from datasets.pictures.damage import Damage, Unsupported

_RAW, _RLE8, _RLE4, _FIELDS, _ALPHA_FIELDS = 0, 1, 2, 3, 6
_HEADERS = (40, 52, 56, 64, 108, 124)
_OS2_CORE, _OS2 = 12, 64
_DEFAULT_FIELDS = {16: (0x7C00, 0x3E0, 0x1F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
_EMPTY_FIELDS = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)  # as Pillow takes masks of 0
_END_OF_LINE, _END_OF_BITMAP, _MOVE = 0, 1, 2


@dataclasses.dataclass(frozen=True)
class _Header:
    size: int
    width: int
    height: int
    downwards: bool  # whether the first row is the top one
    bits: int
    compression: int
    colours: int  # of the palette
    start: int  # of the pixels
    fields: tuple[int, int, int, int]  # masks of red, green, blue, alpha


def decode(data: bytes, max_pixels: int) -> Image.Image:
    """A BMP → mode L, RGB or RGBA. Raises Damage, Unsupported, or Image.DecompressionBombError
    beyond `max_pixels`."""
    header = _header(data)
    if header.width * header.height > max_pixels:
        raise Image.DecompressionBombError
    if header.bits == 24:
        stored, stride = _stored(data, header)
        order = 1 if header.downwards else -1
        size = header.width, header.height
        return Image.frombytes("RGB", size, stored, "raw", "BGR", stride, order)
    if header.bits <= 8:
        pixels = _look_up(_indices(data, header), _palette(data, header))
    else:
        pixels = _colours(data, header)
    return Image.fromarray(np.ascontiguousarray(pixels if header.downwards else pixels[::-1]))


def _header(data: bytes) -> _Header:
    if len(data) < 26:
        raise Damage("it ends within its header")
    start, size = struct.unpack_from("<II", data, 10)
    colours = compression = 0
    if size == _OS2_CORE:
        width, height, planes, bits = struct.unpack_from("<HHHH", data, 18)
    elif size not in _HEADERS:
        raise Damage(f"its header has a size of {size:,}, which no kind of BMP has")
    elif len(data) < 14 + size:
        raise Damage("it ends within its header")
    else:
        width, height, planes, bits, compression = struct.unpack_from("<iiHHI", data, 18)
        (colours,) = struct.unpack_from("<I", data, 46)
    if width < 1 or height == 0 or planes != 1:
        raise Damage("its header is of an empty picture")
    fields, masks = _DEFAULT_FIELDS.get(bits, (0, 0, 0, 0)), 0
    if compression in (_FIELDS, _ALPHA_FIELDS) and size != _OS2:
        stored = 4 if compression == _ALPHA_FIELDS or size >= 56 else 3
        masks = 4 * stored if size == 40 else 0
        fields = (*struct.unpack_from(f"<{stored}I", data, 54), 0, 0)[:4]
        fields = fields if any(fields) else _EMPTY_FIELDS
    if start < 14 + size + masks:
        raise Damage("its pixels lie within its header")
    known = {_RAW: (1, 4, 8, 16, 24, 32), _RLE8: (8,), _RLE4: (4,)}
    known.update({_FIELDS: (16, 32), _ALPHA_FIELDS: (16, 32)} if size != _OS2 else {})
    if bits not in known.get(compression, ()):
        raise Unsupported(f"a BMP of {bits} bits in compression {compression}; convert it to PNG")
    if bits <= 8:
        colours = min(colours or 1 << bits, 1 << bits)
    return _Header(size, width, abs(height), height < 0, bits, compression, colours, start, fields)


def _palette(data: bytes, header: _Header) -> np.ndarray:
    """RGB, [colours, 3]; the pixels may begin before a palette of as many colours is over."""
    first, each = 14 + header.size, 3 if header.size == _OS2_CORE else 4
    stop = min(first + each * header.colours, header.start)
    table = np.frombuffer(data[first:stop], np.uint8)
    return table[: len(table) // each * each].reshape(-1, each)[:, 2::-1]


def _look_up(indices: np.ndarray, palette: np.ndarray) -> np.ndarray:
    if indices.max() >= len(palette):
        raise Damage("it has pixels of colours that its palette lacks")
    gray = (palette == palette[:, :1]).all()
    return palette[:, 0][indices] if gray else palette[indices]


def _stored(data: bytes, header: _Header) -> tuple[bytes, int]:
    """→ the bytes of all rows, and how many each has with its padding."""
    stride = (header.width * header.bits + 31) // 32 * 4
    stored = data[header.start : header.start + stride * header.height]
    if len(stored) < stride * header.height:
        raise Damage(f"its pixels take {stride * header.height:,} bytes and have {len(stored):,}")
    return stored, stride


def _rows(data: bytes, header: _Header) -> np.ndarray:
    """The bytes of each row, uint8 [height, as many as a row's pixels fill]."""
    stored, stride = _stored(data, header)
    rows = np.frombuffer(stored, np.uint8).reshape(header.height, stride)
    return rows[:, : (header.width * header.bits + 7) // 8]


def _indices(data: bytes, header: _Header) -> np.ndarray:
    """Numbers of colours [height, width], in the file's order of rows."""
    if header.compression in (_RLE8, _RLE4):
        return _run_lengths(data, header)
    rows = _rows(data, header)
    if header.bits == 8:
        return rows
    shifts = np.arange(8 - header.bits, -1, -header.bits, dtype=np.uint8)
    several = rows[..., np.newaxis] >> shifts & ((1 << header.bits) - 1)
    return several.reshape(header.height, -1)[:, : header.width]


def _colours(data: bytes, header: _Header) -> np.ndarray:
    """[height, width, 3 or 4], uint8."""
    rows = _rows(data, header)
    values = np.ascontiguousarray(rows).view(f"<u{header.bits // 8}").astype(np.uint32)
    channels = header.fields if header.fields[3] else header.fields[:3]
    return np.stack([_channel(values, mask) for mask in channels], axis=-1)


def _channel(values: np.ndarray, mask: int) -> np.ndarray:
    """The bits of a mask, from 0 to 255."""
    shift = (mask & -mask).bit_length() - 1
    highest = mask >> max(shift, 0)
    if not mask or highest & (highest + 1):
        raise Damage("its header has no masks of colours")
    if highest > 255:
        raise Unsupported("of more than 8 bits per channel; convert it to 8 bits first")
    # Rounded down, as Pillow does.
    return (((values & mask) >> shift) * 255 // highest).astype(np.uint8)


def _run_lengths(data: bytes, header: _Header) -> np.ndarray:
    """Numbers of colours [height, width], 0 where runs leave pixels out. Raises Damage unless they
    stay within the picture and come to their end mark."""
    width, height, four = header.width, header.height, header.bits == 4
    pixels = np.zeros(width * height, np.uint8)
    position, x, y, ended = header.start, 0, 0, False
    while not ended:
        if position + 2 > len(data):
            raise Damage("its runs end before their end mark")
        count, value = data[position], data[position + 1]
        position += 2
        if count == 0 and value == _END_OF_LINE:
            x, y = 0, y + 1
            continue
        if count == 0 and value == _END_OF_BITMAP:
            ended = True
            continue
        if count == 0 and value == _MOVE:
            if position + 2 > len(data):
                raise Damage("its runs end before their end mark")
            x, y, position = x + data[position], y + data[position + 1], position + 2
            continue
        if count:
            run = np.array([value >> 4, value & 15] if four else [value], np.uint8)
        else:
            count, size = value, (value + 1) // 2 if four else value
            stored = np.frombuffer(data[position : position + size], np.uint8)
            if len(stored) < size:
                raise Damage("its runs end before their end mark")
            run = np.stack([stored >> 4, stored & 15], axis=1).ravel() if four else stored
            position += size + size % 2
        if x + count > width or y >= height:
            raise Damage("one of its runs leaves the picture")
        first = y * width + x
        pixels[first : first + count] = np.resize(run, count)
        x += count
    return pixels.reshape(height, width)
