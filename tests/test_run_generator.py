"""The command line of run_generator.py: every subcommand, and the mistakes a user can make."""

import json

import numpy as np
import pytest
from PIL import Image

import networks
import run_generator
from tests import golden
from tests.generation.common import close_levels, made, pixels, run

COMMANDS = list(run_generator.PROGRAM.commands)
# What each makes of a network of 16 pixels: arguments, file, size.
PICTURES = {
    "grid": (["--seeds=0-8"], "x.png", (48, 48)),
    "uncurated": (["--rows=2"], "x.jpg", (24, 32)),
    "style-mixing": (["--rows_seeds=1-2", "--styles=coarse,3-5"], "x.png", (96, 48)),
    "noise-detail": (["--count=4", "--seeds=1"], "x.png", (48, 16)),
    "noise-components": (["--noise=random"], "x.webp", (64, 32)),
    "truncation": (["--psis=1,0,-1"], "x.png", (48, 32)),
    "interpolate": (["--seeds=0-1", "--seconds=0.2", "--fps=10"], "x.gif", (16, 16)),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("networks")
    found = {"d": directory / "d.safetensors"}
    networks.save(found["d"], D=networks.build("D_basic", resolution=8))
    found["mapping"] = directory / "mapping.safetensors"
    networks.save(found["mapping"], Gs=networks.build("G_mapping", latent_size=8, mapping_layers=1))
    for kind in ("style", "labels", "paper"):
        found[kind] = directory / f"{kind}.safetensors"
        networks.save(found[kind], Gs=made(kind))
    return found


def test_images_one_for_each_seed_and_they_repeat(files, tmp_path, capsys):
    network = f"--network={files['style']}"
    for out in ("one", "two"):
        assert run("images", network, "--seeds=3,5-6", f"--out={tmp_path / out}") == 0
    printed = capsys.readouterr().out.splitlines()[-1]
    assert printed.startswith(f"Wrote 3 image(s): {tmp_path / 'two' / 'seed0003.png'} …, and ")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["latents.npz", "seed0003.png", "seed0005.png", "seed0006.png"]
    images = [pixels(tmp_path / "one" / name) for name in names[1:]]
    assert {image.shape for image in images} == {(16, 16, 3)}
    assert (images[0] != images[1]).any()
    np.testing.assert_array_equal(images[1], pixels(tmp_path / "two" / "seed0005.png"))


@pytest.mark.parametrize("noise", ["none", "random"])
def test_images_from_saved_latents(noise, files, tmp_path):
    network = f"--network={files['labels']}"
    options = ["--seeds=2-3", "--class=1", "--truncation_psi=0.5", f"--noise={noise}"]
    assert run("images", network, *options, f"--out={tmp_path / 'a'}") == 0
    again = [f"--latents={tmp_path / 'a' / 'latents.npz'}", f"--noise={noise}"]
    assert run("images", network, *again, f"--out={tmp_path / 'b'}") == 0
    for seed, index in ((2, 0), (3, 1)):
        first = pixels(tmp_path / "a" / f"seed{seed:04d}.png")
        assert first.shape == (16, 16)
        np.testing.assert_array_equal(first, pixels(tmp_path / "b" / f"image{index:04d}.png"))


def test_one_code_of_a_projector_is_one_picture(files, tmp_path):
    from networks.snapshot import load_generator

    w = np.random.RandomState(0).randn(*load_generator(files["style"]).w_shape)
    pictures = []
    for name, array in (("one", w), ("several", w[None])):
        np.savez(tmp_path / f"{name}.npz", w=array)
        source = [f"--network={files['style']}", f"--latents={tmp_path / name}.npz"]
        assert run("images", *source, f"--out={tmp_path / name}") == 0
        assert len(list((tmp_path / name).glob("*.png"))) == 1
        pictures.append(pixels(tmp_path / name / "image0000.png"))
    np.testing.assert_array_equal(*pictures)


def test_many_images_are_made_in_parts(files, tmp_path, monkeypatch, capsys):
    from generation import commands

    network, seeds = f"--network={files['labels']}", "--seeds=2-8"
    assert run("images", network, seeds, f"--out={tmp_path / 'a'}") == 0
    monkeypatch.setattr(commands, "_PART", 3)
    assert run("images", network, seeds, f"--out={tmp_path / 'b'}") == 0
    monkeypatch.setattr(commands, "_KEPT", 6)
    assert run("images", network, seeds, f"--out={tmp_path / 'c'}") == 0
    assert "More than 6: without latents.npz" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == [
        f"seed{seed:04d}.png" for seed in range(2, 9)
    ]
    for seed in range(2, 9):
        one, two, three = (pixels(tmp_path / out / f"seed{seed:04d}.png") for out in "abc")
        close_levels(two, one)
        close_levels(three, one)
    with np.load(tmp_path / "a" / "latents.npz") as a, np.load(tmp_path / "b" / "latents.npz") as b:
        assert sorted(a.files) == ["labels", "seeds", "w", "z"]
        for name in a.files:
            np.testing.assert_allclose(a[name], b[name], atol=1e-6)


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("kind", ["style", "labels", "paper"])
def test_pictures(name, kind, files, tmp_path, capsys):
    args, file, size = PICTURES[name]
    code = run(name, f"--network={files[kind]}", *args, f"--out={tmp_path / file}")
    if kind == "paper" and name in (
        "style-mixing",
        "noise-detail",
        "noise-components",
        "truncation",
    ):
        assert code == 2
        assert f"{name} needs a generator with" in capsys.readouterr().err
        assert not (tmp_path / file).exists()
        return
    assert code == 0
    assert f"Wrote {tmp_path / file}" in capsys.readouterr().out
    with Image.open(tmp_path / file) as picture:
        assert picture.size == size
        assert getattr(picture, "n_frames", 1) == (4 if name == "interpolate" else 1)


def test_a_legacy_pickle(tmp_path, capsys):
    network = f"--network={golden.path('pickles/h_res4.pkl')}"
    assert run("grid", network, "--seeds=0-3", f"--out={tmp_path / 'x.png'}") == 0
    assert pixels(tmp_path / "x.png").shape == (16, 16, 3)
    assert run("info", network) == 0
    assert "G_style" in capsys.readouterr().out
    assert run("convert", network, f"--out={tmp_path / 'x.safetensors'}") == 0
    assert all(networks.load(tmp_path / "x.safetensors"))


def test_info_as_json(files, capsys):
    assert run("info", f"--network={files['labels']}", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert "G_style" in json.dumps(found)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--network=x"], "'--network=x' is no command; first comes one of images, grid"),
        (["gird"], "'gird' is no command"),
        (["grid"], "grid: --network=FILE is needed"),
        (["grid", "--network=none.safetensors"], "none.safetensors"),
        (["grid", "--network={style}", "--seeds=a"], "--seeds=a"),
        (["grid", "--netwrok=x"], "netwrok"),
        (["grid", "--network=x", "more"], "unexpected argument 'more'"),
        (["grid", "--network={d}"], "holds no Gs"),
        (
            ["grid", "--network={mapping}"],
            "expected a whole generator (G_style, G_paper, G_main, G_ada)",
        ),
        (["convert", "--network={mapping}", "--out=x"], "a whole generator"),
        (["grid", "--network={labels}", "--class=3"], "3 classes"),
        (["grid", "--network={style}", "--out=x.bmp"], "--out=x.bmp"),
        (["grid", "--network={style}", "--noise=loud"], "loud"),
        (["grid", "--network={style}", "--latents=none.npz"], "none.npz: no such file"),
        (["images", "--network={style}", "--latents=a.npz", "--seeds=0-9"], "expected one of them"),
        (["images", "--network={style}", "--quality=101"], "quality"),
        (["uncurated", "--network={style}", "--crop=1,2"], "expected 4 numbers"),
        (["truncation", "--network={style}", "--psis=1,nan"], "--psis=1,nan"),
        (["style-mixing", "--network={style}", "--styles=rough"], "--styles=rough"),
        (["interpolate", "--network={style}", "--out=x.avi"], "--out=x.avi"),
        (["interpolate", "--network={style}", "--seconds=nan"], "--seconds=nan: expected a number"),
        (["interpolate", "--network={style}", "--seconds=3600"], "--seconds: 648,000 frames"),
        (["interpolate", "--network={style}", "--fps=60", "--out=x.gif"], "a GIF has 50 at most"),
        (["interpolate", "--network={paper}", "--space=w", "--out=x.gif"], "--space=w"),
        (["grid", "--network={paper}", "--truncation_psi=0.5"], "has no w"),
        (["grid", "--network={style}", "--truncation_psi=1e30"], "truncation_psi"),
        (["grid", "--network={style}", "--truncation_cutoff=-3"], "truncation_cutoff"),
        (["convert", "--network={style}", "--out=x.safetensors", "--noise=none"], "no noise mode"),
        (["grid", "--network={style}", "--memory=inf"], "--memory=inf"),
        (["grid", "--network={style}", "--columns=0"], "columns"),
        (["convert", "--network={style}"], "--out=PATH is needed"),
    ],
)
def test_mistakes_are_one_line(files, tmp_path, monkeypatch, capsys, args, message):
    monkeypatch.chdir(tmp_path)
    args = [arg.format(**files) for arg in args]
    assert run(*args) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_every_flag(name, capsys):
    assert run(name, "--help") == 0
    text = capsys.readouterr().out
    assert all(f"--{flag.name}" in text for flag in run_generator.PROGRAM.commands[name].flags)
    assert max(map(len, text.splitlines())) <= 100


def test_help_names_every_command(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS)
    assert run() == 2
