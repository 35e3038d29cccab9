"""Checkpoints: everything needed to continue a run, bit for bit.

A checkpoint is a `.safetensors` file of every variable by name (networks, moments, loss
scales), with the loop's progress as JSON in its metadata. The same format as snapshots, so
one reader, no pickled or nested objects, and the same file on both Keras generations.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any, Callable

import numpy as np

from dnnlib import config as config_lib, json_files, tensor_file
from dnnlib.errors import UserError
from training.schedule import LoopState

FORMAT = "stylegan-tf2 checkpoint"
VERSION = 2
_FORMAT_1 = "stylegan-tf2 checkpoint 1"  # when there was no field for the version
KEEP = 2  # the newest, and one in case the newest is damaged

Load = Callable[[Path, str], tuple[dict[str, np.ndarray], dict[str, str]]]


class LaterVersionError(UserError):
    """A checkpoint that another release can continue: no reason to go back to an older one."""


# What reading a damaged file raises: UserError of its progress, RecursionError of deep JSON.
_DAMAGED = OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, UserError


@dataclasses.dataclass
class Progress:
    """What a checkpoint holds besides variables."""

    loop: LoopState = dataclasses.field(default_factory=LoopState)
    rounds: int = 0  # finished; a phase is due in some of them
    steps: dict[str, int] = dataclasses.field(default_factory=dict)  # of each phase, by name
    seconds: float = 0.0  # training time up to the checkpoint
    means: dict = dataclasses.field(default_factory=dict)  # of the unfinished tick

    def to_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "cur_nimg": self.loop.cur_nimg}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Progress:
        """Raises UserError naming what is unknown or of the wrong type, and ValueError."""
        _check_complete(cls, data)
        _check_complete(LoopState, data["loop"])
        progress = config_lib.from_dict(cls, {k: v for k, v in data.items() if k != "cur_nimg"})
        for name, pair in progress.means.items():
            if not (isinstance(pair, list) and list(map(type, pair)) in ([float, int], [int, int])):
                raise ValueError(f"means.{name}: expected a sum and a count")
        loop = progress.loop
        counts = [loop.cur_nimg, loop.tick, loop.tick_start_nimg, progress.rounds]
        if min(*counts, *progress.steps.values()) < 0 or loop.tick_start_nimg > loop.cur_nimg:
            raise ValueError("counts that cannot be")
        return progress


def _check_complete(kind: type, data: dict[str, Any]) -> None:
    for field in dataclasses.fields(kind):
        if field.name not in data:
            raise ValueError(f"{field.name} is missing")


def paths(run_dir: str | os.PathLike) -> list[Path]:
    """The run's checkpoints, oldest first."""
    return sorted(Path(run_dir).glob("checkpoint-*.safetensors"))


def save(run_dir: str | os.PathLike, variables: dict[str, Any], progress: Progress) -> Path:
    """Writes one checkpoint atomically, then removes all but the newest KEEP.

    variables: {name: tf.Variable}.
    """
    path = Path(run_dir) / f"checkpoint-{progress.loop.cur_nimg:012d}.safetensors"
    write(path, {name: variable.numpy() for name, variable in variables.items()}, progress)
    # Later ones are damaged, or this run would have gone on from them.
    files = [each for each in paths(run_dir) if each.is_file()]
    kept = [each for each in files if each <= path][-KEEP:]
    for old in files:
        if old not in kept:
            old.unlink(missing_ok=True)
    return path


def write(path: Path, arrays: dict[str, np.ndarray], progress: Progress) -> None:
    """Writes one file atomically. Raises UserError (full disk, permission)."""
    metadata = {"version": str(VERSION), "progress": json.dumps(progress.to_json())}
    tensor_file.save(path, arrays, FORMAT, metadata)


def read(path: Path, load: Load = tensor_file.load) -> tuple[dict[str, np.ndarray], Progress]:
    """Arrays and progress of one file; load: tensor_file's, or its `load_header`.

    Raises UserError where it is damaged or of a later version, and FileNotFoundError.
    """
    try:
        return _read(path, load)
    except (FileNotFoundError, LaterVersionError):
        raise
    except _DAMAGED as error:
        raise UserError(f"{path} {_described(error)}") from error


def nimg_of(path: Path) -> int | None:
    """How many images a checkpoint's run had been shown, by the file's name; None for others'."""
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else None


def restore(run_dir: str | os.PathLike, variables: dict[str, Any]) -> Progress | None:
    """Sets the variables from the newest readable checkpoint and returns its progress.

    None when there is no checkpoint. A damaged one, or one of other variables, is named on
    stderr and the one before it is used; UserError when none can be used, or when one is of a
    later version.
    """
    newest = _newest(run_dir, variables, tensor_file.load)
    if newest is None:
        return None
    arrays, progress = newest
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return progress


def check(run_dir: str | os.PathLike, variables: dict[str, Any]) -> Progress | None:
    """What `restore` would return or raise, by the files' headers and checksums; sets nothing."""
    newest = _newest(run_dir, variables, tensor_file.load_header)
    return newest and newest[1]


def _newest(
    run_dir: str | os.PathLike, variables: dict[str, Any], load: Load
) -> tuple[dict[str, np.ndarray], Progress] | None:
    """Arrays and progress of the newest checkpoint that can be used; as `restore`."""
    candidates = paths(run_dir)
    misfit = None
    for path in reversed(candidates):
        try:
            arrays, progress = _read(path, load)
            reason = misfit_of(variables, arrays)
            misfit = misfit or (reason and f"{path} {reason}")
        except LaterVersionError:
            raise
        except _DAMAGED as error:
            reason = _described(error)
        if reason is None:
            return arrays, progress
        older = "; trying an older one" if path != candidates[0] else ""
        print(f"warning: {path} {reason}{older}", file=sys.stderr)
    if misfit:
        raise UserError(misfit)
    if candidates:
        raise UserError(
            f"{run_dir}: none of its {len(candidates)} checkpoints can be read; remove them to "
            "start again, or put a copy back"
        )
    return None


def _read(path: Path, load: Load) -> tuple[dict[str, np.ndarray], Progress]:
    try:
        arrays, metadata = load(path, _FORMAT_1)
    except tensor_file.TensorFileError:
        arrays, metadata = load(path, FORMAT)
        if int(metadata["version"]) > VERSION:
            raise LaterVersionError(
                f"{path} has version {metadata['version']}, expected {VERSION} at most: continue "
                "with the release that wrote it, or start a new run"
            ) from None
        return arrays, Progress.from_json(json_files.parse(metadata["progress"]))
    progress = json_files.parse(metadata["progress"])
    # A round is one step of G and those of D that go with it.
    steps = {name: progress.pop(f"{name}_steps") for name in ("D", "G")}
    return arrays, Progress.from_json({**progress, "steps": steps, "rounds": steps["G"]})


def _described(error: Exception) -> str:
    return f"is damaged ({' '.join(str(error).split())[:200] or type(error).__name__})"


def misfit_of(variables: dict[str, Any], arrays: dict[str, np.ndarray]) -> str | None:
    """What is wrong where arrays are not those of the variables."""
    differing = [
        name
        for name in sorted({*variables, *arrays})
        if name not in arrays
        or name not in variables
        or tuple(variables[name].shape) != arrays[name].shape
        or variables[name].dtype.as_numpy_dtype != arrays[name].dtype
    ]
    if not differing:
        return None
    return (
        "does not fit the networks of this configuration: "
        f"{len(differing)} variables differ, the first is {differing[0][:100]!r}"
    )
