"""Images that lie in arrays: .npz, .npy, HDF5, the built-in digits; and what such sources share."""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import numpy as np

from datasets.format.builtin import DIGITS_RESOLUTION, enlarge_digit
from datasets.format.tfrecords import is_resolution
from datasets.labels import one_hot
from datasets.sources.base import BadImage, Source
from dnnlib.errors import UserError

# Class numbers become columns; more than these are likely something else, as identities or years.
_MAX_CLASSES = 10_000
# One array that a compressed file may hold, for want of a way to map it.
_MAX_UNPACKED = 1 << 34
_PIECE = 1 << 20
_MAX_HEADER = 1 << 14  # of a .npy file
DEFLATE_RATIO = 1032  # what deflate can shrink at most


class OpenedSource(Source):
    """A source whose files are opened, or read, at first use in each process."""

    _opened: Any = None

    def _open(self) -> Any:
        """What `read` needs. Raises UserError."""
        raise NotImplementedError

    @property
    def opened(self) -> Any:
        """What `_open` returned in this process."""
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def open(self) -> None:
        _ = self.opened

    def __getstate__(self) -> dict:
        return {**vars(self), "_opened": None}


def map_file(path: str | os.PathLike) -> np.ndarray:
    """A file's bytes, uint8 [size], read-only and mapped: they take no memory of the process.

    Raises UserError for a file that cannot be read or is empty, and for pipes and devices.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise UserError(f"{path}: is not a regular file")
        if not status.st_size:
            raise UserError(f"{path}: the file is empty")
        return np.memmap(path, np.uint8, mode="r")
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror or error}") from error


def read_stream(file: Any, size: int, data: Optional[bytearray] = None) -> bytearray:
    """Reads an unpacking stream until `data`, empty at first, has `size` bytes or it ends.

    In pieces, since `read` would allocate all at once, whatever the file really holds.
    """
    data = bytearray() if data is None else data
    while len(data) < size:
        piece = file.read(min(size - len(data), _PIECE))
        if not piece:
            break
        data += piece
    return data


# ---------------------------------------------------------------------------------------------
# NumPy's files.


def load_npy(path: str | os.PathLike, start: int = 0, size: Optional[int] = None) -> np.ndarray:
    """The array in a .npy file, or in the part of a file at `start` with `size` bytes; mapped.

    Raises UserError for anything but a plain array of numbers of exactly the size that it claims.
    """
    data = map_file(path)[start:][:size]
    form, order, begin = _npy_header(data[:_MAX_HEADER].tobytes(), len(data), path)
    return data[begin:].view(form.dtype).reshape(form.shape, order=order)


def _npy_header(head: bytes, size: int, path) -> tuple[np.ndarray, str, int]:
    """→ an array of that shape and dtype that takes no memory, order, start of the values."""
    file, reader = io.BytesIO(head), np.lib.format
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers written by Python 2
            if reader.read_magic(file) == (1, 0):
                shape, fortran, dtype = reader.read_array_header_1_0(file)
            else:
                shape, fortran, dtype = reader.read_array_header_2_0(file)
        form = np.broadcast_to(np.empty((), dtype), shape)
    except Exception as error:  # Python's parser, over damaged text, raises a dozen kinds
        raise UserError(f"{path}: not an array in NumPy's format, or damaged") from error
    if dtype.kind not in "biuf":
        raise UserError(f"{path}: is an array of {dtype}, expected one of numbers")
    expected, left = math.prod(shape) * dtype.itemsize, size - file.tell()
    if expected != left:
        raise UserError(
            f"{path}: {dtype} {list(shape)} takes {expected:,} bytes, "
            f"the file has {left:,}; it is truncated or damaged"
        )
    return form, "F" if fortran else "C", file.tell()


# zipfile's way to refuse; it may also warn, and warnings may be errors.
_ZIP_ERRORS: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    Warning,
)


def load_npz(
    path: str | os.PathLike, name: str, accept: Callable[[np.ndarray], Any], check: bool = False
) -> Optional[np.ndarray]:
    """The array `name` of an .npz file, None if it has none; mapped where it is not compressed.

    accept: is called before a compressed array is unpacked, with one of the same shape and dtype
    but any values; raises UserError if it is not wanted.
    check: compare checksums also where that takes reading what would just be mapped.
    Raises UserError as load_npy.
    """
    where = f"{path}, array {name!r}"
    map_file(path)  # refuses what zipfile would wait for
    try:
        with zipfile.ZipFile(path) as file:
            if f"{name}.npy" not in file.namelist():
                return None
            info = file.getinfo(f"{name}.npy")
            with file.open(info) as member:
                if info.compress_type == zipfile.ZIP_STORED:
                    while check and member.read(_PIECE):
                        pass
                    return load_npy(path, _entry_start(path, info), info.file_size)
                if info.compress_type != zipfile.ZIP_DEFLATED:
                    raise NotImplementedError("compressed in another way than NumPy does")
                if info.file_size > min(_MAX_UNPACKED, info.compress_size * DEFLATE_RATIO):
                    raise UserError(
                        f"{where}: {info.file_size:,} bytes when unpacked; write it with np.savez "
                        "instead of np.savez_compressed"
                    )
                data = read_stream(member, min(_MAX_HEADER, info.file_size))
                form, order, begin = _npy_header(bytes(data), info.file_size, where)
                accept(form)
                if len(read_stream(member, info.file_size, data)) < info.file_size:
                    raise EOFError(f"{name!r} is shorter than it claims")
    except _ZIP_ERRORS as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a readable .npz file: {reason}") from error
    values = np.frombuffer(data, np.uint8)[begin:].view(form.dtype)
    return values.reshape(form.shape, order=order)


def _entry_start(path, info: zipfile.ZipInfo) -> int:
    """Where the bytes of an entry that is not compressed begin."""
    header = map_file(path)[info.header_offset :][:30].tobytes()
    if len(header) < 30 or not header.startswith(b"PK\3\4"):
        raise zipfile.BadZipFile("an entry lies outside of the file")
    lengths = (header[26:28], header[28:30])  # of the entry's name, and of more about it
    return info.header_offset + 30 + sum(int.from_bytes(n, "little") for n in lengths)


class Npz(OpenedSource):
    """`images`, and optionally `labels`, of an .npz file; or the images of a .npy file, with
    labels in `<stem>-labels.npy` beside it where there is such a file.

    images: uint8 [N, H, W, C], [N, C, H, W] or [N, H, W]; square, a power of two, C 1 or 3.
    labels: integers [N] or [N, 1], the class of each, or numbers [N, K].
    Nothing is loaded but compressed arrays; those are, whole, in each process.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.name = self.path.stem
        images = self._opened = self._open(check=True)
        self.channels, self.resolution = images.shape[1:3]
        if self.path.suffix == ".npy":
            self.labels = _neighbouring_labels(self.path, len(images))
        else:
            form = (len(images), f"{self.path}, array 'labels'")
            labels = load_npz(self.path, "labels", lambda new: _check_form(new, *form), check=True)
            if labels is not None:
                self.labels = _check_labels(labels, *form)

    def __len__(self) -> int:
        return len(self.opened)

    def read(self, number: int) -> np.ndarray:
        return np.ascontiguousarray(self.opened[number])

    def _open(self, check: bool = False) -> np.ndarray:
        """The images as [N, C, H, W]."""
        if self.path.suffix == ".npy":
            return _channels_first(load_npy(self.path), str(self.path))
        where = f"{self.path}, array 'images'"
        images = load_npz(self.path, "images", lambda new: _channels_first(new, where), check)
        if images is None:
            raise UserError(
                f"{self.path}: has no array named 'images'; "
                "write the file with np.savez(path, images=…, labels=…)"
            )
        return _channels_first(images, where)


