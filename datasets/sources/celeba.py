"""CelebA, aligned and cropped, in its published form."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from datasets.decoding import decode
from datasets.sources.base import BadImage, Source
from datasets.sources.containers import Folder, is_hidden
from dnnlib.errors import UserError
from dnnlib.paths import check_input

_SIZE = (178, 218)  # width, height
_HALF = 64
_FOLDERS = (("img_align_celeba_png", ".png"), ("img_align_celeba", ".jpg"))
_ATTRIBUTES = "list_attr_celeba.txt"
_ATTRIBUTE_COUNT = 40


class Celeba(Source):
    """The aligned images in `directory`, cropped to 128×128 around column `cx` and row `cy`.

    From img_align_celeba_png/*.png, else img_align_celeba/*.jpg, by name. labels: 40 columns of 0
    and 1 if list_attr_celeba.txt lies in `directory` or in Anno/ there; label_names: their names.
    Raises UserError for a crop outside of the images, no images, or attributes that do not fit.
    """

    name = "celeba"
    resolution = 2 * _HALF
    channels = 3
    label_names: tuple[str, ...] = ()

    def __init__(self, directory: str | os.PathLike, cx: int = 89, cy: int = 121):
        for flag, centre, size in (("cx", cx, _SIZE[0]), ("cy", cy, _SIZE[1])):
            if not _HALF <= centre <= size - _HALF:
                raise UserError(
                    f"--{flag} is {centre}, expected {_HALF} to {size - _HALF}: the crop must lie "
                    f"inside the images of {_SIZE[0]}×{_SIZE[1]}"
                )
        self._box = (cx - _HALF, cy - _HALF, cx + _HALF, cy + _HALF)
        self._folder, self._names = _images(Path(directory))
        for path in (Path(directory, _ATTRIBUTES), Path(directory, "Anno", _ATTRIBUTES)):
            if path.is_file():
                self.label_names, self.labels = _read_attributes(path, self._names)
                break

    def __len__(self) -> int:
        return len(self._names)

    def describe(self, number: int) -> str:
        return str(self._folder / self._names[number])

    def read(self, number: int) -> np.ndarray:
        where = self.describe(number)
        image = decode(Folder(Path()).read(where), where)
        if image.size != _SIZE or image.mode != "RGB":
            reason = f"is {image.mode} {{}}×{{}}, expected RGB {_SIZE[0]}×{_SIZE[1]}"
            raise BadImage(where, reason, *image.size)
        return np.ascontiguousarray(np.asarray(image.crop(self._box)).transpose(2, 0, 1))


def _images(directory: Path) -> tuple[Path, list[str]]:
    """The folder with the images, and their names in order."""
    for folder, suffix in _FOLDERS:
        if (directory / folder).is_dir():
            files = [name for name in os.listdir(directory / folder) if not is_hidden(name)]
            names = sorted(name for name in files if name.endswith(suffix))
            if names:
                return directory / folder, names
    places = " nor ".join(f"{folder}/*{suffix}" for folder, suffix in _FOLDERS)
    raise UserError(f"{directory}: there is neither {places}, CelebA's images")


def _read_attributes(path: Path, names: list[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the attributes, and their values for these images: float32 [N, attributes]."""
    rows = {Path(name).stem: row for row, name in enumerate(names)}
    labelled = np.zeros(len(names), bool)
    try:
        check_input(path)
        with open(path, encoding="ascii") as file:
            file.readline()  # how many lines follow; the images tell how many are needed
            columns = tuple(file.readline(1 << 16).split())
            if len(columns) != _ATTRIBUTE_COUNT:
                raise UserError(
                    f"{path}, line 2: expected the names of {_ATTRIBUTE_COUNT} attributes, found "
                    f"{len(columns)}"
                )
            labels = np.zeros([len(names), len(columns)], np.float32)
            for line, text in enumerate(file, 3):
                words = text.split()
                row = rows.get(Path(words[0]).stem) if words else None
                if row is None:
                    continue
                if len(words) != 1 + len(columns) or not {"1", "-1"}.issuperset(words[1:]):
                    raise UserError(
                        f"{path}, line {line}: expected the name of an image and {len(columns)} "
                        "times 1 or -1"
                    )
                labels[row] = np.array(words[1:]) == "1"
                labelled[row] = True
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text: {error}") from error
    if not labelled.all():
        missing = names[int(labelled.argmin())]
        raise UserError(f"{path}: has no line for {missing}; without the file there are no labels")
    return columns, labels
