"""A forecast leaves nothing behind, and its sizes are those of the run."""

import types
from pathlib import Path

import numpy as np
import pytest

from datasets.format.reader import inspect
from dnnlib.errors import UserError
from tests.training.small import small_config
from training import commands, forecast, loop
from training.config import inspect_dataset, network_options
from training.forecast import Forecast, StageCost
from training.schedule import Stage
from training.workload import StageWork, Workload, now

pytestmark = pytest.mark.usefixtures("here")


def planned(config):
    """What `measure` takes of a planned run."""
    info = inspect_dataset(config.dataset)
    G, D = network_options(config, info)
    return types.SimpleNamespace(
        config=config,
        dataset_info=info,
        parts=types.SimpleNamespace(G=G, D=D),
        continues=False,
        run_dir=None,
        result_dir=Path("results"),
    )


def test_of_a_small_run(monkeypatch):
    monkeypatch.setattr(forecast, "_LEAST_SECONDS", 0.05)
    config = small_config('D_reg={"func_name": "D_r1"}', "schedule.lod_initial_resolution=null")
    told = forecast.measure(planned(config), now())
    assert list(Path().iterdir()) == []
    assert (told.training > 0).all()
    assert (told.estimated, told.left_out) == ((), ())
    Path("run").mkdir()
    assert loop.train(config, "run") == 0
    size = sum(path.stat().st_size for path in Path("run").iterdir())
    assert told.bytes == pytest.approx(size, rel=0.2)


class Measured:
    """Stands for measuring: each stage costs as many seconds as it has pixels."""

    def __init__(self):
        self.seen = []

    def __call__(self, stage):
        self.seen.append((stage.point.resolution, stage.key[0].fading))
        return StageCost(np.array([1.0, 2.0]) * stage.point.resolution**2, np.ones(2))


def stages_of(config, resolution):
    return Workload.of(config, resolution, 1)


def test_what_is_most_work_is_measured_first_and_the_rest_if_there_is_time():
    config = small_config("schedule.lod_initial_resolution=4", "total_kimg=1")
    work = stages_of(config, 16)
    measured = Measured()
    costs = forecast._stage_costs(work, measured, stop=now()[0] + 1e6)
    assert measured.seen[0] == (16, False) or measured.seen[0] == (16, True)
    assert {side for side, _ in measured.seen} == {4, 8, 16}
    # One of a resolution: what fades costs a little more.
    assert len(measured.seen) == 3
    for stage in work.stages:
        cost, known = forecast._cost_of(stage, costs)
        assert known
        assert cost.round[0] == pytest.approx(stage.point.resolution**2, rel=3)
    measured = Measured()
    costs = forecast._stage_costs(work, measured, stop=0.0)
    assert len(measured.seen) == 1  # the largest is measured in any case
    other = next(stage for stage in work.stages if stage.point.resolution == 4)
    cost, known = forecast._cost_of(other, costs)
    assert not known
    assert 16 < cost.round[0] < 256


def test_lines():
    seconds = np.array([3600.0, 7200.0])
    told = Forecast(
        training=seconds,
        starting=seconds / 60,
        writing=seconds / 3600,
        bytes=2_500_000_000,
        peak_gb=3.21,
        kind="CPU",
        estimated=(512, 1024),
        left_out=("fid5k",),
        free=1_000_000_000,
        took=61.0,
    )
    assert told.lines() == [
        "Forecast   1h 01m 01s: training 1h 00m 00s, starting and tracing 1m 00s, pictures and "
        "saving 1s",
        "           2h 02m 02s of processor time",
        "           2.5 GB on disk at the end; free there: 1 GB",
        "           3.2 GiB of memory of this process",
        "           measured in 1m 01s, with this machine as busy as it is",
        "           not measured, but estimated by their pixels: 512x512, 1024x1024",
        "           metrics are not included: fid5k",
        "           warning: the disk is too small for that",
    ]


def test_refusals(monkeypatch):
    args = {"list_presets": False, "measure": True, "dry_run": False, "set": None}
    with pytest.raises(UserError, match="--measure goes with --dry_run"):
        commands.train(args, None, None, None)
    run = types.SimpleNamespace()
    monkeypatch.setattr(forecast, "read_cluster", lambda: types.SimpleNamespace(num_workers=2))
    with pytest.raises(UserError, match="--measure: TF_CONFIG names several machines"):
        forecast.measure(run, now())


def test_stage_work():
    point = types.SimpleNamespace(stage=Stage(1, True), minibatch=8, passes=2, resolution=16)
    work = StageWork(point, rounds=10)
    assert work.key == (Stage(1, True), 8, 2)
    assert work.pixels == 10 * 8 * 256
    assert inspect("synthetic-8").resolution == 8
