"""A plan of a video, in text or JSON: keyframes, how to get from one to the next, sound to follow.

    seed=3 seconds=2 psi=0.7
    latents=projected.npz seconds=1.5 ease=hold
    seed=5 class=2 apply="closed-loop=+2" seconds=2
    audio=music.wav amplitude="pca0=+2" onset="closed-loop=+1.5" band=20-200

In JSON the same: {"keyframes": [{"seed": 3, …}, …], "audio": {"file": "music.wav", …}}.
"""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from dnnlib import json_files, paths
from dnnlib.config import nearest
from dnnlib.errors import UserError

MAX_KEYFRAMES = 10_000
MAX_SECONDS = 3600.0
_MAX_BYTES = 2**22

# t from 0 to 1 → how much of the way is gone.
EASES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda t: t,
    "smooth": lambda t: t * t * (3 - 2 * t),
    "in": lambda t: t * t,
    "out": lambda t: t * (2 - t),
    "hold": lambda t: np.zeros_like(t),
}


@dataclass(frozen=True)
class Keyframe:
    """One picture of the plan. seed, or latents: a file and which of its codes. label: the class.
    seconds: to the next keyframe; of the last one back to the first, where it is not 0."""

    where: str  # in messages
    seed: Optional[int] = None
    latents: Optional[tuple[str, int]] = None
    psi: Optional[float] = None
    label: Optional[int] = None
    apply: Optional[str] = None
    seconds: float = 2.0
    ease: str = "smooth"


@dataclass(frozen=True)
class Audio:
    """What sound does: moves along directions, texts as --apply takes them, by its loudness or by
    what is new in it. band: Hz that count for the loudness."""

    file: str
    amplitude: Optional[str] = None
    onset: Optional[str] = None
    band: Optional[tuple[float, float]] = None


