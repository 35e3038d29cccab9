"""JPEG: its segments, what its scans cover, their restart marks, and the mark that ends it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from datasets.pictures.damage import Damage

BEGINNING = b"\xff\xd8\xff"
_START, _END, _SCAN, _RESTART_INTERVAL = 0xD8, 0xD9, 0xDA, 0xDD
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # which are tables
# Comments, and what programs add of themselves, except Exif, XMP, JFIF and Adobe's colours.
_LEFT_OUT = {*range(0xE2, 0xEE), 0xEF, 0xFE}
_FIRST_RESTART, _LAST_RESTART = 0xD0, 0xD7


class Jpeg(NamedTuple):
    """What a JPEG says of itself. size: width and height; whole: its bytes up to the end mark,
    without what neither colours nor orientation need."""

    size: tuple[int, int]
    whole: bytes


def parse(data: bytes) -> Jpeg:
    """The first picture of a JPEG's bytes.

    libjpeg takes what is missing for gray, with a warning that Pillow does not pass on. What
    follows the end of the picture is left out: phones put other pictures there. Raises Damage
    where segments, scans or marks do not fit together.
    """
    marks, kept = _Marks(data), [data[:2]]
    frame: dict[int, tuple[int, int]] = {}  # component → its sampling factors
    size, interval, covered = (0, 0), 0, set()
    position = 2
    while True:
        mark, start = marks.next_segment(position)
        if mark == _END:
            break
        segment, position = _segment(data, start)
        if mark in _FRAMES:
            if frame:
                raise Damage("it has two frame headers")
            frame, size = _frame(segment)
        elif mark == _RESTART_INTERVAL:
            interval = int.from_bytes(segment[:2], "big")
        elif mark == _SCAN:
            components, first = _scan(segment, frame)
            covered |= set(components) if first else set()
            scan, position = position, marks.end_of_scan(position)
            if scan == position:
                raise Damage("one of its scans is empty")
            units = _units([frame[one] for one in components], list(frame.values()), size)
            marks.check_restarts(scan, position, -(-units // interval) - 1 if interval else 0)
        if mark not in _LEFT_OUT:
            kept.append(data[start - 2 : position])
    if not frame or covered != set(frame):
        raise Damage("pixels of some colours are missing")
    return Jpeg(size, b"".join((*kept, b"\xff\xd9")))


class _Marks:
    """Where the marks, 0xFF and a byte that is not zero, are."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        values = np.frombuffer(data, np.uint8)
        places = np.flatnonzero(values[:-1] == 0xFF)
        following = values[places + 1]
        real = (following != 0) & (following != 0xFF)
        self.places, self.kinds = places[real], following[real]
        restarts = (self.kinds >= _FIRST_RESTART) & (self.kinds <= _LAST_RESTART)
        self.restarts, self.restart_kinds = self.places[restarts], self.kinds[restarts]
        self.others = self.places[~restarts]

    def next_segment(self, position: int) -> tuple[int, int]:
        """→ the mark that must be there, after fill bytes perhaps, and the position after it."""
        while self.data[position : position + 2] == b"\xff\xff":
            position += 1
        if position + 2 > len(self.data):
            raise Damage("it ends before its end mark")
        if self.data[position] != 0xFF or self.data[position + 1] in (0, 1, _START):
            raise Damage(f"no segment begins at byte {position:,}")
        return self.data[position + 1], position + 2

    def end_of_scan(self, start: int) -> int:
        """Where the first mark after `start` is that does not belong to the scan."""
        number = np.searchsorted(self.others, start)
        if number == len(self.others):
            raise Damage("it ends before its end mark")
        return int(self.others[number])

    def check_restarts(self, start: int, stop: int, count: int) -> None:
        """Raises Damage unless there are so many between the two, numbered 0 … 7, 0 …"""
        first, last = np.searchsorted(self.restarts, (start, stop))
        kinds = self.restart_kinds[first:last]
        if last - first != count or (kinds != _FIRST_RESTART + np.arange(count) % 8).any():
            raise Damage(f"a scan has other restart marks than the {count:,} it should have")


def _segment(data: bytes, position: int) -> tuple[bytes, int]:
    """→ the content of the segment whose length is at the position, and where it ends."""
    length = int.from_bytes(data[position : position + 2], "big")
    if length < 2 or position + length > len(data):
        raise Damage("it ends within a segment")
    return data[position + 2 : position + length], position + length


def _frame(segment: bytes) -> tuple[dict[int, tuple[int, int]], tuple[int, int]]:
    """→ sampling factors of each component, (width, height)."""
    if len(segment) < 6 or len(segment) != 6 + 3 * segment[5]:
        raise Damage("its frame header is not of the size that it says")
    height, width = int.from_bytes(segment[1:3], "big"), int.from_bytes(segment[3:5], "big")
    factors = {
        segment[i]: (segment[i + 1] >> 4, segment[i + 1] & 15) for i in range(6, len(segment), 3)
    }
    if not factors or not all(a and b for a, b in factors.values()) or not (width and height):
        raise Damage("its frame header is of an empty picture")
    return factors, (width, height)


def _scan(segment: bytes, frame: dict[int, tuple[int, int]]) -> tuple[list[int], bool]:
    """→ the components of a scan, and whether it holds the means of their blocks: the scans of a
    progressive JPEG that refine them come later."""
    if not segment or len(segment) != 4 + 2 * segment[0]:
        raise Damage("a scan's header is not of the size that it says")
    components = list(segment[1:-3:2])
    if not components or not set(components) <= set(frame):
        raise Damage("a scan is of colours that the picture does not have")
    return components, segment[-3] == 0 and segment[-1] >> 4 == 0


def _units(
    scanned: list[tuple[int, int]], every: list[tuple[int, int]], size: tuple[int, int]
) -> int:
    """The number of units that restart marks count: blocks of one component, or groups of all."""
    units = 1
    for axis in (0, 1):
        largest = max(factors[axis] for factors in every)
        side = 8 * largest
        pixels = size[axis]
        if len(scanned) == 1:
            pixels, side = -(-pixels * scanned[0][axis] // largest), 8
        units *= -(-pixels // side)
    return units
