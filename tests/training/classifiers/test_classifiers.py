"""Runs of attribute classifiers: what is asked for, what is trained, saved and continued."""

import dataclasses
import json
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import run_training
from compute.devices import Replicas
from datasets.format.reader import inspect, open_dataset
from dnnlib import config as config_lib
from dnnlib.errors import UserError
from metrics.features import classifiers
from networks import snapshot
from tests.datasets.data_sets import write_set
from tests.training.small import assert_same_bits
from training import presets
from training.classifiers import (
    config as classifier_config,
    runs as classifier_runs,
    trainer as classifier,
)
from training.classifiers.config import ClassifierConfig
from training.request import Request

pytestmark = [pytest.mark.conformance, pytest.mark.usefixtures("here")]

SMALL = (
    "dataset.resolution=8",
    "D.fmap_base=32",
    "D.fmap_max=8",
    "minibatch=8",
    "kimg=1.499",
    "rampdown_kimg=0.5",
    "status_kimg=0.8",
    "learning_rate=0.004",
    "attribute.loop=0,6,8,9",
    "attribute.zero=0",
)


def plan(*overrides, **flags):
    return classifier_runs.plan(Request(preset="classifier", overrides=overrides, **flags))


def train(run_dir, *overrides):
    run = plan(*SMALL, *overrides, run_dir=str(run_dir)).start()
    assert classifier.train(run) == 0
    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("trained")
    train(run_dir)
    return run_dir


# ---------------------------------------------------------------- what is asked for


def test_the_papers_settings():
    config = classifier_config.make("classifier-celebahq")
    assert config.kimg * 1000 / config.minibatch == 250_000
    assert (config.learning_rate, config.minibatch) == (1e-3, 8)
    assert config_lib.to_dict(config.opt) == {"beta1": 0.0, "beta2": 0.99, "epsilon": 1e-8}
    for name in classifier_config.PRESETS:
        assert name in presets.listing().splitlines()
        assert name in presets.summary()
    with pytest.raises(UserError, match="did you mean 'classifier'"):
        presets.make("clasifier")


@pytest.mark.parametrize("override", ["attribute.loop=0,6", 'attribute={"loop": [0, 6]}'])
def test_attributes_by_override(override):
    assert plan(override).attributes == {"loop": (0, 6)}
    assert plan("attribute.one=1").attributes == {"one": (1,)}


def test_attributes_without_one():
    assert plan().attributes == classifier_config.DIGITS
    run = plan(dataset="synthetic-16-3")
    assert run.attributes == {"00": (0,), "01": (1,), "02": (2,)}
    assert run.shares["00"] == pytest.approx(1 / 3, abs=1e-3)


def test_large_images_are_used_at_256():
    assert plan(dataset="synthetic-512-3").dataset_info.resolution == 256
    assert plan("dataset.resolution=32", dataset="synthetic-512-3").dataset_info.resolution == 32


