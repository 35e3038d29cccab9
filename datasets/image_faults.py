"""What can be wrong with single images: no contrast, uniform bars, no detail of their size.

All are measures of arrays of images; datasets/checking.py says what they mean for a data set.
"""

from __future__ import annotations

import numpy as np

SIDE = 64  # pixels of what contrast and bars are measured of, height and width
CONSTANT = 3  # levels between the darkest and the brightest pixel, at most
FAINT = 4.0  # levels, the standard deviation of all channels, below which there is next to nothing
_UNIFORM = 6  # levels between pixels of a bar; JPEG leaves some
_STEP = 16  # levels between a bar and what is beside it ...
_ALONG = 0.9  # ... in this part of its length
SIDES = ("top", "bottom", "left", "right")

# Parts of the Nyquist frequency that an image's detail may end at, the lowest first; enlarged
# images have it at old size / new size.
CUTS = (1 / 8, 1 / 4, 1 / 2, 3 / 4)
CLIFF = 50.0  # times less power beyond the cut than before; photographs have 2 to 20 times less
LEAST_DETAIL_SIDE = 32  # pixels: a spectrum of less tells nothing
_ROUGH_SIDE = 64  # pixels, below which spectra are rough
_STRONG = 4.0  # times the rounding's power, before the cut: else there is nothing to compare


def contrast(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(levels between the darkest and the brightest value of any channel [N], the largest standard
    deviation of a channel [N]) of images uint8 [N, H, W, C]."""
    flat = _planes(images).reshape(len(images), images.shape[-1], -1)
    spread = (flat.max(axis=2).astype(int) - flat.min(axis=2)).max(axis=1)
    return spread, flat.astype(np.float32).std(axis=2).max(axis=1)


def _planes(images: np.ndarray) -> np.ndarray:
    """[N, H, W, C] → [N, C, H, W], in memory too: what follows is several times as fast so."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def bars(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(widths, in pixels, of uniform bars at the top, bottom, left and right: int [N, 4]; whether
    there are plain margins that are no bars, bool [N]).

    images: uint8 [N, H, W, C]. Bars are of one colour and end along straight lines, so that the
    rest is a rectangle: a plain background does not, whose object touches the lines in places.
    """
    side = images.shape[1]
    planes = _planes(images)
    turned = np.ascontiguousarray(planes.swapaxes(2, 3))
    views = planes, planes[:, :, ::-1], turned, turned[:, :, ::-1]
    widths = np.stack([_uniform_rows(view) for view in views], axis=1)
    widths[widths.max(axis=1) >= side] = 0  # of one colour in all
    plain = np.zeros([len(images)], bool)
    for number in np.flatnonzero(widths.any(axis=1)):
        top, bottom, left, right = widths[number]
        inner = images[number, top : side - bottom, left : side - right].astype(np.int16)
        if not inner.size or not _is_rectangle(inner, images[number], widths[number]):
            widths[number], plain[number] = 0, True
    return widths, plain


def _uniform_rows(planes: np.ndarray) -> np.ndarray:
    """How many rows from the top on are of one colour: [N] of [N, C, H, W]."""
    spread = planes.max(axis=3).astype(np.int16) - planes.min(axis=3)
    first = planes[:, :, :, 0].astype(np.int16)
    uniform = spread.max(axis=1) <= _UNIFORM
    same = np.abs(first - first[:, :, :1]).max(axis=1) <= _UNIFORM
    return np.cumprod(uniform & same, axis=1).sum(axis=1)


def _is_rectangle(inner: np.ndarray, image: np.ndarray, widths: np.ndarray) -> bool:
    """Whether what bars leave of an image differs from them all along its edges."""
    edges = inner[0], inner[-1], inner[:, 0], inner[:, -1]
    corners = image[0, 0], image[-1, 0], image[0, 0], image[0, -1]
    for width, edge, colour in zip(widths, edges, corners):
        if width and (np.abs(edge - colour).max(axis=1) > _STEP).mean() < _ALONG:
            return False
    return True


def detail(image: np.ndarray, cliff: float = CLIFF) -> float:
    """The part of the Nyquist frequency that an image's detail ends at; 1.0: it does not end.

    image: uint8 [R, R, C]. cliff: how many times less power there is beyond; of small images, whose
    spectra are rough, more.

    Enlarging adds no detail: beyond the old size's Nyquist frequency there is a cliff in the
    spectrum, where that of a photograph declines as 1/f² or so; pixels that are repeated are seen
    as such. Of photographs enlarged to 256×256 by 2 and more nearly all are seen, of those enlarged
    bilinearly by 4 two in five.
    """
    repeats = _repeated(image)
    if repeats > 1:
        return 1 / repeats
    side = image.shape[0]
    if side < LEAST_DETAIL_SIDE:
        return 1.0
    cliff *= max(_ROUGH_SIDE / side, 1)
    power = _power_by_frequency(image)
    nyquist = len(power) - 1
    rounding = 1 / 12
    for cut in CUTS:
        before = power[max(round(0.7 * cut * nyquist), 1) : round(0.9 * cut * nyquist) + 1]
        beyond = power[round(1.25 * cut * nyquist) : round(min(2.2 * cut, 1.0) * nyquist) + 1]
        floor = max(float(np.median(beyond)), rounding)
        if np.median(before) > max(cliff * floor, _STRONG * rounding):
            # Nothing comes back above either.
            rest = power[round(1.25 * cut * nyquist) :]
            if np.median(before) > cliff / 4 * rest.max():
                return cut
    return 1.0


def _repeated(image: np.ndarray) -> int:
    """By how much an image's pixels are repeated in both directions: 8, 4, 2, or 1."""
    for factor in (8, 4, 2):
        small = image[::factor, ::factor]
        if small.shape[0] < 4 or small.max() == small.min():
            continue
        if np.array_equal(small.repeat(factor, axis=0).repeat(factor, axis=1), image):
            return factor
    return 1


def _power_by_frequency(image: np.ndarray) -> np.ndarray:
    """Mean power of the luminance at the frequencies whose larger part is 0 … Nyquist: [R/2 + 1];
    1/12 is that of rounding to whole levels."""
    grey = image.astype(np.float32).mean(axis=2)
    side = grey.shape[0]
    # The borders of a picture do not join; this makes them, at the cost of its margin.
    window = np.hanning(side + 2)[1:-1].astype(np.float32)
    window = np.outer(window, window)
    grey = (grey - (grey * window).sum() / window.sum()) * window
    power = np.abs(np.fft.rfft2(grey)) ** 2 / np.square(window).sum()
    down = np.abs(np.fft.fftfreq(side, 1 / side))
    right = np.arange(side // 2 + 1)
    larger = np.maximum(down[:, None], right[None, :]).astype(int).ravel()
    total = np.bincount(larger, power.ravel(), side // 2 + 1)
    return total / np.bincount(larger, minlength=side // 2 + 1)
