"""Images from a snapshot, and the mistakes a user can make."""

import numpy as np
import pytest
from PIL import Image

import networks
import run_generator
from dnnlib.errors import UserError


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory):
    directory = tmp_path_factory.mktemp("snapshots")
    small = dict(resolution=8, fmap_base=32, fmap_max=8, latent_size=8, dlatent_size=8)
    for name, options in {"plain": {}, "labelled": {"label_size": 3, "num_channels": 1}}.items():
        Gs = networks.build("G_style", seed=1, mapping_fmaps=8, **{**small, **options})
        networks.save(directory / f"{name}.safetensors", Gs=Gs)
    networks.save(directory / "d.safetensors", D=networks.build("D_basic", resolution=8))
    return directory


def run(*args):
    return run_generator.main(["run_generator.py", *map(str, args)])


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_seeds():
    assert run_generator.parse_seeds("7") == [7]
    assert run_generator.parse_seeds("1,5,20-22") == [1, 5, 20, 21, 22]
    for bad in ("", "a", "3-1", "1-", "-1", "0-99999999", "4294967296"):
        with pytest.raises(UserError, match="--seeds"):
            run_generator.parse_seeds(bad)


def test_one_file_for_each_seed_and_it_repeats(snapshots, tmp_path, capsys):
    network = f"--network={snapshots / 'plain.safetensors'}"
    for out in ("one", "two"):
        assert run(network, "--seeds=3,5-6", f"--out={tmp_path / out}") == 0
    assert "Wrote 3 file(s)" in capsys.readouterr().out
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["seed0003.png", "seed0005.png", "seed0006.png"]
    pictures = [pixels(tmp_path / "one" / name) for name in names]
    assert {picture.shape for picture in pictures} == {(8, 8, 3)}
    assert (pictures[0] != pictures[1]).any()
    np.testing.assert_array_equal(pictures[1], pixels(tmp_path / "two" / "seed0005.png"))


def test_a_grid_of_one_class_without_truncation(snapshots, tmp_path):
    network = f"--network={snapshots / 'labelled.safetensors'}"
    options = ["--grid", "--seeds=0-8", "--class=2", "--truncation_psi=1"]
    assert run(network, *options, f"--out={tmp_path}") == 0
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.size == (24, 24)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "--network=FILE is needed"),
        (["--network=none.safetensors"], "no snapshot at none.safetensors"),
        (["--network=x", "--seeds=a"], "--seeds=a"),
        (["--netwrok=x"], "netwrok"),
        (["--network=x", "more"], "unexpected argument 'more'"),
        (["--network={d}"], "holds no Gs"),
        (["--network={labelled}", "--class=3"], "3 classes"),
    ],
)
def test_mistakes_are_one_line(snapshots, tmp_path, capsys, args, message):
    paths = {name: snapshots / f"{name}.safetensors" for name in ("d", "labelled")}
    args = [arg.format(**paths) for arg in args]
    assert run(*args, f"--out={tmp_path / 'out'}") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_help_names_every_flag(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    flags = run_generator._define_flags()
    assert all(f"--{name}" in text for name in flags if name != "h")
