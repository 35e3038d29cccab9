"""What the containers of pictures let one see: damage is refused, and nothing else."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from datasets.decoding import decode
from datasets.sources.base import BadImage

pytestmark = pytest.mark.conformance

COLOURS = (np.add.outer(np.arange(24) * 3, np.arange(40) * 5)[..., None] + [0, 40, 90]) % 256
COLOURS = COLOURS.astype(np.uint8)
RGB = Image.fromarray(COLOURS)
GRAY = Image.fromarray(COLOURS[..., 0])


def encode(kind, image=RGB, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def reason(data):
    """Why a picture is refused; None if it is not."""
    try:
        decode(data, "a")
    except BadImage as error:
        return str(error)
    return None


def flipped(data):
    for place in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        yield bytes(damaged)


# PNG


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


END = chunk(b"IEND", b"")


def png(stream, size=(4, 2), end=END, interlaced=0, more=b"", colours=0):
    header = struct.pack(">IIBBBBB", *size, 8, colours, 0, 0, interlaced)
    chunks = chunk(b"IHDR", header) + more + chunk(b"IDAT", stream) + end
    return b"\x89PNG\r\n\x1a\n" + chunks


ROWS = b"\0\1\2\3\4\0\5\6\7\x08"
STREAM = zlib.compress(ROWS)


def test_every_flipped_bit_of_a_png():
    whole = encode("PNG", RGB.crop((0, 0, 12, 8)))
    assert reason(whole) is None
    assert [data for data in flipped(whole) if reason(data) is None] == []


def test_no_truncated_png():
    whole = encode("PNG")
    assert [n for n in range(len(whole)) if reason(whole[:n]) is None] == []
    assert reason(whole + b"more") is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png(STREAM[:-4]), "its compressed pixels end early"),
        (png(STREAM[:-2]), "its compressed pixels end early"),
        (png(STREAM[:-4] + b"\0\0\0\0"), "its pixels do not inflate"),
        (png(zlib.compress(ROWS[:-1])), "its pixels are not the 10 bytes"),
        (png(zlib.compress(ROWS + b"\0")), "its pixels are not the 10 bytes"),
        (png(zlib.compress(bytes(1 << 24))), "its pixels are not the 10 bytes"),
        (png(STREAM, end=b""), "it ends before its end mark"),
        (png(STREAM, end=END[:-1]), "it ends before its end mark"),
        (png(STREAM, more=chunk(b"IHDR", bytes(13))), "it has two headers"),
        (png(STREAM, more=chunk(b"ABCD", b"")), "an unknown critical chunk, 'ABCD'"),
        (png(STREAM, colours=3), "its palette is missing"),
        (png(STREAM, colours=3, more=chunk(b"PLTE", bytes(24))), "colours that its palette lacks"),
        (png(STREAM, colours=5), "its header names no kind of PNG"),
        (png(STREAM, interlaced=2), "its header names no kind of PNG"),
    ],
)
def test_bad_pngs_with_right_checksums(data, message):
    assert message in reason(data)


def test_good_pngs():
    assert np.array_equal(decode(png(STREAM), "a"), [[1, 2, 3, 4], [5, 6, 7, 8]])
    # The passes of Adam7, for 4×2: one pixel, one, then two, and the second row.
    passes = zlib.compress(b"\0\1" + b"\0\3" + b"\0\2\4" + b"\0\5\6\7\x08")
    assert np.array_equal(decode(png(passes, interlaced=1), "a"), [[1, 2, 3, 4], [5, 6, 7, 8]])
    assert reason(png(STREAM, colours=3, more=chunk(b"PLTE", bytes(27)))) is None
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 4, 2, 0, 0, 1, 1, 0, 0))
    assert reason(png(STREAM, more=chunk(b"acTL", struct.pack(">II", 1, 0)) + frame)) is None
    # What one version of Pillow stumbles over, and neither needs.
    assert reason(png(STREAM, more=chunk(b"gAMA", b"\0"))) is None
    assert reason(png(STREAM, more=chunk(b"cHRM", b"\0"))) is None
    large = np.random.RandomState(0).randint(0, 256, [300, 300, 3]).astype(np.uint8)
    data = encode("PNG", Image.fromarray(large))  # several blocks of 64 KiB
    assert np.array_equal(decode(data, "a"), large)


# JPEG


def scans(data):
    """Where a JPEG's scans begin."""
    return [place for place in range(len(data)) if data[place : place + 2] == b"\xff\xda"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"subsampling": 0},
        {"restart_marker_blocks": 1},
        {"restart_marker_blocks": 4, "subsampling": 1},
        {"restart_marker_rows": 1, "progressive": True},
        {"keep_rgb": True},
        {"comment": b"c", "icc_profile": b"no profile"},
    ],
)
def test_good_jpegs_and_truncated_ones(options):
    for image in (RGB, GRAY):
        data = encode("JPEG", image, **({} if image is GRAY and "keep_rgb" in options else options))
        with Image.open(io.BytesIO(data)) as opened:
            assert np.array_equal(decode(data, "a"), opened)
            assert np.array_equal(decode(data + b"more", "a"), opened)
        # Also where an end mark hides what is missing, unless it is a part of the last scan.
        last = scans(data)[-1] + 10
        assert [n for n in range(len(data)) if reason(data[:n]) is None] == []
        if "progressive" not in options:
            assert [n for n in range(last) if reason(data[:n] + b"\xff\xd9") is None] == []


