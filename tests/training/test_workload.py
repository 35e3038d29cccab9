"""How much a run has to do, counted against the loop's own iterations."""

from collections import Counter

import pytest

from tests.training.small import small_config
from training import presets, workload
from training.schedule import iterations
from training.workload import Workload


def counted(config, resolution, replicas=1):
    """(rounds by stage and minibatch, ticks, pictures, snapshots), iteration by iteration."""
    rounds, ticks, pictures, snapshots = Counter(), 0, 0, 0
    for one in iterations(
        config.schedule,
        resolution,
        replicas,
        config.total_kimg,
        config.minibatch_repeats,
        config.D_repeats,
    ):
        rounds[one.point.stage, one.point.minibatch] += config.minibatch_repeats
        if one.tick_finished:
            tick = one.state.tick
            ticks += 1
            pictures += tick % config.image_snapshot_ticks == 0 or one.done
            snapshots += tick % config.network_snapshot_ticks == 0 or tick == 1 or one.done
    return rounds, ticks, pictures, snapshots


@pytest.mark.parametrize(
    ("config", "resolution"),
    [
        (small_config(), 8),
        (small_config("network_snapshot_ticks=2", "image_snapshot_ticks=3"), 8),
        (presets.make("demo"), 32),
        (presets.make("demo-stylegan"), 32),
    ],
)
def test_everything_is_counted(config, resolution):
    work = Workload.of(config, resolution, 1)
    rounds, ticks, pictures, snapshots = counted(config, resolution)
    assert {stage.key[:2]: stage.rounds for stage in work.stages} == rounds
    assert (work.ticks, work.pictures, work.snapshots) == (ticks, pictures, snapshots)


def test_long_runs_are_counted_in_larger_steps(monkeypatch):
    config = presets.make("demo-stylegan")
    rounds, ticks, *_ = counted(config, 32)
    monkeypatch.setattr(workload, "_MOST_ITERATIONS", 200)
    work = Workload.of(config, 32, 1)
    assert {stage.key[:2] for stage in work.stages} == set(rounds)
    for stage in work.stages:
        assert stage.rounds == pytest.approx(rounds[stage.key[:2]], rel=0.1)
    assert work.ticks == pytest.approx(ticks, rel=0.15)


def test_what_is_left_of_a_run():
    config = small_config()
    every = list(iterations(config.schedule, 8, 1, config.total_kimg, config.minibatch_repeats))
    half = every[len(every) // 2].state
    left = Workload.of(config, 8, 1, half)
    assert sum(stage.rounds for stage in left.stages) == config.minibatch_repeats * (
        len(every) - len(every) // 2 - 1
    )
