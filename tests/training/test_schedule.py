import dataclasses
import json
import math

import pytest

from dnnlib import config as config_lib
from dnnlib.errors import UserError
from tests import golden
from training import schedule as schedules
from training.schedule import (
    LoopState,
    ScheduleConfig,
    Stage,
    iterations,
    minibatch,
    passes,
    schedule,
    stage_of,
)
from training.stylegan2_configs import CONFIGS

# Short, but with everything in it: fades, four resolutions, changing minibatch and tick length.
SHORT = ScheduleConfig(
    minibatch_base=8,
    minibatch_dict={4: 24, 8: 16},
    lod_training_kimg=0.5,
    lod_transition_kimg=0.3,
    tick_kimg_base=0.25,
    tick_kimg_dict={4: 0.2},
    G_lrate_dict={16: 0.002},
    lrate_rampup_kimg=1,
)


def golden_config(args):
    return config_lib.from_dict(ScheduleConfig, args)  # JSON made the keys strings


def test_every_row_of_the_reference_is_exact():
    cases = golden.load("misc/schedule.json")
    assert len(cases) == 15
    for name, case in cases.items():
        config = golden_config(case["sched_args"])
        columns = case["columns"][1:]
        for cur_nimg, *expected in case["rows"]:
            point = schedule(config, cur_nimg, case["resolution"], case["num_gpus"])
            assert [getattr(point, column) for column in columns] == expected, (name, cur_nimg)


@pytest.mark.parametrize("name", ["bench", "sgan1", "drep2"])
def test_bookkeeping_of_the_reference_is_exact(name):
    case = golden.load("misc/loop_bookkeeping.json")[name]
    start = int(case.get("resume_kimg", 0) * 1000)
    turns = list(
        iterations(
            golden_config(case["args"]),
            case["res"],
            case["num_gpus"],
            case["total_kimg"],
            case["minibatch_repeats"],
            case["D_repeats"],
            LoopState(cur_nimg=start, tick_start_nimg=start),
        )
    )
    rows = [[turn.cur_nimg, turn.point.lod, turn.point.minibatch] for turn in turns]
    assert len(rows) == case["iterations"]
    assert rows[: len(case["first"])] == case["first"]
    assert rows[-len(case["last"]) :] == case["last"]
    resets = [[turn.cur_nimg, turn.point.lod] for turn in turns if turn.reset_optimizers]
    assert resets == case["resets"]
    ticks = [
        [turn.state.tick, turn.state.cur_nimg, turn.point.lod, turn.point.minibatch]
        for turn in turns
        if turn.tick_finished
    ]
    assert ticks == case["ticks"]
    assert [turn.done for turn in turns] == [False] * (len(turns) - 1) + [True]


STYLEGAN2_NAMES = {"minibatch_size_base": "minibatch_base", "minibatch_size_dict": "minibatch_dict"}
STYLEGAN2_TICKS = CONFIGS["config-f"]["schedule"]["tick_kimg_dict"]
# The reference's defaults where they are not ours.
STYLEGAN2_DEFAULTS = {
    "lod_initial_resolution": None,
    "tick_at_start": True,
    "tick_kimg_base": 4,
    "tick_kimg_dict": STYLEGAN2_TICKS,
    "minibatch_base": 32,
    "minibatch_gpu_base": 4,
    "G_lrate_base": 0.002,
    "D_lrate_base": 0.002,
}


def stylegan2_config(arguments):
    renamed = {STYLEGAN2_NAMES.get(key, key): value for key, value in arguments.items()}
    return golden_config({**STYLEGAN2_DEFAULTS, **renamed})


def test_every_row_of_stylegan2_is_exact():
    cases = golden.load("stylegan2/misc2/schedule2.json")
    assert len(cases) == 17
    for case in cases:
        config = stylegan2_config(case["sched_args"])
        names = ["minibatch" if name == "minibatch_size" else name for name in case["columns"]]
        for row in case["rows"]:
            expected = dict(zip(names, row))
            point = schedule(config, expected.pop("cur_nimg"), case["resolution"])
            images = expected.pop("minibatch_gpu")
            assert point.minibatch == point.passes * images
            assert {name: getattr(point, name) for name in expected} == expected, case["name"]


