"""What a run tells: a progress bar and a status line, stats.jsonl, TensorBoard, pictures, times."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from dnnlib import atomic, json_files
from dnnlib.errors import explain_write_errors
from dnnlib.paths import open_to_append
from dnnlib.progress import format_time
from dnnlib.terminal import raw
from training.checks import NOTHING, Checks, numbers_of
from training.event_file import EventFile


class Means:
    """Running means of the steps' finite values; kept as tensors until they are asked for."""

    def __init__(self, totals: dict[str, list] | None = None):
        self._totals = {name: list(pair) for name, pair in (totals or {}).items()}
        self._pending: list[dict] = []

    def add(self, values: dict) -> None:
        self._pending.append(values)

    def totals(self) -> dict:
        """{name: [sum, count]}: JSON data from which the means can go on."""
        for values in self._pending:  # reading a value waits for its step
            for name, value in values.items():
                pair = self._totals.setdefault(name, [0.0, 0])
                value = float(value)
                if math.isfinite(value):  # a skipped step says nothing about the others
                    pair[0] += value
                    pair[1] += 1
        self._pending.clear()
        return self._totals

    def means(self) -> dict[str, float]:
        totals = self.totals().items()
        return {name: total / count for name, (total, count) in totals if count}


OVERFLOW = "_overflow"  # ends the name of the share of a phase's steps that were skipped


class Report:
    """Writes into `run_dir`. `enabled=False`: a process that stays silent.

    checks: what judges every tick; None: nothing does.
    """

    def __init__(
        self, run_dir: str | os.PathLike, enabled: bool = True, checks: Checks | None = None
    ):
        self.run_dir, self.enabled, self.checks = Path(run_dir), enabled, checks
        self.events = EventFile(run_dir)
        self._bar = enabled and sys.stdout is not None and sys.stdout.isatty()

    def say(self, text: str) -> None:
        if self.enabled:
            self._print(text + "\n")

    def _print(self, text: str, orders: bool = False) -> None:
        """orders: whether the text moves the cursor; others may hold names, which must not."""
        try:
            print(text, end="", flush=True, file=raw(sys.stdout) if orders else None)
        except OSError:
            # `| head`, a Ctrl-C that ended `| tee` as well, a terminal that is gone after SIGHUP:
            # the run matters more than its reader. Without this, Python would complain at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def progress(self, done: float, label: str) -> None:
        """Redraws the bar of the current tick; done: 0 to 1. Nothing when not on a terminal."""
        if self._bar:
            filled = int(min(done, 1.0) * 30)
            self._print(f"\r  [{'#' * filled}{'.' * (30 - filled)}] {label}\x1b[K", orders=True)

    def tick(self, record: dict, means: dict) -> None:
        """One status line; the same numbers to stats.jsonl and TensorBoard."""
        if not self.enabled:
            return
        if self._bar:
            self._print("\r\x1b[K", orders=True)
        entry = {**record, **{_scalar_name(name): value for name, value in means.items()}}
        opinion = self.checks.add(entry) if self.checks else NOTHING
        lines = [status_line(record, means) + "".join(f" [{v.short()}]" for v in opinion.active)]
        lines += [f"  {sentence}" for sentence in opinion.sentences()]
        self._print("".join(line + "\n" for line in lines))
        path = self.run_dir / "stats.jsonl"
        told = {"verdicts": [v.record() for v in opinion.active]} if opinion.active else {}
        with explain_write_errors(path), open_to_append(path) as file:
            file.write(json.dumps({**entry, **told}).encode() + b"\n")
        scalars = {tag: value for tag, value in entry.items() if tag != "cur_nimg"}
        self.events.scalars(entry["cur_nimg"], {**scalars, **opinion.curves()})

    def picture(self, tag: str, pixels: np.ndarray, cur_nimg: int) -> None:
        """One uint8 picture [H, W, C] for TensorBoard."""
        if self.enabled:
            self.events.picture(cur_nimg, tag, pixels)

    def drop_after(self, cur_nimg: int) -> None:
        """Removes records of ticks that a killed run reached after its last checkpoint.

        The checks look at what is left, as if they had been there.
        """
        path = self.run_dir / "stats.jsonl"
        if not self.enabled or not path.exists():
            return
        lines = json_files.read_text(path).splitlines(keepends=True)
        kept = [line for line in lines if _nimg_of(line) <= cur_nimg]
        if kept != lines:
            atomic.write_text(path, "".join(kept))
        for line in kept if self.checks else []:
            tick = numbers_of(line)
            if "cur_nimg" in tick:
                self.checks.add(tick)

    def close(self) -> None:
        """Nothing to close: what was told is written."""


class Clock:
    """Times, in seconds: of ticks, of the maintenance between them, since the checkpoint."""

    def __init__(self, seconds_before: float, cur_nimg: int):
        now = time.monotonic()
        self._start = now - seconds_before
        self._tick_end = self._checkpoint = now
        self.start_tick(cur_nimg)

    def total(self) -> float:
        return time.monotonic() - self._start

    def start_tick(self, cur_nimg: int) -> None:
        self._tick_start, self.tick_start_nimg = time.monotonic(), cur_nimg

    def end_tick(self) -> tuple[float, float]:
        """(length of the tick that ends now, of the maintenance before it)."""
        now = time.monotonic()
        lengths = now - self._tick_start, self._tick_start - self._tick_end
        self._tick_end = now
        return lengths

    def since_tick_ended(self) -> float:
        return time.monotonic() - self._tick_end

    def checkpoint_saved(self) -> None:
        self._checkpoint = time.monotonic()

    def since_checkpoint(self) -> float:
        return time.monotonic() - self._checkpoint


def _nimg_of(line: str) -> float:
    try:
        return float(json_files.parse(line)["cur_nimg"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # half a line: its tick was being written


def _scalar_name(name: str) -> str:
    """Where a step's value appears in TensorBoard; penalties and scores appear under Loss."""
    if name.endswith(OVERFLOW):
        return f"Overflow/{name[: -len(OVERFLOW)]}"
    return f"Loss/{name}"


def status_line(record: dict, means: dict) -> str:
    overflow = max((means[name] for name in means if name.endswith(OVERFLOW)), default=0)
    line = (
        f"tick {record['Progress/tick']:<5d} "
        f"kimg {record['Progress/kimg']:<8.1f} "
        f"lod {record['Progress/lod']:<5.2f} "
        f"res {record['Progress/resolution']:<4d} "
        f"minibatch {record['Progress/minibatch']:<4d} "
        f"time {format_time(record['Timing/total_sec']):<12s} "
        f"sec/tick {record['Timing/sec_per_tick']:<7.1f} "
        f"sec/kimg {record['Timing/sec_per_kimg']:<8.2f} "
        f"maintenance {record['Timing/maintenance_sec']:<6.1f} "
        f"mem {record['Resources/memory_gb']:<5.1f}"
    )
    line += "".join(f" {name} {means[name]:<6.3f}" for name in ("D", "G") if name in means)
    if "Progress/augment" in record:
        line += f" augment {record['Progress/augment']:<6.3f}"
    line += f" overflow {overflow:.1%}" if overflow else ""
    lost = [name for name in ("D", "G") if means.get(name + OVERFLOW) == 1]
    return line + (f" WARNING: no usable step of {' and '.join(lost)}" if lost else "")


def peak_memory_gb() -> float:
    """Peak memory in 2^30 bytes: of the GPU when there is one, else of this process."""
    if tf.config.list_logical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**30
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
