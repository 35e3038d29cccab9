"""How a run starts in its directory: one process at a time, and a failed start leaves nothing."""

from pathlib import Path

import pytest

from dnnlib import run_dirs
from dnnlib.errors import UserError
from tests.training.common import add_checkpoint, ask, files, refused, started
from training import runs, saved_config
from training.classifiers import runs as classifier_runs
from training.request import Request

pytestmark = pytest.mark.usefixtures("here")


def state_of(directory):
    """Every file's content and time of change."""
    paths = sorted(Path(directory).rglob("*"))
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def test_who_is_refused_because_another_trains_has_changed_nothing():
    started(ask(run_dir="job", total_kimg=9.0))
    add_checkpoint(Path("job"))
    before = state_of("job")
    longer = runs.plan(ask(run_dir="job", total_kimg=10.0))
    with run_dirs.lock("job"), pytest.raises(UserError, match="another process is training in job"):
        longer.start()
    assert state_of("job") == before


def test_the_lock_is_held_while_the_run_trains_and_what_it_saw_must_still_hold():
    late = runs.plan(ask(run_dir="job", seed=4))
    taken = pytest.raises(UserError, match="another process is training in job")
    with runs.plan(ask(run_dir="job", seed=3)).starting(), taken:
        late.start()
    before = state_of("job")
    with pytest.raises(UserError, match="another process has been training in job; give the"):
        late.start()
    assert state_of("job") == before


def test_a_start_that_failed_binds_nobody_and_leaves_nothing():
    def fail(**flags):
        with pytest.raises(UserError, match="no GPU"), runs.plan(ask(**flags)).starting():
            raise UserError("no GPU")

    fail(run_dir="deep/job", num_gpus=8)
    fail(result_dir="other/results")
    assert files(Path()) == []
    Path("results").mkdir()
    fail(seed=3)
    assert files(Path()) == ["results"]
    started(ask(run_dir="job", total_kimg=9.0))
    Path("job/reals.png").touch()
    before = state_of("job")
    fail(run_dir="job", total_kimg=10.0)
    assert state_of("job").keys() == before.keys()
    assert saved_config.load_config("job").total_kimg == 9.0


def test_a_failure_after_something_was_written_keeps_the_settings():
    def fail_late():
        with runs.plan(ask(run_dir="job", seed=3)).starting():
            Path("job/reals.png").touch()
            raise UserError("disk full")

    with pytest.raises(UserError, match="disk full"):
        fail_late()
    assert saved_config.load_config("job").seed == 3


def test_settings_that_differ_before_the_first_checkpoint_are_refused():
    started(ask(run_dir="job", seed=3))
    refused(ask(run_dir="job", seed=4), r"job was started with seed=3, not 4; .* no checkpoint yet")
    with run_dirs.lock("job"):
        refused(ask(run_dir="job", seed=4), "another process is training in job")
    again = started(ask(run_dir="job", seed=3))
    assert not again.resume


@pytest.mark.parametrize(
    "name",
    ["checkpoint-000000001000.safetensors", "network-snapshot-000001.safetensors", "stats.jsonl"],
)
def test_remains_of_a_run_that_lost_its_configuration_are_refused(name):
    Path("job").mkdir()
    Path("job", name).touch()
    refused(ask(run_dir="job"), f"job holds {name} of a run, but its config.json is missing")
    if name.startswith("checkpoint"):
        refused(Request(preset="classifier", run_dir="job"), "holds checkpoints of another run")


def test_places_that_cannot_be_are_refused_before_anything_is_made():
    Path("file").touch()
    for flags in ({"result_dir": "file"}, {"result_dir": "file/runs"}, {"run_dir": "file/job"}):
        with pytest.raises(UserError, match=r"cannot create .*: file is not a directory"):
            runs.plan(ask(**flags)).check_start()
    started(ask(run_dir="job"))
    with run_dirs.lock("job"), pytest.raises(UserError, match="another process is training"):
        runs.plan(ask(run_dir="job")).check_start()


def test_a_command_that_is_refused_or_only_told_writes_no_digits(here, monkeypatch):
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", str(here / "cache"))
    digits = {"dataset": "digits"}
    refused(ask(**digits, overrides=("G_smoothing_kimg=-1",)), "G_smoothing_kimg=-1")
    refused(ask(**digits, overrides=("schedule.lod_initial_resolution=64",)), "set's 32x32")
    refused(ask(**digits, resume_from="missing.safetensors"), "--resume_from: no file")
    attribute = ("attribute.one=11",)
    refused(ask(**digits, preset="classifier", overrides=attribute), "no label column 11")
    few = ("attribute.x=3", "holdout=0.0001")
    few_told = r"attribute\.x: \w+ of the 1 held-out"
    refused(ask(**digits, preset="classifier", overrides=few), few_told)
    told = classifier_runs.plan(ask(**digits, preset="classifier"))
    run = runs.plan(ask(**digits))
    assert files(here) == []
    with run.starting() as run:
        assert all(Path(path).is_file() for path in run.dataset_info.files.values())
    assert classifier_runs.plan(ask(**digits, preset="classifier")).shares == told.shares


def test_a_cache_that_cannot_be_written_is_told_before_a_run_is_made(here, monkeypatch):
    (here / "file").touch()
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", str(here / "file/cache"))
    refused(ask(dataset="digits"), "file is not a directory .STYLEGAN_CACHE_DIR chooses")
