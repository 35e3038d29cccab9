"""Numbered run directories: `results/00012-demo`."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from dnnlib import locks, paths
from dnnlib.errors import UserError, explain_os_errors

LOCK_NAME = ".lock"  # in the run directory
# What else programs here keep in it, and either read or write. Not checkpoints: what is wrong with
# one is said when it is read, and the one before it is used.
FILES = (
    *(LOCK_NAME, "config.json", "resolved.json", "stats.jsonl", "events.out.tfevents.*"),
    *("network-*.safetensors", "classifier-*.safetensors", "reals.png", "fakes*.png"),
    "metric-*.jsonl",
)
_NUMBERED = re.compile(r"(\d{5,})(?:-.*)?")


def create(result_dir: str | os.PathLike, description: str) -> Path:
    """Makes and returns `result_dir/NNNNN-description`, with the next free number.

    Processes that call this at the same time get different directories and different
    numbers. Characters that do not belong in a directory name become '-'.
    Raises UserError where the directory cannot be made.
    """
    result_dir = Path(result_dir)
    description = re.sub(r"[^A-Za-z0-9._+=-]+", "-", description).strip("-.")
    with explain_os_errors("create", result_dir):
        if result_dir.exists() and not result_dir.is_dir():
            raise UserError(f"cannot create a run in {result_dir}: it is not a directory")
        result_dir.mkdir(parents=True, exist_ok=True)
        while True:
            number = max(_runs(result_dir), default=-1) + 1
            claim = result_dir / f"{number:05d}"
            # A bare number claims it for every description: mkdir lets one process through ...
            try:
                claim.mkdir()
            except FileExistsError:
                continue
            # ... and one that comes after the winner's rename sees the winner's directory.
            if len(_runs(result_dir)[number]) > 1:
                claim.rmdir()
                continue
            final = claim.with_name(f"{claim.name}-{description}") if description else claim
            claim.rename(final)
            return final


def find(result_dir: str | os.PathLike, chosen: str | int) -> Path:
    """Returns an existing run directory.

    `chosen` is 'latest' (the highest number in `result_dir`), a run's number, or a directory
    (a path, or a name within `result_dir`). Raises UserError when there is none, or when
    two directories carry the number.
    """
    result_dir, chosen = Path(result_dir), str(chosen)
    if chosen != "latest" and not chosen.isdecimal():
        for path in (Path(chosen), result_dir / chosen):
            if path.is_dir():
                return path
        raise UserError(f"no run directory {chosen!r}, neither here nor in {result_dir}")
    runs = _runs(result_dir) if result_dir.is_dir() else {}
    runs = {n: dirs for n, all in runs.items() if (dirs := [p for p in all if p.is_dir()])}
    if not runs:
        raise UserError(f"no runs in {result_dir}")
    number = max(runs) if chosen == "latest" else int(chosen[:18])  # no directory has more digits
    directories = runs.get(number, [])
    if not directories:
        raise UserError(f"no run number {number} in {result_dir} (the latest is {max(runs)})")
    if len(directories) > 1:
        names = ", ".join(path.name for path in directories)
        raise UserError(f"run number {number} is ambiguous in {result_dir}: {names}")
    return directories[0]


@contextlib.contextmanager
def lock(run_dir: str | os.PathLike) -> Iterator[None]:
    """Keeps a second process from training in `run_dir`; released when the block or process ends.

    Raises UserError when another process has it; nothing is changed then. Does nothing where
    files cannot be locked.
    """
    path = Path(run_dir) / LOCK_NAME
    with contextlib.ExitStack() as opened:
        while True:
            file = opened.enter_context(paths.open_to_append(path))
            if locks.lock(file) is False:
                raise _taken(run_dir)
            # One whose start failed may have removed the file in between.
            if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                break
        yield


def check_free(run_dir: str | os.PathLike) -> None:
    """Raises UserError when another process has the lock of a directory; changes nothing."""
    path = Path(run_dir) / LOCK_NAME
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), paths.open_input(path) as file:
        if locks.lock(file) is False:
            raise _taken(run_dir)


def check_files(run_dir: str | os.PathLike, patterns: Sequence[str] = FILES) -> None:
    """Raises UserError where something bears the name of a run's file, and is none.

    That is a directory, a pipe (opening one would wait for ever), a socket, a device, or a link to
    nothing. Does nothing for a directory that does not exist.
    """
    if not os.path.isdir(run_dir):
        return
    with explain_os_errors("read", run_dir):
        names = sorted(os.listdir(run_dir))
    for name in names:
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            continue
        path = Path(run_dir) / name
        try:
            paths.check_input(path)
        except FileNotFoundError:
            if path.is_symlink():  # else another process has just removed it
                raise UserError(
                    f"{path} is a link to {os.readlink(path)}, which is not there"
                ) from None


def _taken(run_dir: str | os.PathLike) -> UserError:
    return UserError(f"another process is training in {run_dir}")


def check_place(path: str | os.PathLike) -> None:
    """Raises UserError where no directory can be made or written in; makes none."""
    path = place = Path(path)
    with explain_os_errors("create", path):
        while not place.exists() and place != place.parent:
            if place.is_symlink():
                target = os.readlink(place)
                raise UserError(f"cannot create {path}: {place} is a link to {target}, not there")
            place = place.parent
        if not place.is_dir():
            raise UserError(f"cannot create {path}: {place} is not a directory")
        if not os.access(place, os.W_OK | os.X_OK):
            raise UserError(f"cannot create {path}: no permission to write in {place}")


def _runs(result_dir: Path) -> dict[int, list[Path]]:
    """Number → everything that carries it, sorted by name (normally one directory)."""
    runs: dict[int, list[Path]] = {}
    for path in sorted(result_dir.iterdir()):
        match = _NUMBERED.fullmatch(path.name)
        if match:
            runs.setdefault(int(match[1]), []).append(path)
    return runs
