"""Status line, stats.jsonl and TensorBoard say the same."""

import errno
import io
import json
import re
import sys
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

from dnnlib import terminal
from dnnlib.errors import UserError
from dnnlib.progress import format_time
from tests.dnnlib.test_full_disk import limited
from training import event_file
from training.checks import Check, Checks, Facts
from training.event_file import EventFile
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


def test_verdicts_are_told_everywhere(tmp_path, capsys):
    check = Check(
        "level",
        lambda ticks, facts: ticks[-1]["Loss/D"],
        begin=1.0,
        end=0.5,
        sentence="D's loss is {value:.2f} (too much from {threshold:.1f})",
        remedy="turn it down",
        patience=1,
        warm_up=False,
    )
    path = tmp_path / "stats.jsonl"
    for part, losses in enumerate([[0.7, 1.25], [1.5, 0.25, 0.25]]):
        report = Report(tmp_path, checks=Checks(Facts(), [check]))
        report.drop_after(1500)  # goes on as if it had not been stopped
        for loss in losses:
            report.tick(RECORD, {"D": loss})
        assert len(path.read_text().splitlines()) == 2 + 3 * part
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" [")[2] for line in lines if line.startswith("tick")] == [
        *("", "level 1.25]", "level 1.5]", "", "")
    ]
    assert [line for line in lines if line.startswith("  ")] == [
        "  D's loss is 1.25 (too much from 1.0); turn it down",
        "  level: no longer so, 0.25 (good: 0.5)",
    ]
    told = [json.loads(line).get("verdicts") for line in path.read_text().splitlines()]
    first, second = ({"check": "level", "value": v, "threshold": 1.0} for v in (1.25, 1.5))
    assert told == [None, [first], [second], None, None]
    assert "Verdicts/level" in read_events(tmp_path)


def read_events(directory):
    """{tag: step} of everything in the event files."""
    found = {}
    for path in directory.glob("events.out.tfevents.*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            found.update({value.tag: event.step for value in event.summary.value})
    return found


def test_events_are_as_tensorflow_writes_them(tmp_path):
    """But for the time and the bytes of the PNG: tags, steps, plugins and numbers."""
    pixels = np.random.RandomState(0).randint(0, 256, [4, 5, 3]).astype(np.uint8)
    report, theirs = Report(tmp_path / "ours"), tf.summary.create_file_writer(str(tmp_path / "tf"))
    report.picture("Fakes", pixels, 7)
    report.events.scalars(8, {"Loss/D": 1.25, "count": 3})
    report.close()
    with theirs.as_default(step=7):
        tf.summary.image("Fakes", pixels[None])
        tf.summary.scalar("Loss/D", 1.25, step=8)
        tf.summary.scalar("count", 3, step=8)
    theirs.close()
    found, wanted = (
        [tf.compat.v1.Event.FromString(r.numpy()) for r in tf.data.TFRecordDataset([str(path)])]
        for name in ("ours", "tf")
        for path in (tmp_path / name).iterdir()
    )
    assert len(found) == len(wanted) == 4
    for ours, other in zip(found, wanted):
        assert abs(other.wall_time - ours.wall_time) < 600
        for event in (ours, other):
            event.ClearField("wall_time")
            event.ClearField("source_metadata")
            for value in event.summary.value:
                numbers = tf.make_ndarray(value.tensor)
                if value.tag == "Fakes":
                    np.testing.assert_array_equal(tf.io.decode_png(numbers[2]), pixels)
                    numbers = np.int64(numbers[:2])
                value.tensor.CopyFrom(tf.make_tensor_proto(numbers))
        assert ours == other


@pytest.mark.parametrize("size", [0, 20, 200, 1000])
def test_a_full_disk_names_the_events_file(size, tmp_path):
    """Whatever is being written: the start of the file, a number or a picture."""
    report = Report(tmp_path)
    pixels = np.random.RandomState(0).randint(0, 256, [64, 64, 3]).astype(np.uint8)

    def write():
        report.events.scalars(1, {"Loss/D": 1.0})
        report.picture("Fakes", pixels, 1500)

    with pytest.raises(UserError) as caught, limited(size):
        write()
    place = re.escape(str(tmp_path))
    message = (
        rf"cannot write {place}/events\.out\.tfevents\.\d+\.\S+\.v2: the file would be larger .*"
    )
    assert re.fullmatch(message, str(caught.value))
    assert len(list(tmp_path.iterdir())) == (size > 60)
    read_events(tmp_path)  # whole records
    report.picture("Fakes", pixels, 1500)  # there is room again
    report.close()
    assert read_events(tmp_path)["Fakes"] == 1500


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EIO", "EROFS"])
def test_whatever_the_system_says_of_the_events_file(code, tmp_path, monkeypatch):
    events, error = EventFile(tmp_path, suffix=".metrics"), OSError(getattr(errno, code), "x")
    monkeypatch.setattr(event_file.io, "FileIO", mock.Mock(side_effect=error))
    with pytest.raises(UserError, match=r"^cannot write .*events.*\.metrics: \w.*$"):
        events.scalars(1, {"Metrics/fid": 1.0})


def test_a_full_disk_names_the_file_of_numbers(tmp_path):
    with pytest.raises(UserError, match=r"cannot write .*stats\.jsonl: "), limited(10):
        Report(tmp_path).tick(RECORD, {})


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