def test_bad_marks_of_a_jpeg():
    data = encode("JPEG", restart_marker_blocks=1)
    place = data.index(b"\xff\xd1")
    assert "restart marks than the 5" in reason(data[:place] + data[place + 2 :])
    assert "restart marks than the 5" in reason(data[: place + 1] + b"\xd3" + data[place + 2 :])
    assert "no segment begins at byte" in reason(data[:20] + b"\0" + data[21:])
    scan = scans(data)[0]
    assert "a scan is of colours" in reason(data[: scan + 5] + b"\x77" + data[scan + 6 :])
    assert "one of its scans is empty" in reason(data[: scan + 14] + b"\xff\xd9")
    progressive = encode("JPEG", progressive=True)
    first = scans(progressive)[0]
    assert "pixels of some colours are missing" in reason(progressive[:first] + b"\xff\xd9")


# WebP


@pytest.mark.parametrize("options", [{"lossless": True}, {}, {"exif": b"Exif\0\0II*\0\x08\0\0\0"}])
def test_webp(options):
    data = encode("WEBP", **options)
    assert reason(data) is None
    assert reason(data + b"more") is None
    assert [n for n in range(len(data)) if reason(data[:n]) is None] == []
    longer = data[:4] + struct.pack("<I", len(data)) + data[8:]
    assert "it should have" in reason(longer)
    assert "chunks are not as long" in reason(
        longer + b"ABCD\xff\0\0\0"
    )  # a part of a chunk's header
    assert reason(data[:4] + struct.pack("<I", len(data) - 10) + data[8:])


# GIF


def test_gif():
    data = encode("GIF", RGB.quantize(32))
    assert reason(data) is None
    assert reason(data + b"more") is None
    assert [n for n in range(len(data)) if reason(data[:n]) is None] == []
    assert "it ends before its trailer" in reason(data[:-1])
    picture = data.index(b",\0\0\0\0")
    larger = data[: picture + 5] + b"\xff" + data[picture + 6 :]
    assert "its picture does not lie within its size" in reason(larger)
    few = data[:10] + bytes([data[10] & 0xF8 | 1]) + data[11:25] + data[109:]  # 4 of 32 colours
    assert "colours that its palette lacks" in reason(few)
    first = picture + 11  # the first block's length
    assert reason(data[:first] + b"\1" + data[first + 1 :])


# TIFF


