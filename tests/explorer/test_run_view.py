"""A run as it is read while it goes on: half a line, damage, a run that begins anew."""

import json
import os

import pytest

from dnnlib.errors import UserError
from explorer.run_view import REALS, RunView, Tail


def record(tick, **more):
    entry = {"cur_nimg": tick * 4000, "Progress/tick": tick, "Progress/kimg": tick * 4.0}
    return json.dumps({**entry, "Loss/G": 1.5, **more}) + "\n"


@pytest.fixture
def run(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "stats.jsonl").write_text(record(1) + record(2))
    return RunView(tmp_path)


def ticks(run, since=-1, epoch=None):
    return [tick["tick"] for tick in run.status(since, epoch)["ticks"]]


def add(run, text):
    with open(run.path / "stats.jsonl", "a") as file:
        file.write(text)


def test_a_line_counts_once_it_has_its_end(run):
    assert ticks(run) == [1, 2]
    whole = record(3)
    for part in (whole[:7], whole[7:-1]):
        add(run, part)
        assert ticks(run) == [1, 2]
    add(run, whole[-1] + record(4))
    assert ticks(run) == [1, 2, 3, 4]
    assert ticks(run, since=3) == [4]


def test_only_what_is_new_is_read(tmp_path):
    path = tmp_path / "x.jsonl"
    tail = Tail(path)
    assert tail.read() == (False, [])
    path.write_text('{"a": 1}\n{"b"')
    assert tail.read() == (False, [{"a": 1}])
    with open(path, "r+") as file:
        file.write('{"c": 9}')  # would be seen, were it read again
    with open(path, "a") as file:
        file.write(": 2}\n")
    assert tail.read() == (False, [{"b": 2}])


@pytest.mark.parametrize(
    "damage",
    ["\n", "{\n", "[1]\n", "\0\0\0\n", '{"Progress/tick": NaN}\n', '{"Progress/tick": "3"}\n',
     '{"Progress/tick": true}\n', "\udcff\n", "[" * 5000 + "\n", '{"x": 1}\n',
     '{"Progress/tick": 1e999}\n', '{"Progress/tick": 9, "Loss/G": 1.0}\n',
     " " * (1 << 20) + "{}\n"],
)  # fmt: skip
def test_damaged_lines_are_left_out(damage, run):
    with open(run.path / "stats.jsonl", "ab") as file:
        file.write(damage.encode(errors="surrogateescape"))
    add(run, record(3))
    assert ticks(run) == [1, 2, 3]


def test_a_run_that_goes_on_from_a_checkpoint(run):
    first = run.status(-1)
    assert (first["epoch"], first["anew"]) == (0, False)
    other = run.path / "other"
    other.write_text(record(1) + record(2, more=1))
    os.replace(other, run.path / "stats.jsonl")  # as its ticks after the checkpoint go
    again = run.status(2, epoch=0)
    assert (again["epoch"], again["anew"]) == (1, True)
    assert [tick["tick"] for tick in again["ticks"]] == [1, 2]
    assert ticks(run, since=1, epoch=1) == [2]
    (run.path / "stats.jsonl").write_text(record(1))  # shorter, in place
    assert ticks(run) == [1]


def test_what_a_tick_tells(run):
    verdicts = [
        {"check": "D is winning", "value": 2.0, "threshold": 1.5},
        {"check": "of a later version", "value": None, "threshold": "x"},
        {"value": 1.0},
        "x",
    ]
    add(run, record(3, verdicts=verdicts, text="x", rest=None))
    (tick,) = run.status(2)["ticks"]
    assert tick["kimg"] == 12.0
    assert tick["values"] == {
        "cur_nimg": 12000,
        "Progress/tick": 3,
        "Progress/kimg": 12.0,
        "Loss/G": 1.5,
    }
    assert [one["check"] for one in tick["verdicts"]] == ["D is winning", "of a later version"]
    assert tick["verdicts"][1]["value"] is tick["verdicts"][1]["sentence"] is None
    add(run, record(4, verdicts=["x"] * 3) + record(5, verdicts={"a": 1}))
    assert [tick["verdicts"] for tick in run.status(3)["ticks"]] == [[], []]


