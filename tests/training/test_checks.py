"""Verdicts as functions of recorded numbers; nothing here needs TensorFlow."""

import json

import numpy as np
import pytest

from training import presets
from training.check_list import CHECKS, PREFIX, facts_of
from training.checks import Check, Checks, Facts, judge
from training.config import TrainingConfig

LEVEL = Check(
    "level",
    lambda ticks, facts: ticks[-1].get("x"),
    begin=1.0,
    end=0.5,
    sentence="x is {value:.1f} (too much from {threshold:.1f})",
    remedy="turn it down",
)


def ticks(values, size=8, start=0):
    return [
        {"cur_nimg": 1000 * (start + i + 1), "Progress/resolution": size, "x": value}
        for i, value in enumerate(values)
    ]


def said(opinions):
    """'+' where a check began to speak, '-' where it ended, '|' while it speaks, '.' else."""
    return "".join(
        "+" if o.begun else "-" if o.ended else "|" if o.active else "." for o in opinions
    )


def test_a_check_speaks_and_falls_silent_with_hysteresis():
    values = [9] * 9 + [0, 2, 0, 2, 2, 0.7, 0.6, 0.4, 0.7, 0.4, 0.3, 0.2, 2, 0, 2]
    opinions = judge(ticks(values), Facts(), [LEVEL])
    #    kimg  1 … 9: warm-up   10: the first that counts
    assert said(opinions) == "." * 9 + "....+|||||-...."
    begun, ended = opinions[13].begun[0], opinions[19].ended[0]
    assert begun.sentence() == "x is 2.0 (too much from 1.0); turn it down"
    assert begun.record() == {"check": "level", "value": 2, "threshold": 1.0}
    assert ended.all_clear() == "level: no longer so, 0.3 (good: 0.5)"
    assert opinions[13].curves() == {"Verdicts/level": 1.0}
    assert opinions[19].curves() == {"Verdicts/level": 0.0}
    assert opinions[20].curves() == {}


def test_small_numbers_can_be_the_bad_ones():
    low = Check("low", LEVEL.measure, begin=0.2, end=0.4, sentence="", remedy="", warm_up=False)
    assert (
        said(judge(ticks([0.3, 0.2, 0.1, 0.3, 0.4, 0.3, 0.4, 0.5]), Facts(), [low])) == "..+||||-"
    )


def test_no_evidence_changes_nothing_and_a_new_resolution_begins_again():
    opinions = judge(ticks([0] * 10 + [2, None, float("nan"), 2, None]), Facts(), [LEVEL])
    assert said(opinions) == "." * 13 + "+|"
    grown = ticks([2] * 14) + ticks([0] * 9, size=16, start=14) + ticks([0, 0], 16, start=23)
    opinions = judge(grown, Facts(), [LEVEL])
    # What was said holds until the new resolution has numbers that count.
    assert said(opinions) == "." * 10 + "+" + "|" * 13 + "-"


def test_a_run_that_was_stopped_comes_to_the_same_verdicts():
    rng = np.random.RandomState(0)
    records = ticks([float(x) for x in rng.rand(200) * 2])
    whole = [said([o]) for o in judge(records, Facts(), [LEVEL])]
    assert {"+", "-", "|", "."} == set(whole)
    for stop in (1, 50, 133):
        again = Checks(Facts(), [LEVEL])
        for record in map(json.loads, map(json.dumps, records[:stop])):
            again.add(record)
        assert [said([again.add(record)]) for record in records[stop:]] == whole[stop:]


# ---------------------------------------------------------------- the checks themselves

GOOD = {
    "score_train": 0.3,
    "score_held_out": 0.28,
    "score_fake": -0.3,
    "sign_train": 0.5,
    "sign_fake": -0.6,
    "distance_reals": 0.5,
    "distance_fakes": 0.45,
    "distance_between": 0.52,
    "nearest_reals": 0.3,
    "nearest_fakes": 0.25,
    "labels_reals": 0.4,
    "labels_fakes": 0.42,
    "class_distance_reals": 0.4,
    "class_distance_fakes": 0.35,
    "step_G": 0.003,
    "step_D": 0.003,
    "copies": 0.0,
    "labels_say": 0.4,
}
R1 = Facts(r1_gamma=10.0)


def names(numbers, others=None, facts=R1, count=24):
    """What is said of a run whose ticks all have these numbers, and some noise."""
    rng = np.random.RandomState(1)
    records = []
    for i in range(count):
        given = numbers[i] if isinstance(numbers, list) else numbers
        evidence = {**GOOD, **given, "class": i % 4}
        kept = {k: v * (1 + 0.02 * rng.randn()) for k, v in evidence.items() if v is not None}
        records.append(
            {
                "cur_nimg": 1000 * (i + 1),
                "Progress/resolution": 8,
                "Loss/r1_penalty": 0.01,
                "Overflow/D": 0.0,
                **{PREFIX + k: v for k, v in {**kept, "class": i % 4}.items()},
                **(others or {}),
            }
        )
    return [v.check.name for o in judge(records, facts, CHECKS) for v in o.begun]


