"""What a start says and refuses of snapshots and checkpoints is told without making a variable."""

import contextlib
import functools
import json
import re

import numpy as np
import pytest

import networks
import run_training
from dnnlib import tensor_file
from dnnlib.errors import UserError
from networks import layers
from tests.metrics.features import feature_files
from tests.training.small import small_config
from tests.training.test_transfer import make_state, save
from training import checkpoint, saved_config
from training.checkpoint import Progress
from training.phases import Hook
from training.schedule import LoopState
from training.state import create_state
from training.transfer import transfer

pytestmark = pytest.mark.conformance

ADAM = dict(beta1=0.0, beta2=0.99, epsilon=1e-8)
SMALL = dict(resolution=8, num_channels=1, fmap_base=32, fmap_max=8, label_size=2)
FAMILIES = [
    ("G_style", "D_basic", {}),
    ("G_style", "D_basic", {"spectral_norm": True}),
    ("G_paper", "D_paper", {}),
    ("G_main", "D_stylegan2", {}),
]


@pytest.mark.parametrize(("G", "D", "of_D"), FAMILIES)
def test_a_plan_has_the_names_shapes_and_types_of_the_state(G, D, of_D):
    def create():
        hooks = [Hook(1, None, {"strength": 0.5})]
        options = {"func_name": G, **SMALL}, {"func_name": D, **SMALL, **of_D}
        return create_state(*options, ADAM, ADAM, hooks=hooks)

    with layers.planned():
        planned = create().variables()
    made = create().variables()
    assert list(planned) == list(made)
    assert "strength" in made
    for name, variable in made.items():
        assert planned[name].shape == tuple(variable.shape)
        assert planned[name].dtype == variable.dtype
        assert planned[name].trainable == variable.trainable


@functools.cache  # what it holds does not matter
def made(**options):
    return make_state(**options)


def state_of(**options):
    """Real, or planned within `both`."""
    return make_state(**options) if layers.planning() else made(**options)


def both(function, *args):
    """The results of real networks and of planned ones: returned, or refused."""
    results = []
    for _ in range(2):
        with layers.planned() if results else contextlib.nullcontext():
            try:
                results.append(function(*args))
            except UserError as error:
                results.append(f"refused: {error}")
    return results


CHANGES = [
    {},
    {"resolution": 32},
    {"label_size": 3},
    {"fused_scale": True},
]


@pytest.mark.parametrize("options", CHANGES)
def test_what_a_start_takes_of_a_snapshot_is_told(tmp_path, options):
    path = save(made(), tmp_path / "a.safetensors")
    real, planned = both(lambda: transfer(state_of(**options), path))
    assert planned == real
    assert sum("taken over" in line for line in planned) == 3


def test_what_a_start_refuses_of_a_snapshot_is_told(tmp_path):
    whole = save(made(), tmp_path / "a.safetensors")
    arrays, metadata = tensor_file.load(whole, networks.snapshot.FORMAT)
    mapping = networks.build("G_mapping", latent_size=4, dlatent_size=4, mapping_fmaps=4)
    paths = {name: tmp_path / f"{name}.safetensors" for name in ("part", "cut", "claim", "lacks")}
    networks.save(paths["part"], Gs=mapping)
    paths["cut"].write_bytes(whole.read_bytes()[:-10])
    kinds = json.loads(metadata["networks"])
    for kind in kinds.values():
        kind["options"]["fmap_max"] = 2**28  # not what its tensors are
    claim = {**metadata, "networks": json.dumps(kinds)}
    tensor_file.save(paths["claim"], arrays, networks.snapshot.FORMAT, claim)
    del arrays["G/dlatent_avg"]
    tensor_file.save(paths["lacks"], arrays, networks.snapshot.FORMAT, metadata)
    for name, path in paths.items():
        real, planned = both(lambda path=path: transfer(state_of(), path))
        assert planned == real
        if name == "lacks":
            assert "missing: dlatent_avg" in planned[0]
        else:
            assert planned.startswith("refused: ")


