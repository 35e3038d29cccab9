"""Stopping a run at any moment and continuing it changes nothing, bit for bit (on the CPU).

Labels, style mixing, mirroring and noise are on, and the resolution changes inside.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from networks import snapshot
from tests.training.small import assert_same_bits, final_state, small_config
from training import checkpoint, report
from training.loop import train

pytestmark = pytest.mark.conformance


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("uninterrupted")
    assert train(small_config(), run_dir) == 0
    return run_dir


def send_signal_after(monkeypatch, iteration, number):
    calls = []

    def progress(self, done, what):
        calls.append(what)
        if len(calls) == iteration:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(report.Report, "progress", progress)


@pytest.mark.parametrize(("iteration", "number"), [(1, signal.SIGINT), (7, signal.SIGTERM)])
def test_a_signal_saves_and_the_run_goes_on(
    uninterrupted, tmp_path, monkeypatch, iteration, number, capsys
):
    with monkeypatch.context() as patch:
        send_signal_after(patch, iteration, number)
        assert train(small_config(), tmp_path) == 128 + number
    _, progress = final_state(tmp_path)
    assert progress["cur_nimg"] == iteration * 16
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


KILLED = """
import sys
from networks import snapshot
from tests.training.small import small_config
from training.loop import train
train(small_config("checkpoint_ticks=1"), sys.argv[1])
"""


def test_kill_9_loses_only_what_came_after_the_checkpoint(uninterrupted, tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not checkpoint.paths(tmp_path) and child.poll() is None:
        time.sleep(0.01)
    child.kill()
    child.wait()
    assert child.returncode in (-signal.SIGKILL, 0)
    assert train(small_config(), tmp_path) == 0
    check_equal_runs(tmp_path, uninterrupted)
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_damaged_checkpoint_falls_back_to_the_one_before(uninterrupted, tmp_path, capsys):
    config = small_config("total_kimg=0.1")
    assert train(config, tmp_path) == 0
    newest = checkpoint.paths(tmp_path)[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    assert train(small_config(), tmp_path) == 0
    assert f"{newest} is damaged" in capsys.readouterr().err
    arrays, _ = final_state(tmp_path)
    assert_same_bits(arrays, final_state(uninterrupted)[0])


def test_another_seed_is_another_run(uninterrupted, tmp_path):
    assert train(small_config("seed=7", "total_kimg=0.03"), tmp_path) == 0
    arrays, _ = final_state(tmp_path)
    expected, _ = final_state(uninterrupted)
    assert (arrays["G/G_mapping/Dense0/weight"] != expected["G/G_mapping/Dense0/weight"]).all()
