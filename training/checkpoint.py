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
from typing import Any

import numpy as np

from dnnlib import json_files, tensor_file
from dnnlib.errors import UserError
from training.schedule import LoopState

FORMAT = "stylegan-tf2 checkpoint"
VERSION = 2
_FORMAT_1 = "stylegan-tf2 checkpoint 1"  # when there was no field for the version
KEEP = 2  # the newest, and one in case the newest is damaged


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
        data = {key: value for key, value in data.items() if key != "cur_nimg"}
        return cls(**{**data, "loop": LoopState(**data["loop"])})


def paths(run_dir: str | os.PathLike) -> list[Path]:
    """The run's checkpoints, oldest first."""
    return sorted(Path(run_dir).glob("checkpoint-*.safetensors"))


def save(run_dir: str | os.PathLike, variables: dict[str, Any], progress: Progress) -> Path:
    """Writes one checkpoint atomically, then removes all but the newest KEEP.

    variables: {name: tf.Variable}.
    """
    path = Path(run_dir) / f"checkpoint-{progress.loop.cur_nimg:012d}.safetensors"
    arrays = {name: variable.numpy() for name, variable in variables.items()}
    metadata = {"version": str(VERSION), "progress": json.dumps(progress.to_json())}
    tensor_file.save(path, arrays, FORMAT, metadata)
    for old in paths(run_dir)[:-KEEP]:
        old.unlink(missing_ok=True)
    return path


def restore(run_dir: str | os.PathLike, variables: dict[str, Any]) -> Progress | None:
    """Sets the variables from the newest readable checkpoint and returns its progress.

    None when there is no checkpoint. A damaged one is named on stderr and the one before it
    is used; UserError when none can be read, when one is of a later version, or when the
    variables are not this run's.
    """
    candidates = paths(run_dir)
    for path in reversed(candidates):
        try:
            arrays, progress = _read(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"warning: {path} is damaged ({error}); trying an older one", file=sys.stderr)
            continue
        _assign(path, variables, arrays)
        return progress
    if candidates:
        raise UserError(f"{run_dir}: none of its {len(candidates)} checkpoints can be read")
    return None


def _read(path: Path) -> tuple[dict[str, np.ndarray], Progress]:
    try:
        arrays, metadata = tensor_file.load(path, _FORMAT_1)
    except tensor_file.TensorFileError:
        arrays, metadata = tensor_file.load(path, FORMAT)
        if int(metadata["version"]) > VERSION:
            raise UserError(
                f"{path} has version {metadata['version']}, expected {VERSION} at most: continue "
                "with the release that wrote it, or start a new run"
            ) from None
        return arrays, Progress.from_json(json_files.parse(metadata["progress"]))
    progress = json_files.parse(metadata["progress"])
    # A round is one step of G and those of D that go with it.
    steps = {name: progress.pop(f"{name}_steps") for name in ("D", "G")}
    return arrays, Progress.from_json({**progress, "steps": steps, "rounds": steps["G"]})


def _assign(path: Path, variables: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    differing = [
        name
        for name in sorted({*variables, *arrays})
        if name not in arrays
        or name not in variables
        or tuple(variables[name].shape) != arrays[name].shape
    ]
    if differing:
        raise UserError(
            f"{path}: does not fit the networks of this configuration; "
            f"{len(differing)} variables differ, the first is {differing[0]}"
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])