def _channels_first(images: np.ndarray, where: str) -> np.ndarray:
    """Images in any of the layouts → a view [N, C, H, W]."""
    shown = f"{images.dtype} {list(images.shape)}"
    if images.dtype != np.uint8:
        raise UserError(
            f"{where}: is {shown}, expected uint8; bring the values to 0 … 255 and convert with "
            "np.rint(x).astype(np.uint8)"
        )
    if images.ndim == 3:
        images = images[:, np.newaxis]
    # Height and width are equal and from 4 on, so at most one of the two layouts fits.
    for candidate in (images, images.transpose(0, 3, 1, 2) if images.ndim == 4 else images):
        good = candidate.ndim == 4 and candidate.shape[1] in (1, 3) and len(candidate)
        if good and candidate.shape[2] == candidate.shape[3] and is_resolution(candidate.shape[2]):
            return candidate
    raise UserError(
        f"{where}: is {shown}, expected [N, H, W, C], [N, C, H, W] or [N, H, W] with H = W a power "
        "of two from 4 on and C 1 or 3; crop, resize or drop the alpha channel"
    )


def _neighbouring_labels(path: Path, count: int) -> Optional[np.ndarray]:
    beside = path.with_name(f"{path.stem}-labels.npy")
    if not beside.exists():
        return None
    return _check_labels(load_npy(beside), count, str(beside))


