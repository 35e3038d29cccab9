"""Image grids: many images in one picture, and the real ones that are chosen for it."""

from __future__ import annotations

import io
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from compute.images import to_uint8
from datasets.format.reader import Dataset
from dnnlib.atomic import write_bytes
from dnnlib.errors import UserError

LAYOUTS = ("random", "auto", "row_per_class", "col_per_class", "class4x4")
# Named size → screen (width, height) to fill, fewest and most columns, fewest and most rows.
_NAMED_SIZES = {
    "1080p": ((1920, 1080), (3, 32), (2, 32)),
    "4k": ((3840, 2160), (7, 32), (4, 32)),
    "8k": ((7680, 4320), (7, 32), (4, 32)),
}


def grid_size(size: str, width: int, height: int) -> tuple[int, int]:
    """How many images of width × height a grid has: (columns, rows).

    `size`: '1080p', '4k' or '8k' (as many as fit such a screen, within limits), or 'COLUMNSxROWS'.
    Raises UserError for anything else.
    """
    if size in _NAMED_SIZES:
        screen, columns, rows = _NAMED_SIZES[size]
        return (
            min(max(screen[0] // width, columns[0]), columns[1]),
            min(max(screen[1] // height, rows[0]), rows[1]),
        )
    explicit = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", size)
    if not explicit:
        raise UserError(f"grid size: expected '1080p', '4k', '8k' or COLUMNSxROWS, got {size!r}")
    return int(explicit[1]), int(explicit[2])


def create_image_grid(images: np.ndarray, grid: tuple[int, int] | None = None) -> np.ndarray:
    """[N, H, W] or [N, H, W, C] → one image [rows · H, columns · W(, C)] of the same type.

    `grid` is (columns, rows), by default about square. Row by row; cells left over are 0.
    Raises ValueError if there are more images than cells.
    """
    count, height, width = images.shape[:3]
    if grid is None:
        columns = max(int(np.ceil(np.sqrt(count))), 1)
        grid = columns, max(-(-count // columns), 1)
    columns, rows = grid
    if count > columns * rows:
        raise ValueError(f"grid: {columns}×{rows} cells are too few for {count} images")
    cells = np.zeros([rows * columns, *images.shape[1:]], images.dtype)
    cells[:count] = images
    cells = cells.reshape(rows, columns, *images.shape[1:]).swapaxes(1, 2)
    return cells.reshape(rows * height, columns * width, *images.shape[3:])


def to_pil(image: np.ndarray) -> Image.Image:
    """[H, W], [H, W, 1] or [H, W, 3], float in [-1, 1] (see `to_uint8`) or uint8 → PIL image."""
    if image.dtype != np.uint8:
        image = to_uint8(image)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    return Image.fromarray(image)


def save_image_grid(
    images: np.ndarray, path: str | os.PathLike, grid: tuple[int, int] | None = None
) -> None:
    """Writes `to_pil(create_image_grid(images, grid))`, atomically; the suffix gives the format."""
    Image.init()  # fills the table of suffixes
    kind = Image.EXTENSION.get(os.path.splitext(path)[1].lower())
    if kind is None:
        raise ValueError(f"{path}: unknown file extension")
    write_bytes(path, encode(to_pil(create_image_grid(images, grid)), kind))


def encode(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of a picture file. kind and options: Pillow's, as 'PNG'.

    Given a file, Pillow's JPEG encoder does not notice that the disk is full.
    """
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def grid_latents(seed: int, count: int, latent_size: int) -> np.ndarray:
    """The fixed latents of a snapshot grid: float32 [count, latent_size]."""
    return np.random.RandomState(seed).randn(count, latent_size).astype(np.float32)


def setup_snapshot_grid(
    dataset: Dataset, size: str, layout: str, seed: int
) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
    """Chooses real images for a grid, and with them the labels of the generated ones.

    size: see `grid_size`. layout: 'random'; 'row_per_class' or 'col_per_class' (row or column i is
    of class i); 'class4x4' (blocks of 4×4 cells of one class, from left to right, then downwards);
    'auto': row_per_class where each image has one class and each class an image, else random.
    Where there are more rows, columns or blocks than classes, the classes start again. seed: of the
    dataset's shuffled stream, whose images are taken in turn.
    Returns (columns, rows), uint8 [columns · rows, R, R, C], float32 [columns · rows, label_size].
    Raises UserError for an unknown size or layout, and if a class the layout needs has no images.
    """
    cells, indices = choose_images(dataset, size, layout, seed)
    images, labels = dataset.read(indices)
    return cells, images, labels


def choose_images(
    dataset: Dataset, size: str, layout: str, seed: int
) -> tuple[tuple[int, int], np.ndarray]:
    """(columns, rows) and the indices of the images, of `setup_snapshot_grid`, which tells more.

    Of labels alone, which are in memory: no image is read.
    """
    info = dataset.info
    columns, rows = grid_size(size, info.resolution, info.resolution)

    def stream() -> Iterator[int]:
        for position in itertools.count(0, info.num_images):
            yield from dataset.order(position, info.num_images, seed)

    if layout == "auto":
        layout = "row_per_class" if _has_classes(dataset.labels) else "random"
    if layout == "random":
        return (columns, rows), dataset.order(0, columns * rows, seed)
    items = ((index, dataset.labels[index]) for index in stream())
    chosen = arrange_by_class(items, (columns, rows), layout, info.label_size, info.num_images)
    return (columns, rows), np.array(chosen)


def _has_classes(labels: np.ndarray) -> bool:
    """Whether each of labels [N, label_size] is one of all the classes."""
    one_hot = bool(labels.size) and ((labels == 0) | (labels == 1)).all()
    return one_hot and (labels.sum(1) == 1).all() and (labels.sum(0) > 0).all()


def arrange_by_class(
    items: Iterable[tuple[object, np.ndarray]],
    grid: tuple[int, int],
    layout: str,
    label_size: int,
    patience: int = 1_000_000,
) -> list:
    """Fills the cells of a grid, block by block, with the first items of the fitting classes.

    items: (anything, label [label_size]) pairs; an item's class is its label's largest entry. grid:
    columns, rows. layout: one of LAYOUTS except 'random' and 'auto'; see `setup_snapshot_grid`.
    patience: give up after so many items in a row that fit nowhere twice over.
    Returns the chosen "anything"s, row by row. Raises UserError for another layout, for a set
    without labels, and naming the classes without images.
    """
    columns, rows = grid
    shapes = {"row_per_class": (columns, 1), "col_per_class": (1, rows), "class4x4": (4, 4)}
    if layout not in shapes:
        raise UserError(f"grid layout: expected one of {', '.join(LAYOUTS)}, got {layout!r}")
    if not label_size:
        raise UserError(f"grid layout {layout} needs a data set with labels; 'random' does not")
    block_width, block_height = shapes[layout]
    across = -(-columns // block_width)
    blocks: list[list] = [[] for _ in range(across * -(-rows // block_height))]
    # Blocks at the border are filled wholly, too, though only a part of them shows.
    capacity = block_width * block_height
    unfilled, unused = len(blocks), 0
    for item, label in items:
        own = range(int(np.argmax(label)), len(blocks), label_size)
        block = next((blocks[i] for i in own if len(blocks[i]) < capacity), None)
        if block is None:
            unused += 1
            if unused > 2 * patience:
                break
            continue
        unused = 0
        block.append(item)
        unfilled -= len(block) == capacity
        if not unfilled:
            break
    if unfilled:
        missing = {i % label_size for i, block in enumerate(blocks) if len(block) < capacity}
        raise UserError(
            f"grid layout {layout}: the data set has no images of class "
            f"{', '.join(map(str, sorted(missing)))}; the layout 'random' needs none in particular"
        )
    return [
        blocks[x // block_width + y // block_height * across][
            x % block_width + y % block_height * block_width
        ]
        for y in range(rows)
        for x in range(columns)
    ]
