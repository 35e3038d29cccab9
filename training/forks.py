"""A run that goes back to a checkpoint of another one, and tries changed settings from there.

The other run is only read, and no lock of it is taken, so that it may be training meanwhile. The
new directory appears whole: settings, the checkpoint, and what `stats.jsonl` says up to it. From
then on it is a run like any other, and without changes it ends with the other one's bits.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from compute.cluster import read_cluster
from dnnlib import atomic, config as config_lib, json_files, run_dirs, tensor_file
from dnnlib.errors import UserError, explain_os_errors
from dnnlib.staging import staged_directory
from training import checkpoint, config as training_config, runs, saved_config
from training.checkpoint import Progress
from training.config import TrainingConfig
from training.request import Request
from training.resolved import FACTS_NAME, Seen, absent_of
from training.runs import ResolvedRun

_STATS, _REALS = "stats.jsonl", "reals.png"
# Where these differ, the pictures of real images are others.
_OF_REALS = ("dataset.", "grid.", "seed")


@dataclasses.dataclass(frozen=True)
class Fork(ResolvedRun):
    """A checked run that starts from another one's checkpoint, in a directory of its own."""

    saved: TrainingConfig  # of the other run
    origin: Path  # its checkpoint
    progress: Progress  # in it

    @property
    def changes(self) -> list[tuple[str, Any, Any]]:
        """(dotted key, old value, new value) of every setting that differs."""
        differing = config_lib.diff(self.saved, self.config)
        return [change for change in differing if not change[0].startswith("forked_from")]


def plan(request: Request) -> Fork:
    """Checks everything that shows without TensorFlow; writes nothing. Raises UserError."""
    request.check()
    _check_flags(request)
    place = Path(request.fork or "")
    if place.exists() or place.is_symlink():
        raise UserError(
            f"--fork={place} exists already: name a new directory, or --resume={place} to "
            "continue it"
        )
    run_dirs.check_place(place)
    run_dir = run_dirs.find(request.runs_in, request.resume or "")
    run_dirs.check_files(run_dir)
    saved = saved_config.load_config(run_dir)
    source, progress = _choose(run_dir, request.fork_kimg)
    config = runs.resolve_config(request, saved)
    if config.resume_from != saved.resume_from:
        raise UserError(
            "resume_from: a fork starts with the networks of its run; leave it out, or start a "
            "new run"
        )
    nimg = progress.loop.cur_nimg
    if nimg >= config.total_kimg * 1000:
        raise UserError(
            f"{source} is at {nimg / 1000:g} kimg, and the run ends at total_kimg="
            f"{config.total_kimg:g}: raise --total_kimg, or choose an earlier one with --fork_kimg"
        )
    changes = {key: [old, new] for key, old, new in config_lib.diff(saved, config)}
    record = {"run": str(run_dir.absolute()), "kimg": nimg / 1000, "changes": changes}
    # What the run itself took its first weights from need not be there any more.
    alone = dataclasses.replace(config, resume_from=None, forked_from=record)
    run = runs.complete(alone, request, place, Seen(), continues=False)
    values = {field.name: getattr(run, field.name) for field in dataclasses.fields(run)}
    notes = tuple(f"{key}: {old} -> {new}" for key, (old, new) in changes.items())
    values.update(config=dataclasses.replace(alone, resume_from=config.resume_from), notes=notes)
    return Fork(**values, saved=saved, origin=source, progress=progress)


def _check_flags(request: Request) -> None:
    if not request.resume:
        raise UserError("--fork needs --resume=RUN, the run to go back in")
    for flag in ("run_dir", "preset"):
        if getattr(request, flag) is not None:
            raise UserError(
                f"--{flag} and --fork: leave --{flag} out; a fork has its run's settings, and "
                "--set changes them"
            )
    if read_cluster().num_workers > 1:
        raise UserError(
            "--fork: TF_CONFIG names several machines; make the fork on one of them without it, "
            "stop it, and continue with --resume on all"
        )


def _choose(run_dir: Path, kimg: float | None) -> tuple[Path, Progress]:
    """The newest readable checkpoint, or the one at `kimg`; by the files' headers."""
    candidates = checkpoint.paths(run_dir)
    if not candidates:
        raise UserError(f"{run_dir} has no checkpoint to fork from")
    if kimg is not None:
        known = {path: checkpoint.nimg_of(path) for path in candidates}
        shown = {path: nimg / 1000 for path, nimg in known.items() if nimg is not None}
        chosen = [path for path in shown if _is_at(shown[path], kimg)]
        if not chosen:
            there = ", ".join(f"{value:g}" for value in shown.values())
            raise UserError(
                f"--fork_kimg={kimg:g}: {run_dir} has no checkpoint there; it keeps those at "
                f"{there} kimg"
            )
        return chosen[-1], checkpoint.read(chosen[-1], tensor_file.load_header)[1]
    problem = None
    for path in reversed(candidates):
        try:
            return path, checkpoint.read(path, tensor_file.load_header)[1]
        except checkpoint.LaterVersionError:
            raise
        except UserError as error:
            problem = problem or error
            if path != candidates[0]:
                print(f"warning: {error}; trying an older one", file=sys.stderr)
    assert problem is not None
    raise problem


