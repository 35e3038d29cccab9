"""The configuration that is saved in a run's directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional, TypeVar

from dnnlib import atomic, config as config_lib, json_files
from dnnlib.errors import UserError
from training.config import TrainingConfig

CONFIG_NAME = "config.json"  # in the run directory

Config = TypeVar("Config")


def exists(run_dir: str | os.PathLike) -> bool:
    """Whether a directory has one."""
    return (Path(run_dir) / CONFIG_NAME).exists()


def save(run_dir: str | os.PathLike, config: object) -> None:
    """Writes the configuration of either kind of run."""
    atomic.write_json(Path(run_dir) / CONFIG_NAME, config_lib.to_dict(config))


def load(run_dir: str | os.PathLike, kind: type[Config]) -> Config:
    """Returns the configuration of a run, of type `kind`; UserError when it cannot be read."""
    path = Path(run_dir) / CONFIG_NAME
    try:
        values = json_files.read(path)
    except FileNotFoundError:
        raise UserError(f"{run_dir} is not a run directory: it has no {CONFIG_NAME}") from None
    except ValueError as error:
        raise UserError(f"{path} {error}") from error
    return parse(path, kind, values)


def load_config(run_dir: str | os.PathLike) -> TrainingConfig:
    """Returns the configuration of a run of G and D; UserError when it cannot be read."""
    return load(run_dir, TrainingConfig)


def parse(path: Path, kind: type[Config], values: object) -> Config:
    """The configuration that a file holds as plain values; UserError naming file and key."""
    try:
        return config_lib.from_dict(kind, values)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def preset_of(run_dir: str | os.PathLike) -> Optional[str]:
    """The preset that a run started from; None where `load` will say what is wrong."""
    try:
        preset = json_files.read(Path(run_dir) / CONFIG_NAME)["preset"]
    except (OSError, ValueError, KeyError, TypeError, UserError):
        return None
    return preset if isinstance(preset, str) else None