@pytest.mark.parametrize(
    ("overrides", "flags", "message"),
    [
        (["nonsense=1"], {}, "unknown key 'nonsense'"),
        (["holdot=0.2"], {}, r"unknown key 'holdot' \(did you mean 'holdout'\?\)"),
        (["attribute.x=0,10"], {}, r"attribute\.x: there is no label column 10; digits has 0 to 9"),
        (["attribute.x=-1"], {}, "there is no label column -1"),
        (["attribute.x=[]"], {}, r"attribute\.x: expected at least one column"),
        (["attribute.x=a"], {}, r"attribute\.x='a': expected a whole number or a list"),
        (['attribute={"a/b": 1}'], {}, "attribute 'a/b': expected letters"),
        (
            ["attribute.any=0,1,2,3,4,5,6,7,8,9"],
            {},
            r"attribute\.any: all of the 1,617 training images have it",
        ),
        ([], {"dataset": "synthetic-16"}, "synthetic-16: classifiers need labels, and it has none"),
        (["dataset.max_label_size=0"], {}, "set dataset.max_label_size=full"),
        (["dataset.resolution=512"], {"dataset": "synthetic-512-3"}, "expected at most 256"),
        (["D.mbstd_group_size=4"], {}, r"D\.mbstd_group_size: is 0 in every classifier"),
        (["D.fmap_maxx=4"], {}, r"D\.fmap_maxx: D_basic has no such option"),
        (["D.func_name=G_style"], {}, "unknown network; known: D_basic, D_paper"),
        (["holdout=1"], {}, r"holdout=1\.0: expected more than 0, less than 1"),
        (["minibatch=0"], {}, "minibatch=0: expected 1 or more"),
        ([], {"total_kimg": 0.0}, r"kimg=0\.0: expected 0\.001"),
        (["rampdown_kimg=31"], {}, r"rampdown_kimg=31\.0: expected 0 to kimg"),
        (["opt.beta2=1"], {}, "expected beta1, beta2"),
        ([], {"xla": True}, "--xla is not for classifiers"),
        ([], {"resume_from": "x"}, "--resume_from is not for classifiers"),
        ([], {"metrics": "fid5k"}, "--metrics is not for classifiers"),
        ([], {"run_dir": "x", "resume": "latest"}, "give one of them"),
        ([], {"run_dir": ""}, "--run_dir is empty"),
        ([], {"preset": "classifier+labels"}, "classifier takes no rows like 'labels'"),
    ],
)
def test_mistakes_are_one_line(overrides, flags, message):
    request = Request(**{"preset": "classifier", "overrides": tuple(overrides), **flags})
    with pytest.raises(UserError, match=message) as caught:
        classifier_runs.plan(request)
    assert "\n" not in str(caught.value)


def test_a_column_that_no_image_has(here):
    write_set(here / "mine")  # its last column is -1 everywhere
    with pytest.raises(UserError, match=r"attribute\.x: none of the 21 training images have it"):
        plan("attribute.x=2", dataset="mine")
    assert plan("attribute.odd=1", dataset="mine").shares["odd"] == pytest.approx(15 / 23)


# As the first release wrote it.
OLD_CONFIG = """
{"preset": "classifier", "description": "classifier",
"dataset": {"name": "synthetic-16-3", "data_dir": null, "resolution": null,
"max_label_size": "full", "mirror_augment": false, "replace_damaged": false},
"attribute": {}, "D": {"func_name": "D_basic", "fmap_base": 256, "fmap_max": 64},
"opt": {"beta1": 0.0, "beta2": 0.99, "epsilon": 1e-08}, "learning_rate": 0.003,
"rampdown_kimg": 24.0, "minibatch": 32, "kimg": 30.0, "holdout": 0.1, "status_kimg": 10.0,
"seed": 1000, "num_gpus": 0, "precision": "float32"}
"""


def test_a_run_of_the_first_release_goes_on(here):
    (here / "job").mkdir()
    (here / "job/config.json").write_text(OLD_CONFIG)
    request = Request(resume="job")
    assert classifier_runs.wanted(request)
    run = classifier_runs.plan(request)
    assert run.config == plan(dataset="synthetic-16-3").config
    assert (run.D["fmap_base"], run.D["mbstd_group_size"], run.D["label_size"]) == (256, 0, 0)
    facts = json.loads((run.start().run_dir / "resolved.json").read_text())
    assert facts["attributes"] == {"00": [0], "01": [1], "02": [2]}
    assert facts["D"]["structure"] == "fixed"


def test_several_machines_are_refused(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {"worker": ["a:1", "b:1"]}}))
    with pytest.raises(UserError, match="classifiers train on one: unset it"):
        plan()


# ---------------------------------------------------------------- the command line


