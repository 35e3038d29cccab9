"""A picture of directions: a row each, from one side of an image to the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from editing.effects import AMOUNTS
from generation.directions import Direction
from networks.sampling import Sampler

_LEAST = 64  # pixels of a cell, for its row's name to be read beside it
_MARGIN = 8


def sheet(sampler: Sampler, directions: Sequence[Direction], codes: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3]: the image of one code [1, layers, D], moved by AMOUNTS from left to right,
    with the directions' names."""
    side = max(sampler.resolution, _LEAST // sampler.resolution * sampler.resolution, 1)
    font = ImageFont.load_default()
    width = max(font.getlength(one.name) for one in directions)
    left = int(width) + 2 * _MARGIN
    picture = Image.new("RGB", (left + side * len(AMOUNTS), side * len(directions)), "white")
    draw = ImageDraw.Draw(picture)
    for row, direction in enumerate(directions):
        moved = np.concatenate([direction.move(codes, amount) for amount in AMOUNTS])
        for column, pixels in enumerate(sampler.images(moved, title="directions")):
            image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
            image = image.convert("RGB").resize((side, side), Image.Resampling.NEAREST)
            picture.paste(image, (left + column * side, row * side))
        draw.text((_MARGIN, row * side + side // 2 - 6), direction.name, fill="black", font=font)
    return np.asarray(picture)