def tiff(tags, pixels=b"", order="<"):
    """A TIFF of 4×2 gray pixels in two strips, with these tags besides or in place of its own."""
    own = {256: 4, 257: 2, 258: 8, 259: 1, 262: 1, 273: [8, 12], 277: 1, 278: 1, 279: [4, 4]}
    tags = {**own, **tags}
    pixels = pixels or bytes(range(1, 9))
    start, entries, values = 8 + len(pixels), b"", b""
    later = start + 2 + 12 * len(tags) + 4
    for tag, numbers in sorted(tags.items()):
        numbers = numbers if isinstance(numbers, list) else [numbers]
        packed = struct.pack(f"{order}{len(numbers)}H", *numbers)
        if len(packed) > 4:
            packed, values = struct.pack(order + "I", later + len(values)), values + packed
        entries += struct.pack(order + "HHI", tag, 3, len(numbers)) + packed.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    return head + pixels + struct.pack(order + "H", len(tags)) + entries + bytes(4) + values


@pytest.mark.parametrize("order", "<>")
def test_good_tiff(order):
    assert np.array_equal(decode(tiff({}, order=order), "a"), [[1, 2, 3, 4], [5, 6, 7, 8]])


DEFLATED = [zlib.compress(bytes([1, 2, 3, 4])), zlib.compress(bytes([5, 6, 7, 8]))]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({339: 2}, "is of numbers other than unsigned ones; convert it to 8 bits first"),
        ({339: 3}, "is of numbers other than unsigned ones"),
        ({277: 3, 262: 2, 258: [8] * 3, 339: [2] * 3}, "is of numbers other than unsigned"),
        ({262: 6, 277: 3, 258: [8, 8, 8]}, "is YCbCr, neither gray nor RGB"),
        ({338: 0, 277: 2, 258: [8, 8]}, "is with channels of no stated use"),
        ({338: 1, 277: 2, 258: [8, 8]}, "is with channels of no stated use"),
        ({259: 4}, "is a TIFF of compression 4; convert it to PNG first"),
        ({259: 34925}, "is a TIFF of compression 34925; convert it to PNG first"),
        ({262: 3}, "its palette is missing"),
        ({273: 8, 279: 4}, "it has 1 strips, and needs 2 for its size"),
        ({257: 3}, "it has 2 strips, and needs 3 for its size"),
        ({279: [4, 3]}, "one of its strips has 3 bytes, not 4"),
        ({273: [8, 60000]}, "one of its strips lies outside of the file"),
        ({273: [8, 0]}, "one of its strips lies outside of the file"),
        ({278: 0}, "it is empty"),
        ({259: 8}, "its pixels do not inflate"),
        ({259: 7}, "no segment begins|ends before"),
        ({256: [4, 4]}, "its tag 256 has 2 numbers, not one"),
    ],
)
def test_bad_tiffs(tags, message):
    with pytest.raises(BadImage, match=message):
        decode(tiff(tags), "a")


def test_deflated_strips_are_read_to_their_end():
    first, second = DEFLATED
    places, sizes = [8, 8 + len(first)], [len(first), len(second)]
    tags = {259: 8, 273: places, 279: sizes}
    assert np.array_equal(decode(tiff(tags, first + second), "a"), [[1, 2, 3, 4], [5, 6, 7, 8]])
    assert "its pixels do not inflate" in reason(tiff(tags, first + second[:-1] + b"\0"))
    short = {**tags, 279: [sizes[0], sizes[1] - 4]}
    assert "its pixels do not inflate to 4 bytes" in reason(tiff(short, first + second))
    damaged = [one for one in flipped(first) if reason(tiff(tags, one + second)) is None]
    assert [
        one for one in damaged if decode(tiff(tags, one + second), "a").getpixel((0, 0)) != 1
    ] == []


def test_no_tag_comes_twice():
    data = tiff({279: [4, 4]})
    place = data.index(struct.pack("<H", 278) + b"\3\0")
    twice = data[:place] + struct.pack("<H", 277) + data[place + 2 :]
    assert "its directory has tag 277 twice" in reason(twice)


def test_no_truncated_tiff():
    for options in ({}, {"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}):
        data = encode("TIFF", **options)
        assert [n for n in range(len(data)) if reason(data[:n]) is None] == []
