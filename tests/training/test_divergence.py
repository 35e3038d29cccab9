"""A run whose steps no longer change anything ends, and its last good checkpoint stays."""

import types
from pathlib import Path

import numpy as np
import pytest

from dnnlib.errors import UserError
from tests.training.small import final_state, small_config
from tests.training.test_report import RECORD
from training.divergence import DivergedError, Watch
from training.loop import train
from training.report import status_line
from training.schedule import SchedulePoint

PHASES = [
    types.SimpleNamespace(name=name, network=name[0], optimizer=f"{name[0]}_opt")
    for name in ("D", "D_reg", "G")
]
DIVERGED = {"D_overflow": 1.0, "D_reg_overflow": 1.0, "G_overflow": 1.0}


def watch(patience=3, loss_scaling=False, log2_scale=64.0):
    optimizer = types.SimpleNamespace(loss_scaling=loss_scaling, log2_scale=log2_scale)
    return Watch(PHASES, {"D_opt": optimizer, "G_opt": optimizer}, patience)


def test_so_many_ticks_in_a_row_without_a_step_of_one_network():
    one = watch()
    for means in (DIVERGED, DIVERGED, {"D_overflow": 0.99, "G_overflow": 0.0}, {"G_overflow": 1.0}):
        one.finish_tick(means, False, Path())
    # The regulariser's steps may all be skipped, as long as the loss's are not.
    one.finish_tick({**DIVERGED, "D_overflow": 0.5, "G_overflow": 0.9}, False, Path())
    one.finish_tick({"G_overflow": 1.0}, False, Path())
    one.finish_tick(DIVERGED, False, Path())
    with pytest.raises(DivergedError, match="no usable step of G in 3 tick") as caught:
        one.finish_tick({"D_overflow": 0.2, "G_overflow": 1.0}, False, Path())
    assert "\n" not in str(caught.value)


def test_the_end_of_a_run_is_not_done_without_a_step():
    watch().finish_tick({"D_overflow": 0.9, "G_overflow": 0.0}, True, Path())
    with pytest.raises(DivergedError, match="of D and G in 1 tick"):
        watch().finish_tick(DIVERGED, True, Path())


def test_loss_scaling_may_first_look_for_its_scale():
    watch(1, True, 14.0).finish_tick(DIVERGED, False, Path())
    with pytest.raises(DivergedError):
        watch(1, True, -1.0).finish_tick(DIVERGED, False, Path())


def test_an_iteration_is_worth_saving_when_each_network_made_a_step():
    one = watch()
    for steps, stalled in (
        ([{"D": 1.0, "D_overflow": 1.0}, {"D_overflow": 0.0}, {"G_overflow": 0.0}], False),
        ([{"D_overflow": 0.0}, {"G_overflow": 1.0}, {"G_overflow": 1.0}], True),
        ([{"D_overflow": 0.0}], False),
    ):
        one.start_iteration()
        for values in steps:
            assert one.add(values) is values
        assert one.stalled() == stalled


def test_the_status_line_warns():
    assert status_line(RECORD, DIVERGED).endswith(
        " overflow 100.0% WARNING: no usable step of D and G"
    )
    assert "WARNING" not in status_line(RECORD, {"D_overflow": 0.99, "G_overflow": 0.0})


@pytest.mark.conformance
def test_a_diverged_run_keeps_its_last_good_checkpoint(tmp_path, monkeypatch, capsys):
    rates = {"D": 1e30, "G": 1e30}
    monkeypatch.setattr(
        SchedulePoint, "lrate", lambda self, name: 1e-3 if self.kimg < 0.06 else rates[name]
    )
    config = small_config("dataset.resolution=4", "total_kimg=9", "diverged_ticks=2")
    with pytest.raises(UserError, match=r"has diverged: .* in 2 tick.*checkpoint-0+64\.safe"):
        train(config, tmp_path)
    arrays, progress = final_state(tmp_path)
    assert progress["cur_nimg"] == 64
    assert all(np.isfinite(array).all() for array in arrays.values())
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].endswith("WARNING: no usable step of D and G")
    assert not (tmp_path / "network-final.safetensors").exists()
