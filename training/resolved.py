"""A run whose settings are all known: checked once, shown, saved, and handed to what trains."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from compute.cluster import read_cluster
from datasets.format.info import DatasetInfo, write_files
from dnnlib import atomic, config as config_lib, run_dirs
from dnnlib.errors import UserError, explain_os_errors
from networks.options import feature_maps
from training import checkpoint, saved_config

FACTS_NAME = "resolved.json"  # in the run directory, for people: nothing reads it

Run = TypeVar("Run", bound="Resolved")


@dataclasses.dataclass(frozen=True)
class Resolved:
    """What both kinds of run know: of G and D (training/runs.py), of classifiers."""

    config: Any
    dataset_info: DatasetInfo
    run_dir: Path | None  # None: a new numbered directory, not made yet
    result_dir: Path  # where that will be
    notes: tuple[str, ...]  # for the user: what differs from the saved configuration
    seen: Seen  # in run_dir when all this was checked

    @property
    def resume(self) -> bool:
        """Whether the directory holds a part of this run already."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """What the configuration leaves open, as values that JSON can hold."""
        raise NotImplementedError

    def describe(self) -> str:
        """Data set, networks and schedule; several lines, no newline at the end."""
        raise NotImplementedError

    def defaults(self) -> list[str]:
        """Lines that list the options that the configuration does not mention."""
        return []

    def describe_all(self) -> str:
        """Every setting, in the form that `--set` accepts, and what `describe` returns."""
        where = self.run_dir or f"a new directory in {self.result_dir}"
        verb = "Continues" if self.resume else "Would write to"
        parts = [
            f"Configuration:\n{config_lib.format(self.config)}",
            *filter(None, ["\n".join(self.defaults())]),
            self.describe(),
            f"{verb} {where}",
        ]
        return "\n\n".join(parts)

    def prepared(self: Run) -> Run:
        """With what has to be brought before a directory is made; UserError where it cannot."""
        return self

    def check_start(self) -> None:
        """Raises UserError where `starting` would, as far as that shows without a change."""
        run_dirs.check_place(self.run_dir or self.result_dir)
        if self.run_dir and read_cluster().is_chief:
            run_dirs.check_free(self.run_dir)

    def start(self: Run) -> Run:
        """Makes the run directory and saves the settings there; returns the run with `run_dir`.

        Errors: as of `starting`.
        """
        with self.starting() as run:
            return run

    @contextlib.contextmanager
    def starting(self: Run) -> Iterator[Run]:
        """Yields the run with its directory, settings saved there, and locked in the block.

        Raises UserError where another process is training, or has been since all was checked. As
        long as nothing was trained, what fails in the block leaves the directory as it was.
        """
        self.check_start()
        prepared = self.prepared()
        write_files(self.dataset_info)
        absent = absent_of(self.run_dir or self.result_dir)
        run_dir = self.run_dir or run_dirs.create(self.result_dir, self.config.description)
        with explain_os_errors("create", run_dir):
            run_dir.mkdir(parents=True, exist_ok=True)
        run = dataclasses.replace(prepared, run_dir=run_dir)
        if not read_cluster().is_chief:  # one writer is enough
            yield run
            return
        with run_dirs.lock(run_dir):
            if self.run_dir and Seen.of(run_dir) != self.seen:
                raise UserError(
                    f"another process has been training in {run_dir}; give the command again"
                )
            made = absent if self.run_dir else [run_dir, *absent]
            with _taken_back_on_failure(run_dir, made):
                saved_config.save(run_dir, run.config)
                atomic.write_json(run_dir / FACTS_NAME, run.facts())
                yield run


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a directory held of a run that decides how it goes on."""

    settings: bytes | None = None
    checkpoints: bool = False
    classifiers: tuple[str, ...] = ()

    @classmethod
    def of(cls, run_dir: Path | None) -> Seen:
        """run_dir: None, as one that does not exist, holds nothing.

        Raises UserError where what bears the name of a run's file is none.
        """
        if run_dir is None:
            return cls()
        run_dirs.check_files(run_dir)
        classifiers = sorted(path.name for path in run_dir.glob("classifier-*.safetensors"))
        settings = _bytes(run_dir / saved_config.CONFIG_NAME)
        return cls(settings, bool(checkpoint.paths(run_dir)), tuple(classifiers))


def _bytes(path: Path) -> bytes | None:
    with explain_os_errors("read", path):
        return path.read_bytes() if path.is_file() else None


def absent_of(path: Path) -> list[Path]:
    """`path` and those above it that do not exist, the innermost first."""
    return [place for place in (path, *path.parents) if not place.exists()]


@contextlib.contextmanager
def _taken_back_on_failure(run_dir: Path, made: list[Path]) -> Iterator[None]:
    """Undoes the start of a run that fails in the block before it has written anything else.

    made: directories that were made for it, the innermost first.
    """
    ours = [run_dir / name for name in (saved_config.CONFIG_NAME, FACTS_NAME)]
    before = {path: _bytes(path) for path in ours}
    others = _names(run_dir)
    try:
        yield
    except BaseException:
        new = _names(run_dir) - others - {path.name for path in ours}
        if not new:
            _restore(before, run_dir / run_dirs.LOCK_NAME if run_dir in made else None)
            with contextlib.suppress(OSError):  # not empty: another process uses it
                for directory in made:
                    directory.rmdir()
        raise


def _names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def _restore(before: dict[Path, bytes | None], lock: Path | None) -> None:
    with contextlib.suppress(OSError):
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            elif path.read_bytes() != content:
                atomic.write_bytes(path, content)
        if lock is not None:
            lock.unlink(missing_ok=True)


def describe_data(info: DatasetInfo, labels: str, mirror: bool) -> str:
    """One line about the images of a run."""
    of = f" of {info.subset.of:,}" if info.subset else ""
    return (
        f"Data set   {info.name}: {info.num_images:,}{of} images of {info.resolution}x"
        f"{info.resolution}x{info.channels}, {labels}{', mirrored' if mirror else ''}"
    )


def describe_maps(options: dict[str, Any]) -> str:
    """'feature maps 4:512 8:512 …', by resolution."""
    sides = range(2, options["resolution"].bit_length())
    return "feature maps " + " ".join(f"{2**i}:{feature_maps(options, i - 1)}" for i in sides)
