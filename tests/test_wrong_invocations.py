"""Wrong command lines of the four programs: one line on stderr, exit code 2, nothing written."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dataset_tool
import networks
import run_generator
import run_metrics
import run_training
from tests.generation.common import made

LONG = "1," * 30_000
ESCAPES = "\x1b]0;x\x07\x9b2J\u202e"
DEEP = "[" * 100_000
HUGE = "9" * 5000

TRAINING = [
    ["--preset=x"],
    [f"--preset={ESCAPES}"],
    ["--sead=3"],
    ["--seed=x"],
    [f"--seed={HUGE}"],
    ["--seed=-1", "--dataset=synthetic-8"],
    ["stray"],
    [f"{ESCAPES}"],
    ["--dataset=synthetic-8", "--set", f"G.x={DEEP}"],
    ["--dataset=synthetic-8", "--set", f"G.fmap_max={HUGE}"],
    ["--dataset=synthetic-8", "--set", "schedule.G_lrate=1e999"],
    ["--dataset=synthetic-8", "--set", "D_loss.gamma=NaN"],
    ["--dataset=synthetic-8", "--set", f"{ESCAPES}=1"],
    ["--dataset=synthetic-8", "--set", "=1"],
    ["--total_kimg=nan"],
    ["--total_kimg=1e400"],
    ["--dataset=nothing"],
    [f"--dataset={'x' * 5000}"],
    ["--dataset=pipe"],
    ["--data_dir=file", "--dataset=x"],
    ["--run_dir=file"],
    ["--run_dir="],
    ["--run_dir=a", "--resume=b"],
    ["--resume=latest"],
    [f"--resume={HUGE}"],
    ["--resume=deep_run"],
    ["--resume=pipe_run"],
    ["--dataset=synthetic-8", "--resume_from=nothing"],
    ["--dataset=synthetic-8", "--resume_from=pipe"],
    ["--dataset=synthetic-8", "--resume_from=file"],
    ["--dataset=synthetic-8", "--metrics=fidd"],
    ["--dataset=synthetic-8", f"--metrics=fid{HUGE}"],
    ["--dataset=synthetic-8", f"--metrics={LONG}"],
    ["--preset=classifier", "--dataset=digits", "--set", "attribute.x=11"],
    ["--preset=classifier", "--dataset=digits", "--set", "holdout=0.0001"],
]
GENERATOR = [
    [],
    ["paint"],
    [ESCAPES],
    ["images"],
    ["images", "--network=nothing"],
    ["images", "--network=pipe"],
    ["images", "--network=file"],
    ["images", "--network=folder"],
    ["images", "--network=n", f"--seeds={LONG}"],
    ["images", "--network=n", f"--seeds={HUGE}"],
    ["images", "--network=n", "--seeds="],
    ["images", "--network=n", "--latents=pipe"],
    ["images", "--network=n", "--latents=file"],
    ["images", "--network=n", "--latents=latents.npz", "--out=."],
    ["images", "--network=n", "--out=file"],
    ["images", "--network=n", "--class=99"],
    ["images", "--network=n", "--truncation_psi=nan"],
    ["images", "--network=n", "--quality=1e3"],
    ["images", "--network=n", "--format=gif"],
    ["grid", "--network=n", "--out=grid.bmp"],
    ["grid", "--network=n", "--out=folder.png"],
    ["grid", "--network=n", "--columns=0"],
    ["uncurated", "--network=n", f"--crop={LONG}"],
    ["style-mixing", "--network=n", f"--styles={ESCAPES}"],
    ["truncation", "--network=n", "--psis=1,nan"],
    ["interpolate", "--network=n", "--out=x.avi"],
    ["interpolate", "--network=n", "--out=x.gif", "--seconds=1e999"],
    ["info", "--network=" + ESCAPES],
    ["info", "--network=http://"],
    ["convert", "--network=n"],
    ["convert", "--network=n", "--out=file"],
    ["convert", "--network=n", "--out=x.pkl"],
]
METRICS = [
    [],
    ["--network=n", "--run_dir=0"],
    ["--network=pipe", "--metrics=fid50k"],
    ["--network=n", f"--metrics={ESCAPES}"],
    ["--network=n", f"--metrics=fid{HUGE}"],
    ["--network=n", "--num_images=0"],
    ["--network=n", f"--num_images={HUGE}"],
    ["--run_dir=deep_run", f"--snapshots={HUGE}"],
    ["--run_dir=folder"],
    ["--network=n", "--dataset=digits", "--metrics=fid9", "--out=new/records"],
    ["--network=n", "--dataset=digits", "--metrics=ls9", "--classifiers=folder", "--out=new"],
    ["--network=n", "--dataset=digits", "--metrics=fid9", "--out=file/records"],
    ["measure"],
    ["convert_weights"],
    ["convert_weights", "--inception_weights=pipe", "--out=x.safetensors"],
    ["convert_weights", "--inception_weights=n.safetensors", "--out=n.safetensors"],
    ["convert_weights", "--inception_weights=file", "--out=x.pkl"],
]
DATASET = [
    ["create"],
    ["info"],
    ["info", "--dataset=nothing"],
    ["info", "--dataset=pipe"],
    ["verify", "--dataset=folder"],
    ["verify", "--dataset=folder", "--workers=0"],
    ["info", "--dataset=pipes"],
    ["compare", "--dataset=digits"],
    ["compare", "--dataset=digits", "--other=nothing"],
    ["display", "--dataset=folder", "--grid=0x0"],
    ["display", "--dataset=digits", "--grid=0x0"],
    ["display", "--dataset=digits", "--out=x.bmp"],
    ["display", "--dataset=digits", "--layout=stack"],
    ["extract", "--dataset=digits", "--out=pictures"],
    ["extract", "--dataset=digits", "--out=file"],
    ["extract", "--dataset=digits", "--out=out", "--max_images=0"],
    ["create_from_images", "--source=nothing", "--out=out"],
    ["create_from_images", "--source=pipe", "--out=out"],
    ["create_from_images", "--source=file", "--out=out"],
    ["create_from_images", "--source=pictures", "--out=pictures"],
    ["create_from_images", "--source=pictures", "--out=out", "--resolution=5"],
    ["create_from_images", "--source=pictures", "--out=out", f"--resolution={HUGE}"],
    ["create_from_images", "--source=pictures", "--out=out", f"--background={ESCAPES}"],
    ["create_from_images", "--source=pictures", "--out=out", f"--name=a/{ESCAPES}"],
    ["create_from_images", "--source=pictures", "--out=file"],
    ["create_from_npz", "--source=pipe", "--out=out"],
    ["create_mnist", "--source=folder", "--out=out"],
    ["create_lsun", "--source=pipe", "--out=out"],
    ["create_svhn", "--source=folder", "--out=out", "--memory_gb=nan"],
    [f"{ESCAPES}"],
]
CASES = [
    pytest.param(program, argv, id=f"{program.__name__}-{number}")
    for program, lines in (
        (run_training, TRAINING),
        (run_generator, GENERATOR),
        (run_metrics, METRICS),
        (dataset_tool, DATASET),
    )
    for number, argv in enumerate(lines)
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with a network, a picture, and whatever is no file."""
    here = tmp_path_factory.mktemp("place")
    networks.save(here / "n", Gs=made("paper"))
    networks.save(here / "n.safetensors", Gs=made("paper"))
    (here / "file").write_text("x")
    for name in ("folder", "folder.png", "pictures", "pipes", "deep_run", "pipe_run"):
        (here / name).mkdir()
    os.mkfifo(here / "pipe")
    os.mkfifo(here / "pipes" / "a-r02.tfrecords")
    os.mkfifo(here / "pipe_run" / "config.json")
    (here / "deep_run" / "config.json").write_text(DEEP)
    Image.new("RGB", (8, 8)).save(here / "pictures" / "a.png")
    np.savez(here / "latents.npz", z=np.zeros([1, 8]))
    return here