def _check_form(labels: np.ndarray, count: int, where: str) -> None:
    """Raises UserError unless shape and dtype fit `count` images."""
    if labels.ndim == 2:
        good = 1 <= labels.shape[1] <= _MAX_CLASSES
    else:
        good = labels.ndim == 1 and labels.dtype.kind in "iu"
    if not good or len(labels) != count:
        raise UserError(
            f"{where}: is {labels.dtype} {list(labels.shape)}, expected integers [N] or numbers "
            f"[N, K], N = {count}, one row for each image, and K from 1 to {_MAX_CLASSES}"
        )


def _check_labels(labels: np.ndarray, count: int, where: str) -> np.ndarray:
    """Labels as in a file → float32 [count, K]."""
    _check_form(labels, count, where)
    if labels.shape[1:] == (1,) and labels.dtype.kind in "iu":
        labels = labels[:, 0]
    if labels.ndim == 2:
        with np.errstate(over="ignore"):
            labels = np.array(labels, np.float32)
        if not np.isfinite(labels).all():
            raise UserError(f"{where}: has values that are not finite numbers")
        return labels
    highest = int(labels.max(initial=0))
    if highest >= _MAX_CLASSES:
        raise UserError(
            f"{where}: label {highest}, expected classes from 0 to {_MAX_CLASSES - 1}; "
            "give [N, K] for other labels"
        )
    return one_hot(labels, highest + 1, where)


# ---------------------------------------------------------------------------------------------
# HDF5 and the digits.

# One chunk, which HDF5 unpacks as a whole.
_MAX_CHUNK = 1 << 28


class Hdf5(OpenedSource):
    """The largest of the data sets `data<R>x<R>`, uint8 [N, C, R, R], of the Progressive GAN's
    HDF5 files. Labels: `<stem>-labels.npy` beside the file, where there is one.

    Nothing outside of the file is followed: no external links, storage or virtual data sets.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.name = self.path.stem
        images = self.opened
        self._count, self.channels, self.resolution = images.shape[:3]
        self.labels = _neighbouring_labels(self.path, len(images))

    def __len__(self) -> int:
        return self._count

    def read(self, number: int) -> np.ndarray:
        try:
            return self.opened[number]
        except (OSError, RuntimeError) as error:
            raise BadImage(self.describe(number), "cannot be read: {}", error) from error

    def describe(self, number: int) -> str:
        return f"image {number} of {self.path}"

    def _open(self) -> Any:
        """The data set, an h5py.Dataset."""
        import h5py  # here, since it takes a moment and only this source needs it

        map_file(self.path)  # refuses what is no file
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(h5py.File(self.path, "r"))
                images = self._largest(file, h5py)
            except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
                reason = " ".join(str(error).split())
                raise UserError(f"{self.path}: not a readable HDF5 file: {reason}") from error
            stack.pop_all()
        return images

    def _largest(self, file, h5py) -> Any:
        sizes = [
            int(name[4:].partition("x")[0])
            for name in file
            if re.fullmatch(r"data([1-9]\d{0,5})x\1", name, re.ASCII)
        ]
        if not sizes:
            raise UserError(
                f"{self.path}: has no data set named data<R>x<R>, as data1024x1024, which the "
                "Progressive GAN's files have"
            )
        size = max(sizes)
        name = f"data{size}x{size}"
        where = f"{self.path}, data set {name}"
        images = None
        if isinstance(file.get(name, getlink=True), h5py.HardLink):
            images = file[name]
        if not isinstance(images, h5py.Dataset) or images.external or images.is_virtual:
            raise UserError(f"{where}: is not a data set stored in this file")
        shape: tuple[int, ...] = images.shape or ()
        dtype = images.dtype
        good = len(shape) == 4 and shape[0] > 0 and shape[1] in (1, 3) and shape[2:] == (size, size)
        if dtype != np.uint8 or not good or not is_resolution(size):
            raise UserError(
                f"{where}: is {dtype} {list(shape)}, expected uint8 [N, 1 or 3, {size}, {size}]"
            )
        if math.prod(images.chunks or ()) > _MAX_CHUNK:
            raise UserError(f"{where}: is stored in chunks of more than {_MAX_CHUNK:,} bytes")
        return images


class Digits(OpenedSource):
    """The 1,797 digits of scikit-learn, grey 32×32, 10 labels: what the built-in set has."""

    name = "digits"
    resolution = DIGITS_RESOLUTION
    channels = 1

    def __init__(self) -> None:
        self.labels = one_hot(self.opened.target, 10, self.name)

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, number: int) -> np.ndarray:
        return enlarge_digit(self.opened.images[number])[np.newaxis]

    def _open(self) -> Any:
        from sklearn.datasets import load_digits  # here, because it takes a second to import

        return load_digits()