def test_passes_of_stylegan2():
    settings = {case["name"]: case for case in golden.load("stylegan2/misc2/schedule2.json")}
    for name, resolution, gpus, size, images, expected in golden.load(
        "stylegan2/misc2/minibatch_split2.json"
    )["rows"]:
        config = stylegan2_config(settings[name]["sched_args"])
        if expected is None:
            with pytest.raises(UserError, match=r"no whole number of passes|less than one"):
                passes(config, resolution, gpus)
            continue
        assert passes(config, resolution, gpus) == expected, (name, resolution, gpus)
        assert minibatch(config, resolution, gpus) == size == expected * images * gpus


def test_a_minibatch_of_less_than_a_pass_is_one():
    config = ScheduleConfig(minibatch_base=6, minibatch_gpu_base=8, lod_initial_resolution=None)
    assert [(minibatch(config, 32, n), passes(config, 32, n)) for n in (1, 2, 4)] == [
        (6, 1),
        (6, 1),
        (4, 1),  # rounded down to what divides, as without passes
    ]


def test_bookkeeping_of_stylegan2_is_exact():
    for case in golden.load("stylegan2/misc2/loop_bookkeeping2.json"):
        start = int(case["resume_kimg"] * 1000)
        turns = iterations(
            stylegan2_config(case["sched_args"]),
            case["resolution"],
            case["num_gpus"],
            case["total_kimg"],
            case["minibatch_repeats"],
            state=LoopState(cur_nimg=start, tick_start_nimg=start),
        )
        rows, ticks, counter = [], [], 0
        for turn in turns:
            point = turn.point
            for repeat in range(case["minibatch_repeats"]):
                rows.append([counter, turn.cur_nimg + repeat * point.minibatch, point.lod])
                images = point.minibatch // (point.passes * case["num_gpus"])
                rows[-1] += [point.minibatch, images, point.passes]
                rows[-1] += [turn.reset_optimizers and not repeat, point.G_lrate]
                counter += 1
            if turn.tick_finished:
                ticks.append([turn.state.tick, turn.state.cur_nimg, turn.done])
        columns = case["iteration_columns"]
        kept = [i for i, name in enumerate(columns) if name not in ("G_reg", "D_reg", "Gs_beta")]
        expected = [[row[i] for i in kept] for row in case["iterations"]]
        assert rows == expected, case["name"]
        kept = [case["tick_columns"].index(name) for name in ("tick", "cur_nimg", "done")]
        assert ticks == [[row[i] for i in kept] for row in case["ticks"]]


def test_resuming_after_any_iteration_changes_nothing():
    arguments = (SHORT, 32, 2, 3.5, 2, 1)
    whole = list(iterations(*arguments))
    assert {turn.point.resolution for turn in whole} == {4, 8, 16, 32}
    assert sum(turn.reset_optimizers for turn in whole) == 7  # the start, 3 fades begin and end
    for index, turn in enumerate(whole):
        saved = json.loads(json.dumps(config_lib.to_dict(turn.state)))
        state = config_lib.from_dict(LoopState, saved)
        assert list(iterations(*arguments, state)) == whole[index + 1 :]


def test_a_finished_run_has_nothing_left_and_can_be_extended():
    whole = list(iterations(SHORT, 32, 1, 1.0))
    end = whole[-1].state
    assert whole[-1].done
    assert end.cur_nimg >= 1000
    assert list(iterations(SHORT, 32, 1, 1.0, state=end)) == []
    further = list(iterations(SHORT, 32, 1, 2.0, state=end))
    longer = list(iterations(SHORT, 32, 1, 2.0))
    # The same steps; only the ticks differ, since the first run's end closed one.
    assert [t[:3] for t in whole + further] == [t[:3] for t in longer]