def _is_at(kimg: float, wanted: float) -> bool:
    """Whether `wanted` is how somebody would write `kimg`: whole, or as status lines have it."""
    return wanted in (kimg, round(kimg, 1), int(kimg))


# ---------------------------------------------------------------- with TensorFlow


def check_fit(fork: Fork) -> None:
    """Raises UserError naming a setting with which the checkpoint does not fit the networks."""
    arrays, _ = checkpoint.read(fork.origin, tensor_file.load_header)
    reason = _misfit(fork.config, fork, arrays)
    if reason is None:
        return
    keys = [key for key, _, _ in fork.changes]
    guilty = [key for key in keys if _fails(fork, key, arrays)] or keys
    if not guilty:
        raise UserError(f"{fork.origin} {reason}")
    raise UserError(
        f"{', '.join(guilty)}: cannot change in a fork, because {fork.origin} {reason}; start a "
        "new run (--resume_from takes over what fits)"
    )


def _fails(fork: Fork, key: str, arrays: dict[str, np.ndarray]) -> bool:
    """Whether this one change alone makes networks that the arrays do not fit."""
    values = config_lib.to_dict(fork.saved)
    place, new = values, config_lib.to_dict(fork.config)
    *tables, last = key.split(".")
    for table in tables:
        place, new = place.setdefault(table, {}), new.get(table, {})
    if last in new:
        place[last] = new[last]
    else:
        place.pop(last, None)
    try:
        return _misfit(config_lib.from_dict(TrainingConfig, values), fork, arrays) is not None
    except UserError:  # it needs the other changes
        return False


def _misfit(config: TrainingConfig, fork: Fork, arrays: dict[str, np.ndarray]) -> str | None:
    """What is wrong with the arrays for the networks of `config`; single numbers may differ."""
    from training import preview

    info = training_config.inspect_dataset(config.dataset, write=False)
    state = preview.planned_state(config, *training_config.network_options(config, info))
    variables = {
        name: variable for name, variable in state.variables().items() if name not in state.numbers
    }
    kept = {name: array for name, array in arrays.items() if "/" in name}
    return checkpoint.misfit_of(variables, kept)


@contextlib.contextmanager
def made(fork: Fork) -> Iterator[Path]:
    """Makes the new directory, which is taken away again if the block fails before it trained."""
    place = fork.run_dir
    assert place is not None
    absent = absent_of(place.parent)
    _write(fork, place)
    try:
        yield place
    except BaseException:
        ours = {saved_config.CONFIG_NAME, FACTS_NAME, run_dirs.LOCK_NAME, _STATS, _REALS}
        if {path.name for path in place.iterdir()} <= {*ours, fork.origin.name}:
            shutil.rmtree(place, ignore_errors=True)
            with contextlib.suppress(OSError):  # another process uses it
                for directory in absent:
                    directory.rmdir()
        raise


def _write(fork: Fork, place: Path) -> None:
    from training import phases

    try:
        arrays, progress = checkpoint.read(fork.origin)
    except FileNotFoundError:
        raise UserError(
            f"{fork.origin} is gone: its run has trained on, and keeps newer ones; give the "
            "command again"
        ) from None
    owners: list[Any] = [*phases.phases_of(fork.config), *phases.hooks_of(fork.config)]
    numbers = {name: value for owner in owners for name, value in owner.numbers.items()}
    arrays = {name: array for name, array in arrays.items() if "/" in name or name in numbers}
    for name, initial in numbers.items():
        arrays.setdefault(name, np.float32(initial))
    old = fork.origin.parent
    with staged_directory(place) as temporary:
        checkpoint.write(temporary / fork.origin.name, arrays, progress)
        saved_config.save(temporary, fork.config)
        lines = _stats(old / _STATS, progress.loop.cur_nimg)
        if lines:
            atomic.write_text(temporary / _STATS, lines)
        if not any(key.startswith(_OF_REALS) for key, _, _ in fork.changes):
            with contextlib.suppress(FileNotFoundError), explain_os_errors("read", old / _REALS):
                shutil.copyfile(old / _REALS, temporary / _REALS)


def _stats(path: str | os.PathLike, cur_nimg: int) -> str:
    """The records up to the checkpoint; of half a line, which is being written, nothing."""
    if not Path(path).exists():
        return ""
    kept = []
    for line in json_files.read_text(Path(path)).splitlines(keepends=True):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            if json_files.parse(line)["cur_nimg"] <= cur_nimg:
                kept.append(line)
    return "".join(kept)