def test_the_command_line_knows_which_kind_of_run_it_is(trained, capsys):
    run_dir = str(trained)
    assert classifier_runs.wanted(Request(preset="classifier-celebahq"))
    assert classifier_runs.wanted(Request(resume=run_dir))
    assert classifier_runs.wanted(Request(run_dir=run_dir))
    assert not classifier_runs.wanted(Request())
    assert not classifier_runs.wanted(Request(preset="demo+labels", run_dir="new"))
    with pytest.raises(UserError, match="was started with preset='classifier', not 'demo'"):
        classifier_runs.wanted(Request(preset="demo", run_dir=run_dir))
    argv = ["run_training.py", f"--resume={run_dir}", "--dry_run"]
    assert run_training.main(argv) == 0
    out = capsys.readouterr().out
    assert f"Continues {run_dir}" in out
    assert "attribute.loop" in out
    assert "  0,6,8,9  (done)" in out


# ---------------------------------------------------------------- training


def test_the_rate_falls_to_0_at_the_end():
    config = ClassifierConfig(kimg=2.0, rampdown_kimg=1.0, learning_rate=0.5)
    rates = [classifier_config.learning_rate(config, nimg) for nimg in (0, 1000, 1500, 1900)]
    np.testing.assert_allclose(rates, [0.5, 0.5, 0.25, 0.05])
    paper = classifier_config.make("classifier-celebahq")
    assert classifier_config.learning_rate(paper, 1_999_992) == 0.001


def test_the_loss_is_the_cross_entropy_of_the_metrics_softmax():
    logits = np.array([-3.0, -0.5, 0.0, 2.0, 4.0, 30.0], np.float32)
    present = np.array([True, False, True, False, True, False])
    odds = np.stack([logits, -logits], axis=1).astype(np.float64)
    softmax = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    expected = -np.log(np.where(present, softmax[:, 0], softmax[:, 1]))
    loss = classifier.classification_loss(tf.constant(logits), tf.constant(present))
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


@pytest.fixture
def trainer():
    config = config_lib.apply_overrides(classifier_config.make("classifier"), SMALL)
    with open_dataset(classifier_config.inspect_dataset(config)) as dataset:
        yield classifier.Trainer(config, dataset, Replicas(tf.distribute.get_strategy()))


