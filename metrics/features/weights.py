"""The feature networks' weights: where they are published, and finding and checking a file.

They are not part of this package, except LPIPS's heads, and nothing is downloaded unasked.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Optional, TypeVar, Union
from urllib.parse import urlsplit

import numpy as np

from dnnlib import download, paths, tensor_file
from dnnlib.errors import UserError, explain_os_errors
from metrics.features import vgg16, weight_files

StrPath = Union[str, os.PathLike]
Say = Callable[[str], object]
P = TypeVar("P")  # a path, or None where there is none yet

_MAX_BYTES = 2**30  # the largest published one, VGG16 with its dense layers, has 553 MB


@dataclasses.dataclass(frozen=True)
class Published:
    """One published form of a network's weights; sha256 is "" where none is known.

    parts: of PARTS, those that it has.
    """

    url: str
    sha256: str = ""
    parts: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


_NVIDIA = "https://nvlabs-fi-cdn.nvidia.com/stylegan/networks/metrics"
PUBLISHED = {
    "inception": (
        Published(
            "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
            "pt_inception-2015-12-05-6726825d.pth",
            "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            ("inception_classes",),
        ),
        Published(
            "http://download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz",
            parts=("inception_classes",),
        ),
        Published(f"{_NVIDIA}/inception_v3_softmax.pkl", parts=("inception_classes",)),
        Published(f"{_NVIDIA}/inception_v3_features.pkl"),
    ),
    "vgg16": (
        Published(
            "https://download.pytorch.org/models/vgg16-397923af.pth",
            "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            ("vgg16_fc2",),
        ),
        Published(f"{_NVIDIA}/vgg16_zhang_perceptual.pkl"),
    ),
}
# What some metrics need of a network's file, and not all files have: {part: network}.
PARTS = {"inception_classes": "inception", "vgg16_fc2": "vgg16"}
_NOUNS = {
    "inception_classes": "inception with its 1008 classes",
    "vgg16_fc2": "vgg16 with its dense layers",
}
CONVERTED = {"inception": "inception-2015-12-05.safetensors", "vgg16": "vgg16-lpips.safetensors"}
FLAGS = {network: f"--{network}_weights" for network in PUBLISHED}


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureWeights:
    """What `Inception`, `Lpips` and `SecondDense` take, and its provenance.

    arrays: {canonical name: float32 array}, for Lpips with its heads. file: its name;
    sha256: the file's, hexadecimal; kind: the form, and what a converted file was made from.
    """

    arrays: dict[str, np.ndarray] = dataclasses.field(repr=False)
    file: str
    sha256: str
    kind: str


def load(
    network: str,
    path: Optional[StrPath] = None,
    cache_dir: Optional[StrPath] = None,
    say: Optional[Say] = None,
) -> FeatureWeights:
    """The weights of "inception" or "vgg16", or of one of PARTS: "inception_classes", those of its
    outputs alone, or "vgg16_fc2", VGG16 with its dense layers.

    path: a file in any published or our converted form, or an http(s) address, which is
    downloaded once into cache_dir; None: a file in cache_dir (dnnlib.paths.cache_directory()
    by default) with a published or our own name. say: gets lines of a download's progress.

    Raises UserError, one line, when there is no such file (where to get it, and where to put it),
    when a file with a published name is not the published one, and when it does not hold exactly
    this network's weights, all of them finite, or not the part.
    """
    part, network = network, PARTS.get(network, network)
    if path is None:
        path = _cached(part, cache_dir)
    else:
        fetch = functools.partial(download.fetch, max_bytes=_MAX_BYTES, say=say)
        path = _given(network, os.fspath(path), cache_dir, fetch)
    with paths.open_input(path) as file, explain_os_errors("read", path):
        _check_size(path, file)
        data = file.read()
    sha256 = hashlib.sha256(data).hexdigest()
    _check_published(network, path, sha256)
    with _named(path, part):
        arrays, kind = weight_files.read(part, path, data)
    if part == "vgg16":
        arrays.update(vgg16.heads())
    return FeatureWeights(arrays, path.name, sha256, kind)


def check(
    network: str, path: Optional[StrPath] = None, cache_dir: Optional[StrPath] = None
) -> bool:
    """Whether the file that `load` would take is there: not that of an address at its first use.

    Raises UserError where `load` would, as far as names, types and shapes in the file tell, and the
    hashes of published ones; of legacy pickles, which are read whole, as far as values do. Nothing
    is written or downloaded.
    """
    part, network = network, PARTS.get(network, network)
    if part == "vgg16":
        vgg16.heads()
    file_path: Optional[Path]
    if path is None:
        file_path = _cached(part, cache_dir)
    else:
        file_path = _given(network, os.fspath(path), cache_dir, download.cached)
    if file_path is None:
        return False
    with paths.open_input(file_path) as file, explain_os_errors("read", file_path):
        size = _check_size(file_path, file)
        # Mapped, not read: what is looked at are some pages of it.
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b"")
        if file_path.name in _known(network):
            _check_published(network, file_path, download.file_sha256(file_path))
        with _named(file_path, part):
            weight_files.read(part, file_path, data, blank=True)
    return True


def is_cached(network: str, cache_dir: Optional[StrPath] = None) -> bool:
    """Whether `load` would find a file in cache_dir; raises nothing."""
    try:
        _cached(network, cache_dir)
    except UserError:
        return False
    return True


def _check_size(path: Path, file: BinaryIO) -> int:
    size = os.fstat(file.fileno()).st_size
    if size > _MAX_BYTES:
        raise UserError(f"{path}: {size:,} bytes, more than the {_MAX_BYTES:,} allowed")
    return size


def _check_published(network: str, path: Path, sha256: str) -> None:
    expected = _known(network).get(path.name)
    if expected not in (None, sha256):
        raise UserError(
            f"{path}: sha256 {sha256}, but the published file of that name has {expected}: "
            "download it again, or rename it if it is meant to be another one"
        )


@contextlib.contextmanager
def _named(path: Path, part: str) -> Iterator[None]:
    """Puts a file's name before what is wrong with it, and after it which files have the part."""
    try:
        yield
    except UserError as error:
        holders = f"; {_NOUNS[part]} is in {' or '.join(_holders(part))}" if part in PARTS else ""
        raise UserError(f"{path}: {error}{holders}") from error


