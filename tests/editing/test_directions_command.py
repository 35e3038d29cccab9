"""`run_generator.py directions`, and `--apply`, on small networks."""

import json

import numpy as np
import pytest

import networks
from editing import directions as ways, distances, effects
from generation import directions as saved
from metrics.features.vgg16 import Lpips, heads
from tests.generation.common import made, pixels, run, sampler
from tests.metrics.features.feature_weights import vgg16_arrays


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("networks")
    for kind in ("style", "paper", "traditional"):
        networks.save(directory / f"{kind}.safetensors", Gs=made(kind))
    options = dict(resolution=8, num_channels=3, fmap_base=32, fmap_max=8, mbstd_group_size=0)
    (directory / "judges").mkdir()
    ours = sampler(psi=None)
    images = ours.images(ours.codes(np.random.RandomState(0).randn(50, ours.latent_size)))
    images = np.float32(images).reshape(50, 8, 2, 8, 2, 3).mean(axis=(2, 4)) / 127.5 - 1
    for seed, attribute in enumerate(("thick", "open")):
        D = networks.build("D_basic", seed=seed, **options)
        # Half of the images have it.
        D.set_arrays({**D.arrays(), "4x4/Dense1/bias": -np.median(D(images).numpy(), axis=0)})
        path = directory / "judges" / f"classifier-{attribute}.safetensors"
        networks.save(path, D=D, info={"attribute": attribute})
    return directory


def test_directions_are_found_measured_and_applied(files, tmp_path, capsys):
    network = f"--network={files / 'style.safetensors'}"
    args = ["--samples=100", "--measure=3", "--count=1", f"--classifiers={files / 'judges'}"]
    assert run("directions", network, *args, "--keep=open", f"--out={tmp_path / 'd'}") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1].startswith(f"Wrote {tmp_path / 'd' / 'directions.safetensors'} (5), ")
    ours = sampler()
    path = tmp_path / "d" / "directions.safetensors"
    found = {one.name: one for one in saved.read(path, ours.w_shape)}
    assert list(found) == ["open", "thick", "thick, keeping open", "sefa0", "pca0"]
    page = json.loads((tmp_path / "d" / "effects.json").read_text())
    assert page["images"] == 3
    names = [row["name"] for row in page["directions"]]
    assert names == [*found, "random0", "random1", "random2"]
    assert all(set(row["rates"]) == {"thick", "open"} for row in page["directions"])
    sheet = pixels(tmp_path / "d" / "directions.png")
    assert sheet.shape[0] == 8 * 64
    assert sheet.shape[1] > 7 * 64

    apply = [f"--directions={path}", "--apply=pca0=+2,thick, keeping open=-1"]
    assert run("images", network, "--seeds=3", *apply, f"--out={tmp_path / 'x'}") == 0
    w = ours.codes(np.random.RandomState(3).randn(1, ours.latent_size))
    moved = found["thick, keeping open"].move(found["pca0"].move(w, 2), -1)
    np.testing.assert_array_equal(pixels(tmp_path / "x" / "seed0003.png"), ours.images(moved)[0])
    with np.load(tmp_path / "x" / "latents.npz") as kept:
        np.testing.assert_allclose(kept["w"], moved, rtol=1e-5, atol=1e-6)
    assert run("grid", network, "--seeds=3", *apply, f"--out={tmp_path / 'g.png'}") == 0
    np.testing.assert_array_equal(pixels(tmp_path / "g.png"), ours.images(moved)[0])


