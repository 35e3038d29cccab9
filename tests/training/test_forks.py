"""A fork: another run's checkpoint in a directory of its own, with settings changed or not."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import run_training
from dnnlib import run_dirs, tensor_file
from dnnlib.errors import UserError
from tests.training.common import files
from tests.training.small import assert_same_bits, final_state, small_config
from training import checkpoint, commands, forks, preview, runs, saved_config
from training.checkpoint import Progress
from training.config import inspect_dataset, network_options
from training.request import Request
from training.schedule import LoopState

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture(scope="module")
def state():
    """What a run of the small configuration has in its checkpoints."""
    config = small_config()
    options = network_options(config, inspect_dataset(config.dataset))
    shapes = preview.planned_state(config, *options).variables()
    return {name: np.zeros(variable.shape, np.float32) for name, variable in shapes.items()}


@pytest.fixture
def old(state):
    """A run directory with checkpoints at 64 and 96 images; nobody trained it."""
    run_dir = Path("results/00000-old")
    run_dir.mkdir(parents=True)
    saved_config.save(run_dir, small_config())
    for nimg in (64, 96):
        add(run_dir, state, nimg)
    lines = [json.dumps({"cur_nimg": nimg}) + "\n" for nimg in (32, 64, 96, 128)]
    (run_dir / "stats.jsonl").write_text("".join(lines) + '{"cur_nimg": 1')
    (run_dir / "reals.png").write_bytes(b"reals")
    return run_dir


def add(run_dir, arrays, nimg):
    progress = Progress(loop=LoopState(cur_nimg=nimg, tick=2), rounds=8, steps={"D": 8, "G": 8})
    checkpoint.write(run_dir / f"checkpoint-{nimg:012d}.safetensors", arrays, progress)


def ask(*overrides, **flags):
    return Request(resume="latest", fork="new", overrides=overrides, **flags)


def state_of(directory):
    paths = sorted(path for path in Path(directory).rglob("*") if path.is_file())
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def make(request):
    fork = forks.plan(request)
    forks.check_fit(fork)
    with forks.made(fork):
        return runs.plan(Request(resume="new"))


def test_a_fork_has_the_checkpoint_the_records_up_to_it_and_the_changes(old):
    before = state_of(old)
    with run_dirs.lock(old):  # while it trains
        run = make(ask("D_loss.r1_gamma=5", "seed=7", fork_kimg=0.064))
    assert state_of(old).keys() - before.keys() <= {old / ".lock"}
    assert {path: state_of(old)[path] for path in before} == before
    assert files(Path("new")) == [
        "checkpoint-000000000064.safetensors",
        "config.json",
        "stats.jsonl",
    ]
    assert run.continues
    assert (run.config.seed, run.config.D_loss["r1_gamma"]) == (7, 5)
    assert run.config.forked_from == {
        "run": str(old.absolute()),
        "kimg": 0.064,
        "changes": {"D_loss.r1_gamma": [None, 5], "seed": [1000, 7]},
    }
    lines = Path("new/stats.jsonl").read_text().splitlines()
    assert [json.loads(line)["cur_nimg"] for line in lines] == [32, 64]
    forgotten = dataclasses.replace(run.config, forked_from={})
    assert forgotten == small_config("D_loss.r1_gamma=5", "seed=7")


def test_without_changes_the_newest_checkpoint_is_taken_as_it_is(old):
    run = make(ask())
    assert run.config.forked_from["changes"] == {}
    assert Path("new/reals.png").read_bytes() == b"reals"
    (arrays, progress), (expected, expected_progress) = map(final_state, (Path("new"), old))
    assert_same_bits(arrays, expected)
    assert progress == expected_progress


def test_what_adapts_begins_and_what_is_gone_goes(old, state):
    make(ask("augment.transforms=blit"))
    arrays, _ = checkpoint.read(Path("new/checkpoint-000000000096.safetensors"))
    assert arrays.keys() - state.keys() == {"augment_p", "augment_signs", "augment_scored"}
    assert not state.keys() - arrays.keys()
    again = Request(resume="new", fork="newer", overrides=("augment.transforms=none",))
    with forks.made(forks.plan(again)):
        arrays, _ = checkpoint.read(Path("newer/checkpoint-000000000096.safetensors"))
    assert arrays.keys() == state.keys()


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["G.fmap_max=4", "seed=3"], "G.fmap_max"),
        (["dataset.resolution=16", "seed=3"], "dataset.resolution"),
        (["dataset.max_label_size=0", "grid.size=2x2"], "dataset.max_label_size"),
        (["D.func_name=D_paper", "total_kimg=1"], "D.func_name"),
    ],
)
def test_a_setting_that_the_state_does_not_fit_is_named(old, overrides, named):
    before = files(Path())
    with pytest.raises(UserError, match=rf"^{named}: cannot change in a fork, because ") as caught:
        forks.check_fit(forks.plan(ask(*overrides)))
    assert "\n" not in str(caught.value)
    assert files(Path()) == before


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(fork="new"), "--fork needs --resume=RUN"),
        (Request(resume="0", fork_kimg=1.0), "--fork_kimg needs --fork"),
        (ask(preset="demo"), "--preset and --fork"),
        (ask(run_dir="x"), "--run_dir and --fork"),
        (Request(resume="0", fork="results"), "--fork=results exists already: .*--resume=results"),
        (ask(fork_kimg=0.07), "no checkpoint there; it keeps those at 0.064, 0.096 kimg"),
        (ask(total_kimg=0.09), "is at 0.096 kimg, and the run ends at total_kimg=0.09"),
        (ask("forked_from.run=x"), "forked_from: is written by --fork"),
        (ask(resume_from="x.safetensors"), "resume_from: a fork starts with the networks of"),
        (ask("G.fmap_maxx=4"), "G_style has no such option"),
        (Request(resume="7", fork="new"), "no run number 7"),
    ],
)
def test_what_is_refused_changes_nothing(old, request_, message):
    before = files(Path())
    with pytest.raises(UserError, match=message) as caught:
        forks.plan(request_)
    assert "\n" not in str(caught.value)
    assert files(Path()) == before


def test_damage_falls_back_unless_that_one_was_asked_for(old, capsys):
    newest = old / "checkpoint-000000000096.safetensors"
    newest.write_bytes(newest.read_bytes()[:-9])
    assert forks.plan(ask()).progress.loop.cur_nimg == 64
    assert f"warning: {newest} is damaged" in capsys.readouterr().err
    with pytest.raises(UserError, match="is damaged"):
        forks.plan(ask(fork_kimg=0.096))
    for path in checkpoint.paths(old):
        path.unlink()
    with pytest.raises(UserError, match="has no checkpoint to fork from"):
        forks.plan(ask())


def test_a_checkpoint_that_is_gone_meanwhile_is_told(old):
    (old / "checkpoint-mine.safetensors").touch()  # not of the run
    fork = forks.plan(ask(fork_kimg=0.096))
    fork.origin.unlink()
    with pytest.raises(UserError, match=r"is gone: its run has trained on"), forks.made(fork):
        pass
    assert not Path("new").exists()


def test_a_start_that_fails_takes_the_directory_away(old):
    before = files(Path())
    deep = Request(resume="latest", fork="a/b/new")
    with pytest.raises(UserError, match="no GPU"), forks.made(forks.plan(deep)):
        raise UserError("no GPU")
    assert files(Path()) == before


def test_runs_of_classifiers_are_refused_by_name(capsys):
    Path("job").mkdir()
    Path("job/config.json").write_text('{"preset": "classifier"}')
    assert run_training.main(["run_training.py", "--resume=job", "--fork=new"]) == 2
    assert "--fork: a run of classifiers has no checkpoints" in capsys.readouterr().err


def test_the_command_line_forks_and_trains(old, monkeypatch, capsys):
    trained = []

    def train(run, evaluator):
        trained.append((run.run_dir, run.config.seed, run.continues))
        (run.run_dir / "network-final.safetensors").touch()
        return 0

    monkeypatch.setattr(commands, "_train", train)
    argv = ["run_training.py", "--resume=0", "--fork=new", "--seed=5"]
    assert run_training.main([*argv, "--dry_run"]) == 0
    out = capsys.readouterr().out
    assert "Changed for this run: seed: 1000 -> 5" in out
    assert "Would write to new" in out
    assert not Path("new").exists()
    assert run_training.main(argv) == 0
    assert trained == [(Path("new"), 5, True)]
    assert run_training.main(argv) == 2
    assert "--resume=new to continue it" in capsys.readouterr().err


def test_an_older_checkpoints_form_is_read(old):
    arrays, metadata = tensor_file.load(checkpoint.paths(old)[-1], checkpoint.FORMAT)
    progress = json.loads(metadata["progress"])
    progress.update({f"{name}_steps": count for name, count in progress.pop("steps").items()})
    del progress["rounds"]
    shutil.rmtree("new", ignore_errors=True)
    first = {"progress": json.dumps(progress)}
    tensor_file.save(checkpoint.paths(old)[-1], arrays, "stylegan-tf2 checkpoint 1", first)
    make(ask())
    after, kept = final_state(Path("new"))
    assert_same_bits(after, arrays)
    assert kept["rounds"] == 8
