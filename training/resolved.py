"""A run whose settings are all known: checked once, shown, saved, and handed to what trains."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

from compute.cluster import read_cluster
from datasets.format.info import DatasetInfo
from dnnlib import atomic, config as config_lib, run_dirs
from dnnlib.errors import explain_os_errors
from networks.options import feature_maps
from training import saved_config

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

    def start(self: Run) -> Run:
        """Makes the run directory and saves the settings there; returns the run with `run_dir`.

        Raises UserError where another process is training; nothing is changed then.
        """
        run_dir = self.run_dir or run_dirs.create(self.result_dir, self.config.description)
        with explain_os_errors("create", run_dir):
            run_dir.mkdir(parents=True, exist_ok=True)
        if read_cluster().is_chief:  # one writer is enough
            with run_dirs.lock(run_dir):
                saved_config.save(run_dir, self.config)
                atomic.write_json(run_dir / FACTS_NAME, self.facts())
        return dataclasses.replace(self, run_dir=run_dir)


def describe_data(info: DatasetInfo, labels: str, mirror: bool) -> str:
    """One line about the images of a run."""
    return (
        f"Data set   {info.name}: {info.num_images:,} images of {info.resolution}x"
        f"{info.resolution}x{info.channels}, {labels}{', mirrored' if mirror else ''}"
    )


def describe_maps(options: dict[str, Any]) -> str:
    """'feature maps 4:512 8:512 …', by resolution."""
    sides = range(2, options["resolution"].bit_length())
    return "feature maps " + " ".join(f"{2**i}:{feature_maps(options, i - 1)}" for i in sides)
