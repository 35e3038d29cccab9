"""PNG: every checksum, the compressed stream to its end, and the chunk that ends the file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from datasets.pictures.damage import Damage

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# What decides the pixels and their orientation. The others do not matter here, and versions of
# Pillow differ in which of them they read, and refuse.
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"acTL", b"eXIf", b"tEXt", b"zTXt", b"iTXt")
_FED = 1 << 14
_LARGEST_BLOCK = (1 << 16) - 1
_STORED_STREAM, _LAST_BLOCK = b"\x78\x01", b"\1\0\0\xff\xff"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of each colour type
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# First column and row, and the distances to the next, of the seven passes of an interlaced image.
_PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)


def checked(data: bytes, max_pixels: int) -> bytes:
    """A PNG → the same picture, its pixels no longer compressed, so that they are inflated once.

    Pillow checks the sums of few chunks, and stops inflating where it has what it needs. Pictures
    of more pixels, or none, come back as they are, not inflated; the caller refuses them.
    Raises Damage.
    """
    kept, compressed = [], []
    header = palette = b""
    for name, content, chunk in _chunks(data):
        if not header and name != b"IHDR":
            raise Damage("a PNG begins with its header")
        if name == b"IDAT":
            compressed.append(content)
        elif name == b"IHDR":
            if header:
                raise Damage("it has two headers")
            header = bytes(content)
        elif name == b"PLTE":
            palette = bytes(content)
        elif name[:1].isupper() and name != b"IEND":
            raise Damage(f"an unknown critical chunk, {name.decode('latin-1')!r}")
        if name in _KEPT or (name == b"fcTL" and not compressed):  # the image is the first frame
            kept.append(chunk)
    if len(header) != 13:
        raise Damage("its header is not of 13 bytes")
    width, height, bits, colours, *methods = struct.unpack(">IIBBBBB", header)
    if not 0 < width * height <= max_pixels:
        return data
    if bits not in _DEPTHS.get(colours, ()) or methods[:2] != [0, 0] or methods[2] > 1:
        raise Damage("its header names no kind of PNG")
    if colours == 3 and (not palette or len(palette) % 3 or len(palette) > 768):
        raise Damage("its palette is missing, or of a wrong size")
    size = _expected_size(width, height, bits * _CHANNELS[colours], interlaced=methods[2] == 1)
    return b"".join(
        (SIGNATURE, *kept, *_chunk(b"IDAT", _stored(compressed, size)), *_chunk(b"IEND", []))
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, memoryview]]:
    """Yields (name, content, all of the chunk) to IEND, which must be there."""
    view, position = memoryview(data), len(SIGNATURE)
    while True:
        if position + 12 > len(data):
            raise Damage("it ends before its end mark")
        length = int.from_bytes(view[position : position + 4], "big")
        stop = position + 8 + length
        name = bytes(view[position + 4 : position + 8])
        if stop + 4 > len(data):
            raise Damage("it ends within a chunk")
        if zlib.crc32(view[position + 4 : stop]) != int.from_bytes(view[stop : stop + 4], "big"):
            raise Damage(f"the checksum of chunk {name.decode('latin-1')!r} differs")
        yield name, view[position + 8 : stop], view[position : stop + 4]
        if name == b"IEND":
            return
        position = stop + 4


def _expected_size(width: int, height: int, bits_per_pixel: int, *, interlaced: bool) -> int:
    """Bytes of the inflated rows, each with the number of its filter in front."""
    size = 0
    for left, top, right, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            size += rows * (1 + (columns * bits_per_pixel + 7) // 8)
    return size


def _stored(chunks: list[memoryview], size: int) -> list[bytes]:
    """A stream of Deflate of so many bytes → parts of one of blocks that are not compressed."""
    compressed = chunks[0] if len(chunks) == 1 else memoryview(b"".join(chunks))
    inflater, parts, left = zlib.decompressobj(), [_STORED_STREAM], size
    try:
        for start in range(0, len(compressed), _FED):  # little at a time: that much times 1,032
            part = inflater.decompress(compressed[start : start + _FED])
            left -= len(part)
            parts += _blocks(part)
            if left < 0 or inflater.eof:
                break
    except zlib.error as error:
        raise Damage(f"its pixels do not inflate ({error})") from error
    if left:
        raise Damage(f"its pixels are not the {size:,} bytes that its size says")
    if not inflater.eof:
        raise Damage("its compressed pixels end early")
    stop = min(start + _FED, len(compressed)) - len(inflater.unused_data)
    return [*parts, _LAST_BLOCK, bytes(compressed[stop - 4 : stop])]  # the sum stays the same


def _blocks(pixels: bytes) -> Iterator[bytes]:
    for start in range(0, len(pixels), _LARGEST_BLOCK):
        block = pixels[start : start + _LARGEST_BLOCK]  # no copy where it is all
        yield struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF)
        yield block


def _chunk(name: bytes, parts: list[bytes]) -> list[bytes]:
    checksum = zlib.crc32(name)
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    length = struct.pack(">I", sum(map(len, parts)))
    return [length, name, *parts, struct.pack(">I", checksum)]
