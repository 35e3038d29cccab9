"""Cropping, resizing, bars and channels, against NumPy."""

import numpy as np
import pytest
from PIL import Image

from datasets.fitting import Fitting, choose_resolution, is_gray, parse_background
from datasets.sources.base import BadImage
from dnnlib.errors import UserError

pytestmark = pytest.mark.conformance  # the stacks come with different versions of Pillow


def picture(height, width, channels=3, seed=0):
    shape = [height, width] if channels == 1 else [height, width, channels]
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def fit(pixels, resolution, channels=3, **options):
    fitting = Fitting(**options)
    return fitting.fit(
        fitting.trim(Image.fromarray(pixels), "a.png"), resolution, channels, "a.png"
    )


def means(pixels, factor):
    """Of factor×factor pixels: [C, H, W] → float64."""
    c, h, w = pixels.shape
    return pixels.reshape(c, h // factor, factor, w // factor, factor).mean((2, 4), np.float64)


def chw(pixels):
    return pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)


@pytest.mark.parametrize("factor", [2, 4, 8, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_reducing_by_a_power_of_two_takes_exact_means(factor, channels):
    pixels = picture(4 * factor, 4 * factor, channels)
    for resize in (None, "box"):
        got = fit(pixels, 4, channels, resize=resize)
        assert got.dtype == np.uint8
        assert got.flags.c_contiguous
        np.testing.assert_array_equal(got, np.rint(means(chw(pixels), factor)))


def test_other_reductions_use_lanczos():
    pixels = picture(12, 12)
    expected = Image.fromarray(pixels).resize((4, 4), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(fit(pixels, 4), chw(np.asarray(expected)))


def test_every_filter_that_was_asked_for_reduces_antialiased():
    pixels = picture(8, 8).repeat(3, 0).repeat(3, 1)
    exact = means(chw(pixels), 3)
    # Pillow's box filter rounds twice.
    np.testing.assert_allclose(fit(pixels, 8, resize="box"), exact, atol=1)
    noise = picture(256, 256)
    deviations = {
        resize: fit(noise, 8, resize=resize).std() for resize in ("lanczos", "bicubic", "box")
    }
    # 32×32 pixels of noise average out; picking single ones would keep the deviation of 74.
    assert max(deviations.values()) < 6
    assert len(set(deviations.values())) == 3


def test_enlarges_only_when_asked():
    pixels = picture(4, 4)
    message = r"^a\.png: 4×4 is smaller than 8×8; --resize=lanczos enlarges$"
    with pytest.raises(BadImage, match=message):
        fit(pixels, 8)
    enlarged = fit(pixels, 8, resize="box")
    np.testing.assert_array_equal(enlarged, chw(pixels.repeat(2, 0).repeat(2, 1)))


def test_no_resizing():
    pixels = picture(8, 8)
    np.testing.assert_array_equal(fit(pixels, 8, resize="none"), chw(pixels))
    message = r"^a\.png: 8×8 pixels are not 4×4; --resize=lanczos resizes$"
    with pytest.raises(BadImage, match=message):
        fit(pixels, 4, resize="none")


def test_only_squares_need_no_crop():
    message = r"^a\.png: 9×8 pixels are not square; use one of --crop=center, --crop=wide, --crop="
    with pytest.raises(BadImage, match=message):
        fit(picture(8, 9), 8)


@pytest.mark.parametrize(("height", "width"), [(8, 13), (8, 12), (13, 8), (8, 8)])
def test_centre_crop(height, width):
    pixels = picture(height, width)
    top, left = (height - 8) // 2, (width - 8) // 2
    expected = chw(pixels[top : top + 8, left : left + 8])
    np.testing.assert_array_equal(fit(pixels, 8, crop="center"), expected)


@pytest.mark.parametrize("height", [12, 13, 17, 40])
def test_wide_keeps_the_width_and_the_centre_rows(height):
    # LSUN cars' rule, for width×height = 16×12: round(width·H/W) of the source's rows stay.
    pixels = picture(height, 16)
    rows = pixels[(height - 12) // 2 :][:12]
    expected = np.pad(chw(rows), [(0, 0), (2, 2), (0, 0)])
    np.testing.assert_array_equal(fit(pixels, 16, crop="wide"), expected)


def test_wide_of_a_wider_picture_keeps_the_height():
    pixels = picture(24, 40)
    expected = np.rint(means(chw(pixels[:, 4:36]), 2))
    expected = np.pad(expected, [(0, 0), (2, 2), (0, 0)])
    np.testing.assert_array_equal(fit(pixels, 16, crop="wide"), expected)


@pytest.mark.parametrize(("height", "width"), [(100, 15), (11, 100)])
def test_wide_needs_enough_of_both(height, width):
    with pytest.raises(BadImage, match=r"^a\.png: .* is smaller than 16×12; --resize=lanczos"):
        fit(picture(height, width), 16, crop="wide")


def test_wide_at_the_smallest_resolution():
    assert fit(picture(60, 80), 4, crop="wide").shape == (3, 4, 4)


@pytest.mark.parametrize("channels", [1, 3])
def test_letterbox(channels):
    pixels = picture(16, 32, channels)
    inside = np.rint(means(chw(pixels), 2))
    black = fit(pixels, 16, channels, crop="letterbox")
    np.testing.assert_array_equal(black, np.pad(inside, [(0, 0), (4, 4), (0, 0)]))
    turned = np.ascontiguousarray(pixels.swapaxes(0, 1))
    white = fit(turned, 16, channels, crop="letterbox", background=(255, 255, 255))
    expected = np.pad(inside, [(0, 0), (4, 4), (0, 0)], constant_values=255)
    np.testing.assert_array_equal(white, expected.swapaxes(1, 2))


def test_bars_have_the_colour_of_the_background():
    colour = fit(picture(4, 8), 8, crop="letterbox", background=(10, 200, 30))
    np.testing.assert_array_equal(colour[:, 0, 0], [10, 200, 30])
    gray = fit(picture(4, 8), 8, channels=1, crop="letterbox", background=(10, 200, 30))
    assert gray[0, 0, 0] == round(10 * 0.299 + 200 * 0.587 + 30 * 0.114)


def test_letterbox_of_a_line():
    assert fit(picture(1, 64), 8, crop="letterbox").any(axis=(0, 2)).sum() == 1


def test_one_channel_is_the_luma():
    pixels = picture(8, 8)
    expected = pixels @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    np.testing.assert_allclose(fit(pixels, 8, channels=1)[0], expected, atol=0.51)
    gray = picture(8, 8, 1)
    np.testing.assert_array_equal(fit(gray, 8, channels=1), gray[np.newaxis])
    np.testing.assert_array_equal(fit(gray[..., np.newaxis].repeat(3, 2), 8, channels=1)[0], gray)


def test_three_channels_of_a_gray_picture_are_the_same():
    gray = picture(8, 8, 1)
    np.testing.assert_array_equal(fit(gray, 8, channels=3), np.stack([gray] * 3))


@pytest.mark.parametrize("bands", [2, 4])
def test_opaque_alpha_is_dropped(bands):
    pixels = picture(8, 8, bands)
    pixels[..., -1] = 255
    channels = 3 if bands == 4 else 1
    np.testing.assert_array_equal(fit(pixels, 8, channels), chw(pixels[..., :-1]))


@pytest.mark.parametrize("bands", [2, 4])
@pytest.mark.parametrize("background", [(0, 0, 0), (255, 255, 255), (255, 0, 10)])
def test_transparency_shows_the_background(bands, background):
    pixels = picture(8, 8, bands)
    alpha = pixels[..., -1:] / 255
    expected = pixels[..., :-1] * alpha + np.array(background) * (1 - alpha)
    np.testing.assert_allclose(fit(pixels, 8, background=background), chw(expected), atol=1)


def test_transparency_needs_a_background():
    pixels = picture(8, 8, 4)
    pixels[..., 3] = 255
    pixels[5, 3, 3] = 254
    message = r"^a\.png: has transparent pixels; --background=white \(or black, or #rrggbb\)"
    with pytest.raises(BadImage, match=message):
        fit(pixels, 8)


def test_gray_pictures():
    assert is_gray(Image.new("L", (4, 4)))
    pixels = picture(8, 8, 1)[..., np.newaxis].repeat(3, 2)
    assert is_gray(Image.fromarray(pixels))
    for channel in range(3):
        coloured = pixels.copy()
        coloured[7, 7, channel] ^= 1
        assert not is_gray(Image.fromarray(coloured))


def test_backgrounds():
    assert parse_background("black") == (0, 0, 0)
    assert parse_background("white") == (255, 255, 255)
    assert parse_background("#0a64FF") == (10, 100, 255)


@pytest.mark.parametrize("text", ["", "red", "#fff", "#gggggg", "0a64ff", "#0a64ff\n"])
def test_bad_backgrounds(text):
    with pytest.raises(UserError, match=r"^--background is black, white or #rrggbb, not '"):
        parse_background(text)


def test_resolution_of_the_first_picture():
    assert choose_resolution(4, "a.png") == 4
    assert choose_resolution(1024, "a.png") == 1024
    with pytest.raises(UserError, match=r"^a\.png: 100 is not a power of two; --resolution=64 "):
        choose_resolution(100, "a.png")
    with pytest.raises(UserError, match=r"^a\.png: 2 pixels are too small, a set starts at 4×4$"):
        choose_resolution(2, "a.png")
