"""Small runs of StyleGAN2's configurations: they train, and continue to the same bits.

With path length and R1 due in some rounds, growing or not, and gradients over two passes.
"""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dnnlib import config as config_lib
from tests.training.small import assert_same_bits, final_state
from training import checkpoint, presets
from training.loop import train

pytestmark = pytest.mark.conformance

SMALL = [
    "dataset.resolution=16",
    "dataset.max_label_size=full",
    "dataset.mirror_augment=True",
    "schedule.minibatch_base=8",
    "schedule.minibatch_gpu_base=4",
    "schedule.minibatch_dict={}",
    "schedule.minibatch_gpu_dict={}",
    "schedule.tick_kimg_base=0.008",
    "schedule.tick_kimg_dict={}",
    "total_kimg=0.056",
    "minibatch_repeats=1",
    "grid.size=3x2",
    "checkpoint_minutes=1000",
    "image_snapshot_ticks=1000",
    "G.fmap_base=32",
    "G.fmap_max=8",
    "D.fmap_base=32",
    "D.fmap_max=8",
    "G.latent_size=6",
    "G.dlatent_size=9",
    "G.mapping_fmaps=7",
    "G.mapping_layers=2",
]
GROWING = ["schedule.lod_training_kimg=0.016", "schedule.lod_transition_kimg=0.05"]
# Rows of presets, and further settings. A D of growing networks has R1 in its loss in b.
RUNS = {
    "config-a": GROWING,
    "config-b": [*GROWING, "schedule.minibatch_gpu_base=0"],
    "config-d": [*GROWING, "D_loss.interval=3", "G_loss.interval=2"],
    "config-f": ["D_loss.interval=3", "G_loss.interval=2"],
    "config-e+Gorig-Dskip": [
        "schedule.minibatch_gpu_base=8",
        "D_loss.interval=5",
        "augment.transforms=bgc",
        "augment.kimg=0.05",
        "augment.interval=2",
        "G_smoothing_rampup=0.05",
    ],
    "config-f+Gresnet-Dorig": ["G_loss.pl_minibatch_shrink=1", "precision=mixed_bfloat16"],
}
TRACED = "config-f"  # the others run eagerly: most of the time of a small run is tracing


@pytest.fixture
def eagerly():
    """A function that turns tf.functions off (True) or on for the rest of the test."""
    yield tf.config.run_functions_eagerly
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("rows", RUNS)
def test_every_configuration_trains_and_continues_exactly(rows, tmp_path, eagerly):
    eagerly(rows != TRACED)
    config = config_lib.apply_overrides(
        presets.make(f"demo-stylegan2+{rows}"), [*SMALL, *RUNS[rows]]
    )
    assert train(config, tmp_path) == 0
    expected, expected_progress = final_state(tmp_path)
    ticks = [json.loads(line) for line in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert [tick["Progress/tick"] for tick in ticks] == list(range(7))
    for tick in ticks:
        assert math.isfinite(tick["Loss/G"])
        assert math.isfinite(tick["Loss/D"])
    checkpoint.paths(tmp_path)[-1].unlink()
    assert train(config, tmp_path) == 0
    state, progress = final_state(tmp_path)
    assert_same_bits(state, expected)
    assert progress == expected_progress
    check_regularisers(rows, state, progress["steps"])


def check_regularisers(rows, state, steps):
    """How often each was due in 7 rounds, and that Adam's steps count both kinds."""
    intervals = {
        "config-a": {},
        "config-b": {},
        "config-d": {"G": 2, "D": 3},
        "config-f": {"G": 2, "D": 3},
        "config-e+Gorig-Dskip": {"G": 4, "D": 5},
        "config-f+Gresnet-Dorig": {"G": 4, "D": 16},
    }[rows]
    expected = {"G": 7, "D": 7}
    expected.update({f"{key}_reg": math.ceil(7 / every) for key, every in intervals.items()})
    assert steps == expected
    assert ("pl_mean" in state) == ("G" in intervals)
    if "pl_mean" in state:
        assert state["pl_mean"] > 0
    for key, every in intervals.items():
        resets = rows == "config-d"
        updates = 7 + expected[f"{key}_reg"]
        if not resets:
            power = 0.99 ** (every / (every + 1) * (updates + 1))
            np.testing.assert_allclose(state[f"{key}_opt/beta2_power"], power, rtol=1e-5)


def test_path_lengths_of_two_replicas_are_those_of_one():
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.path_length_check"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "path length check passed" in done.stdout
