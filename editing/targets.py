"""Pictures that are to be found in a generator: from a file, or all of a directory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from datasets.decoding import SUFFIXES, decode
from datasets.fitting import Fitting
from dnnlib import paths
from dnnlib.errors import UserError, explain_os_errors

MAX_TARGETS = 1000
_MAX_BYTES = 2**28  # of one file


@dataclass
class Target:
    """A picture as the network's images are; name: the file's, without its suffix."""

    name: str
    pixels: np.ndarray  # uint8 [R, R, C]


def read(
    path: str | os.PathLike,
    resolution: int,
    channels: int,
    *,
    crop: Optional[tuple[int, int, int]] = None,
    background: Optional[tuple[int, int, int]] = None,
) -> list[Target]:
    """The pictures at `path`, cropped and resized by Lanczos.

    crop: (x, y, size) of the square in pixels of the picture, by default the largest in its
    middle. background: behind transparent pixels. Raises UserError naming the picture where one
    cannot be read, has transparent pixels without a background, or does not hold the crop.
    """
    fitting = Fitting(crop="center", resize="lanczos", background=background)
    return [
        Target(file.stem, _read(file, resolution, channels, crop, fitting)) for file in _files(path)
    ]


def _files(path: str | os.PathLike) -> list[Path]:
    path = Path(path)
    if not path.is_dir():
        return [path]
    with explain_os_errors("read", path):
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if not files:
        raise UserError(f"--target={path}: no picture in it; expected {', '.join(SUFFIXES)}")
    if len(files) > MAX_TARGETS:
        raise UserError(f"--target={path}: {len(files):,} pictures, more than {MAX_TARGETS:,}")
    return files


def _read(
    path: Path,
    resolution: int,
    channels: int,
    crop: Optional[tuple[int, int, int]],
    fitting: Fitting,
) -> np.ndarray:
    image = decode(paths.read_input(path, _MAX_BYTES), str(path))
    if crop is not None:
        x, y, size = crop
        width, height = image.size
        if not (size > 0 and x >= 0 and y >= 0 and x + size <= width and y + size <= height):
            raise UserError(
                f"--crop={x},{y},{size}: not inside {path}, which has {width}x{height} pixels"
            )
        image = image.crop((x, y, x + size, y + size))
    image = fitting.trim(image, str(path))
    return np.transpose(fitting.fit(image, resolution, channels, str(path)), [1, 2, 0])
