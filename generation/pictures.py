"""Image files: one for each latent, or a grid of all."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from datasets.grids import encode, to_pil
from dnnlib.atomic import atomic_path, write_bytes
from dnnlib.errors import UserError
from generation import latents
from generation.figures import canvas, paste
from networks.options import OWN
from networks.sampling import Sampler

FORMATS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
LATENTS = "latents.npz"
_SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def check_picture_path(path: str | os.PathLike) -> None:
    """UserError unless the suffix is that of a picture."""
    if Path(path).suffix.lower() not in _SUFFIXES:
        raise UserError(f"--out={path}: expected a file name that ends in {', '.join(_SUFFIXES)}")
    if os.path.isdir(path):
        raise UserError(f"--out={path}: a directory of that name is in the way")


def check_latents_path(latents_file: str | os.PathLike | None, out: str | os.PathLike) -> None:
    """UserError where the latents that go to the directory `out` would replace those that came."""
    written = Path(out) / LATENTS
    both = latents_file and written.exists() and os.path.exists(latents_file)
    if both and os.path.samefile(written, latents_file):
        raise UserError(f"--out={out}: its {LATENTS} is the file of --latents; choose another")


def save(image: np.ndarray, path: str | os.PathLike, quality: int = 95) -> None:
    """Writes uint8 [H, W, C] in the format of the suffix, atomically.

    quality: 1 to 100 for JPEG and WebP, of which 100 is lossless for WebP.
    """
    check_picture_path(path)
    kind = _SUFFIXES[Path(path).suffix.lower()]
    options = {"PNG": {}, "JPEG": {"quality": quality, "subsampling": 0}}.get(
        kind, {"quality": quality, "lossless": quality == 100}
    )
    try:
        data = encode(to_pil(image), kind, **options)
    except (ValueError, OSError) as error:
        # What the format cannot hold: WebP beyond 16,383 pixels, JPEG with four channels.
        size = "x".join(map(str, [image.shape[1], image.shape[0], image.shape[2]]))
        raise UserError(f"{path}: {size} as {kind}: {error}") from error
    write_bytes(path, data)


def save_images(
    names: Iterable[str],
    images: Iterator[np.ndarray],
    out: str | os.PathLike,
    *,
    format: str = "png",
    quality: int = 95,
) -> list[Path]:
    """Writes out/<name>.<suffix> as images come; returns the paths."""
    paths = []
    for name, image in zip(names, images):
        paths.append(Path(out) / f"{name}{FORMATS[format]}")
        save(image, paths[-1], quality)
    return paths


@dataclass
class Starts:
    """What images are made from, a row each; noise: None for the network's own."""

    seeds: Sequence[int]  # of random noise
    codes: np.ndarray  # [N, …], as `Sampler` takes them
    z: Optional[np.ndarray] = None  # [N, latent_size]
    labels: Optional[np.ndarray] = None  # [N, label_size]
    noise: Optional[list[np.ndarray]] = None  # of each layer, [N or 1, H, W, 1]


def save_latents(path: str | os.PathLike, sampler: Sampler, starts: Starts) -> None:
    """Writes an .npz file of `latent_arrays`."""
    save_arrays(path, latent_arrays(sampler, starts))


def latent_arrays(sampler: Sampler, starts: Starts) -> dict[str, np.ndarray]:
    """What `latents.read` takes: w as images were made from it, z, labels, noise images, and the
    seeds of random noise."""
    arrays = {"seeds": np.int64(starts.seeds)}
    if sampler.has_styles:
        arrays["w"] = starts.codes
    if starts.z is not None:
        arrays["z"] = starts.z
    if starts.labels is not None and starts.labels.shape[1]:
        arrays["labels"] = starts.labels
    arrays.update({f"noise{index}": image for index, image in enumerate(starts.noise or [])})
    return arrays


