"""From a source of images to a finished data set."""

from __future__ import annotations

import array
import collections
import contextlib
import copy
import dataclasses
import io
import os
import re
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Optional

import numpy as np

from datasets.format.writer import (
    MultiResolutionWriter,
    check_shape,
    encode_resolutions,
    stored_bytes,
)
from datasets.sources.base import BadImage, Source, TooSmall
from datasets.workers import ordered_map
from dnnlib.errors import UserError
from dnnlib.progress import Progress
from dnnlib.spawning import worker_count
from dnnlib.staging import check_unused

MEMORY_GB = 2.0
SKIPPED = "skipped.txt"
_CHUNK_BYTES = 1 << 21  # of records that a worker sends at once: pipes are slow by the message
_CHUNK_IMAGES = 64
_SHOWN = 20


@dataclasses.dataclass(frozen=True)
class Report:
    """What a conversion did. skipped: images left out; reasons: how many for each reason;
    seconds: by part, 'read' and 'encode' summed over workers, 'write' in this process, 'total'."""

    directory: Path
    written: int
    skipped: int
    reasons: dict[str, int]
    examples: list[str]
    num_bytes: int
    seconds: dict[str, float]

    def lines(self) -> list[str]:
        """For the terminal."""
        busy = {part: self.seconds[part] for part in ("read", "encode", "write")}
        shares = ", ".join(f"{part} {s / sum(busy.values()):.0%}" for part, s in busy.items())
        lines = [
            f"Wrote {self.written:,} image(s) to {self.directory} ({self.num_bytes:,} bytes) in "
            f"{self.seconds['total']:.1f} s ({shares})."
        ]
        if self.skipped:
            lines += [f"Skipped {self.skipped:,} image(s):"]
            lines += [f"  {count:,} × {reason}" for reason, count in self.reasons.items()]
            more = ", the first of them" if self.skipped > len(self.examples) else ""
            lines += [f"Listed in {self.directory / SKIPPED}{more}:"]
            lines += [f"  {example}" for example in self.examples]
        return lines


def convert(
    source: Source,
    directory: str | os.PathLike,
    *,
    name: Optional[str] = None,
    workers: Optional[int] = None,
    skip_bad: bool = False,
    memory_gb: float = MEMORY_GB,
    say: Callable[[str], None] = print,
) -> Report:
    """Writes the images of `source`, in its order, as the data set `directory`.

    directory: must not exist yet, or be empty; appears when the set is complete. Links to it are
    followed. name: prefix of the files; that of the directory by default. workers: processes that
    read and encode; one for each core by default. skip_bad: leave bad images out, with their
    labels, and name them in the report and in `skipped.txt` beside the records; TooSmall ones are
    left out always. memory_gb: what a worker may allocate; an image that needs more is a bad one.
    say: shows a line: what will be written before, and progress where stderr is no terminal.
    Raises BadImage for the first bad image in the order of writing, UserError for a `directory`
    in use, too little space, a worker that died, or no good image; nothing remains then.
    """
    name = name or Path(os.path.abspath(directory)).name
    directory = check_unused(directory)
    if not re.fullmatch(r"[^/\\\0]+", name):
        raise UserError(f"name {name!r}: expected the beginning of file names, without / and \\")
    shape = (source.channels, source.resolution, source.resolution)
    check_shape(shape)
    labels = _check_labels(source)
    _announce(source, shape, labels, directory, say)
    start = time.perf_counter()
    with MultiResolutionWriter(directory, name) as writer:
        done = _Done(source, writer.temporary)
        chunks = _chunks(source, shape, worker_count(workers), skip_bad, memory_gb)
        with contextlib.closing(chunks):
            for chunk in Progress(len(source), "images", say=say).over(chunks, _Chunk.count):
                done.add(chunk)
                before = time.perf_counter()
                if chunk.kept:
                    writer.add_records(shape, chunk.records, len(chunk.kept))
                done.seconds["write"] += time.perf_counter() - before
        if not done.kept:
            raise UserError(f"{source.name}: no image could be used: {'; '.join(done.reasons)}")
        if labels is not None:
            writer.add_labels(labels[done.kept])
    done.seconds["total"] = time.perf_counter() - start
    return Report(
        directory=directory,
        written=len(done.kept),
        skipped=done.skipped,
        reasons=dict(done.reasons.most_common()),
        examples=done.examples,
        num_bytes=set_bytes(shape, len(done.kept), labels),
        seconds=done.seconds,
    )


def set_bytes(shape: tuple[int, int, int], count: int, labels: Optional[np.ndarray]) -> int:
    """The size of a set of `count` images [C, R, R] on disk, labels [any number, K] included."""
    size = count * stored_bytes(shape)
    if labels is not None:
        header = io.BytesIO()
        np.save(header, np.empty([0, labels.shape[1]], np.float32), allow_pickle=False)
        size += len(header.getvalue()) + count * labels.shape[1] * 4
    return size


def _check_labels(source: Source) -> Optional[np.ndarray]:
    labels = source.labels
    if labels is not None and (labels.ndim != 2 or len(labels) != len(source)):
        raise UserError(
            f"{source.name}: labels are {list(labels.shape)}, expected one row for each of "
            f"{len(source):,} images"
        )
    if labels is not None and not labels.shape[1]:
        raise UserError(f"{source.name}: labels are {list(labels.shape)}, expected some columns")
    return labels


