"""What may spoil training with a data set: copies, faint images, bars, enlarged images, classes.

The files may be whole (datasets/verification.py tells that): this is about what the pictures show.
All images are looked at small; at full size only a sample, and what looks like an exact copy.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
import time
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from datasets import duplicates, image_faults
from datasets.findings import EXAMPLES, Finding
from datasets.format.info import is_digits
from datasets.format.reader import Dataset, DatasetInfo, open_dataset
from datasets.grids import save_image_grid
from datasets.inspection import check_sheet, is_one_hot
from dnnlib.progress import Progress

_CHUNK = 512  # images at once
_SAMPLED_PIXELS = 1 << 26  # of images at full size: 64 of 1024×1024
_MOST_SAMPLED = 1000  # images
_SHARE = 0.1  # of images, from which on enlarged ones are told of: some photographs are blurred
_IMBALANCE = 10  # times as many images in the largest class as in the smallest
_CLEAR = 2 * image_faults.CLIFF  # a cliff that no photograph has ...
_CLEAR_SHARE = 0.01  # ... so that fewer such images are told of
_OF_PLAIN = 0.1  # of the images with a plain background, from which on bars are told of


@dataclasses.dataclass(frozen=True)
class Examination:
    """What was looked at, and what there is to say of it."""

    info: DatasetInfo
    looked_at: int  # images
    sampled: int  # at full size
    findings: tuple[Finding, ...]

    def lines(self) -> list[str]:
        """For people."""
        info = self.info
        of = f"{self.looked_at:,} of " if self.looked_at < info.num_images else ""
        head = (
            f"{info.name}: {of}{info.num_images:,} images of {info.resolution}×{info.resolution}; "
            f"{self.sampled:,} looked at in full size for their detail"
        )
        if not self.findings:
            return [head, "Nothing to complain of."]
        return [head, *(line for finding in self.findings for line in ("", *finding.lines()))]

    def to_json(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        return {
            "dataset": self.info.name,
            "directory": self.info.path,
            "images": self.info.num_images,
            "resolution": self.info.resolution,
            "looked_at": self.looked_at,
            "sampled_at_full_size": self.sampled,
            "findings": [finding.to_json() for finding in self.findings],
        }


def examine(
    info: DatasetInfo,
    *,
    most: Optional[int] = None,
    seconds: Optional[float] = None,
    sampled_pixels: int = _SAMPLED_PIXELS,
    progress: bool = True,
) -> Examination:
    """Looks at a data set. Raises DataError for a damaged record, naming it.

    most: look at so many small images, evenly spread over the files, rather than at all. seconds:
    and begin no more of them after that time. sampled_pixels: of images at full size.
    """
    with open_dataset(info) as dataset:
        measures = _Measures.of(dataset, most, seconds, progress)
        sampled, cuts, clear = _details(dataset, sampled_pixels, progress)
        findings = [
            *_copies(dataset, measures),
            *_faint(measures),
            *_bars(measures),
            *_enlarged(info, sampled, cuts, clear),
            *_classes(dataset.labels),
        ]
    return Examination(info, len(measures.numbers), len(sampled), tuple(findings))


@dataclasses.dataclass
class _Measures:
    """Of small images. numbers [N]: theirs in the data set; all else is by number, with zeros for
    what was not looked at."""

    numbers: np.ndarray
    thumbs: np.ndarray  # uint8 [all, 8, 8, C]
    spread: np.ndarray  # levels [all]
    deviation: np.ndarray  # levels [all]
    bars: np.ndarray  # [all, 4], of the images' side
    plain: np.ndarray  # bool [all], whether there is a plain background up to the border

    @classmethod
    def of(
        cls, dataset: Dataset, most: Optional[int], seconds: Optional[float], progress: bool
    ) -> _Measures:
        total, channels = dataset.info.num_images, dataset.info.channels
        lod = _lod(dataset, image_faults.SIDE)
        side = dataset.info.resolution >> lod
        thumb_side = min(side, duplicates.SIDE)
        result = cls(
            np.arange(0),
            np.zeros([total, thumb_side, thumb_side, channels], np.uint8),
            np.zeros([total], np.int64),
            np.zeros([total], np.float32),
            np.zeros([total, 4], np.float32),
            np.zeros([total], bool),
        )
        chosen = np.arange(total)
        if most is not None and most < total:
            chosen = np.linspace(0, total - 1, most).astype(np.int64)
        # With time for some of them alone: every so many'th image, then those between.
        strides = -(-len(chosen) // _CHUNK)
        stop = None if seconds is None else time.monotonic() + seconds
        with Progress(len(chosen), "images", progress) as bar:
            for offset in _spread_out(strides):
                result.add(dataset, chosen[offset::strides], lod)
                bar.update(len(chosen[offset::strides]))
                if stop is not None and time.monotonic() > stop:
                    break
        result.numbers = np.sort(result.numbers)
        return result

    def add(self, dataset: Dataset, numbers: np.ndarray, lod: int) -> None:
        """Measures images."""
        images, _ = dataset.read(numbers, lod)
        self.thumbs[numbers] = duplicates.thumbnails(images)
        self.spread[numbers], self.deviation[numbers] = image_faults.contrast(images)
        widths, self.plain[numbers] = image_faults.bars(images)
        self.bars[numbers] = widths / images.shape[1]
        self.numbers = np.concatenate([self.numbers, numbers])

    @property
    def constant(self) -> np.ndarray:
        """Numbers of images of one colour."""
        return self.numbers[self.spread[self.numbers] <= image_faults.CONSTANT]


def _spread_out(count: int) -> list[int]:
    """0 … count − 1, so that the first of them are spread over all."""
    return sorted(range(count), key=lambda number: f"{number:040b}"[::-1])


def _lod(dataset: Dataset, side: int) -> int:
    """The level of detail of images of so many pixels, or of the largest smaller ones."""
    return max(dataset.info.resolution.bit_length() - side.bit_length(), 0)


def _copies(dataset: Dataset, measures: _Measures) -> list[Finding]:
    chosen = np.setdiff1d(measures.numbers, measures.constant)

    def read(numbers: np.ndarray, side: int = dataset.info.resolution) -> np.ndarray:
        return dataset.read(numbers, _lod(dataset, side))[0]

    exact = duplicates.exact_groups(measures.thumbs, chosen, read)
    rest = np.setdiff1d(chosen, [number for group in exact for number in group[1:]])
    near, mirrored = duplicates.near_groups(measures.thumbs, rest, read)
    findings = [
        _copies_finding("exact_copies", "exact copies", exact, len(measures.numbers)),
        _copies_finding("near_copies", "near copies", near, len(measures.numbers)),
        _copies_finding("mirrored_copies", "mirrored copies", mirrored, len(measures.numbers)),
    ]
    if exact and dataset.labels.shape[1]:
        differing = sum(len(np.unique(dataset.labels[group], axis=0)) > 1 for group in exact)
        if differing:
            text = f"{findings[0].text}; the labels differ in {differing:,} of the groups"
            findings[0] = dataclasses.replace(findings[0], text=text)
    return [finding for finding in findings if finding.count]


def _copies_finding(kind: str, noun: str, groups: list[list[int]], total: int) -> Finding:
    count = sum(len(group) - 1 for group in groups)
    of = f"{len(groups):,} picture" + ("s" if len(groups) != 1 else "")
    text = f"{count:,} of {total:,} images are {noun} of another, of {of}"
    largest = sorted(groups, key=lambda group: (-len(group), group))
    return Finding(kind, count, text, largest)


def _faint(measures: _Measures) -> list[Finding]:
    numbers, constant = measures.numbers, measures.constant
    faint = numbers[measures.deviation[numbers] < image_faults.FAINT]
    faint = np.setdiff1d(faint, constant)
    findings = [
        Finding(
            kind, len(images), f"{len(images):,} of {len(numbers):,} images {are}", images[:, None]
        )
        for kind, images, are in (
            ("constant", constant, "are of one colour"),
            ("faint", faint, "have next to no contrast"),
        )
    ]
    return [finding for finding in findings if finding.count]


def _bars(measures: _Measures) -> list[Finding]:
    widths = measures.bars[measures.numbers]
    with_bars = widths.any(axis=1)
    count, total = int(with_bars.sum()), len(widths)
    # Of objects before a plain background some fill a rectangle, too.
    if count <= _OF_PLAIN * measures.plain.sum():
        return []
    sides = [
        f"{side} {shown.sum():,}"
        for side, shown in zip(image_faults.SIDES, (widths > 0).T)
        if shown.any()
    ]
    width = widths[widths > 0]
    text = (
        f"{count:,} of {total:,} images have uniform bars at the border ({', '.join(sides)}; "
        f"{width.min():.0%} to {width.max():.0%} of the side wide)"
    )
    kind = "bars_everywhere" if count > 0.95 * total else "bars"
    return [Finding(kind, count, text, measures.numbers[with_bars][:, None])]


def _details(
    dataset: Dataset, sampled_pixels: int, progress: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(numbers [N] of a sample, which part of the Nyquist frequency each one's detail ends at, for
    which that is beyond doubt)."""
    info = dataset.info
    if info.resolution < image_faults.LEAST_DETAIL_SIDE:
        return np.zeros([0], np.int64), np.zeros([0]), np.zeros([0], bool)
    most = max(min(sampled_pixels // info.resolution**2, _MOST_SAMPLED), 1)
    numbers = np.unique(np.linspace(0, info.num_images - 1, most).astype(np.int64))
    with Progress(len(numbers), "images in full size", progress) as bar:
        cuts, clear = [], []
        for number in numbers:
            image = dataset.read([number])[0][0]
            cuts.append(image_faults.detail(image))
            beyond_doubt = cuts[-1] < 1 and image_faults.detail(image, _CLEAR) < 1
            clear.append(beyond_doubt)
            bar.update(1)
    return numbers, np.array(cuts), np.array(clear)


def _enlarged(
    info: DatasetInfo, numbers: np.ndarray, cuts: np.ndarray, clear: np.ndarray
) -> list[Finding]:
    if not len(cuts):
        return []
    small = cuts < 1
    if small.mean() < _SHARE:
        small = clear
    if small.mean() < _CLEAR_SHARE:
        return []
    shares = []
    for cut in sorted(set(cuts[small])):
        side = f"{cut * info.resolution:.0f}"
        shares.append(f"{(cuts[small] == cut).sum() / len(cuts):.0%} end at {side}×{side}")
    text = f"{small.mean():.0%} of {len(cuts):,} images have no detail of {info.resolution}×"
    text += f"{info.resolution}: {', '.join(shares)}"
    count = round(float(small.mean()) * info.num_images)
    return [Finding("enlarged", count, text, numbers[small][:, None])]


def _classes(labels: np.ndarray) -> list[Finding]:
    if not labels.shape[1] or not is_one_hot(labels):
        return []
    counts, findings = labels.sum(axis=0).astype(int), []
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        named = ", ".join(map(str, empty[:EXAMPLES])) + (", …" if len(empty) > EXAMPLES else "")
        text = f"{len(empty):,} of {len(counts):,} classes have no image: {named}"
        findings.append(Finding("empty_classes", len(empty), text))
    there = counts[counts > 0]
    if there.max() > _IMBALANCE * there.min():
        small = np.flatnonzero((counts > 0) & (counts < there.max() / _IMBALANCE))
        named = ", ".join(f"{number}: {counts[number]:,}" for number in small[:EXAMPLES])
        more = ", …" if len(small) > EXAMPLES else ""
        text = (
            f"classes differ in size: the largest, {counts.argmax()}, has {there.max():,} images; "
            f"less than a tenth of that have {named}{more}"
        )
        findings.append(Finding("imbalance", len(small), text))
    return findings


# ---------------------------------------------------------------------------------------------
# At the start of training.

_GLANCE: dict[str, Any] = {
    "most": 5000,
    "seconds": 4.0,
    "sampled_pixels": 1 << 24,
    "progress": False,
}
_MEANT = ("bars_everywhere", "imbalance")  # and known to who made such a set


def glance(info: DatasetInfo) -> Optional[str]:
    """One line about what `examine` would complain of, by images that a few seconds are enough for.

    None where there is nothing to say, and for the built-in sets, which are as they are.
    """
    if info.path is None or is_digits(info):
        return None
    examination = examine(info, **_GLANCE)
    texts = [finding.text for finding in examination.findings if finding.kind not in _MEANT]
    if not texts:
        return None
    command = shlex.join(["python", "dataset_tool.py", "check", f"--dataset={info.path}"])
    return f"{'; '.join(texts)}. {command} tells more"


# ---------------------------------------------------------------------------------------------
# A picture of it.

_COLUMNS, _ROWS = 12, 6  # of images of a finding
_CELL = 128  # pixels, at most


def show(examination: Examination, out: str | os.PathLike) -> None:
    """Writes a picture of the findings' images: rows of groups of copies, or of single ones.

    Raises UserError unless `out` ends in .png, .jpg, .jpeg or .webp.
    """
    check_sheet(out)
    info, rows = examination.info, []
    with open_dataset(info) as dataset:
        lod = _lod(dataset, _CELL)
        for finding in examination.findings:
            rows += [dataset.read(row, lod)[0] for row in _rows(finding.groups)]
    if rows:
        blank = np.zeros_like(rows[0][:1])
        filled = [np.concatenate([row, blank.repeat(_COLUMNS - len(row), 0)]) for row in rows]
        save_image_grid(np.concatenate(filled), out, (_COLUMNS, len(filled)))


def _rows(groups: Sequence[Sequence[int]]) -> list[list[int]]:
    """Numbers of a finding's first images, up to _COLUMNS a row: a group's, or single ones."""
    single = [int(group[0]) for group in groups if len(group) == 1][: _COLUMNS * _ROWS]
    rows = [single[start : start + _COLUMNS] for start in range(0, len(single), _COLUMNS)]
    return (rows + [list(group[:_COLUMNS]) for group in groups if len(group) > 1])[:_ROWS]