def tree(place):
    return {path: path.read_bytes() if path.is_file() else None for path in Path(place).rglob("*")}


@pytest.mark.parametrize(("program", "argv"), CASES)
def test_one_line_and_nothing_written(program, argv, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", str(place / "cache"))
    monkeypatch.delenv("TF_CONFIG", raising=False)
    before = tree(place)
    assert program.main([program.__name__, *argv]) == 2
    out, err = capsys.readouterr()
    if argv:  # without a command the help is shown
        assert err.startswith(f"{program.__name__}: error: ")
        assert err.count("\n") == 1
        assert err.rstrip("\n").isprintable()
        assert len(err) < 1100
        assert out == ""
    assert tree(place) == before


def test_a_seed_twice_is_one_file(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(place)
    argv = ["images", "--network=n", "--seeds=1,1,1-1,01", f"--out={tmp_path}"]
    assert run_generator.main(["run_generator", *argv]) == 0
    assert "Wrote 1 image(s)" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latents.npz", "seed0001.png"]


def test_few_tasks_and_many_workers(place, tmp_path, monkeypatch):
    from datasets import workers

    started = []
    real = workers._Worker.__init__
    monkeypatch.setattr(
        workers._Worker, "__init__", lambda *args: (started.append(1), real(*args))[1]
    )
    monkeypatch.chdir(place)
    argv = ["create_from_images", "--source=pictures", f"--out={tmp_path / 'x'}", "--workers=400"]
    assert dataset_tool.main(["dataset_tool", *argv]) == 0
    assert len(started) == 1
