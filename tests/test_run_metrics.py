"""The command line of run_metrics.py: mistakes in one line, and a result from flags to record."""

import json

import numpy as np
import pytest

import networks
import run_metrics
from metrics import registry
from tests.metrics import small
from tests.metrics.features import feature_weights


def run(*args):
    return run_metrics.main(["run_metrics.py", *args])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["measure"], "'measure' is no command; known: evaluate, convert_weights (--help)"),
        (["--metric=fid50k"], "Unknown command line flag 'metric'. Did you mean: metrics ?"),
        (["--metrics=fid50k"], "give one of --network=FILE and --run_dir=RUN"),
        (["--network=a", "--run_dir=b"], "give one of --network=FILE and --run_dir=RUN"),
        (["--network=a", "--metrics=fid,fiddle"], "unknown metric 'fiddle'"),
        (["--network=no-such-network"], "is neither a file, an http(s) address nor a known"),
        (["--run_dir=no-such-run"], "no run directory 'no-such-run'"),
        (["--network=a", "--seed=-1"], "--seed=-1"),
        (["--network=a", "--precision=int8"], "--precision=int8"),
        (["convert_weights", "--out=a"], "one of --inception_weights=FILE and --vgg16_weights"),
        (["convert_weights", "--vgg16_weights=none.pth", "--out=a"], "none.pth"),
    ],
)
def test_mistakes_are_one_line(args, message, capsys):
    assert run(*args) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("run_metrics.py: error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert captured.out == ""


def test_help(capsys):
    assert run("--help") == 0
    shown = capsys.readouterr().out
    for name in ("fid50k", "ppl_wend", "--snapshots=WHICH", "convert_weights", "examples:"):
        assert name in shown
    assert run() == 2


@pytest.fixture
def network(tmp_path):
    return small.save(tmp_path / "network.safetensors", small.generator(), cur_nimg=12)


def test_help_names_every_metric(capsys):
    assert run("--help") == 0
    shown = capsys.readouterr().out
    for name in registry.standard_names():
        assert name in shown


def test_missing_weights_say_what_to_get_and_where_to_put_it(network, tmp_path, capsys):
    cache = f"--cache_dir={tmp_path}"
    assert run(f"--network={network}", "--dataset=synthetic-32", "--metrics=fid9", cache) == 2
    error = capsys.readouterr().err
    assert "pt_inception-2015-12-05-6726825d.pth" in error
    assert "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2" in error
    assert str(tmp_path) in error
    assert "--inception_weights" in error
    assert error.count("\n") == 1
    assert run(f"--network={network}", "--dataset=synthetic-32", "--metrics=pr93", cache) == 2
    error = capsys.readouterr().err
    assert "no weights of vgg16 with its dense layers" in error
    assert "vgg16-397923af.pth" in error
    assert error.count("\n") == 1


@pytest.mark.conformance
def test_all_metrics_of_a_file(network, tmp_path, capsys):
    """With Inception and LPIPS at full size, from weights in this package's own form."""
    from dnnlib import tensor_file
    from metrics.features import weight_files

    paths = []
    for which, make in (
        ("inception", feature_weights.inception_arrays),
        ("vgg16", feature_weights.vgg16_arrays),
    ):
        source = tmp_path / f"{which}.safetensors"
        metadata = {"network": which, "source": "random", "source_sha256": "0" * 64}
        arrays = make()
        if which == "inception":
            arrays["softmax/weights"] = np.random.RandomState(1).randn(2048, 1008).astype("f4") / 50
        tensor_file.save(source, arrays, weight_files.FORMAT, metadata)
        paths.append(tmp_path / f"{which}-again.safetensors")
        assert run("convert_weights", f"--{which}_weights={source}", f"--out={paths[-1]}") == 0
    D = networks.build(
        "D_basic",
        seed=1,
        resolution=32,
        num_channels=3,
        fmap_base=64,
        fmap_max=8,
        mbstd_group_size=0,
    )
    networks.save(tmp_path / "classifier-red.safetensors", D=D, info={"attribute": "red"})
    capsys.readouterr()
    names = ("fid5", "ppl_zend-4", "ls-12", "kid5", "is10")
    args = [
        f"--network={network}",
        "--dataset=synthetic-32",
        f"--metrics={','.join(names)}",
        f"--inception_weights={paths[0]}",
        f"--vgg16_weights={paths[1]}",
        f"--classifiers={tmp_path}",
        f"--cache_dir={tmp_path}",
        f"--out={tmp_path / 'out'}",
    ]
    assert run(*args) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = ["fid5", "ppl_zend-4", "ls_z-12", "kid5", "is10_mean"]
    assert [line.split()[0] for line in lines] == shown
    for name in names:
        record = json.loads((tmp_path / "out" / f"metric-{name}.jsonl").read_text())
        assert record["cur_nimg"] == 12
        assert all(value >= (-0.1 if name == "kid5" else 0) for value in record["results"].values())
    assert record["results"]["is10_mean"] == pytest.approx(1)  # of one image each
