"""Decoding one picture that nobody vouches for."""

from __future__ import annotations

import io
import warnings

from PIL import Image, UnidentifiedImageError

from datasets.pictures import bmp, gif, jpeg, png, tiff, webp
from datasets.pictures.damage import Damage, Unsupported
from datasets.sources.base import BadImage

# Pillow knows dozens of formats; the rare ones are where its security reports come from.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp"),
    *(".bmp", ".gif", ".tif", ".tiff"),
)
_TARGET_MODES = {
    **{"1": "L", "L": "L", "LA": "LA", "P": "RGB", "PA": "RGBA"},
    **{"RGB": "RGB", "RGBA": "RGBA"},
}
_WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}
_TIFF_BITS_PER_SAMPLE = 258
_EXIF_ORIENTATION = 274
_UPRIGHT = {  # orientation → what makes the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(data: bytes, where: str) -> Image.Image:
    """An encoded picture → a loaded image of mode L, RGB, LA or RGBA, 8 bits per channel, upright.

    `where` names the picture in messages. EXIF rotation is applied, palettes and transparent
    colours are resolved. ICC profiles are ignored: the values stay those of the file.

    Raises BadImage, and nothing else, for data that is no PNG, JPEG, WebP, BMP, GIF or TIFF, for
    damage as far as the format lets one see it (datasets/pictures/), several frames, more than 8
    bits per channel, CMYK and other colour spaces, and from 89 million pixels on (Pillow's limit
    against decompression bombs). Every version of Pillow makes the same pixels, or refuses.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata, which does not matter here
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decode(data, where)
    except BadImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        limit = Image.MAX_IMAGE_PIXELS
        raise BadImage(where, f"has more than {limit} pixels, the limit") from error
    except UnidentifiedImageError as error:
        known = "PNG, JPEG, WebP, BMP, GIF or TIFF"
        raise BadImage(where, f"is not a {known} image, or its beginning is damaged") from error
    except Unsupported as error:
        raise BadImage(where, f"is {error}") from error
    except MemoryError as error:
        raise BadImage(where, "does not fit into the memory") from error
    except Exception as error:  # Pillow's plugins raise whatever damaged data leads them to
        came = " ".join(str(error).split()) or type(error).__name__
        raise BadImage(where, "is truncated or damaged: {}", came) from error


def _decode(data: bytes, where: str) -> Image.Image:
    if data.startswith(b"BM"):
        return bmp.decode(data, Image.MAX_IMAGE_PIXELS or 0)
    image = Image.open(io.BytesIO(_checked(data)), formats=FORMATS)
    if getattr(image, "is_animated", False):
        raise BadImage(where, "is animated or has several pages")
    # Pillow reduces some pictures of 16 bits per channel to 8, by dropping the lower ones.
    if image.mode.startswith(("I", "F")) or _bits_per_channel(image, data) > 8:
        raise BadImage(where, "has more than 8 bits per channel; convert it to 8 bits first")
    if image.mode not in _TARGET_MODES:
        raise BadImage(where, f"is {image.mode}, neither gray nor RGB; convert it to RGB first")
    colours = len(image.palette.getdata()[1]) // 3 if image.mode == "P" else 256
    image.load()
    if image.mode == "P" and image.getextrema()[1] >= colours:
        raise Damage("it has pixels of colours that its palette lacks")
    if image.format == "PNG" and image.mode in ("1", "L") and "transparency" in image.info:
        # Pillow scales the pixels of 1, 2 and 4 bits to 0…255, but not the transparent gray.
        highest = (1 << _bits_per_channel(image, data)) - 1
        image.info["transparency"] = (image.info["transparency"] & highest) * (255 // highest)
    orientation = _orientation(image)
    mode = _TARGET_MODES[image.mode]
    if image.has_transparency_data:
        mode = _WITH_ALPHA.get(mode, mode)
    if image.mode != mode:
        image = image.convert(mode)
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    return image


def _checked(data: bytes) -> bytes:
    """What to give to Pillow: the same picture. Raises Damage or Unsupported for what the format
    lets one see, and Pillow does not."""
    if data.startswith(png.SIGNATURE):
        return png.checked(data, Image.MAX_IMAGE_PIXELS or 0)
    if data.startswith(jpeg.BEGINNING):
        return jpeg.parse(data).whole
    if data.startswith(tiff.BEGINNINGS):
        tiff.check(data)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        webp.check(data)
    elif data.startswith((b"GIF87a", b"GIF89a")):
        gif.check(data)
    return data


def _bits_per_channel(image: Image.Image, data: bytes) -> int:
    if image.format == "PNG":
        return data[24]  # in the header
    if image.format == "TIFF":
        return max(image.tag_v2.get(_TIFF_BITS_PER_SAMPLE, (1,)))
    return 8


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, where there is none.

    ImageOps.exif_transpose also writes the metadata anew, and fails where they are damaged.
    """
    try:
        return image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # see above; like picture viewers, take damaged metadata for none
        return 1
