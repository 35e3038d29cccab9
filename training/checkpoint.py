"""Checkpoints: everything needed to continue a run, bit for bit.

A checkpoint is a `.safetensors` file of every variable by name (networks, moments, loss
scales), with the loop's progress as JSON in its metadata. The same format as snapshots, so
one reader, no pickled or nested objects, and the same file on both Keras generations.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dnnlib import tensor_file
from dnnlib.errors import UserError

FORMAT = "stylegan-tf2 checkpoint 1"
KEEP = 2  # the newest, and one in case the newest is damaged


def paths(run_dir) -> list[Path]:
    """The run's checkpoints, oldest first."""
    return sorted(Path(run_dir).glob("checkpoint-*.safetensors"))


def save(run_dir, variables: dict, progress: dict) -> Path:
    """Writes one checkpoint atomically, then removes all but the newest KEEP.

    variables: {name: tf.Variable}. progress: JSON data with `cur_nimg`.
    """
    path = Path(run_dir) / f"checkpoint-{progress['cur_nimg']:012d}.safetensors"
    arrays = {name: variable.numpy() for name, variable in variables.items()}
    tensor_file.save(path, arrays, FORMAT, {"progress": json.dumps(progress)})
    for old in paths(run_dir)[:-KEEP]:
        old.unlink(missing_ok=True)
    return path


def restore(run_dir, variables: dict) -> dict | None:
    """Sets the variables from the newest readable checkpoint and returns its progress.

    None when there is no checkpoint. A damaged one is named on stderr and the one before it
    is used; UserError when none can be read or the variables are not this run's.
    """
    candidates = paths(run_dir)
    for path in reversed(candidates):
        try:
            arrays, metadata = tensor_file.load(path, FORMAT)
            progress = json.loads(metadata["progress"])
        except (OSError, ValueError, KeyError) as error:
            print(f"warning: {path} is damaged ({error}); trying an older one", file=sys.stderr)
            continue
        _assign(path, variables, arrays)
        return progress
    if candidates:
        raise UserError(f"{run_dir}: none of its {len(candidates)} checkpoints can be read")
    return None


def _assign(path, variables, arrays):
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