def save_arrays(path: str | os.PathLike, arrays: dict[str, np.ndarray]) -> None:
    """Writes an .npz file, atomically."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        sink = _Sink(file)
        np.savez(sink, **arrays)
        sink.check()


class _Sink:
    """Takes what a zip file is made of, and keeps the first error for the end.

    A ZipFile whose file fails tries again when it is collected, and Python prints that traceback.
    """

    def __init__(self, file: io.BufferedWriter) -> None:
        self._file = file
        self._error: Optional[OSError] = None

    def write(self, data: bytes) -> int:
        self._attempt(self._file.write, data)
        return memoryview(data).nbytes

    def flush(self) -> None:
        self._attempt(self._file.flush)

    def read(self, size: int = -1) -> bytes:  # NumPy takes what has it for a file
        raise io.UnsupportedOperation

    def check(self) -> None:
        """Raises the OSError of the first write that failed."""
        self.flush()
        if self._error is not None:
            self._file.raw.close()  # what its buffer holds fits no better now
            raise self._error

    def _attempt(self, action: Callable[..., object], *args: bytes) -> None:
        if self._error is None:
            try:
                action(*args)
            except OSError as error:
                self._error = error


def join(parts: Sequence[Starts]) -> Starts:
    """Several parts as one."""
    noise = None
    if parts[0].noise is not None:
        layers = zip(*(part.noise for part in parts))
        noise = [layer[0] if len(layer[0]) == 1 else np.concatenate(layer) for layer in layers]
    columns = (
        [getattr(part, name) for part in parts] for name in ("seeds", "codes", "z", "labels")
    )
    seeds, codes, z, labels = (None if c[0] is None else np.concatenate(c) for c in columns)
    return Starts(seeds, codes, z, labels, noise)


def of_seeds(sampler: Sampler, seeds: Sequence[int], label: int | None) -> Starts:
    """The latents of seeds; label: as `latents.labels_for` takes it."""
    z = latents.from_seeds(seeds, sampler.latent_size)
    labels = latents.labels_for(seeds, sampler.label_size, label)
    return Starts(seeds, sampler.codes(z, labels), z, labels)


def of_file(
    sampler: Sampler, path: str, label: int | None
) -> tuple[int, Callable[[int, int], Starts]]:
    """(number of codes of a file, a function: start, stop → these rows).

    A w of a file is taken as it is, since `save_latents` writes truncated ones, unless the
    sampler was given a psi. Labels are those of the file unless a label was given. The seeds
    of a file are those of random noise, 0, 1, … where it has none.
    """
    arrays = latents.read(
        path, sampler.latent_size, sampler.label_size, sampler.w_shape, sampler.noise_shapes
    )
    if "w" in arrays and label is not None:
        raise UserError(f"--class={label}: {path} has w, on which labels do nothing")
    count = len(arrays["w" if "w" in arrays else "z"])
    every = arrays.get("seeds", range(count))

    def part(start: int, stop: int) -> Starts:
        rows = slice(start, stop)
        seeds, noise = every[rows], arrays.get("noise")
        if noise is not None:
            noise = [image if len(image) < count else image[rows] for image in noise]
        if "w" in arrays:
            w = arrays["w"][rows]
            w = w if sampler.psi is OWN else sampler.truncate(w)
            return Starts(seeds, w, noise=noise)
        z = arrays["z"][rows]
        if "labels" in arrays and label is None:
            labels = arrays["labels"][rows]
        else:
            labels = latents.labels_for(seeds, sampler.label_size, label)
        return Starts(seeds, sampler.codes(z, labels), z, labels, noise)

    return count, part


def grid(images: Iterator[np.ndarray], count: int, columns: int | None = None) -> np.ndarray:
    """All images in rows of `columns`, by default about square; cells left over are white."""
    columns = min(columns or int(np.ceil(np.sqrt(count))), count)
    picture = None
    for index, image in enumerate(images):
        height, width, channels = image.shape
        if picture is None:
            picture = canvas(columns * width, -(-count // columns) * height, channels)
        paste(picture, image, index % columns * width, index // columns * height)
    return picture
