"""From a picture of any shape to a square array: cropping, resizing, bars, channels."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from PIL import Image

from compute.box_means import box_reduce
from datasets.sources.base import BadImage
from dnnlib.errors import UserError

CROPS = ("none", "center", "wide", "letterbox")
RESIZES = ("lanczos", "box", "bicubic", "none")
_FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
}
_NAMED_COLOURS = {"black": (0, 0, 0), "white": (255, 255, 255)}


def is_power_of_two(number: int) -> bool:
    return number > 0 and not number & (number - 1)


def parse_background(text: str) -> tuple[int, int, int]:
    """'black', 'white' or '#rrggbb' → RGB, 0…255 each. Raises UserError."""
    if text in _NAMED_COLOURS:
        return _NAMED_COLOURS[text]
    if not re.fullmatch("#[0-9a-fA-F]{6}", text):
        raise UserError(f"--background is black, white or #rrggbb, not {text!r}")
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue


def choose_resolution(side: int, where: str) -> int:
    """The resolution of a set whose first image, named by `where`, has that side after cropping.

    Raises UserError unless it is a power of two from 4 on.
    """
    if side < 4:
        raise UserError(f"{where}: {side} pixels are too small, a set starts at 4×4")
    if not is_power_of_two(side):
        lower = 1 << (side.bit_length() - 1)
        raise UserError(
            f"{where}: {side} is not a power of two; --resolution={lower} reduces to it"
        )
    return side


def is_gray(image: Image.Image) -> bool:
    """Whether an image of mode L or RGB has no colours."""
    if image.mode == "L":
        return True
    red, green, blue = (band.tobytes() for band in image.split())
    return red == green == blue


@dataclass(frozen=True)
class Fitting:
    """How pictures become square.

    crop: 'none' (they must be square), 'center' (the largest centred square), 'wide' (the largest
    centred part of 4:3, between bars: LSUN cars) or 'letterbox' (everything, between bars).
    resize: one of RESIZES. None, the default, reduces by a power of two with exact means, else
    with Lanczos, and refuses to enlarge. The choice moves FID by a whole point, and only means
    make the reduced picture what the set's own lower resolution of it would be.
    background: RGB behind transparent pixels, and of the bars, which are black without it.
    """

    crop: str = "none"
    resize: str | None = None
    background: tuple[int, int, int] | None = None

    def trim(self, image: Image.Image, where: str) -> Image.Image:
        """Mode L, RGB, LA or RGBA → L or RGB, the part that `crop` keeps. Raises BadImage."""
        width, height = image.size
        if self.crop == "none" and width != height:
            others = ", ".join(f"--crop={crop}" for crop in CROPS[1:])
            reason = f"{{}}×{{}} pixels are not square; use one of {others}"
            raise BadImage(where, reason, width, height)
        if self.crop == "center":
            image = _crop_centrally(image, min(image.size), min(image.size))
        elif self.crop == "wide":
            kept = min(width, round(height * 4 / 3)), min(height, round(width * 3 / 4))
            image = _crop_centrally(image, *kept)
        return self._remove_alpha(image, where)

    def fit(self, image: Image.Image, resolution: int, channels: int, where: str) -> np.ndarray:
        """What `trim` returned → uint8 [channels, resolution, resolution].

        One channel is the luma of a coloured image. Raises BadImage where a size does not fit.
        """
        mode = "RGB" if channels == 3 else "L"
        pixels = self._resize(image.convert(mode), self._inner_size(image.size, resolution), where)
        if pixels.shape[:2] != (resolution, resolution):
            bars = Image.new("RGB", (resolution, resolution), self.background or (0, 0, 0))
            canvas = np.array(bars.convert(mode))
            height, width = pixels.shape[:2]
            top, left = (resolution - height) // 2, (resolution - width) // 2
            canvas[top : top + height, left : left + width] = pixels
            pixels = canvas
        pixels = pixels.reshape(resolution, resolution, channels)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def _inner_size(self, size: tuple[int, int], resolution: int) -> tuple[int, int]:
        """Width and height between the bars."""
        if self.crop == "wide":
            return resolution, resolution * 3 // 4
        width, height = (max(1, round(side * resolution / max(size))) for side in size)
        return width, height

    def _resize(self, image: Image.Image, size: tuple[int, int], where: str) -> np.ndarray:
        """Mode L or RGB → uint8 [H, W] or [H, W, 3]."""
        if image.size == size:
            return np.asarray(image)
        if self.resize == "none":
            reason = "{}×{} pixels are not {}×{}; --resize=lanczos resizes"
            raise BadImage(where, reason, *image.size, *size)
        if self.resize is None and (image.width < size[0] or image.height < size[1]):
            reason = "{}×{} is smaller than {}×{}; --resize=lanczos enlarges"
            raise BadImage(where, reason, *image.size, *size)
        factor = image.width // size[0]
        exact = image.size == (size[0] * factor, size[1] * factor) and is_power_of_two(factor)
        if exact and self.resize in (None, "box"):
            return box_reduce(np.asarray(image), factor)
        return np.asarray(image.resize(size, _FILTERS[self.resize or "lanczos"]))

    def _remove_alpha(self, image: Image.Image, where: str) -> Image.Image:
        if image.mode not in ("LA", "RGBA"):
            return image
        least, _ = image.getchannel("A").getextrema()
        if least == 255:
            return image.convert(image.mode[:-1])
        if self.background is None:
            hint = "--background=white (or black, or #rrggbb) fills it"
            raise BadImage(where, f"has transparent pixels; {hint}")
        canvas = Image.new("RGBA", image.size, (*self.background, 255))
        canvas.alpha_composite(image.convert("RGBA"))
        return canvas.convert("RGB")


def _crop_centrally(image: Image.Image, width: int, height: int) -> Image.Image:
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
