"""The command line of dataset_tool.py: mistakes in one line, and every command once, on files in
the very formats that it reads."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import dataset_tool
from datasets import commands
from datasets.format.builtin import digits_directory
from datasets.format.reader import inspect
from dnnlib.staging import staged_directory
from tests.datasets.sources import (
    test_celeba,
    test_cifar,
    test_lsun,
    test_mnist,
    test_svhn,
)

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = list(dataset_tool.PROGRAM.commands)


def run(*args):
    return dataset_tool.main(["dataset_tool.py", *map(str, args)])


# ---------------------------------------------------------------- help and mistakes


def test_help(capsys):
    assert run("--help") == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {command} " in shown for command in COMMANDS)
    assert max(map(len, shown.splitlines())) <= 100
    assert run() == 2
    for command in COMMANDS:
        capsys.readouterr()
        assert run(command, "--help") == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"usage: python dataset_tool.py {command} ")
        assert max(map(len, shown.splitlines())) <= 100


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["make"], "'make' is no command; first comes one of create_from_images, create_mnist,"),
        (["create_digits"], "create_digits: --out=DIR is needed (--help tells more)"),
        (["create_mnist", "--out=x"], "create_mnist: --source=PATH is needed"),
        (["create_mnist", "--out=x", "--source=none"], "none: there is neither"),
        (["create_mnist", "x"], "unexpected argument 'x'"),
        (["create_digits", "--out=x", "--workers=0"], "--workers=0"),
        (["create_digits", "--out=x", "--memory_gb=nan"], "--memory_gb=nan"),
        (["create_digits", "--out=x", "--crop=wide"], "Unknown command line flag 'crop'"),
        (["create_from_images", "--out=x", "--source=y", "--crop=all"], "--crop=all"),
        (["create_from_images", "--out=x", "--source=no"], "no"),
        (["create_lsun", "--out=x", "--source=y", "--resolution=2"], "--resolution=2"),
        (["info", "--dataset=none"], "data set 'none' not found"),
        (["display", "--dataset=digits", "--grid=wide"], "grid size: expected '1080p'"),
        (["compare", "--dataset=digits"], "compare: --other=DIR is needed"),
        (["verify", "--dataset=none"], "none: there is no such directory"),
        (["check", "--dataset=none"], "data set 'none' not found in "),
        (["check", "--dataset=digits", "--out=a.xyz"], "--out=a.xyz: expected a file name that"),
    ],
)
def test_mistakes_are_one_line(args, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*args) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("dataset_tool.py: error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert captured.out == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["create_from_hdf5", "create_from_npz", "create_from_images"])
def test_the_original_order_is_the_default(command, monkeypatch):
    got = []
    monkeypatch.setattr(commands, command, lambda args: got.append(args["shuffle"]))
    run(command, "--source=x", "--out=y")
    run(command, "--source=x", "--out=y", "--noshuffle")
    assert got == [True, False]


def test_too_little_memory_for_the_source_itself(monkeypatch, capsys):
    def unpack(args):
        raise MemoryError

    monkeypatch.setattr(commands, "create_from_npz", unpack)
    assert run("create_from_npz", "--source=x", "--out=y", "--memory_gb=1.5") == 2
    assert "create_from_npz: needs more memory than --memory_gb=1.5" in capsys.readouterr().err


def test_sigterm_cleans_up(tmp_path, monkeypatch):
    def work(args):
        with staged_directory(args["out"]):
            assert list(tmp_path.iterdir())
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("went on")

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(commands, "create_digits", work)
    with pytest.raises(SystemExit) as caught:
        run("create_digits", f"--out={tmp_path / 'set'}")
    assert caught.value.code == 143
    assert not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.skipif(sys.version_info < (3, 11), reason="workers cannot be started so")
def test_nothing_in_the_current_directory_is_run_and_any_name_can_be_shown(tmp_path):
    np.savez(tmp_path / "arrays.npz", images=np.zeros([5, 16, 16], np.uint8))
    for name in ("enum.py", "multiprocessing.py"):
        (tmp_path / name).write_text("open('marker', 'w').close()\n")
    command = [sys.executable, ROOT / "dataset_tool.py", "create_from_npz", "--source=arrays.npz"]
    result = subprocess.run(
        [*command, "--out=sét", "--workers=1"],
        cwd=tmp_path,
        check=False,
        text=True,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "Wrote 5 image(s) to" in result.stdout
    assert "s\\xe9t" in result.stdout
    assert not (tmp_path / "marker").exists()


# ---------------------------------------------------------------- every format


def photos(directory):
    noise = np.random.RandomState(0)
    for folder, size in (("cats", (40, 32)), ("dogs", (32, 50))):
        (directory / folder).mkdir()
        for index in range(2):
            pixels = noise.randint(0, 256, [*size, 3]).astype(np.uint8)
            Image.fromarray(pixels).save(directory / folder / f"{index}.jpg")
    return directory


def lsun(directory, size):
    pictures = (test_lsun.picture(*size, seed=seed)[0] for seed in range(3))
    return test_lsun.write(directory, dict(zip(test_lsun.keys(3), pictures)))


def hdf5(directory):
    path = directory / "old.h5"
    with h5py.File(path, "w") as file:
        for size in (4, 8):
            file[f"data{size}x{size}"] = np.zeros([5, 3, size, size], np.uint8)
    return path


def npz(directory):
    path = directory / "arrays.npz"
    np.savez(path, images=np.zeros([5, 16, 16], np.uint8), labels=np.arange(5))
    return path


def celeba(directory):
    test_celeba.write(directory, "jpg")
    (directory / "list_attr_celeba.txt").write_text(test_celeba.attributes())
    return directory


# Command → what makes its source, more flags; images, resolution, channels, label columns.
FORMATS = {
    "create_from_images": (photos, ["--crop=center", "--resolution=32"], (4, 32, 3, 2)),
    "create_mnist": (
        lambda path: test_mnist.write(path, packed=True),
        [],
        (test_mnist.COUNT, 32, 1, 10),
    ),
    "create_mnistrgb": (test_mnist.write, ["--num_images=7"], (7, 32, 3, 0)),
    "create_cifar10": (
        lambda path: test_cifar.write_10(path, "python 2"),
        [],
        (test_cifar.TOTAL, 32, 3, 10),
    ),
    "create_cifar100": (
        lambda path: test_cifar.write_100(path, "binary"),
        [],
        (test_cifar.TOTAL, 32, 3, 100),
    ),
    "create_svhn": (test_svhn.write, [], (test_svhn.COUNT, 32, 3, 10)),
    "create_lsun": (
        lambda path: lsun(path, (50, 40)),
        ["--resolution=16", "--max_images=2"],
        (2, 16, 3, 0),
    ),
    "create_lsun_wide": (
        lambda path: lsun(path, (64, 60)),
        ["--width=32", "--height=24"],
        (3, 32, 3, 0),
    ),
    "create_celeba": (celeba, [], (test_celeba.COUNT, 128, 3, 40)),
    "create_from_hdf5": (hdf5, [], (5, 8, 3, 0)),
    "create_from_npz": (npz, ["--noshuffle"], (5, 16, 1, 5)),
}


def test_every_format_is_tried():
    made = {command for command in COMMANDS if command.startswith("create_")}
    assert made == {*FORMATS, "create_digits"}


@pytest.mark.conformance
@pytest.mark.parametrize("command", FORMATS)
def test_a_set_of_each_format(command, tmp_path, capsys):
    make, flags, expected = FORMATS[command]
    (tmp_path / "source").mkdir()
    source, out = make(tmp_path / "source"), tmp_path / "made"
    assert run(command, f"--source={source}", f"--out={out}", "--workers=1", *flags) == 0
    found = inspect(str(out))
    assert (found.num_images, found.resolution, found.channels, found.label_size) == expected
    captured = capsys.readouterr()
    assert f"Wrote {expected[0]} image(s) to {out}" in captured.out
    assert captured.err == ""


@pytest.mark.conformance
def test_digits_are_the_built_in_set_and_the_tools_agree(tmp_path, capsys):
    out = tmp_path / "set"
    assert run("create_digits", f"--out={out}", "--name=digits", "--workers=2") == 0
    for path in digits_directory().iterdir():
        assert path.read_bytes() == (out / path.name).read_bytes()
    capsys.readouterr()
    assert run("info", f"--dataset={out}") == 0
    assert "10 classes with images: 0: 178, 1: 182," in capsys.readouterr().out
    sheet = tmp_path / "sheet.png"
    assert run("display", f"--dataset={out}", "--grid=4x3", f"--out={sheet}") == 0
    with Image.open(sheet) as picture:
        assert picture.size == (128, 96)
    extracted = tmp_path / "files"
    assert run("extract", f"--dataset={out}", f"--out={extracted}", "--max_images=3") == 0
    assert len(list(extracted.iterdir())) == 4
    capsys.readouterr()
    assert run("check", f"--dataset={out}", "--json") == 0
    assert [one["kind"] for one in json.loads(capsys.readouterr().out)["findings"]] == ["enlarged"]
    assert run("check", f"--dataset={out}", "--strict") == 1
    capsys.readouterr()
    assert run("verify", f"--dataset={out}") == 0
    assert run("compare", f"--dataset={out}", "--other=digits") == 0
    assert capsys.readouterr().out == "The data set is intact.\nThe data sets are equal.\n"
    with open(out / "digits-r03.tfrecords", "r+b") as file:
        file.seek(-9, 2)
        file.write(b"\xff\x00")
    assert run("verify", "--dataset", out) == 1
    assert "digits-r03.tfrecords: record 1796: corrupt data" in capsys.readouterr().out


@pytest.mark.conformance
def test_a_folder_with_a_bad_picture(tmp_path, capsys):
    (tmp_path / "source").mkdir()
    source, out = photos(tmp_path / "source"), tmp_path / "made"
    (source / "cats/broken.png").write_bytes(b"no picture")
    (source / "notes.txt").touch()
    args = [
        "create_from_images",
        f"--source={source}",
        f"--out={out}",
        "--crop=center",
        "--resolution=32",
        "--workers=1",
    ]
    assert run(*args) == 2
    assert "error: cats/broken.png: is not a" in capsys.readouterr().err
    assert not out.exists()
    assert run(*args, "--skip_bad") == 0
    shown = capsys.readouterr().out
    for line in (
        "1 file(s) are no pictures",
        "Labels: 0 cats, 1 dogs",
        "Wrote 4 image(s)",
        "Skipped 1 image(s):",
    ):
        assert line in shown
    assert "cats/broken.png" in (out / "skipped.txt").read_text()
    assert inspect(str(out)).num_images == 4
    assert run(*args) == 2
    assert "exists already" in capsys.readouterr().err