def test_what_a_start_refuses_of_checkpoints_is_told(tmp_path, capsys):
    state = made()
    for nimg in (16, 32):
        progress = Progress(LoopState(cur_nimg=nimg))
        checkpoint.save(tmp_path, state.variables(), progress)
    older, newer = checkpoint.paths(tmp_path)

    def restored(**options):
        of_variables = state_of(**options).variables()
        look = checkpoint.check if layers.planning() else checkpoint.restore
        progress = look(tmp_path, of_variables)
        return progress and progress.loop.cur_nimg, capsys.readouterr().err

    assert both(restored) == [(32, "")] * 2
    real, planned = both(lambda: restored(label_size=3))
    assert planned == real
    assert "does not fit the networks of this configuration" in planned
    capsys.readouterr()
    damaged = bytearray(newer.read_bytes())
    damaged[-5] ^= 1  # in a value: its checksum tells
    newer.write_bytes(damaged)
    real, planned = both(restored)
    assert planned == real
    assert planned[0] == 16
    assert "trying an older one" in planned[1]
    older.write_bytes(damaged)
    real, planned = both(restored)
    assert planned == real
    assert "none of its 2 checkpoints can be read" in planned


# ---------------------------------------------------------------- the command


@pytest.fixture
def place(here, monkeypatch):
    """A working directory with a run that has a checkpoint, a snapshot, weights and classifiers."""
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", str(here / "cache"))
    config = small_config("dataset.name=synthetic-8-4", "dataset.data_dir=null")
    saved = {**dict(resolution=8, num_channels=3, label_size=4), **config.G, **config.D}
    G = {**saved, "func_name": "G_style"}
    D = {key: value for key, value in saved.items() if key in ("func_name", *SMALL)}
    state = create_state(G, D, ADAM, ADAM)
    (here / "run").mkdir()
    saved_config.save(here / "run", config)
    checkpoint.save(here / "run", state.variables(), Progress())
    save(state, here / "run" / "network-snapshot-000000.safetensors")
    networks.save(here / "part.safetensors", Gs=networks.build("G_mapping", latent_size=4))
    options = dict(resolution=8, num_channels=3, fmap_base=32, fmap_max=8)
    for name, group in (("fine", 0), ("unfit", 4)):
        D = networks.build("D_basic", mbstd_group_size=group, **options)
        networks.save(here / f"{name}.safetensors", D=D, info={"attribute": name})
    (here / "text").write_text("text")
    (here / "other.pth").write_bytes(feature_files.torch({"a": np.zeros([3, 4], np.float32)}))
    return here


def dry_run(place, capsys, *argv):
    return unchanged(place, capsys, "--dry_run", *argv)


def unchanged(place, capsys, *argv):
    """(exit code, stdout, stderr) of a command that has changed nothing."""

    def tree():
        return {
            path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes())
            for path in place.rglob("*")
        }

    before = tree()
    code = run_training.main(["run_training.py", *argv])
    assert tree() == before
    return code, *capsys.readouterr()


def lines_of(code, out, err):
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    return err


SYNTHETIC, STYLEGAN = "--dataset=synthetic-8", "--preset=demo-stylegan"
REFUSED = {
    ("--resume_from=part.safetensors",): "its Gs is a G_mapping: StyleGAN's networks normalise",
    ("--resume_from=part.safetensors", STYLEGAN): "part.safetensors: nothing in it fits",
    ("--metrics=fid5k",): "or an address with --set metrics.inception_weights",
    ("--metrics=fid5k", "metrics.inception_weights=missing.pth"): "missing.pth: no such file",
    ("--metrics=fid5k", "metrics.inception_weights=text"): "text: it is text; expected a frozen",
    ("--metrics=fid5k", "metrics.inception_weights=other.pth"): "Conv2d_1a_3x3.conv.weight is miss",
    ("--metrics=ppl_wend", "metrics.vgg16_weights=other.pth"): "features.0.weight is missing",
    ("--metrics=ppl_wend", "metrics.vgg16_weights=fine.safetensors"): "format 'stylegan-tf2 snap",
    ("--metrics=ppl_wend", "metrics.vgg16_weights=http://a.b/c"): "images are 8x8, and the part",
    ("--metrics=ls-24",): """of attributes: --set metrics.classifiers='["DIR"]' (docs""",
    ("--metrics=ls-24", 'metrics.classifiers=["missing"]'): "missing' is neither a file",
    ("--metrics=ls-24", 'metrics.classifiers=["unfit.safetensors"]'): "minibatch standard deviat",
    ("--metrics=ls-24", 'metrics.classifiers=["fine.safetensors", "fine.safetensors"]'): ", too;",
    (
        "--metrics=ls-24",
        "dataset.resolution=4",
        'metrics.classifiers=["fine.safetensors"]',
        "schedule.lod_initial_resolution=4",
    ): "a classifier of 8x8x3 images; the network's are 4x4x3",
}


