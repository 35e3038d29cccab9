"""A training configuration small enough for tests: digits at 8×8, everything random on."""

from __future__ import annotations

import numpy as np

from dnnlib import config as config_lib
from training import checkpoint
from training.config import TrainingConfig


def small_config(*overrides: str, **values) -> TrainingConfig:
    """4×4 → fade → 8×8 in about ten iterations of 2 × 8 images."""
    base = config_lib.from_dict(
        TrainingConfig,
        {
            "dataset": {
                "name": "digits",
                "resolution": 8,
                "max_label_size": "full",
                "mirror_augment": True,
            },
            "G": {
                "func_name": "G_style",
                "fmap_base": 32,
                "fmap_max": 8,
                "latent_size": 8,
                "dlatent_size": 8,
                "mapping_fmaps": 8,
                "mapping_layers": 2,
            },
            "D": {"func_name": "D_basic", "fmap_base": 32, "fmap_max": 8},
            "schedule": {
                "lod_initial_resolution": 4,
                "lod_training_kimg": 0.04,
                "lod_transition_kimg": 0.05,
                "minibatch_base": 8,
                "tick_kimg_base": 0.03,
                "tick_kimg_dict": {},
            },
            "grid": {"size": "3x2"},
            "total_kimg": 0.15,
            "minibatch_repeats": 2,
            "G_smoothing_kimg": 0.05,
            "checkpoint_minutes": 1000,
            **values,
        },
    )
    return config_lib.apply_overrides(base, list(overrides))


def final_state(run_dir) -> tuple[dict, dict]:
    """(arrays, progress without times) of a run's newest checkpoint."""
    import json

    from dnnlib import tensor_file

    arrays, metadata = tensor_file.load(checkpoint.paths(run_dir)[-1], checkpoint.FORMAT)
    progress = json.loads(metadata["progress"])
    progress.pop("seconds")
    return arrays, progress


def assert_same_bits(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    differing = [name for name in one if one[name].tobytes() != other[name].tobytes()]
    assert not differing, f"{len(differing)} of {len(one)} differ, first {differing[0]}"
    assert all(np.isfinite(array).all() for array in one.values())
