"""Pipes, directories, sockets and links to nothing that bear the names of a run's files.

One line and exit code 2, nothing changed; nobody waits for a pipe.
"""

import os
import signal
import socket
from pathlib import Path

import pytest

import run_metrics
import run_training
from dnnlib import download, locks, paths, run_dirs
from dnnlib.errors import UserError
from metrics import results
from tests.training.common import ask, started
from training import checkpoint, runs
from training.checkpoint import Progress
from training.schedule import LoopState

NAMES = [
    ".lock",
    "config.json",
    "resolved.json",
    "stats.jsonl",
    "reals.png",
    "fakes000000.png",
    "events.out.tfevents.1.host",
    "network-snapshot-000000.safetensors",
    "network-final.safetensors",
    "metric-fid5k.jsonl",
    "classifier-one.safetensors",
]


@pytest.fixture(autouse=True)
def no_waiting(here):
    """In a working directory of its own; a test that waits for a pipe fails."""

    def late(*_):
        raise TimeoutError("waits")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield here
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def bind(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


KINDS = {
    "a pipe": os.mkfifo,
    "a directory": os.mkdir,
    "a socket": bind,
    "a link to elsewhere, which is not there": lambda path: os.symlink("elsewhere", path),
}


def tree():
    return {
        path: (path.lstat().st_mode, path.lstat().st_mtime_ns) for path in sorted(Path().rglob("*"))
    }


def refused(program, *argv, capsys):
    before = tree()
    assert program.main([program.__name__, *argv]) == 2
    out, err = capsys.readouterr()
    assert tree() == before
    assert out == ""
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_run_directory_they_are_refused(kind, capsys):
    started(ask(run_dir="job"))
    same = ["--run_dir=job", "--dataset=synthetic-32"]
    for name in NAMES:
        path = Path("job", name)
        kept = path.read_bytes() if path.is_file() else None
        path.unlink(missing_ok=True)
        KINDS[kind](path)
        for argv in (["--resume=job"], same, [*same, "--dry_run"]):
            err = refused(run_training, *argv, capsys=capsys)
            assert f"job/{name} is {kind}" in err, (name, argv)
        if name.startswith(("metric", "events")):
            with pytest.raises(UserError, match=f"job/{name} is {kind}"):
                results.check_writable("job")
        if name == "config.json":
            refused(run_metrics, "--run_dir=job", capsys=capsys)
        path.rmdir() if kind == "a directory" else path.unlink()
        if kept is not None:
            path.write_bytes(kept)
    assert runs.plan(ask(run_dir="job")).run_dir == Path("job")


def test_a_link_to_a_file_is_a_file():
    started(ask(run_dir="job"))
    Path("job/config.json").rename("config.json")
    Path("job/config.json").symlink_to("../config.json")
    Path("job/log.txt").mkdir()  # no name of ours
    runs.plan(ask(run_dir="job")).check_start()


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_that_is_no_file_is_passed_over_and_left_alone(kind, capsys):
    older = checkpoint.save("", {}, Progress(LoopState(cur_nimg=16)))
    newer = Path("checkpoint-000000000032.safetensors")
    KINDS[kind](newer)
    assert checkpoint.restore("", {}).loop.cur_nimg == 16
    assert f"warning: {newer} is damaged" in capsys.readouterr().err
    checkpoint.save("", {}, Progress(LoopState(cur_nimg=48)))
    assert older.exists()  # the one before the newest
    assert newer.is_symlink() or newer.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_lock_is_not_waited_for(kind):
    """Also one that was put there after the directory was looked at."""
    KINDS[kind](Path(".lock"))
    if "link" not in kind:
        for function in (run_dirs.check_free, lambda place: run_dirs.lock(place).__enter__()):
            with pytest.raises(UserError, match=f"lock is {kind}"):
                function("")
    Path("cache").mkdir()
    url = "http://127.0.0.1:1/x.pkl"
    name = download.resolve(url).file
    KINDS[kind](Path("cache", f".{name}.lock"))
    if "link" not in kind:
        with pytest.raises(UserError, match=f"lock is {kind}"):
            download.fetch(url, cache_dir="cache")


def test_a_lock_still_holds():
    with paths.open_to_append("x") as one, paths.open_to_append("x") as other:
        assert locks.lock(one)
        assert locks.lock(other) is False
    umask = os.umask(0)
    os.umask(umask)
    assert Path("x").stat().st_mode & 0o777 == 0o666 & ~umask


def test_directories_that_are_links_to_nothing_are_refused(capsys):
    Path("results").symlink_to("elsewhere")
    err = "results is a link to elsewhere, not there"
    for argv in (["--run_dir=results"], ["--run_dir=results/job"], ["--result_dir=results"]):
        for more in ([], ["--dry_run"]):
            told = refused(run_training, "--dataset=synthetic-8", *argv, *more, capsys=capsys)
            assert err in told