def convert(network: str, source: StrPath, out: StrPath, **options: Any) -> None:
    """Writes the weights in `source` (as `path` of `load`) to the `.safetensors` file `out`.

    Inception's classes, where the source has them, are 8 MB of it; VGG16's dense layers, of 478 MB,
    are left out. options: those of `load`.

    It records the source's name and sha256. Raises UserError as `load` does, or when writing
    fails.
    """
    if os.path.exists(out) and os.path.exists(source) and os.path.samefile(source, out):
        raise UserError(f"--out={out}: is the file that is to be converted; choose another")
    weights = load(network, source, **options)
    arrays = {name: weights.arrays[name] for name in weight_files.shapes(network)}
    if network == "inception":
        with contextlib.suppress(UserError):  # not all sources have them
            arrays.update(load("inception_classes", source, **options).arrays)
    metadata = {"network": network, "source": weights.file, "source_sha256": weights.sha256}
    tensor_file.save(out, arrays, weight_files.FORMAT, metadata)


def _given(
    network: str, path: str, cache_dir: Optional[StrPath], fetch: Callable[..., P]
) -> Union[Path, P]:
    """A path or, by `fetch`, what an address stands for."""
    if os.path.exists(path) and not os.path.isdir(path):
        paths.check_input(path)
        return Path(path)
    address = urlsplit(path)
    if address.scheme.lower() not in ("http", "https"):
        raise UserError(
            f"{path}: no such file; {FLAGS[network]} takes a file or an http(s) address"
        )
    sha256 = _known(network).get(address.path.rpartition("/")[2])
    return fetch(path, cache_dir=cache_dir, sha256=sha256)


def _known(network: str) -> dict[str, str]:
    """{file name: sha256} of published files, under their own names and the cache's."""
    return {
        name: published.sha256
        for published in PUBLISHED[network]
        for name in (published.file, download.resolve(published.url).file)
        if published.sha256
    }


def _holders(part: str) -> list[str]:
    """The names of published files that have a part."""
    return [one.file for one in PUBLISHED[PARTS[part]] if part in one.parts]


def _cached(part: str, cache_dir: Optional[StrPath]) -> Path:
    folder, network = paths.cache_directory(cache_dir), PARTS.get(part, part)
    fitting = [one for one in PUBLISHED[network] if part == network or part in one.parts]
    names = [] if part == "vgg16_fc2" else [CONVERTED[network]]
    for published in fitting:
        names += [published.file, download.resolve(published.url).file]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    sources = ", or ".join(
        f"{published.url} (sha256 {published.sha256 or 'not published'})" for published in fitting
    )
    raise UserError(
        f"no weights of {_NOUNS.get(part, network)} in {folder}: save {sources} there under its "
        f"own name, or give a file or an address with {FLAGS[network]}"
    )