def test_a_dry_run_refuses_what_the_start_would(place, capsys):
    for argv, words in REFUSED.items():
        flags = [part if part.startswith("--") else f"--set={part}" for part in argv]
        assert words in lines_of(*dry_run(place, capsys, SYNTHETIC, *flags)), argv


def test_a_start_from_what_does_not_fit_changes_nothing(place, capsys, monkeypatch):
    """Neither is a directory made, nor the built-in digits, and no device is started: with a value
    in a tensor one would be, and the start could not set up the GPUs."""

    def started(*args):
        raise AssertionError("a tensor was made")

    for module in ("constant_op", "ops"):
        name = f"tensorflow.python.framework.{module}.convert_to_eager_tensor"
        with contextlib.suppress(AttributeError):
            monkeypatch.setattr(name, started)
    source = "--resume_from=part.safetensors"
    told = lines_of(*unchanged(place, capsys, "--dataset=digits", STYLEGAN, source))
    assert "part.safetensors: nothing in it fits" in told


def test_a_dry_run_tells_what_the_start_would(place, capsys):
    snapshot = "--resume_from=run/network-snapshot-000000.safetensors"
    code, out, err = dry_run(place, capsys, SYNTHETIC, STYLEGAN, snapshot)
    assert (code, err) == (0, "")
    assert out.endswith("with the flags above the networks are the file's\n")
    flags = re.findall(r"--set (G\.\w+=\S+)", out)
    assert "G.fmap_max=8" in flags
    given = [f"--set={flag}" for flag in flags if "fmap_base" not in flag]
    code, out, err = dry_run(place, capsys, SYNTHETIC, STYLEGAN, snapshot, *given)
    assert (code, err) == (0, "")
    assert "nothing fits" not in out
    assert "Gs: " in out
    assert "variables taken over" in out
    assert "of another shape, start anew: " in out
    metrics = ["--metrics=ls-24", '--set=metrics.classifiers=["fine.safetensors", "http://a.b/c"]']
    code, out, err = dry_run(place, capsys, SYNTHETIC, *metrics)
    assert (code, err) == (0, "")
    assert out.endswith("note: http://a.b/c is not looked at: the start downloads it first\n")
    for source in ("http://a.b/c.pkl", "ada-ffhq"):
        code, out, err = dry_run(place, capsys, SYNTHETIC, f"--resume_from={source}")
        assert (code, err) == (0, "")
        assert out.endswith(f"note: {source} is not looked at: the start downloads it first\n")


def test_a_dry_run_looks_at_the_checkpoints_that_it_would_continue(place, capsys):
    code, out, err = dry_run(place, capsys, "--resume=run")
    assert (code, err) == (0, "")
    assert out.endswith("Continues run\n")
    (path,) = checkpoint.paths("run")
    path.write_bytes(path.read_bytes()[:-1])
    code, out, err = dry_run(place, capsys, "--resume=run")
    assert (code, out) == (2, "")
    assert err.startswith("warning: run/checkpoint-000000000000.safetensors is damaged")
    assert "none of its 1 checkpoints can be read" in err


def test_a_dry_run_looks_at_labels_and_the_images_of_grids(here, monkeypatch, capsys):
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", str(here / "cache"))
    rows = ["--set=dataset.max_label_size=full", "--set=grid.layout=row_per_class"]
    for argv in ([], rows, ["--preset=classifier"]):
        code, _, err = dry_run(here, capsys, "--dataset=digits", *argv)
        assert (code, err) == (0, ""), argv
    assert not (here / "cache").exists()
    labels = np.zeros([1797, 10], np.float32)
    labels[:, 3] = 1
    monkeypatch.setattr("datasets.format.reader.digits_labels", lambda: labels)
    told = lines_of(*dry_run(here, capsys, "--dataset=digits", *rows))
    assert "grid layout row_per_class: the data set has no images of class 0, 1, 2, 4" in told
    code = run_training.main(["run_training.py", "--preset=classifier", "--dry_run"])
    assert code == 2
    assert "attribute.zero: none of the" in capsys.readouterr().err
