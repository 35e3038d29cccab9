"""Status line, stats.jsonl and TensorBoard say the same."""

import io
import json
import sys

import numpy as np
import pytest
import tensorflow as tf

from dnnlib import terminal
from dnnlib.progress import format_time
from training.report import Means, Report

RECORD = {
    "cur_nimg": 1500,
    "Progress/tick": 3,
    "Progress/kimg": 1.5,
    "Progress/lod": 1.25,
    "Progress/resolution": 16,
    "Progress/minibatch": 32,
    "Rates/G": 0.001,
    "Rates/D": 0.002,
    "Timing/total_sec": 65.0,
    "Timing/sec_per_tick": 30.4,
    "Timing/sec_per_kimg": 158.5,
    "Timing/maintenance_sec": 34.5,
    "Resources/memory_gb": 2.5,
}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(7.4, "7s"), (59.6, "1m 00s"), (65, "1m 05s"), (7389, "2h 03m 09s"), (93780, "1d 02h 03m")],
)
def test_times(seconds, text):
    assert format_time(seconds) == text


def test_means_go_on_from_their_totals():
    means = Means()
    means.add({"D": tf.constant(1.0), "G": tf.constant(4.0)})
    means.add({"D": tf.constant(2.0)})
    means = Means(json.loads(json.dumps(means.totals())))
    means.add({"D": tf.constant(6.0)})
    assert means.means() == {"D": 3.0, "G": 4.0}


def test_a_tick_is_recorded_everywhere(tmp_path, capsys):
    report = Report(tmp_path)
    report.tick(RECORD, {"D": 0.5, "G": 0.25, "scores/real": 1.0, "D_overflow": 0.01})
    report.picture("Fakes", np.zeros([4, 6, 1], np.uint8), 1500)
    report.close()
    line = capsys.readouterr().out
    for part in ("tick 3 ", "kimg 1.5 ", "lod 1.25 ", "minibatch 32 ", "1m 05s", "overflow 1.0%"):
        assert part in line
    expected = {
        **RECORD,
        "Loss/D": 0.5,
        "Loss/G": 0.25,
        "Loss/scores/real": 1.0,
        "Overflow/D": 0.01,
    }
    assert json.loads((tmp_path / "stats.jsonl").read_text()) == expected
    expected.pop("cur_nimg")  # the step of the others
    assert read_events(tmp_path) == {**dict.fromkeys(expected, 1500), "Fakes": 1500}


def read_events(directory):
    """{tag: step} of everything in the event files."""
    found = {}
    for path in directory.glob("events.out.tfevents.*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            found.update({value.tag: event.step for value in event.summary.value})
    return found


def test_records_after_the_checkpoint_are_dropped(tmp_path):
    report = Report(tmp_path)
    path = tmp_path / "stats.jsonl"
    path.write_text('{"cur_nimg": 1}\n{"cur_nimg": 2}\n{"cur_nimg": 3}\n{"cur_ni')
    report.drop_after(2)
    report.close()
    assert path.read_text() == '{"cur_nimg": 1}\n{"cur_nimg": 2}\n'


def test_no_events_file_before_the_first_record(tmp_path):
    report = Report(tmp_path)
    report.say("started")
    report.drop_after(0)
    report.close()
    assert not list(tmp_path.iterdir())


def test_a_silent_report_writes_nothing(tmp_path, capsys):
    report = Report(tmp_path, enabled=False)
    report.say("hello")
    report.tick(RECORD, {})
    report.picture("Fakes", np.zeros([4, 6, 1], np.uint8), 1500)
    report.drop_after(0)
    report.close()
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().out == ""


def test_only_the_bar_gives_a_terminal_orders(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    with terminal.prepared():
        told = Report(tmp_path)
        told.progress(0.5, "kimg 1")
        told.say("\x1b[2J")
        told.close()
    assert stream.getvalue().endswith("kimg 1\x1b[K\\x1b[2J\n")
