"""Metrics of every snapshot while a run trains, without a trace in what is trained."""

import json
import os
import signal

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import networks
from compute.devices import Replicas
from dnnlib.errors import UserError
from metrics import ls
from metrics.evaluation import Evaluation
from metrics.features import weights
from metrics.snapshots import DuringTraining, choose
from tests.training.small import assert_same_bits, final_state, small_config
from training.loop import train

pytestmark = pytest.mark.conformance
FIRST, LAST = 32, 160  # images shown before the two snapshots of the small run


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    path = tmp_path_factory.mktemp("classifier") / "classifier-thick.safetensors"
    options = dict(resolution=8, num_channels=1, fmap_base=32, fmap_max=8, mbstd_group_size=0)
    D = networks.build("D_basic", seed=3, **options)
    networks.save(path, D=D, info={"attribute": "thick"})
    return path


@pytest.fixture(scope="module")
def unmeasured(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("unmeasured")
    assert train(small_config(), run_dir) == 0
    return run_dir


def measured_config(classifier):
    return small_config('metrics.names=["ls-24"]', f'metrics.classifiers=["{classifier}"]')


def test_every_snapshot_is_measured_and_nothing_else_changes(
    unmeasured, classifier, tmp_path, monkeypatch, capsys
):
    """Also when a signal comes while the first one is being measured."""
    config = measured_config(classifier)
    with monkeypatch.context() as patch:
        patch.setattr(ls, "_scores", None)  # is not reached
        fetch = Evaluation.fetch_labels
        patch.setattr(
            Evaluation,
            "fetch_labels",
            lambda *args: os.kill(os.getpid(), signal.SIGTERM) or fetch(*args),
        )
        assert train(config, tmp_path, make_evaluator=DuringTraining) == 128 + signal.SIGTERM
    assert "Stopped evaluating network-snapshot-000000.safetensors" in capsys.readouterr().out
    assert not (tmp_path / "metric-ls-24.jsonl").exists()

    assert train(config, tmp_path, make_evaluator=DuringTraining) == 0
    assert_same_bits(final_state(tmp_path)[0], final_state(unmeasured)[0])
    assert final_state(tmp_path)[1] == final_state(unmeasured)[1]
    lines = (tmp_path / "metric-ls-24.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["cur_nimg"] for record in records] == [FIRST, LAST]
    assert all(record["provenance"]["labels"] == "drawn from the data set" for record in records)
    assert capsys.readouterr().out.count("ls_z-24 ") == len(records)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    for key in ("ls_z-24", "ls_w-24"):
        assert [event.step for event in events.Tensors(f"Metrics/{key}")] == [FIRST, LAST]


def test_what_is_missing_shows_before_the_training(tmp_path):
    config = small_config('metrics.names=["fid5k"]', "metrics.inception_weights=/no/such.pth")
    with pytest.raises(UserError, match=r"/no/such\.pth"):
        train(config, tmp_path, make_evaluator=DuringTraining)
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (['metrics.names=["ppl_wend-8"]'], r"images are 8x8, .*32x32 is the least"),
        (['metrics.names=["ppl2_wend-8"]'], r"images are 8x8, .*16x16 is the least"),
        (
            ['G={"func_name": "G_paper"}', 'metrics.names=["ppl_wend-8"]'],
            r"the network has no w",
        ),
    ],
)
def test_what_does_not_fit_shows_before_the_training(tmp_path, monkeypatch, overrides, message):
    monkeypatch.setattr(weights, "load", lambda *_: None)
    with pytest.raises(UserError, match=message):
        train(small_config(*overrides), tmp_path, make_evaluator=DuringTraining)


def test_a_failure_is_said_and_no_reason_to_end_the_training(unmeasured, classifier, monkeypatch):
    def fail(*_, **__):
        raise UserError("the disk\nis full")

    monkeypatch.setattr(ls, "_scores", fail)
    replicas, said = Replicas(tf.distribute.get_strategy()), []
    evaluator = DuringTraining(
        measured_config(classifier), unmeasured, replicas, said.append, lambda: False
    )
    with evaluator:
        evaluator(choose(unmeasured, "newest")[0])
    assert said == ["network-snapshot-000000.safetensors is not evaluated: the disk is full"]


def test_choosing_snapshots(tmp_path):
    with pytest.raises(UserError, match=r"has no snapshots"):
        choose(tmp_path, "newest")
    for kimg in (4, 40, 76):
        (tmp_path / f"network-snapshot-{kimg:06d}.safetensors").touch()
    (tmp_path / "network-final.safetensors").touch()
    assert [path.stem[-2:] for path in choose(tmp_path, "all")] == ["04", "40", "76"]
    assert choose(tmp_path, "newest")[0].stem == "network-snapshot-000076"
    assert choose(tmp_path, "40")[0].stem == "network-snapshot-000040"
    assert choose(tmp_path, "network-final")[0].name == "network-final.safetensors"
    with pytest.raises(UserError, match=r"--snapshots=41: no .*network-snapshot-000076, network-f"):
        choose(tmp_path, "41")
    (tmp_path / "network-snapshot-000041.safetensors").mkdir()
    with pytest.raises(UserError, match=r"000041\.safetensors is a directory, not a file"):
        choose(tmp_path, "41")
