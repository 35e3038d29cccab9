"""Decoding pictures, good ones against NumPy and bad ones by what is said about them."""

import io
import re
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from PIL import Image, ImageFile

from datasets.decoding import FORMATS, decode
from datasets.sources.base import BadImage

pytestmark = pytest.mark.conformance  # the stacks come with different versions of Pillow

COLOURS = np.random.RandomState(0).randint(0, 256, [5, 7, 3]).astype(np.uint8)
GRAYS = COLOURS[..., 0]
RGB = Image.fromarray(COLOURS)
LOSSLESS = {"lossless": True}


def encode(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(data):
    image = decode(data, "a.png")
    assert image.mode in ("L", "RGB", "LA", "RGBA")
    return np.asarray(image)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, bits, colour_type, rows, more=b""):
    """A PNG written here, because Pillow writes no 16-bit colours. more: chunks after IHDR."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(bits, samples):
    """A 1×1 TIFF of three channels."""
    data = struct.pack("<3H", *[bits] * 3)  # at 8, then the pixel at 14
    tags = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2)]
    tags += [(273, 3, 1, 14), (277, 3, 1, 3), (278, 3, 1, 1), (279, 3, 1, len(samples))]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 14 + len(samples)) + data + samples + directory


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_formats(kind):
    options = LOSSLESS if kind == "WEBP" else {}
    np.testing.assert_array_equal(decoded(encode(RGB, kind, **options)), COLOURS)
    if kind != "WEBP":
        np.testing.assert_array_equal(decoded(encode(Image.fromarray(GRAYS), kind)), GRAYS)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits"])
def test_compressed_tiff(compression):
    np.testing.assert_array_equal(decoded(encode(RGB, "TIFF", compression=compression)), COLOURS)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg(mode):
    image = Image.new(mode, (16, 8), 200 if mode == "L" else (200, 100, 50))
    pixels = decoded(encode(image, "JPEG", quality=95))
    # Flat colours survive but for the rounding of YCbCr.
    np.testing.assert_allclose(pixels, np.asarray(image), atol=2)


def test_gif_and_palettes():
    few = COLOURS // 128 * 255  # 8 colours
    image = Image.fromarray(few)
    palette = image.quantize(8)
    np.testing.assert_array_equal(decoded(encode(palette, "GIF")), few)
    np.testing.assert_array_equal(decoded(encode(palette, "PNG")), few)
    transparent = decoded(encode(palette, "PNG", transparency=3))
    np.testing.assert_array_equal(transparent[..., :3], few)
    np.testing.assert_array_equal(transparent[..., 3] == 0, np.asarray(palette) == 3)
    transparent = decoded(encode(palette, "GIF", transparency=3))
    np.testing.assert_array_equal(transparent[..., 3] == 0, np.asarray(palette) == 3)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_kept(mode):
    image = Image.merge(mode, [Image.fromarray(GRAYS + i) for i in range(len(mode))])
    np.testing.assert_array_equal(decoded(encode(image)), np.asarray(image))


def test_one_colour_as_transparency():
    pixels = decoded(encode(RGB, transparency=tuple(COLOURS[1, 2].tolist())))
    np.testing.assert_array_equal(pixels[..., :3], COLOURS)
    assert np.argwhere(pixels[..., 3] == 0).tolist() == [[1, 2]]
    pixels = decoded(encode(Image.fromarray(GRAYS), transparency=int(GRAYS[0, 0])))
    np.testing.assert_array_equal(pixels[..., 1] == 0, GRAYS[0, 0] == GRAYS)


def test_one_bit_becomes_gray():
    bits = GRAYS > 127
    np.testing.assert_array_equal(decoded(encode(Image.fromarray(bits))), bits * np.uint8(255))


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits_become_all_of_0_to_255(bits):
    rows = b"\0" + bytes([0b00011011]) if bits == 2 else b"\0\x05\xaf"
    np.testing.assert_array_equal(decoded(png(4, 1, bits, 0, rows)), [[0, 85, 170, 255]])


@pytest.mark.parametrize(
    ("bits", "rows", "gray"),
    [
        (1, b"\x50", 1),
        (1, b"\x50", 0),
        (2, b"\x1b", 2),
        (2, b"\x1b", 0),
        (4, b"\x05\xaf", 10),
        (4, b"\x05\xaf", 7),
        (8, b"\x00\x55\xaa\xff", 170),
        (8, b"\x00\x55\xaa\xff", 171),
    ],
)
def test_one_gray_of_few_bits_as_transparency(bits, rows, gray):
    transparency = chunk(b"tRNS", struct.pack(">H", gray))
    pixels = decoded(png(4, 1, bits, 0, b"\0" + rows, transparency))
    stored = {1: [0, 1, 0, 1], 2: [0, 1, 2, 3], 4: [0, 5, 10, 15], 8: [0, 85, 170, 255]}[bits]
    expected = np.array(stored) * (255 // (2**bits - 1))
    np.testing.assert_array_equal(pixels[0, :, 0], expected)
    np.testing.assert_array_equal(pixels[0, :, 1], np.where(np.equal(stored, gray), 0, 255))


def test_a_png_whose_header_does_not_come_first():
    data = png(1, 1, 16, 2, bytes(7))
    data = data[:8] + chunk(b"tEXt", b"a\0" + bytes(20)) + data[8:]
    with pytest.raises(BadImage, match=r"^a\.png: is (damaged: a PNG begins with|not a|trunc)"):
        decode(data, "a.png")


ORIENTED = {  # what the viewer must do with the stored pixels, in NumPy
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG"])
@pytest.mark.parametrize("orientation", ORIENTED)
def test_exif_rotation(kind, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    options = {"WEBP": LOSSLESS, "JPEG": {"quality": 95}}.get(kind, {})
    image = Image.fromarray(COLOURS.repeat(8, 0).repeat(8, 1))  # JPEG's blocks
    pixels = decoded(encode(image, kind, exif=exif, **options))
    expected = ORIENTED[orientation](np.asarray(image))
    assert pixels.shape == expected.shape
    # JPEG halves the resolution of colours; turned wrongly the mean would differ by 80.
    assert np.abs(pixels.astype(int) - expected).mean() < (20 if kind == "JPEG" else 1e-9)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_damaged_exif_leaves_the_picture_as_it_is(kind):
    data = encode(Image.new("L", (8, 8), 7), kind, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01")
    np.testing.assert_allclose(decoded(data).mean(), 7, atol=1)


def test_photo_of_a_phone_with_a_second_picture_in_it():
    data = encode(Image.new("L", (8, 8), 7), "MPO", save_all=True, append_images=[RGB])
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "MPO"
    np.testing.assert_allclose(decoded(data), 7, atol=1)


def test_colour_profiles_are_ignored():
    np.testing.assert_array_equal(decoded(encode(RGB, icc_profile=b"no profile")), COLOURS)


SIXTEEN = r"^a\.png: has more than 8 bits per channel; convert it to 8 bits first$"
FRAMES = [RGB, Image.fromarray(255 - COLOURS)]


def animation(kind):
    return encode(FRAMES[0], kind, save_all=True, append_images=FRAMES[1:])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not a PNG, JPEG"),
        (b"hello" * 100, "is not a PNG, JPEG"),
        (encode(RGB, "PPM"), "is not a PNG, JPEG"),  # a format not allowed
        (encode(RGB, "PNG")[:20], "is truncated or damaged"),
        (encode(RGB, "PNG")[:-40], "is truncated or damaged"),
        (encode(RGB, "BMP")[:-10], "is truncated or damaged"),
        (encode(RGB, "TIFF", compression="tiff_lzw")[:-150], "is (not a|truncated or damaged)"),
        (encode(RGB, "JPEG")[:-10], "is truncated or damaged"),
        (encode(RGB, "WEBP", lossless=True)[:-10], "is (not a|truncated or damaged)"),
        (encode(RGB.quantize(8), "GIF")[:-10], "is truncated or damaged"),
        (animation("GIF"), "is animated or has several pages$"),
        (animation("PNG"), "is animated or has several pages$"),
        (animation("WEBP"), "is animated or has several pages$"),
        (animation("TIFF"), "is animated or has several pages$"),
        (encode(RGB.convert("CMYK"), "JPEG"), "is CMYK, neither gray nor RGB"),
        (encode(RGB.convert("CMYK"), "TIFF"), "is CMYK, neither gray nor RGB"),
        (encode(RGB.convert("LAB"), "TIFF"), "is LAB, neither gray nor RGB"),
        (png(0, 0, 8, 2, b""), "is not a PNG, JPEG"),
        (encode(RGB, "BMP")[:18] + bytes(8) + encode(RGB, "BMP")[26:], "is trunc.* empty picture"),
        (png(20000, 5000, 8, 0, b""), "has more than 89478485 pixels, the limit$"),  # a warning
        (png(50000, 50000, 8, 0, b""), "has more than 89478485 pixels, the limit$"),  # an error
    ],
)
def test_bad_pictures(data, message):
    with pytest.raises(BadImage, match=r"^a\.png: " + message):
        decode(data, "a.png")


@pytest.mark.parametrize(
    "data",
    [
        encode(Image.fromarray(GRAYS.astype(np.uint16) * 257), "PNG"),
        encode(Image.fromarray(GRAYS.astype(np.uint16) * 257), "TIFF"),
        encode(Image.fromarray(GRAYS.astype(np.int32)), "TIFF"),
        encode(Image.fromarray(GRAYS.astype(np.float32)), "TIFF"),
        png(1, 1, 16, 2, bytes(7)),  # Pillow would drop the lower half of RGB
        png(1, 1, 16, 4, bytes(5)),
        png(1, 1, 16, 6, bytes(9)),
        tiff(16, bytes(6)),
    ],
)
def test_16_bits(data):
    with pytest.raises(BadImage, match=SIXTEEN):
        decode(data, "a.png")


def test_the_tiff_of_this_file_is_one():
    np.testing.assert_array_equal(decoded(tiff(8, b"\1\2\3")), [[[1, 2, 3]]])


VALID = {
    "PNG": encode(RGB),
    "PNG, palette": encode(RGB.quantize(8), transparency=1),
    "JPEG": encode(RGB, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0"),
    "WEBP": encode(RGB, "WEBP"),
    "WEBP, lossless": encode(RGB.convert("RGBA"), "WEBP", lossless=True),
    "BMP": encode(RGB, "BMP"),
    "GIF": encode(RGB.quantize(8), "GIF"),
    "TIFF": encode(RGB, "TIFF"),
    "TIFF, LZW": encode(RGB, "TIFF", compression="tiff_lzw"),
}


def why_bad(data):
    """What is said about it; None for a good picture."""
    try:
        decoded(data)
    except BadImage as error:
        return str(error)
    return None


@pytest.mark.parametrize("kind", VALID)
@settings(max_examples=150)
@given(st.data())
def test_damage_is_a_bad_image_or_an_image(kind, data):
    damaged = bytearray(VALID[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, len(damaged) - 1))
        damaged[position] = data.draw(
            st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)
        )
    if data.draw(st.booleans()):
        damaged = damaged[: data.draw(st.integers(0, len(damaged)))]
    message = why_bad(bytes(damaged))
    assert message is None or re.fullmatch("a.png: .*", message)  # one line


@given(st.sampled_from(sorted(VALID.values())), st.binary(max_size=60))
@example(b"BM", b"")
def test_any_bytes_after_a_good_beginning(start, rest):
    why_bad(start[:30] + rest)


@pytest.mark.parametrize("kind", VALID)
def test_no_truncated_picture_passes_for_a_whole_one(kind):
    data = VALID[kind]
    whole = decoded(data)
    for length in range(len(data)):
        if why_bad(data[:length]) is None:  # only a mark or metadata at the end are missing
            np.testing.assert_array_equal(decoded(data[:length]), whole)


def test_nothing_global_changes():
    before = warnings.filters[:]
    for data in VALID.values():
        decode(data, "a")
    with pytest.raises(BadImage):
        decode(VALID["PNG"][:-40], "a")
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    assert Image.MAX_IMAGE_PIXELS == 89478485
    assert warnings.filters == before
    assert set(FORMATS) == {"PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"}
