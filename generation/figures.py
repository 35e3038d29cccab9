"""The paper's figures, of any generator: numbers refer to the StyleGAN paper.

Each function returns one picture, uint8 [height, width, channels], made of cells without gaps.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from PIL import Image

from compute.box_means import box_reduce
from dnnlib.errors import UserError
from generation import latents
from networks.sampling import Sampler

WHITE = 255
MAX_CELLS = 10_000  # whose w are held in memory at once
# Styles of figure 3, of the layers of 4-8, 16-32 and 64-1024 pixels.
PRESETS = ("coarse", "middle", "fine")


def canvas(width: int, height: int, channels: int) -> np.ndarray:
    """An empty picture."""
    return np.full([height, width, channels], WHITE, np.uint8)


def paste(picture: np.ndarray, image: np.ndarray, x: int, y: int) -> None:
    """Puts `image` with its upper left corner at (x, y); what would stick out is cut off."""
    target = picture[y : y + image.shape[0], x : x + image.shape[1]]
    target[:] = image[: target.shape[0], : target.shape[1]]


def enlarge(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """A zoomed detail: bicubic, which shows no blocks that the generator did not make."""
    planes = [
        np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC))
        for plane in np.moveaxis(image, -1, 0)
    ]
    return np.stack(planes, axis=-1)


# ---------------------------------------------------------------- figures 2 and 10 to 12


def uncurated(
    sampler: Sampler,
    seed: int,
    *,
    rows: int = 3,
    lods: Sequence[int] | None = None,
    crop: tuple[int, int, int, int] | None = None,
    label: int | None = None,
) -> np.ndarray:
    """Figures 2 and 10–12: samples that nobody chose, in columns of decreasing size.

    One column for each of `lods`, whose cells are 2^lod times smaller, so that `rows` cells of
    lod 0 have the height of rows·2^lod in that column. Default: 0,1,2,2,3,3, as far as cells keep
    8 pixels. crop: x, y, width, height of the part of each image that is shown (figure 11 shows
    512×384 of 512×512). Latents follow one after the other from the seed, column by column.
    """
    size = sampler.resolution
    x, y, width, height = (0, 0, size, size) if crop is None else crop
    if x < 0 or y < 0 or width < 1 or height < 1 or x + width > size or y + height > size:
        raise UserError(f"--crop={x},{y},{width},{height}: the images are {size} by {size} pixels")
    smallest = int(np.log2(max(min(width, height), 1)))
    if lods is None:
        lods = [lod for lod in (0, 1, 2, 2, 3, 3) if min(width, height) >> lod >= 8] or [0]
    if not all(0 <= lod <= smallest for lod in lods):
        raise UserError(f"--lods: cells of {width} by {height} pixels allow 0 to {smallest}")
    counts = [rows << lod for lod in lods]
    if sum(counts) > MAX_CELLS:
        raise UserError(f"--rows={rows}: {sum(counts):,} images, more than {MAX_CELLS:,}")
    z = np.random.RandomState(seed).randn(sum(counts), sampler.latent_size).astype(np.float32)
    labels = latents.labels_for(range(len(z)), sampler.label_size, label)
    noise_seeds = [(seed + index) % 2**32 for index in range(len(z))]
    images = sampler.stream(sampler.codes(z, labels), noise_seeds=noise_seeds)
    picture = canvas(sum(width >> lod for lod in lods), height * rows, sampler.channels)
    left = 0
    for lod, count in zip(lods, counts):
        for index in range(count):
            image = next(images)[y : y + height, x : x + width]
            paste(picture, box_reduce(image, 1 << lod), left, index * (height >> lod))
        left += width >> lod
    return picture


# ---------------------------------------------------------------- figure 3


def preset_layers(preset: str, num_layers: int) -> range:
    """The layers of 'coarse', 'middle' or 'fine' styles.

    From 64×64 on the paper's: 4–8, 16–32 and 64 pixels and more. Smaller networks have none
    of the last: their layers are divided in the proportion of the paper's 18, 4 : 4 : 10.
    """
    step = 4 if num_layers >= 10 else max(round(num_layers * 4 / 18), 1)
    bounds = [0, step, 2 * step, num_layers]
    index = PRESETS.index(preset)
    layers = range(bounds[index], bounds[index + 1])
    if not layers:
        raise UserError(f"--styles: a network of {num_layers} layers has none for {preset} styles")
    return layers


def parse_styles(text: str, num_layers: int, flag: str = "styles") -> list[range]:
    """'coarse,coarse,4-7,12' → the layers of each row; UserError naming the flag."""
    rows = []
    for part in text.split(","):
        part = part.strip()
        if part in PRESETS:
            rows.append(preset_layers(part, num_layers))
            continue
        match = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", part)
        if not match:
            raise UserError(
                f"--{flag}={text}: expected {', '.join(PRESETS)} or layers like 0-3, for each row"
            )
        layers = range(int(match[1]), int(match[2] or match[1]) + 1)
        if not layers or layers[-1] >= num_layers:
            raise UserError(f"--{flag}={text}: {part} is not within layers 0-{num_layers - 1}")
        rows.append(layers)
    return rows


def style_mixing(
    sampler: Sampler,
    sources: Sequence[int],
    destinations: Sequence[int],
    styles: Sequence[range],
    label: int | None = None,
) -> np.ndarray:
    """Figure 3: the destinations (left column) with some styles of the sources (top row).

    styles: for each destination, or one for all, the layers whose w comes from the source of the
    column.
    """
    sampler.need_styles("style-mixing")
    if len(styles) == 1:
        styles = [*styles] * len(destinations)
    if len(styles) != len(destinations):
        raise UserError(f"--styles: {len(destinations)} rows and {len(styles)} styles")

    def codes(seeds: Sequence[int]) -> np.ndarray:
        labels = latents.labels_for(seeds, sampler.label_size, label)
        return sampler.codes(latents.from_seeds(seeds, sampler.latent_size), labels)

    source_codes, destination_codes = codes(sources), codes(destinations)
    mixed = []
    for code, layers in zip(destination_codes, styles):
        row = np.repeat(code[None], len(sources), axis=0)
        row[:, layers] = source_codes[:, layers]
        mixed.append(row)
    every = np.concatenate([source_codes, destination_codes, *mixed])
    # A mixture has the noise of its destination: all that differs along a row is the styles.
    noise_seeds = [*sources, *destinations, *(seed for seed in destinations for _ in sources)]
    images = sampler.stream(every, noise_seeds=noise_seeds)
    size = sampler.resolution
    picture = canvas(size * (len(sources) + 1), size * (len(destinations) + 1), sampler.channels)
    for column in range(len(sources)):
        paste(picture, next(images), (column + 1) * size, 0)
    for row in range(len(destinations)):
        paste(picture, next(images), 0, (row + 1) * size)
    for row in range(len(destinations)):
        for column in range(len(sources)):
            paste(picture, next(images), (column + 1) * size, (row + 1) * size)
    return picture


# ---------------------------------------------------------------- figures 4 and 5


def noise_seeds(seed: int, count: int) -> list[int]:
    """Of as many draws of noise for one picture, its own seed the first."""
    return [(seed + 7919 * index) % 2**32 for index in range(count)]


def noise_detail(
    sampler: Sampler,
    seeds: Sequence[int],
    *,
    crop: tuple[int, int, int] | None = None,
    count: int = 100,
    label: int | None = None,
) -> np.ndarray:
    """Figure 4, a row for each seed: an image; a detail of it with four different noises; and
    the standard deviation of each pixel over `count` of them, four times as bright.

    crop: x, y and size of the detail, by default a quarter of the image, right of its centre.
    """
    sampler.need_noise("noise-detail")
    size = sampler.resolution
    x, y, side = (size // 2, size // 4, max(size // 4, 2)) if crop is None else crop
    if min(x, y) < 0 or side < 1 or max(x, y) + side > size:
        raise UserError(f"--crop={x},{y},{side}: the images are {size} by {size} pixels")
    if count < 4:
        raise UserError(f"--count={count}: expected at least 4")
    picture = canvas(size * 3, size * len(seeds), sampler.channels)
    for row, seed in enumerate(seeds):
        z = latents.from_seeds([seed], sampler.latent_size)
        code = sampler.codes(z, latents.labels_for([seed], sampler.label_size, label))
        images = sampler.stream(
            np.repeat(code, count, axis=0),
            title=f"seed {seed}",
            noise_seeds=noise_seeds(seed, count),
        )
        total = squares = 0.0
        for index, image in enumerate(images):
            gray = image.astype(np.float64).mean(axis=2)
            total, squares = total + gray, squares + gray**2
            if index == 0:
                paste(picture, image, 0, row * size)
            if index < 4:
                half = size // 2
                detail = enlarge(image[y : y + side, x : x + side], half, half)
                left, top = size + index % 2 * half, row * size + index // 2 * half
                paste(picture, detail, left, top)
        deviation = np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0))
        shown = np.rint(deviation * 4).clip(0, 255).astype(np.uint8)[:, :, None]
        paste(picture, np.repeat(shown, sampler.channels, axis=2), 2 * size, row * size)
    return picture


def noise_sets(resolution_log2: int) -> dict[str, list[int]]:
    """Figure 5's four sets of layers with noise: {"all", "none", "fine", "coarse"}.

    At 1024² coarse is 4²–32² and fine 64²–1024²; smaller networks are divided alike, with the
    odd resolution on the fine side.
    """
    layers = list(range(2 * resolution_log2 - 2))
    coarse = 2 * ((resolution_log2 - 1) // 2)
    return {"all": layers, "none": [], "fine": layers[coarse:], "coarse": layers[:coarse]}


def noise_components(
    sampler: Sampler, seeds: Sequence[int], *, label: int | None = None
) -> np.ndarray:
    """Figure 5, a row for each seed: noise in all layers, in none, in the fine ones only, in the
    coarse ones only."""
    sampler.need_noise("noise-components")
    labels = latents.labels_for(seeds, sampler.label_size, label)
    codes = sampler.codes(latents.from_seeds(seeds, sampler.latent_size), labels)
    size, sets = sampler.resolution, noise_sets(sampler.Gs.resolution_log2)
    picture = canvas(size * len(sets), size * len(seeds), sampler.channels)
    for column, (name, layers) in enumerate(sets.items()):
        images = sampler.stream(codes, noise_seeds=seeds, noise_layers=layers, title=name)
        for row, image in enumerate(images):
            paste(picture, image, column * size, row * size)
    return picture


# ---------------------------------------------------------------- figure 8


def truncation(
    sampler: Sampler, seeds: Sequence[int], psis: Sequence[float], *, label: int | None = None
) -> np.ndarray:
    """Figure 8, a row for each seed, a column for each psi, applied to all layers.

    0 is the average image, negative values are the opposite of the seed's.
    """
    if not sampler.has_styles:
        raise UserError(f"truncation needs a generator with w; this is {sampler.Gs.title}")
    labels = latents.labels_for(seeds, sampler.label_size, label)
    w = sampler.codes(latents.from_seeds(seeds, sampler.latent_size), labels, psi=1.0)
    size = sampler.resolution
    picture = canvas(size * len(psis), size * len(seeds), sampler.channels)
    for column, psi in enumerate(psis):
        codes = sampler.truncate(w, psi=psi, cutoff=sampler.num_layers)
        for row, image in enumerate(sampler.stream(codes, noise_seeds=seeds, title=f"psi {psi:g}")):
            paste(picture, image, column * size, row * size)
    return picture