def test_each_direction_is_measured_for_each_range_of_layers(files, tmp_path, capsys):
    network, out = f"--network={files / 'style.safetensors'}", tmp_path / "d"
    args = ["--kinds=sefa,pca", "--samples=100", "--measure=3", "--count=1"]
    assert run("directions", network, *args, "--layers=all,coarse,2-5", f"--out={out}") == 0
    found = {one.name: one for one in saved.read(out / "directions.safetensors", sampler().w_shape)}
    expected = {"": (0, 6), ", coarse": (0, 1), ", 2-5": (2, 6)}
    layers = {f"{kind}0{name}": at for name, at in expected.items() for kind in ("sefa", "pca")}
    assert {name: one.layers for name, one in found.items()} == layers
    np.testing.assert_array_equal(found["pca0"].vector, found["pca0, coarse"].vector)
    assert not np.allclose(found["sefa0"].vector, found["sefa0, 2-5"].vector)
    rows = json.loads((out / "effects.json").read_text())["directions"]
    controls = [f"random{index}{name}" for name in expected for index in range(3)]
    assert [row["name"] for row in rows] == [*layers, *controls]
    change = {row["name"]: row["pixel change"][-1] for row in rows}
    assert change["pca0, coarse"] != change["pca0"] != change["pca0, 2-5"]
    apply = [f"--directions={out / 'directions.safetensors'}", "--apply=pca0, coarse=+2"]
    assert run("grid", network, "--seeds=3", *apply, f"--out={tmp_path / 'g.png'}") == 0


def test_lpips_is_measured_beside_pixels():
    ours = sampler(psi=None)
    codes = ours.codes(np.random.RandomState(0).randn(9, ours.latent_size))
    sample = ways.draw(ours.Gs, 100)
    lpips = Lpips({**vgg16_arrays(), **heads()})
    judges, direction = effects.Judges([]), ways.pca(sample, (0, 6), 1)[0]
    args = ours, [direction], codes, judges, distances.Perceptual(lpips)
    (effect,) = effects.measure(*args)
    assert effect.perceived.shape == (7,)
    assert effect.perceived[3] == 0
    moved = ours.images(direction.move(codes, 3))
    expected = lpips(np.float32(ours.images(codes)), np.float32(moved)).numpy().mean()
    np.testing.assert_allclose(effect.perceived[-1], expected, rtol=1e-5)
    assert effect.record()["LPIPS"][-1] == pytest.approx(expected, abs=1e-5)
    assert f"LPIPS {effect.perceived[4]:.3f}" in effects.table([effect])


MISTAKES = {
    "kind": (["--kinds=ica"], "--kinds=ica: 'ica' is none of planes, sefa, pca"),
    "planes": (["--kinds=planes"], "--classifiers=DIR names them"),
    "layers": (["--layers=3-9"], "--layers=3-9: 3-9 is not within layers 0-5"),
    "no layers": (["--layers=all,no"], "--layers=no: expected coarse, middle, fine or layers"),
    "lpips": (["--distance=lpips"], "no weights of vgg16 in"),
    "no judge": (["--classifiers=none"], "'none' is neither a file"),
    "keep": (["--keep=x"], "--keep=x: no plane of 'x'"),
    "paper": ([], "which has no w"),
    "traditional": (["--kinds=sefa"], "--kinds=sefa: it looks at styles"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake, files, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", str(tmp_path / "cache"))
    args, expected = MISTAKES[mistake]
    if mistake == "keep":
        args = [*args, f"--classifiers={files / 'judges'}", "--samples=100"]
    kind = mistake if mistake in ("paper", "traditional") else "style"
    network = files / f"{kind}.safetensors"
    assert run("directions", f"--network={network}", f"--out={tmp_path / 'out'}", *args) == 2
    assert expected in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "args", "expected"),
    [
        ("style", ["--apply=x=1"], "--directions=FILE and --apply=NAME=X go together"),
        ("style", ["--directions=none", "--apply=x=1"], "none: no such file"),
        ("paper", ["--directions=none", "--apply=x=1"], "the network has no w to move"),
    ],
)
def test_mistakes_of_apply(kind, args, expected, files, tmp_path, capsys):
    network = f"--network={files / kind}.safetensors"
    assert run("grid", network, f"--out={tmp_path / 'x.png'}", *args) == 2
    assert expected in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())
