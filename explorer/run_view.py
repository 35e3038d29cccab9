"""A training run, looked at while it goes on: nothing is written, nothing is locked.

Its files grow as we read. Only what is new is read, and a last line without its end is one that is
being written.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import Any, BinaryIO, Optional

from dnnlib import json_files
from dnnlib.errors import UserError, explain_os_errors
from dnnlib.paths import open_input
from training.check_list import CHECKS
from training.checks import Verdict

SNAPSHOT = re.compile(r"network-(?:snapshot-(\d+)|final)\.safetensors")
REALS = 999_999  # the index of the picture of real images, whatever comes
_REALS = "reals.png"
_CHECKS = {check.name: check for check in CHECKS}
_PICTURE = re.compile(r"fakes(\d+)\.png")
_METRIC = re.compile(r"metric-(.+)\.jsonl")
_PIECE = 8 << 20  # bytes of a file that are read at once
_MOST_LINE = 1 << 20  # bytes of a line
_MOST_TICKS = 2000  # in one answer
_MOST_RECORDS = 500  # of a metric that are told, the newest


class Tail:
    """The complete lines of a file that grows, each once, as JSON objects; damaged ones are left
    out. epoch: how often the file began anew, as a run does that goes on from a checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path, self.epoch = path, 0
        self._at, self._rest = 0, b""
        self._identity: Optional[tuple] = None

    def read(self) -> tuple[bool, list[dict[str, Any]]]:
        """(whether it began anew, the records since the last time); nothing without a file."""
        try:
            with open_input(self.path) as file:
                status = os.fstat(file.fileno())
                identity = status.st_dev, status.st_ino
                anew = self._identity is not None and (
                    identity != self._identity or status.st_size < self._at
                )
                if anew:
                    self._at, self._rest, self.epoch = 0, b"", self.epoch + 1
                self._identity = identity
                file.seek(self._at)
                records: list[dict[str, Any]] = []
                while piece := file.read(_PIECE):
                    self._at += len(piece)
                    *lines, self._rest = (self._rest + piece).split(b"\n")
                    records += filter(None, map(_object, lines))
                    self._rest = self._rest[: _MOST_LINE + 1]  # such a line is none of ours
                return anew, records
        except (FileNotFoundError, NotADirectoryError):
            return False, []


def _object(line: bytes) -> Optional[dict[str, Any]]:
    if not line.strip() or len(line) > _MOST_LINE:
        return None
    try:
        value = json_files.parse(line)
    except (ValueError, UnicodeDecodeError):
        return None
    return value if isinstance(value, dict) else None


