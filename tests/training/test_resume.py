"""Stopping a run at any moment and continuing it changes nothing, bit for bit (on the CPU).

Labels, style mixing, mirroring and noise are on, and the resolution changes inside.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dnnlib import tensor_file
from dnnlib.errors import UserError
from networks import snapshot
from tests.training import lazy_check
from tests.training.small import assert_same_bits, final_state, small_config
from training import checkpoint, forks, report, saved_config
from training.loop import train
from training.request import Request

pytestmark = pytest.mark.conformance


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("uninterrupted")
    assert train(small_config("checkpoint_ticks=1"), run_dir) == 0
    return run_dir


def send_signal_after(monkeypatch, iteration, number):
    calls = []

    def progress(self, done, label):
        calls.append(label)
        if len(calls) == iteration:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(report.Report, "progress", progress)


def test_a_signal_saves_and_the_run_goes_on(uninterrupted, tmp_path, monkeypatch, capsys):
    for iterations, number in ((1, signal.SIGINT), (6, signal.SIGTERM)):
        with monkeypatch.context() as patch:
            send_signal_after(patch, iterations, number)
            assert train(small_config(), tmp_path) == 128 + number
        _, progress = final_state(tmp_path)
        assert progress["cur_nimg"] == {1: 16, 6: 7 * 16}[iterations]
    assert train(small_config(), tmp_path) == 0
    assert "Continuing at" in capsys.readouterr().out
    check_equal_runs(tmp_path, uninterrupted)


def check_equal_runs(run_dir, expected_dir):
    (arrays, progress), (expected, expected_progress) = map(final_state, (run_dir, expected_dir))
    assert_same_bits(arrays, expected)
    assert progress == expected_progress
    for name in ("fakes000000.png", "reals.png"):
        assert (run_dir / name).read_bytes() == (expected_dir / name).read_bytes(), name
    final, expected_final = (
        snapshot.read(path / "network-final.safetensors") for path in (run_dir, expected_dir)
    )
    assert final[0] == expected_final[0]
    for role in final[0]:
        assert_same_bits(final[1][role], expected_final[1][role])
    records, expected_records = map(stats, (run_dir, expected_dir))
    assert records == expected_records


def stats(run_dir):
    """What stats.jsonl says, without times and memory."""
    lines = (run_dir / "stats.jsonl").read_text().splitlines()
    return [
        {
            key: value
            for key, value in json.loads(line).items()
            if not key.startswith(("Timing/", "Resources/"))
        }
        for line in lines
    ]


def test_kill_9_loses_only_what_came_after_the_checkpoint(tmp_path, monkeypatch):
    """With regularisers that are due every 4th and 16th round, and a number that a hook adapts."""
    expected_dir, run_dir = tmp_path / "whole", tmp_path / "killed"
    for path in (expected_dir, run_dir):
        path.mkdir()
    lazy_check.install(monkeypatch.setattr, monkeypatch.setitem)
    assert train(lazy_check.CONFIG, expected_dir) == 0
    child = subprocess.run(
        [sys.executable, "-m", "tests.training.lazy_check", run_dir],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=600,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr[-4000:]
    _, progress = final_state(run_dir)
    assert progress["rounds"] == lazy_check.KILLED_IN // 2 * 2  # whole iterations
    assert train(lazy_check.CONFIG, run_dir) == 0
    check_equal_runs(run_dir, expected_dir)
    assert not list(run_dir.glob(".tmp-*"))

    arrays, progress = final_state(run_dir)
    assert progress["rounds"] == 20
    assert progress["steps"] == {"D": 20, "G": 20, "G_reg": 5, "D_reg": 2}
    assert arrays["p"] == np.float32(6 * lazy_check.STEP)  # 6 hooks, all upwards
    assert arrays["energy"] > 0
    # β₂^(k/(k+1)) to the power of all updates, and one before the first.
    np.testing.assert_allclose(arrays["G_opt/beta2_power"], 0.99 ** (4 / 5 * 26), rtol=1e-5)
    np.testing.assert_allclose(arrays["D_opt/beta2_power"], 0.99 ** (16 / 17 * 23), rtol=1e-5)


def test_a_fork_without_changes_is_the_run_bit_for_bit(uninterrupted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(uninterrupted, "old")
    saved_config.save("old", small_config("checkpoint_ticks=1"))
    before = checkpoint.nimg_of(checkpoint.paths("old")[0]) / 1000
    fork = forks.plan(Request(resume="old", fork="new", fork_kimg=before))
    forks.check_fit(fork)
    with forks.made(fork) as run_dir:
        assert [record["cur_nimg"] for record in stats(run_dir)][-1] == before * 1000
        assert train(saved_config.load_config(run_dir), run_dir) == 0
    (arrays, progress), (expected, expected_progress) = map(final_state, ("new", "old"))
    assert_same_bits(arrays, expected)
    assert progress == expected_progress
    assert stats(run_dir) == stats(uninterrupted)


def as_version_1(path):
    """Rewrites a checkpoint as the release before wrote it."""
    arrays, metadata = tensor_file.load(path, "stylegan-tf2 checkpoint")
    progress = json.loads(metadata["progress"])
    for name, count in progress.pop("steps").items():
        progress[f"{name}_steps"] = count
    del progress["rounds"]
    metadata = {"progress": json.dumps(progress)}
    tensor_file.save(path, arrays, "stylegan-tf2 checkpoint 1", metadata)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(uninterrupted, tmp_path, capsys):
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    before, newest = checkpoint.paths(tmp_path)
    newest.write_bytes(newest.read_bytes()[:-100])
    as_version_1(before)  # which is read as well
    assert train(small_config("checks=False"), tmp_path) == 0  # and they change nothing
    assert f"{newest} is damaged" in capsys.readouterr().err
    arrays, _ = final_state(tmp_path)
    assert_same_bits(arrays, final_state(uninterrupted)[0])


def test_a_checkpoint_of_a_later_version_is_refused(tmp_path):
    path = tmp_path / "checkpoint-000000000016.safetensors"
    metadata = {"version": "3", "progress": "{}"}
    tensor_file.save(path, {"x": np.zeros(1)}, "stylegan-tf2 checkpoint", metadata)
    with pytest.raises(
        UserError, match=f"^{path} has version 3, expected 2 at most: continue with"
    ):
        checkpoint.restore(tmp_path, {})


def test_another_seed_is_another_run(uninterrupted, tmp_path):
    assert train(small_config("seed=7", "total_kimg=0.03"), tmp_path) == 0
    arrays, _ = final_state(tmp_path)
    expected, _ = final_state(uninterrupted)
    assert (arrays["G/G_mapping/Dense0/weight"] != expected["G/G_mapping/Dense0/weight"]).all()
