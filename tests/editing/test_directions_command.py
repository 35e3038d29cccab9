"""`run_generator.py directions`, and `--apply`, on small networks."""

import json

import numpy as np
import pytest

import networks
from generation import directions as saved
from tests.generation.common import made, pixels, run, sampler


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


MISTAKES = {
    "kind": (["--kinds=ica"], "--kinds=ica: 'ica' is none of planes, sefa, pca"),
    "planes": (["--kinds=planes"], "--classifiers=DIR names them"),
    "layers": (["--layers=3-9"], "--layers=3-9: 3-9 is not within layers 0-5"),
    "two ranges": (["--layers=0,2"], "--layers=0,2: expected one range"),
    "no judge": (["--classifiers=none"], "'none' is neither a file"),
    "keep": (["--keep=x"], "--keep=x: no plane of 'x'"),
    "paper": ([], "which has no w"),
    "traditional": (["--kinds=sefa"], "--kinds=sefa: it looks at styles"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake, files, tmp_path, capsys):
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