def test_an_epoch_shows_every_training_image_once_and_no_other(trainer):
    count = int((~trainer.held_out).sum())
    assert count == 1617
    assert trainer.held_out.sum() == 180
    shown = np.concatenate(
        [part for _, (_, part) in zip(range(2 * 1617 // 8), trainer._requests())]
    )
    first, second = shown[:count], shown[count : 2 * count]
    assert sorted(first) == np.flatnonzero(~trainer.held_out).tolist()
    assert set(second) <= set(first)
    assert first[: len(second)].tolist() != second.tolist()


def test_batches_have_the_images_their_attribute_and_mirrors(trainer):
    trainer.config = dataclasses.replace(
        trainer.config, dataset=dataclasses.replace(trainer.config.dataset, mirror_augment=True)
    )
    batches = list(trainer.batches((0, 6), 20))
    assert len(batches) == 3  # 20 images are two and a half minibatches
    for (_, indices), (images, present, _) in zip(trainer._requests(), batches):
        wanted, labels = trainer.dataset.read(indices)
        np.testing.assert_array_equal(images, wanted)
        np.testing.assert_array_equal(present, np.isin(labels.argmax(axis=1), (0, 6)))
    flips = np.concatenate([trainer._mirror(step) for step in range(100)])
    assert 0.4 < flips.mean() < 0.6
    np.testing.assert_array_equal(batches[1][2], trainer._mirror(1))


def test_what_a_run_saves(trained, capsys):
    info = inspect("digits", resolution=8)
    with open_dataset(info) as dataset:
        images, labels = dataset.read(range(info.num_images))
        config = config_lib.from_dict(
            ClassifierConfig, json.loads((trained / "config.json").read_text())
        )
        measured = classifier_config.held_out(dataset, config)
    digits = labels.argmax(axis=1)
    found = classifiers.load([trained])
    assert [classifier.attribute for classifier in found] == ["loop", "zero"]
    for each, columns in zip(found, [(0, 6, 8, 9), (0,)]):
        saved = snapshot.read_info(each.file)
        present = np.isin(digits, columns)[measured]
        logits = each(images[measured] / np.float32(127.5) - 1).numpy()
        assert saved["accuracy"] == ((logits > 0) == present).mean()
        assert saved["majority"] == max(present.mean(), 1 - present.mean())
        assert saved["accuracy"] > saved["majority"]
        assert saved["columns"] == list(columns)
        assert saved["images"] == {"training": 1617, "held_out": 180}
        assert saved["cur_nimg"] == 1504  # whole minibatches
    lines = [json.loads(line) for line in (trained / "stats.jsonl").read_text().splitlines()]
    assert [line["attribute"] for line in lines] == ["loop"] * 2 + ["zero"] * 2
    assert [line["cur_nimg"] for line in lines] == [800, 1504] * 2
    assert lines[1]["loss"] < lines[0]["loss"]
    assert len(list(trained.glob("events.out.tfevents.*"))) == 1


def test_the_same_command_continues_with_what_is_missing(trained, here, capsys):
    train(here / "run", "attribute={'zero': 0}")
    first = here / "run/classifier-zero.safetensors"
    written = first.stat().st_mtime_ns
    with open(here / "run/stats.jsonl", "a") as file:  # an attribute that was not finished
        file.write('{"attribute": "loop", "cur_nimg": 200}\n{"attribute": "lo')
    capsys.readouterr()
    command = ["--preset=classifier", "--run_dir=run", *(f"--set={each}" for each in SMALL)]
    assert run_training.main(["run_training.py", *command]) == 0
    out = capsys.readouterr().out
    assert "Continuing run" in out
    assert "zero             kimg" not in out
    assert out.count("loop             kimg") == 2
    assert first.stat().st_mtime_ns == written
    # Each is the same whatever came before it, bit for bit.
    for name in ("classifier-zero.safetensors", "classifier-loop.safetensors"):
        (_, one, info), (_, other, expected) = map(
            snapshot.read, (here / "run" / name, trained / name)
        )
        assert_same_bits(one["D"], other["D"])
        assert info == expected
    lines = (here / "run/stats.jsonl").read_text().splitlines()
    assert [json.loads(line)["attribute"] for line in lines] == ["zero"] * 2 + ["loop"] * 2
    summary = out.splitlines()[-4:]
    assert summary[0].split() == (
        "attribute images with it held-out accuracy always the same answer".split()
    )
    assert [line.split()[0] for line in summary[1:3]] == ["loop", "zero"]


def test_a_finished_attribute_of_another_run_is_refused(trained):
    again = plan(*SMALL, "status_kimg=9", run_dir=str(trained))
    assert list(again.finished) == ["loop", "zero"]
    with pytest.raises(
        UserError, match=r"loop\.safetensors was trained with kimg=1\.499, not 2\.5"
    ):
        plan(*SMALL, "kimg=2.5", run_dir=str(trained))
    with pytest.raises(UserError, match=r"attribute\.columns=\[0, 6, 8, 9\], not \[0, 6\]"):
        plan(*SMALL, "attribute.loop=0,6", run_dir=str(trained))


def test_a_file_of_that_name_that_is_no_classifier(here):
    (here / "run").mkdir()
    (here / "run/classifier-zero.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(UserError, match=r"classifier-zero\.safetensors is not a classifier of"):
        plan(*SMALL, run_dir="run")


def test_two_replicas_share_a_minibatch():
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.classifiers.mirrored_check"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "classifier check passed" in done.stdout


def test_a_classifier_that_has_diverged_is_not_saved():
    run = plan(*SMALL, run_dir="runs")
    trainer = types.SimpleNamespace(
        reset=lambda: None,
        batches=lambda columns, total: [()] * 1000,
        step=lambda rate: float("nan"),
    )
    report = types.SimpleNamespace(progress=lambda *_: None)
    with pytest.raises(UserError, match=r"attribute loop has diverged: .* up to kimg 0\.8; it is"):
        classifier._train_one(run, "loop", trainer, report)
    assert not Path("runs").exists()
