"""LSUN in its published form: an LMDB with an encoded picture for each key."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import numpy as np
from PIL import Image

from datasets.decoding import decode
from datasets.format.tfrecords import is_resolution
from datasets.sources.arrays import OpenedSource, map_file
from datasets.sources.base import BadImage, TooSmall
from dnnlib.errors import UserError

# ---------------------------------------------------------------------------------------------
# LMDB files, format 1 of 64-bit systems: a B+ tree of pages. In parentheses the C library's names.

_MAGIC = 0xBEEFC0DE
_EMPTY = 2**64 - 1  # in place of the root (P_INVALID)
_BRANCH, _LEAF, _OVERFLOW = 1, 2, 4  # kinds of pages (P_BRANCH …)
_IN_OVERFLOW = 1  # the value lies in pages of its own (F_BIGDATA)
_MAX_DEPTH = 32
_PAGE_HEADER = 16


class _Damaged(Exception):
    pass


class Lmdb:
    """The values of an LMDB's main database by number, in the order of its keys.

    The C library trusts its files: of 60 with a few wrong bytes, two made it end the process. This
    reader checks every page number, offset and size. It maps the file; its own memory is 16 bytes
    for each page of keys, of which LSUN has one for 70 images.
    Raises UserError for a directory without a database, and for one that is damaged or of another
    kind.
    """

    def __init__(self, directory: str | os.PathLike):
        path = Path(directory)
        self.path = path / "data.mdb" if path.is_dir() else path
        if not self.path.is_file():
            raise UserError(f"{directory}: there is no LMDB (data.mdb) here")
        self._data = memoryview(map_file(self.path))
        self._page_size = 0
        try:
            root, entries = self._meta()
            leaves = list(self._leaves(root))
        except (_Damaged, struct.error) as error:
            raise UserError(f"{self.path}: not a readable LMDB: {error}") from error
        self._pages = np.array([page for page, _ in leaves], np.int64)
        self._ends = np.cumsum([count for _, count in leaves], dtype=np.int64)
        if len(self) != entries:
            raise UserError(f"{self.path}: damaged: has {len(self):,} keys, expected {entries:,}")

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def value(self, number: int) -> memoryview:
        """The bytes of one value, mapped. Raises ValueError if they cannot be found."""
        leaf = int(np.searchsorted(self._ends, number, "right"))
        page = int(self._pages[leaf])
        try:
            from_end = number - int(self._ends[leaf])
            return self._value(page, self._nodes(page, _LEAF)[from_end])
        except (_Damaged, struct.error, IndexError) as error:
            raise ValueError(f"page {page} of {self.path.name} is damaged: {error}") from error

    def _meta(self) -> tuple[int, int]:
        """→ page of the root, number of entries, by the newer of the two descriptions."""
        descriptions = []
        for page in (0, 1):
            start = page * self._page_size
            magic, version = struct.unpack_from("<II", self._data, start + 16)
            if (magic, version) != (_MAGIC, 1):
                raise _Damaged("it does not begin as one of format 1")
            (size,) = struct.unpack_from("<I", self._data, start + 40)
            if not (256 <= size <= 65536 and size & (size - 1) == 0):
                raise _Damaged(f"pages of {size} bytes")
            self._page_size = size
            flags, *_, entries, root, last, transaction = struct.unpack_from(
                "<HH7Q", self._data, start + 92
            )
            descriptions.append((transaction, flags, root, entries, last))
        _, flags, root, entries, last = max(descriptions)
        if flags:
            raise _Damaged("its keys are of a special kind, LSUN's are not")
        if (last + 1) * self._page_size > len(self._data):
            raise _Damaged(
                f"truncated: {len(self._data):,} bytes of {(last + 1) * self._page_size:,}"
            )
        return root, entries

    def _leaves(self, root: int) -> Iterator[tuple[int, int]]:
        """(page, number of entries) of all pages that have entries, in order."""
        if root == _EMPTY:
            return
        unvisited = len(self._data) // self._page_size
        stack = [[root]]  # for each level the pages to visit, the next one last
        while stack:
            if not stack[-1]:
                stack.pop()
                continue
            page = stack[-1].pop()
            unvisited -= 1
            if unvisited < 0 or len(stack) > _MAX_DEPTH:
                raise _Damaged("its pages refer to each other in a circle")
            nodes = self._nodes(page, _BRANCH | _LEAF)
            if self._flags(page) & _LEAF:
                yield page, len(nodes)
            else:
                start = page * self._page_size
                pages = [struct.unpack_from("<3H", self._data, start + node) for node in nodes]
                stack.append([a | b << 16 | c << 32 for a, b, c in reversed(pages)])

    def _flags(self, page: int) -> int:
        start = page * self._page_size
        if start + self._page_size > len(self._data):
            raise _Damaged(f"page {page} lies outside")
        number, _, flags = struct.unpack_from("<QHH", self._data, start)
        if number != page:
            raise _Damaged(f"page {page} has the number {number}")
        return flags

    def _nodes(self, page: int, kinds: int) -> tuple[int, ...]:
        """Where in a page its nodes begin."""
        if self._flags(page) not in (kinds & _BRANCH, kinds & _LEAF):
            raise _Damaged(f"page {page} is of another kind")
        start = page * self._page_size
        (lower,) = struct.unpack_from("<H", self._data, start + 12)
        if not _PAGE_HEADER < lower <= self._page_size:
            raise _Damaged(f"page {page} has no entries")
        count = (lower - _PAGE_HEADER) // 2
        nodes = struct.unpack_from(f"<{count}H", self._data, start + _PAGE_HEADER)
        if max(nodes) + 8 > self._page_size:
            raise _Damaged(f"page {page} has an entry outside")
        return nodes

    def _value(self, page: int, node: int) -> memoryview:
        start = page * self._page_size
        low, high, flags, key_size = struct.unpack_from("<4H", self._data, start + node)
        size = low | high << 16
        begin = node + 8 + key_size
        if flags == _IN_OVERFLOW:
            if begin + 8 > self._page_size:
                raise _Damaged("an entry reaches outside")
            (first,) = struct.unpack_from("<Q", self._data, start + begin)
            if not self._flags(first) & _OVERFLOW:
                raise _Damaged(f"page {first} is no part of a value")
            begin = first * self._page_size + _PAGE_HEADER
            limit = len(self._data)
        else:
            begin, limit = start + begin, start + self._page_size
        if flags not in (0, _IN_OVERFLOW) or begin + size > limit:
            raise _Damaged("an entry of another kind, or that reaches outside")
        return self._data[begin : begin + size]


# ---------------------------------------------------------------------------------------------
# Sources.


class _Pictures(OpenedSource):
    """RGB images in the order of an LMDB.

    max_images: only the first so many are looked at; of them, those that are bad or too small are
    left out, without others in their place.
    """

    channels = 3
    shuffled = False

    def __init__(self, lmdb_dir: str | os.PathLike, max_images: Optional[int]):
        self._directory = Path(lmdb_dir)
        count = len(self.opened)
        if not count:
            raise UserError(f"{lmdb_dir}: the LMDB is empty")
        if max_images is not None and max_images < 1:
            raise UserError(f"--max_images is {max_images}, expected at least 1")
        self._count = count if max_images is None else min(count, max_images)

    def __len__(self) -> int:
        return self._count

    def describe(self, number: int) -> str:
        return f"image {number} of {self._directory}"

    def _open(self) -> Lmdb:
        return Lmdb(self._directory)

    def _decode(self, number: int) -> Image.Image:
        where = self.describe(number)
        try:
            data = bytes(self.opened.value(number))
        except ValueError as error:
            raise BadImage(where, "cannot be found: {}", error) from error
        # An alpha channel goes, as in the reference.
        return decode(data, where).convert("RGB")


def _pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).transpose(2, 0, 1)


class Lsun(_Pictures):
    """The pictures of an LSUN category, `lmdb_dir`, in the database's order: the square in the
    middle, brought to `resolution` with Lanczos' filter.

    max_images: only the first so many are looked at, the bad ones included. Raises UserError for
    a missing, damaged or empty database.
    """

    name = "lsun"

    def __init__(
        self, lmdb_dir: str | os.PathLike, resolution: int, max_images: Optional[int] = None
    ):
        _check_resolution("--resolution", resolution)
        self.resolution = resolution
        super().__init__(lmdb_dir, max_images)

    def read(self, number: int) -> np.ndarray:
        image = self._decode(number)
        width, height = image.size
        size = min(width, height)
        box = ((width - size) // 2, (height - size) // 2)
        square = image.crop((*box, box[0] + size, box[1] + size))
        square = square.resize((self.resolution, self.resolution), Image.Resampling.LANCZOS)
        return np.ascontiguousarray(_pixels(square))


class LsunWide(_Pictures):
    """The same with the middle rows in the proportions of `width`×`height`, brought to that size
    and set between black bars in a square.

    Images narrower than `width`, or with fewer than `height` such rows, are TooSmall; they count
    for max_images like all others.
    """

    name = "lsun_wide"

    def __init__(
        self,
        lmdb_dir: str | os.PathLike,
        width: int,
        height: int,
        max_images: Optional[int] = None,
    ):
        _check_resolution("--width", width)
        if not 1 <= height <= width:
            raise UserError(f"--height is {height}, expected 1 to the width, {width}")
        self.resolution, self._height = width, height
        super().__init__(lmdb_dir, max_images)

    def read(self, number: int) -> np.ndarray:
        image = self._decode(number)
        width, height = self.resolution, self._height
        # The reference's formula: the proportions change unless the image is as wide as the target.
        rows = round(width * image.height / image.width)
        if image.width < width or rows < height:
            reason = f"is {{}}×{{}}, too small for {width}×{height}"
            raise TooSmall(self.describe(number), reason, *image.size)
        top, bottom = (image.height - rows) // 2, (image.height + rows) // 2
        wide = image.crop((0, top, image.width, bottom))
        wide = wide.resize((width, height), Image.Resampling.LANCZOS)
        square = np.zeros([3, width, width], np.uint8)
        square[:, (width - height) // 2 : (width + height) // 2] = _pixels(wide)
        return square


def _check_resolution(flag: str, size: int) -> None:
    if not is_resolution(size):
        raise UserError(f"{flag} is {size}, expected a power of two from 4 on")