@dataclass(frozen=True)
class Plan:
    keyframes: tuple[Keyframe, ...]
    audio: Optional[Audio]

    @property
    def seconds(self) -> float:
        """From the first keyframe to the last one, and back to the first where the plan says so."""
        return sum(keyframe.seconds for keyframe in self.keyframes)

    def positions(self, count: int, fps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(keyframe before, keyframe after, share of the second) of `count` frames, each [count].

        A plan that is shorter starts over.
        """
        lengths = np.array([keyframe.seconds for keyframe in self.keyframes])
        ends = np.cumsum(lengths)
        times = np.arange(count) / fps
        if ends[-1] > 0:
            # Times are rounded: one that falls on the end is on it, where there is a last keyframe.
            rounding = 1e-9 if lengths[-1] == 0 else -1e-9
            over = times > ends[-1] + rounding
            times = np.where(over, np.maximum(times - ends[-1], 0) % ends[-1], times)
        first = np.minimum(
            np.searchsorted(ends, times + 1e-9, side="right"), len(self.keyframes) - 1
        )
        start, length = ends[first] - lengths[first], np.maximum(lengths[first], 1e-12)
        t = np.clip((times - start) / length, 0, 1)
        t = np.where(lengths[first] > 0, t, 0)
        share = np.array([EASES[self.keyframes[i].ease](x) for i, x in zip(first, t)])
        return first, (first + 1) % len(self.keyframes), share


def read(path: str | os.PathLike) -> Plan:
    """The plan in a file. Paths in it are from its own directory.

    Raises UserError naming the file and the line or keyframe that is wrong.
    """
    if os.path.isfile(path) and os.path.getsize(path) > _MAX_BYTES:
        raise UserError(f"--plan={path}: more than {_MAX_BYTES:,} bytes; it is no plan")
    try:
        text = json_files.read_text(path)
    except FileNotFoundError as error:
        raise UserError(f"--plan={path}: no such file") from error
    rows, audio = _of_json(path, text) if text.lstrip()[:1] in ("{", "[") else _of_text(path, text)
    if not rows:
        raise UserError(f"--plan={path}: no keyframe in it; a line is like: seed=3 seconds=2")
    if len(rows) > MAX_KEYFRAMES:
        raise UserError(f"--plan={path}: more than {MAX_KEYFRAMES:,} keyframes")
    beside = Path(path).parent
    keyframes = [_keyframe(where, row, beside) for where, row in rows]
    if "seconds" not in rows[-1][1]:  # it ends there
        keyframes[-1] = _ending(keyframes[-1])
    plan = Plan(tuple(keyframes), _audio(*audio, beside) if audio else None)
    if plan.seconds > MAX_SECONDS:
        raise UserError(f"--plan={path}: {plan.seconds:,.0f} s, more than {MAX_SECONDS:,.0f}")
    return plan


def _ending(keyframe: Keyframe) -> Keyframe:
    return Keyframe(**{**vars(keyframe), "seconds": 0.0})


Row = tuple[str, Mapping[str, Any]]


def _of_text(path: str | os.PathLike, text: str) -> tuple[list[Row], Optional[Row]]:
    rows: list[Row] = []
    audio: Optional[Row] = None
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path}, line {number}"
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise UserError(f"{where}: a quotation mark is missing") from error
        if not words:
            continue
        row = {}
        for word in words:
            key, equals, value = word.partition("=")
            if not equals:
                raise UserError(f"{where}: {word!r}: expected KEY=VALUE, like seed=3")
            row[key] = value
        if "audio" not in row:
            rows.append((where, row))
        elif audio is not None:
            raise UserError(f"{where}: audio a second time")
        else:
            audio = where, {"file": row.pop("audio"), **row}
    return rows, audio


def _of_json(path: str | os.PathLike, text: str) -> tuple[list[Row], Optional[Row]]:
    try:
        page = json_files.parse(text)
    except ValueError as error:
        raise UserError(f"--plan={path}: no JSON: {error}") from error
    page = {"keyframes": page} if isinstance(page, list) else page
    rows, audio = page.get("keyframes"), page.get("audio")
    good = isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
    if not good or not isinstance(audio, (dict, type(None))):
        raise UserError(
            f'--plan={path}: expected {{"keyframes": [{{"seed": 3}}, …], "audio": {{…}}}}'
        )
    unknown = set(page) - {"keyframes", "audio"}
    if unknown:
        raise UserError(f"--plan={path}: unknown {', '.join(sorted(unknown))}")
    named = [(f"{path}, keyframe {index}", row) for index, row in enumerate(rows)]
    return named, None if audio is None else (f"{path}, audio", audio)


def _keyframe(where: str, row: Mapping[str, Any], beside: Path) -> Keyframe:
    _check_keys(where, row, ("seed", "latents", "psi", "class", "apply", "seconds", "ease"))
    seed, latents = row.get("seed"), row.get("latents")
    if (seed is None) == (latents is None):
        raise UserError(f"{where}: expected one of seed=N and latents=FILE")
    ease = row.get("ease", "smooth")
    if ease not in EASES:
        raise UserError(f"{where}: ease={ease}, expected one of {', '.join(EASES)}")
    if latents is not None and row.get("class") is not None:
        raise UserError(f"{where}: class is for a seed; latents have theirs")
    return Keyframe(
        where=where,
        seed=None if seed is None else _whole(where, "seed", seed, 2**32 - 1),
        latents=None if latents is None else _file_and_row(where, str(latents), beside),
        psi=None if row.get("psi") is None else _number(where, "psi", row["psi"], -1000, 1000),
        label=None if row.get("class") is None else _whole(where, "class", row["class"], 10**6),
        apply=None if row.get("apply") is None else str(row["apply"]),
        seconds=_number(where, "seconds", row.get("seconds", 2.0), 0, MAX_SECONDS),
        ease=ease,
    )


def _audio(where: str, row: Mapping[str, Any], beside: Path) -> Audio:
    _check_keys(where, row, ("file", "amplitude", "onset", "band"))
    if not row.get("file"):
        raise UserError(f"{where}: the file of the sound is missing")
    if row.get("amplitude") is None and row.get("onset") is None:
        raise UserError(f"{where}: expected amplitude=NAME=X or onset=NAME=X, what the sound moves")
    band = row.get("band")
    if band is not None:
        limits = band if isinstance(band, list) else str(band).split("-")
        if len(limits) != 2:
            raise UserError(f"{where}: band={band}, expected two frequencies like 20-200")
        low, high = (_number(where, "band", limit, 1, 1e6) for limit in limits)
        if low >= high:
            raise UserError(f"{where}: band={band}, expected the lower frequency first")
        band = low, high
    texts = {key: str(row[key]) for key in ("amplitude", "onset") if row.get(key) is not None}
    return Audio(_path(row["file"], beside), band=band, **texts)


def _check_keys(where: str, row: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in row:
        if key not in known:
            hint = nearest(key, known) or f"; known: {', '.join(known)}"
            raise UserError(f"{where}: unknown {key!r}{hint}")


def _file_and_row(where: str, text: str, beside: Path) -> tuple[str, int]:
    """'projected.npz' or 'projected.npz:3'."""
    file, colon, number = text.rpartition(":")
    if colon and number.isdigit():
        return _path(file, beside), _whole(where, "latents", number, 10**6)
    return _path(text, beside), 0


def _path(value: Any, beside: Path) -> str:
    return str(beside / paths.expand(str(value)))


def _whole(where: str, key: str, value: Any, most: int) -> int:
    number = _number(where, key, value, 0, most)
    if number != int(number):
        raise UserError(f"{where}: {key}={value}, expected a whole number")
    return int(number)


def _number(where: str, key: str, value: Any, least: float, most: float) -> float:
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not (math.isfinite(number) and least <= number <= most):
        raise UserError(f"{where}: {key}={value}, expected a number from {least:g} to {most:g}")
    return number