def test_verdicts_are_sentences(run):
    from training.check_list import CHECKS

    spoken = [{"check": check.name, "value": 2.0, "threshold": check.begin} for check in CHECKS]
    add(run, record(3, verdicts=spoken))
    (tick,) = run.status(2)["ticks"]
    for check, verdict in zip(CHECKS, tick["verdicts"]):
        assert verdict["sentence"].endswith(check.remedy)
        assert "{" not in verdict["sentence"]


def test_long_runs_come_in_parts(run, monkeypatch):
    monkeypatch.setattr("explorer.run_view._MOST_TICKS", 3)
    add(run, "".join(record(tick) for tick in range(3, 9)))
    first = run.status(-1)
    assert ([tick["tick"] for tick in first["ticks"]], first["more"]) == ([1, 2, 3], True)
    last = run.status(6)
    assert ([tick["tick"] for tick in last["ticks"]], last["more"]) == ([7, 8], False)


def test_pictures_by_their_number(run):
    for name in ("fakes000010.png", "fakes000002.png", "fakes.png", "x.png", "reals.png"):
        (run.path / name).write_bytes(name.encode())
    status = run.status(-1)
    assert status["pictures"] == [{"index": 0, "kimg": 2}, {"index": 1, "kimg": 10}]
    for index, name in ((1, b"fakes000010.png"), (status["reals"], b"reals.png")):
        with run.picture(index) as file:
            assert file.read() == name
    with pytest.raises(UserError, match="no picture 2; the run has 2, from 0"):
        run.picture(2)
    os.remove(run.path / "reals.png")
    assert run.status(-1)["reals"] is None
    with pytest.raises(UserError, match=r"reals\.png: no such file"):
        run.picture(REALS)


def test_metrics(run):
    good = {
        "metric": "fid50k",
        "cur_nimg": 4000,
        "network_file": "/a/b/network-snapshot-000004.safetensors",
        "results": {"fid50k": 12.5, "x": None},
    }
    lines = [json.dumps(good), '{"metric": 1, "results": {}}', '{"metric": "a"}', "{"]
    (run.path / "metric-fid50k.jsonl").write_text("\n".join(lines) + "\n")
    expected = {
        "metric": "fid50k",
        "kimg": 4.0,
        "network": "network-snapshot-000004.safetensors",
        "results": {"fid50k": 12.5},
    }
    assert run.status(-1)["metrics"] == [expected]
    with open(run.path / "metric-fid50k.jsonl", "a") as file:
        file.write(json.dumps({**good, "cur_nimg": 8000}) + "\n")
    assert [one["kimg"] for one in run.status(-1)["metrics"]] == [4.0, 8.0]


def test_the_newest_snapshot(run):
    def write(name, when):
        path = run.path / name
        path.write_bytes(b"")
        os.utime(path, (when, when))

    assert run.newest_snapshot() is None
    assert run.status(-1)["snapshot"] is None
    write("network-snapshot-000008.safetensors", 20)
    write("network-snapshot-000012.safetensors", 30)
    write("network-snapshot-000010.safetensors.tmp", 40)
    write("classifier-final.safetensors", 40)
    assert run.newest_snapshot().name == "network-snapshot-000012.safetensors"
    write("network-final.safetensors", 31)
    assert run.status(-1)["snapshot"] == "network-final.safetensors"
    write("network-snapshot-000016.safetensors", 50)  # it was trained further
    assert run.newest_snapshot().name == "network-snapshot-000016.safetensors"
    (run.path / "network-final.safetensors").unlink()
    (run.path / "network-final.safetensors").symlink_to("nothing")
    assert run.newest_snapshot().name == "network-snapshot-000016.safetensors"


def test_nothing_is_written(run):
    def state():
        return sorted((p.name, p.stat().st_mtime_ns, p.read_bytes()) for p in run.path.iterdir())

    before = state()
    run.status(-1)
    run.newest_snapshot()
    assert state() == before


def test_what_is_no_run(tmp_path):
    with pytest.raises(UserError, match="no such directory"):
        RunView(tmp_path / "x")
    assert not RunView(tmp_path).is_one()


def test_what_bears_the_name_of_a_file_and_is_none(run):
    (run.path / "stats.jsonl").unlink()
    os.mkfifo(run.path / "stats.jsonl")
    with pytest.raises(UserError, match="is a pipe, not a file"):
        run.status(-1)
