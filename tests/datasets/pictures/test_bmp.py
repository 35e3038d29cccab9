"""BMPs made here, of every kind, against pixels written down here."""

import struct

import numpy as np
import pytest

from datasets.decoding import decode
from datasets.sources.base import BadImage

pytestmark = pytest.mark.conformance

ROW_4 = bytes.fromhex("00 05 12 34 50 00 03 99 00 00")
ROW_8 = bytes.fromhex("02 07 00 02 03 00 03 09 00 00")
END = b"\0\1"
PALETTE = [(10 * i, 255 - i, i) for i in range(16)]


def bmp(size, bits, pixels, *, compression=0, palette=(), masks=(), header=40):
    """A BMP. size: height below 0 for rows from the top down; masks: after a header of 40 bytes,
    or in a longer one."""
    fields = b"".join(struct.pack("<I", mask) for mask in masks)
    table = b"".join(bytes((blue, green, red, 0)) for red, green, blue in palette)
    more = fields + bytes(max(0, header - 40 - len(fields)))
    start = 14 + 40 + len(more) + len(table)
    info = struct.pack(
        "<IiiHHIIiiII", header, *size, 1, bits, compression, len(pixels), 1, 1, len(palette), 0
    )
    file = struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start)
    return file + info + more + table + pixels


def decoded(data):
    return np.asarray(decode(data, "a.bmp")).tolist()


def in_colours(numbers):
    return [[list(PALETTE[number]) for number in row] for row in numbers]


def test_run_lengths():
    four = bmp((8, 1), 4, ROW_4 + END, compression=2, palette=PALETTE)
    assert decoded(four) == in_colours([[1, 2, 3, 4, 5, 9, 9, 9]])
    eight = bmp((8, 1), 8, ROW_8 + END, compression=1, palette=PALETTE)
    assert decoded(eight) == in_colours([[7, 7, 0, 0, 0, 9, 9, 9]])


def test_run_lengths_of_several_rows_and_two_colours():
    runs = b"\x05\x12\0\0" + b"\0\3\x45\x60\2\x77\0\0" + END
    expected = [[4, 5, 6, 7, 7], [1, 2, 1, 2, 1]]  # the last row comes first
    assert decoded(bmp((5, 2), 4, runs, compression=2, palette=PALETTE)) == in_colours(expected)
    # A move leaves pixels out, and an early end whole rows.
    runs = b"\2\1" + b"\0\2\2\0" + b"\1\2" + END
    expected = [[0, 0, 0, 0, 0], [1, 1, 0, 0, 2]]
    assert decoded(bmp((5, 2), 8, runs, compression=1, palette=PALETTE)) == in_colours(expected)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        (ROW_8, "its runs end before their end mark"),
        (ROW_8[:-3], "its runs end before their end mark"),
        (b"\0\x08\1\2\3", "its runs end before their end mark"),
        (b"\x09\1" + END, "one of its runs leaves the picture"),
        (b"\x08\1\0\0\1\1" + END, "one of its runs leaves the picture"),
        (b"\x08\x20" + END, "it has pixels of colours that its palette lacks"),
    ],
)
def test_bad_run_lengths(runs, message):
    with pytest.raises(BadImage, match=message):
        decoded(bmp((8, 1), 8, runs, compression=1, palette=PALETTE))


MASKS_5551 = (0x7C00, 0x3E0, 0x1F, 0x8000)
PIXELS_16 = struct.pack("<4H", 0x7C00, 0x83E0, 0x801F, 0xFFFF)


def test_alpha_of_16_bits():
    data = bmp((4, 1), 16, PIXELS_16, compression=3, masks=MASKS_5551, header=108)
    expected = [[255, 0, 0, 0], [0, 255, 0, 255], [0, 0, 255, 255], [255, 255, 255, 255]]
    assert decoded(data) == [expected]
    without = bmp((4, 1), 16, PIXELS_16)
    assert decoded(without) == [[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]]
    data = bmp((4, 1), 16, PIXELS_16, compression=6, masks=MASKS_5551)
    assert decoded(data) == [expected]


def test_masks_of_any_place():
    pixels = struct.pack("<2H", 0x0F21, 0xF843)
    masks = (0x000F, 0x00F0, 0x0F00, 0xF000)
    data = bmp((2, 1), 16, pixels, compression=3, masks=masks, header=124)
    assert decoded(data) == [[[17, 34, 255, 0], [51, 68, 136, 255]]]
    pixels = struct.pack("<2I", 0x11223344, 0x55667788)
    data = bmp((2, 1), 32, pixels, compression=3, masks=(0xFF000000, 0xFF0000, 0xFF00))
    assert decoded(data) == [[[0x11, 0x22, 0x33], [0x55, 0x66, 0x77]]]
    assert decoded(bmp((2, 1), 32, pixels)) == [[[0x22, 0x33, 0x44], [0x66, 0x77, 0x88]]]
    with pytest.raises(BadImage, match="is of more than 8 bits per channel; convert it to 8 bits"):
        decoded(bmp((2, 1), 32, pixels, compression=3, masks=(0x3FF00000, 0xFFC00, 0x3FF)))


def test_palettes():
    assert decoded(bmp((3, 1), 1, b"\x40\0\0\0", palette=PALETTE[:2])) == in_colours([[0, 1, 0]])
    assert decoded(bmp((3, 1), 4, b"\x12\x30\0\0", palette=PALETTE)) == in_colours([[1, 2, 3]])
    # These grays look like the numbers themselves, of eight bits.
    grays = [(i, i, i) for i in range(16)]
    assert decoded(bmp((3, 1), 4, b"\x12\xf0\0\0", palette=grays)) == [[1, 2, 15]]
    assert decoded(bmp((2, 1), 1, b"\0\0\0\0", palette=[(0, 0, 0)])) == [[0, 0]]


def test_both_orders_of_rows():
    rows = bytes(range(1, 4)) + b"\0" + bytes(range(4, 7)) + b"\0"
    assert decoded(bmp((1, 2), 24, rows)) == [[[6, 5, 4]], [[3, 2, 1]]]
    assert decoded(bmp((1, -2), 24, rows)) == [[[3, 2, 1]], [[6, 5, 4]]]


def test_no_truncated_one_passes():
    for data in (
        bmp((2, 2), 24, bytes(16)),
        bmp((8, 1), 8, ROW_8 + END, compression=1, palette=PALETTE),
        bmp((4, 1), 16, PIXELS_16, compression=3, masks=MASKS_5551, header=108),
    ):
        decode(data, "a")
        for length in range(len(data)):
            with pytest.raises(BadImage):
                decode(data[:length], "a")
    with pytest.raises(BadImage, match="has more than 89478485 pixels, the limit"):
        decode(bmp((1 << 20, 1 << 10), 24, b""), "a")