def _announce(
    source: Source,
    shape: tuple[int, int, int],
    labels: Optional[np.ndarray],
    directory: Path,
    say: Callable[[str], None],
) -> None:
    """Says how much will be written. Raises UserError where there is no room for it."""
    if not len(source):
        raise UserError(f"{source.name}: there are no images")
    size = set_bytes(shape, len(source), labels)
    columns = "no labels" if labels is None else f"labels of {labels.shape[1]}"
    colours = "gray" if shape[0] == 1 else "RGB"
    say(
        f"{len(source):,} images, {colours}, {shape[1]}×{shape[1]} to 4×4, {columns}: "
        f"{size:,} bytes in {directory}"
    )
    place = next(path for path in directory.parents if path.exists())
    free = shutil.disk_usage(place).free
    if free < size:
        raise UserError(
            f"{directory}: the set takes {size:,} bytes, but only {free:,} are free in {place}"
        )


@dataclasses.dataclass
class _Chunk:
    """What a worker made of some images."""

    kept: list[int] = dataclasses.field(default_factory=list)
    records: list[bytes] = dataclasses.field(default_factory=list)  # one entry a resolution
    skipped: list[BadImage] = dataclasses.field(default_factory=list)
    error: Optional[BadImage] = None  # it ends the conversion
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)

    def count(self) -> int:
        return len(self.kept) + len(self.skipped)


@dataclasses.dataclass
class _Encode:
    """Numbers of images → _Chunk; runs in workers."""

    source: Source
    shape: tuple[int, int, int]
    skip_bad: bool
    memory_gb: float
    opened: bool = False

    def __getstate__(self) -> dict:
        source = copy.copy(self.source)
        source.labels = None  # possibly large, and of no use to workers
        return {**vars(self), "source": source}

    def __call__(self, numbers: list[int]) -> _Chunk:
        if not self.opened:
            self._open()
        chunk, read, encoded = _Chunk(), 0.0, 0.0
        records = []
        for number in numbers:
            start = time.perf_counter()
            try:
                with self._memory(number):
                    image = self._read(number)
                    middle = time.perf_counter()
                    records.append(encode_resolutions(image))
            except BadImage as error:
                if not (self.skip_bad or isinstance(error, TooSmall)):
                    chunk.error = error
                    return chunk
                chunk.skipped.append(error)
                read += time.perf_counter() - start
                continue
            chunk.kept.append(number)
            read += middle - start
            encoded += time.perf_counter() - middle
        chunk.records = [b"".join(level) for level in zip(*records)]
        chunk.seconds = {"read": read, "encode": encoded}
        return chunk

    def _open(self) -> None:
        try:
            self.source.open()
        except MemoryError:
            raise UserError(
                f"{self.source.name}: does not fit into --memory_gb={self.memory_gb:g}; an .npz "
                "that is not compressed (np.savez) needs no memory"
            ) from None
        self.opened = True

    @contextlib.contextmanager
    def _memory(self, number: int) -> Iterator[None]:
        try:
            yield
        except MemoryError:
            reason = f"needs more memory than {self.memory_gb:g} GB (--memory_gb gives more)"
            raise BadImage(self.source.describe(number), reason) from None

    def _read(self, number: int) -> np.ndarray:
        where = self.source.describe(number)
        try:
            image = self.source.read(number)
        except OSError as error:
            raise UserError(f"{where}: cannot read: {error.strerror or error}") from error
        if image.dtype != np.uint8 or image.shape != self.shape:
            reason = f"is {{}} {{}}, not uint8 {list(self.shape)}"
            raise BadImage(where, reason, image.dtype, list(image.shape))
        return image

    def describe(self, numbers: list[int]) -> str:
        first, last = self.source.describe(numbers[0]), self.source.describe(numbers[-1])
        return first if len(numbers) == 1 else f"one of {len(numbers)} images, {first} … {last}"


def _chunks(
    source: Source, shape: tuple[int, int, int], workers: int, skip_bad: bool, memory_gb: float
) -> Generator[_Chunk, None, None]:
    order = source.order()
    size = min(_CHUNK_IMAGES, _CHUNK_BYTES // stored_bytes(shape), len(order) // (4 * workers))
    size = max(size, 1)
    tasks = (order[start : start + size].tolist() for start in range(0, len(order), size))
    encode = _Encode(source, shape, skip_bad, memory_gb)
    return ordered_map(
        encode, tasks, workers=workers, memory_gb=memory_gb, describe=encode.describe
    )


class _Done:
    """Adds up what was written and what was skipped, in memory that does not grow with text."""

    def __init__(self, source: Source, directory: Path):
        self.kept = array.array("q")
        self.skipped = 0
        self.reasons: collections.Counter[str] = collections.Counter()
        self.examples: list[str] = []
        self.seconds = dict.fromkeys(("read", "encode", "write"), 0.0)
        self._list = directory / SKIPPED

    def add(self, chunk: _Chunk) -> None:
        if chunk.error:
            hint = "{} (--skip_bad leaves bad images out)"
            raise BadImage(chunk.error.where, hint, chunk.error.explanation)
        self.kept.extend(chunk.kept)
        for part, seconds in chunk.seconds.items():
            self.seconds[part] += seconds
        if not chunk.skipped:
            return
        self.skipped += len(chunk.skipped)
        messages = [str(error) for error in chunk.skipped]
        self.examples += messages[: _SHOWN - len(self.examples)]
        self.reasons.update(error.kind for error in chunk.skipped)
        with open(self._list, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(f"{message}\n" for message in messages)