def test_optimizer_resets_can_be_switched_off():
    turns = iterations(SHORT, 32, 1, 3.5, reset_opt_for_new_lod=False)
    assert not any(turn.reset_optimizers for turn in turns)


def test_stages():
    assert stage_of(3.0) == Stage(3, False)
    assert stage_of(2.25) == Stage(2, True)
    assert stage_of(0.0) == Stage(0, False)
    point = schedule(SHORT, 600, 32)  # 0.1 kimg into a fade of 0.3
    assert point.stage == Stage(2, True)
    assert point.resolution == 8
    assert math.isclose(point.alpha, 2 / 3)


def test_number_of_stages_is_what_traces_are_counted_by():
    stages = {turn.point.stage for turn in iterations(SHORT, 32, 1, 3.5)}
    expected = {Stage(k, fading) for k in range(3) for fading in (True, False)} | {Stage(3, False)}
    assert stages == expected


def test_minibatch_is_shared_evenly_or_refused():
    config = ScheduleConfig(minibatch_base=16, max_minibatch_per_gpu={8: 2})
    assert schedules.minibatch(config, 4, 3) == 15
    assert schedules.minibatch(config, 8, 3) == 6
    with pytest.raises(UserError, match=r"minibatch at 4x4 is 16 images.*17 replicas"):
        schedules.minibatch(config, 4, 17)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lod_initial_resolution": 6}, "lod_initial_resolution=6: expected a power of two"),
        ({"lod_initial_resolution": 2}, "lod_initial_resolution=2: expected a power of two"),
        ({"lod_initial_resolution": -8}, "lod_initial_resolution=-8: expected a power of two"),
        ({"lod_initial_resolution": 64}, "=64 is larger than the data set's 32x32"),
        ({"lod_training_kimg": -1.0}, "lod_training_kimg=-1.0: expected 0 or more"),
        ({"lod_training_kimg": 0, "lod_transition_kimg": 0}, "would stay at 4x4"),
        ({"minibatch_base": 0}, "minibatch_base=0: expected more than 0"),
        ({"minibatch_dict": {8: 0}}, "minibatch_dict.8=0: expected more than 0"),
        ({"minibatch_dict": {32: 1}}, "minibatch at 32x32 is 1 images.*2 replicas"),
        ({"minibatch_dict": {12: 8}}, "minibatch_dict.12: 12 is not a resolution"),
        ({"D_lrate_dict": {8: -0.1}}, "D_lrate_dict.8=-0.1: expected more than 0"),
        ({"tick_kimg_base": 0.0}, "tick_kimg_base=0.0: expected more than 0"),
    ],
)
def test_impossible_schedules_are_refused_before_the_first_iteration(changes, message):
    config = dataclasses.replace(ScheduleConfig(), **changes)
    with pytest.raises(UserError, match=message):
        iterations(config, 32, 2, 1.0)


def test_no_growing_is_possible():
    config = ScheduleConfig(lod_initial_resolution=32, lod_training_kimg=0, lod_transition_kimg=0)
    turns = list(iterations(config, 32, 1, 1.0))
    assert {turn.point.stage for turn in turns} == {Stage(0, False)}


@pytest.mark.parametrize("transition", [0.0, 0.3])
def test_the_overview_agrees_with_the_schedule(transition):
    config = dataclasses.replace(SHORT, lod_transition_kimg=transition, lrate_rampup_kimg=0)
    for period in schedules.periods(config, 32, 2):
        stable = schedule(config, round(period.stable_kimg * 1000) + 1, 32, 2)
        assert (stable.resolution, stable.stage.fading) == (period.resolution, False)
        assert (stable.minibatch, stable.G_lrate, stable.D_lrate, stable.tick_kimg) == period[3:]
        if period.fade_kimg > 0:
            before = schedule(config, round(period.fade_kimg * 1000) - 1, 32, 2)
            assert before.resolution == period.resolution // 2
        if period.fade_kimg != period.stable_kimg:
            fading = schedule(config, round(period.fade_kimg * 1000) + 1, 32, 2)
            assert (fading.resolution, fading.stage.fading) == (period.resolution, True)