class RunView:
    """A run directory. Raises UserError where there is none."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise UserError(f"{path}: no such directory")
        self.name = self.path.resolve().name
        self._stats = Tail(self.path / "stats.jsonl")
        self._ticks: list[dict[str, Any]] = []
        self._metrics: dict[str, tuple[Tail, list]] = {}

    def is_one(self) -> bool:
        """Whether a training has begun in it, or left something there."""
        names = self._names()
        return any(name in names for name in ("config.json", "stats.jsonl")) or any(
            map(SNAPSHOT.fullmatch, names)
        )

    # ------------------------------------------------------------ networks

    def newest_snapshot(self) -> Optional[Path]:
        """The final network, else the one of the most images; None where there is none yet."""
        best: tuple[float, Optional[Path]] = -1.0, None
        for name in self._names():
            match = SNAPSHOT.fullmatch(name)
            if match:
                kimg = float(match[1]) if match[1] else self._final_rank()
                best = max(best, (kimg, self.path / name), key=lambda pair: pair[0])
        return best[1]

    def _final_rank(self) -> float:
        """A run that was continued past its end has newer snapshots than the final one."""
        numbered = [
            self._written(name)
            for name in self._names()
            if (match := SNAPSHOT.fullmatch(name)) and match[1]
        ]
        final = self._written("network-final.safetensors")
        return math.inf if final >= max(numbered, default=0) else -0.5

    def _written(self, name: str) -> int:
        """When, in nanoseconds; 0 for what has gone meanwhile, or a link to nothing."""
        try:
            return (self.path / name).stat().st_mtime_ns
        except OSError:
            return 0

    def _names(self) -> list[str]:
        with explain_os_errors("read", self.path):
            return sorted(os.listdir(self.path))

    # ------------------------------------------------------------ what it tells

    def picture(self, index: int) -> BinaryIO:
        """A picture's file, open; UserError where there is none of this index."""
        names = [name for _, name in self._pictures()]
        if index == REALS:
            return _opened(self.path / _REALS)
        if not 0 <= index < len(names):
            raise UserError(f"no picture {index}; the run has {len(names)}, from 0")
        return _opened(self.path / names[index])

    def _pictures(self) -> list[tuple[int, str]]:
        """(kimg, name) of the grids of generated images, the first one first."""
        matches = filter(None, map(_PICTURE.fullmatch, self._names()))
        return sorted((int(match[1]), match[0]) for match in matches)

    def status(self, since: float, epoch: Optional[int] = None) -> dict[str, Any]:
        """The message of a run: ticks after number `since`, pictures, metrics, the newest snapshot.

        epoch: of the ticks that the page has; where it is another one now, they come from the first
        on, and `anew` is true. `more`: there are more ticks than one answer holds.
        """
        anew, records = self._stats.read()
        if anew:
            self._ticks = []
        self._ticks += filter(None, map(tick, records))
        other = epoch is not None and epoch != self._stats.epoch
        ticks = [one for one in self._ticks if other or one["tick"] > since]
        snapshot = self.newest_snapshot()
        return {
            "type": "run",
            "name": self.name,
            "epoch": self._stats.epoch,
            "anew": other,
            "ticks": ticks[:_MOST_TICKS],
            "more": len(ticks) > _MOST_TICKS,
            "pictures": [
                {"index": index, "kimg": kimg} for index, (kimg, _) in enumerate(self._pictures())
            ],
            "reals": REALS if (self.path / _REALS).is_file() else None,
            "metrics": self._records(),
            "snapshot": snapshot.name if snapshot else None,
        }

    def _records(self) -> list[dict[str, Any]]:
        """The records of metrics: {'metric', 'kimg', 'network', 'results'}, the oldest first."""
        for name in self._names():
            match = _METRIC.fullmatch(name)
            if match and name not in self._metrics:
                self._metrics[name] = Tail(self.path / name), []
        for tail, records in self._metrics.values():
            anew, new = tail.read()
            if anew:
                records.clear()
            records += filter(None, map(metric, new))
            del records[:-_MOST_RECORDS]
        return [record for _, records in self._metrics.values() for record in records]


def _opened(path: Path) -> BinaryIO:
    try:
        return open_input(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error


def tick(record: dict[str, Any]) -> Optional[dict[str, Any]]:
    """What is shown of a record of stats.jsonl; None for one without its number or time.

    values: {tag: number}, all of 'Loss/', 'Rates/', 'Progress/' and 'Timing/' as they are named
    there. verdicts: {'check', 'value', 'threshold', 'sentence'} of each check that speaks.
    """
    number, kimg = record.get("Progress/tick"), record.get("Progress/kimg")
    if not _is_number(number) or not _is_number(kimg):
        return None
    values = {name: value for name, value in record.items() if _is_number(value)}
    verdicts = record.get("verdicts")
    spoken = [_verdict(one) for one in verdicts] if isinstance(verdicts, list) else []
    return {
        "tick": number,
        "kimg": kimg,
        "values": values,
        "verdicts": [one for one in spoken if one],
    }


def _verdict(value: Any) -> Optional[dict[str, Any]]:
    if not isinstance(value, dict) or not isinstance(value.get("check"), str):
        return None
    name = value["check"]
    numbers = {
        key: value[key] if _is_number(value.get(key)) else None for key in ("value", "threshold")
    }
    check, sentence = _CHECKS.get(name), None
    if check is not None and None not in numbers.values():
        sentence = Verdict(check, **numbers).sentence()
    return {"check": name, **numbers, "sentence": sentence}


def metric(record: dict[str, Any]) -> Optional[dict[str, Any]]:
    """What is shown of a metric's record; None for one that is damaged."""
    results, name = record.get("results"), record.get("metric")
    if not isinstance(results, dict) or not isinstance(name, str):
        return None
    images = record.get("cur_nimg")
    return {
        "metric": name,
        "kimg": images / 1000 if _is_number(images) else None,
        "network": Path(str(record.get("network_file", ""))).name,
        "results": {str(key): value for key, value in results.items() if _is_number(value)},
    }


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
