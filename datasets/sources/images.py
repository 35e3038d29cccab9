"""Folders and zip files of pictures, of any kind and size, as a source of a data set."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from datasets.decoding import SUFFIXES, decode
from datasets.fitting import Fitting, choose_resolution, is_gray, parse_background
from datasets.format.tfrecords import is_resolution
from datasets.format.writer import choose_shuffled_order
from datasets.labels import (
    common_folder,
    labels_from_folders,
    labels_from_json,
    spelled_alike,
    why_folders_make_no_labels,
)
from datasets.sources.base import BadImage, Source
from datasets.sources.containers import open_container, printable
from dnnlib.errors import UserError

_LABEL_FILE = "dataset.json"
_SAMPLE = 100  # images looked at for colours


class Images(Source):
    """The pictures below a folder or in a zip file, sorted by their relative paths.

    path: the folder or .zip; hidden files are left out, and those of other suffixes counted.
    resolution: a power of two from 4 on; default: the side of the first image after cropping, and
    without `resize` all must then have that size. resize, crop: see datasets.fitting.Fitting.
    channels: 3, 1 (luma) or 'auto': 1 if up to 100 images, spread over the set, are gray.
    background: 'black', 'white' or '#rrggbb', for transparent images and bars. labels: 'auto' takes
    them from dataset.json at the root, or below it in a folder that holds all images, or else one
    class per subfolder (datasets/labels.py); 'none' makes no labels.
    shuffle: whether to write in the reference's shuffled order, or sorted. max_images: how many,
    the first in that order; default: all.

    Beside what every Source has: ignored, the number of files that are not pictures by their
    suffix; label_names, the subfolders that are the classes, else empty; no_labels: why the folders
    that there are make no labels, else ''.
    Raises UserError, also for files of labels that do not fit (datasets/labels.py).
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        resolution: int | None = None,
        resize: str | None = None,
        crop: str = "none",
        channels: str | int = "auto",
        background: str | None = None,
        labels: str = "auto",
        shuffle: bool = True,
        max_images: int | None = None,
    ):
        if resolution is not None and not is_resolution(resolution):
            raise UserError(f"--resolution is a power of two from 4 on, not {resolution}")
        if max_images is not None and max_images < 1:
            raise UserError(f"--max_images is at least 1, not {max_images}")
        self.path = Path(path)
        self._container = open_container(self.path)
        full = self.path.resolve()
        self.name = (full.name if self.path.is_dir() else full.stem) or "images"
        self.shuffled = shuffle
        if resolution is None and resize is None:
            resize = "none"  # nobody asked for another size
        self._fitting = Fitting(crop, resize, parse_background(background) if background else None)
        self._find(labels, max_images)
        self._look(resolution, channels)

    def __len__(self) -> int:
        return len(self._names)

    def describe(self, number: int) -> str:
        return printable(self._names[number])

    def order(self) -> np.ndarray:
        return self._order

    def read(self, number: int) -> np.ndarray:
        image, where = self._trimmed(number), self.describe(number)
        if self._only_gray and not is_gray(image):
            raise BadImage(where, "has colours, other images have none; --channels=3 keeps them")
        return self._fitting.fit(image, self.resolution, self.channels, where)

    def _trimmed(self, number: int) -> Image.Image:
        """Mode L or RGB, cropped, not yet resized."""
        where = self.describe(number)
        image = decode(self._container.read(self._names[number]), where)
        return self._fitting.trim(image, where)

    def _find(self, labels: str, max_images: int | None) -> None:
        """Sets the names, labels and order."""
        files = self._container.names()
        names = [name for name in files if name.lower().endswith(SUFFIXES)]
        above = common_folder([spelled_alike(name) for name in names]) if names else ""
        label_file = _label_file(files, above)
        self.ignored = len(files) - len(names) - (label_file is not None)
        if not names:
            raise UserError(
                f"{self.path}: no images in it ({', '.join(SUFFIXES)}), "
                f"and {self.ignored} files of other kinds"
            )
        self.label_names: list[str] = []
        self.no_labels = ""
        if labels == "auto" and label_file is not None:
            where = f"{self.path}/{printable(label_file)}"
            data = self._container.read(label_file)
            self.labels = labels_from_json(data, names, where, _folders_of_paths(label_file, above))
        elif labels == "auto":
            self.labels, self.label_names = labels_from_folders(names)
            if self.labels is None:
                self.no_labels = why_folders_make_no_labels(names)
                self._refuse_lower_labels(files)
        order = choose_shuffled_order(len(names)) if self.shuffled else np.arange(len(names))
        order = order[:max_images]
        kept = np.sort(order)
        self._order = np.searchsorted(kept, order)
        self._names = [names[number] for number in kept]
        if self.labels is not None:
            self.labels = self.labels[kept]

    def _refuse_lower_labels(self, files: list[str]) -> None:
        """A file of labels that is not read is no accident where nothing else makes labels."""
        for name in files:
            if spelled_alike(name).endswith(f"/{_LABEL_FILE}"):
                raise UserError(
                    f"{self.path}/{printable(name)}: labels are read at the top, or in a folder "
                    "that holds all images; make the folder that holds it the source (or its zip), "
                    "or use --labels=none"
                )

    def _look(self, resolution: int | None, channels: str | int) -> None:
        """Sets resolution and channels, after looking at as few images as that takes."""
        gray, usable, failures = True, 0, []
        for number in np.linspace(0, len(self) - 1, min(len(self), _SAMPLE)).astype(int):
            if resolution and (channels != "auto" or not gray):
                break
            try:
                image = self._trimmed(number)
            except BadImage as error:  # counts when it is read
                failures.append(error)
                continue
            usable += 1
            resolution = resolution or choose_resolution(max(image.size), self.describe(number))
            gray = gray and is_gray(image)
        if failures and not usable:
            looked = f"none of the images looked at ({len(failures)}) is usable"
            raise UserError(f"{self.path}: {looked}; the first: {failures[0]}")
        self.resolution = resolution
        self.channels = (1 if gray else 3) if channels == "auto" else int(channels)
        self._only_gray = channels == "auto" and gray


def _label_file(files: list[str], above: str) -> str | None:
    """The file of labels that is nearest to the root: there, or in one of the folders that make up
    `above`, the path of the deepest one that holds all images."""
    spelled = {spelled_alike(name): name for name in files}
    parts = above.split("/")[:-1]
    for depth in range(len(parts) + 1):
        name = spelled.get("/".join([*parts[:depth], _LABEL_FILE]))
        if name is not None:
            return name
    return None


def _folders_of_paths(label_file: str, above: str) -> list[str]:
    """What the paths in a file of labels may be relative to, the likeliest first: its own folder,
    the root, and the deepest folder that holds all images. Each '' or with '/' after it."""
    own = spelled_alike(label_file)[: -len(_LABEL_FILE)]
    return list(dict.fromkeys([own, "", above]))
