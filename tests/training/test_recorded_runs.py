"""What the runs of benchmarks/doctor.py said, judged again from what they recorded."""

import json
from pathlib import Path

import pytest

from benchmarks import doctor, doctor_zoo
from benchmarks.doctor_zoo import CASES
from dnnlib import config as config_lib
from training import presets
from training.check_list import facts_of

RECORDED = json.loads((Path(__file__).parent / "recorded_runs.json").read_text())


def told(name):
    case = CASES[name]
    config = config_lib.apply_overrides(presets.make(case.preset), case.overrides(Path(), 1))
    return doctor.listen(doctor.rows(RECORDED[name]), facts_of(config), case, 1)


def test_all_are_recorded():
    assert set(RECORDED) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_named_and_a_healthy_run_is_silent(name):
    run = told(name)
    if run.case.expected:
        assert run.caught, run.verdicts
    else:
        assert not run.verdicts


def test_the_tables():
    shown = doctor.tables([told(name) for name in CASES])
    faults, healthy = len(doctor_zoo.FAULTY), len(doctor_zoo.HEALTHY)
    assert (
        f"Faults found: {faults} of {faults}. False alarms: 0 in {healthy} healthy runs." in shown
    )
    assert "| copies | 1 of 1 | 0 |" in shown
    assert "| synthetic | 1 | healthy | – |" in shown