BAD = {
    "memorises": {"score_held_out": 0.0},
    "copies": {"copies": 0.3},
    "collapse": {"distance_fakes": 0.1},
    "repeats": {"nearest_fakes": 0.01},
    "labels say nothing": {"labels_say": 0.001},
    "labels ignored": {"labels_fakes": 0.02},
    "steps too large": {"step_D": 0.03},
    "not moving": {"step_G": 0.0},
}


def test_a_run_that_comes_no_nearer_has_stalled():
    assert names({}, count=60) == []  # as near as it gets
    assert names({"distance_between": 0.7}, count=33) == []  # too early to tell
    assert names({"distance_between": 0.7}, count=60) == ["stalled"]
    near = [{"distance_between": 0.9 - 0.01 * min(i, 38)} for i in range(60)]
    assert names(near, count=60) == []  # far at first, and on its way


@pytest.mark.parametrize("name", BAD)
def test_one_bad_number_is_named_and_nothing_else(name):
    assert names(BAD[name]) == [name]


def test_good_numbers_are_silent_whatever_the_losses():
    for facts in (R1, Facts(penalised=False), Facts("wgan"), Facts("hinge"), Facts(augmented=True)):
        assert names({}, facts=facts) == []
    bare = {key: None for key in GOOD if key.startswith(("labels", "class", "score_held"))}
    assert names(bare) == []


def test_the_strength_of_r1():
    assert names({}, {"Loss/r1_penalty": 1.0}) == ["R1 too strong"]
    far = {"score_train": 1.5, "score_fake": -1.5, "score_held_out": 1.4}
    assert names(far, facts=Facts(penalised=False)) == ["R1 too weak"]
    assert names(far, {"Loss/r1_penalty": 1e-4}) == ["R1 too weak"]
    assert names(far) == []
    assert names(far, facts=Facts("wgan", penalised=False)) == []


def test_a_game_that_d_has_won_and_steps_that_were_skipped():
    assert names({"sign_train": 1.0, "sign_fake": -1.0}) == ["D wins", "D is sure"]
    assert names({"sign_train": 1.0}) == ["D is sure"]
    assert names({"sign_train": 1.0}, {"Loss/signs/real": 0.6}) == []
    lost = {"score_train": 80.0, "score_held_out": 80.0, "score_fake": -90.0}
    assert names(lost) == ["scores run away", "R1 too weak"]
    assert names({}, {"Overflow/G": 0.4}) == ["skipped steps"]
    assert names({}, {"Overflow/G": 0.01}) == []


def test_a_class_without_variety():
    rng = np.random.RandomState(2)
    records = []
    for i in range(40):  # weak labels, such as CIFAR-10's, are labels
        weak = {key: 0.045 + 0.02 * rng.randn() for key in ("labels_reals", "labels_fakes")}
        numbers = {**GOOD, **weak, "labels_say": 0.045, "class": i % 10}
        if i % 10 == 3:
            numbers["class_distance_fakes"] = 0.01
        kept = {PREFIX + key: value for key, value in numbers.items()}
        records.append({"cur_nimg": 1000 * (i + 1), "Progress/resolution": 8, **kept})
    begun = [v.check.name for o in judge(records, R1, CHECKS) for v in o.begun]
    assert begun == ["class lost"]


def test_every_sentence_is_one_line_with_its_numbers():
    for check in CHECKS:
        values = dict(value=0.123, threshold=check.begin)
        said_ = check.sentence.format(**values)
        assert said_ != check.sentence
        assert "\n" not in said_ + check.remedy
        assert len({c.name for c in CHECKS}) == len(CHECKS)
        assert check.beyond(check.begin)
        assert check.well(check.end)
        assert not check.well(check.begin)


def test_facts_of_presets():
    assert facts_of(TrainingConfig()) == Facts("logistic", 10.0)
    assert facts_of(presets.make("demo")).r1_gamma == 0.5
    assert facts_of(presets.make("progan-celebahq-1gpu")) == Facts("wgan")
    assert facts_of(presets.make("demo-stylegan+spectral-norm")) == Facts("hinge")
    assert not facts_of(TrainingConfig(D_loss={"func_name": "D_logistic"})).penalised
    assert facts_of(TrainingConfig(precision="mixed_float16")).loss_scaling
