"""A user's metric with two numbers: one declaration, from its name to TensorBoard."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from compute.devices import Replicas
from datasets.format.reader import inspect, open_dataset
from dnnlib.errors import UserError
from metrics import registry
from metrics.declaration import Reals, metric
from metrics.evaluation import Evaluation, evaluate
from metrics.snapshots import DuringTraining
from tests.metrics import small
from tests.metrics.small import stand_ins  # noqa: F401
from tests.training.small import small_config

REALS = 12


def check(generator, tools, *, scale):
    if not generator.has_styles:
        raise UserError(f"toy: no w, and {tools.settings.seed} is the seed")


@metric(
    title="means of features",
    families={"toy3": {"scale": 0.001}},
    spelling="{family}x{count}_full{part}",
    standard_spelling="{family}_full{part}",
    count=10,
    least=4,
    samples="fakes",
    parts=("fake", "real"),
    networks=("inception",),
    reals=Reals(whole=True, limit=REALS),
    settings=("svm",),
    check=check,
    digits=6,
)
def toy(evaluation, metric, *, scale):
    evaluation.details["scale"] = scale
    return {
        "fake": scale * mean(evaluation.fake_features("inception", metric)),
        "real": scale * mean(evaluation.real_features("inception", metric)),
    }


def mean(parts):
    return float(np.concatenate(list(parts)).mean(dtype=np.float64))


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(registry, "METRICS", [*registry.METRICS, toy])


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "network.safetensors"
    return small.save(path, small.generator(), cur_nimg=5000)


@pytest.mark.parametrize(
    ("text", "count", "name", "samples"),
    [
        ("toy3_full", None, "toy3_full", 10),
        ("toy3_full", 2000, "toy3x2k_full", 2000),
        ("toy3x5_full", 2000, "toy3x5_full", 5),
        ("toy3x10_full", None, "toy3_full", 10),
    ],
)
def test_names_and_counts(text, count, name, samples):
    parsed = registry.parse(text, count)
    assert (parsed.name, parsed.count) == (name, samples)
    assert parsed.keys == (f"{name}_fake", f"{name}_real")
    assert parsed.options == {"scale": 0.001}


def test_it_is_known_and_none_of_the_papers():
    assert registry.standard_names()[-1] == "toy3_full"
    assert registry.summary().endswith(
        " and means of features (toy3_full: toy3_full_fake and toy3_full_real)"
    )
    assert toy not in [parsed.declaration for parsed in registry.parse_list("all")]
    with pytest.raises(UserError, match=r"metric toy3x3_full: 3 samples; expected 4 to"):
        registry.parse("toy3x3_full")
    with pytest.raises(UserError, match=r"'toy3_ful' \(did you mean 'toy3_full'\?\); known: .*toy"):
        registry.parse("toy3_ful")


def evaluated(tmp_path, network, names, monkeypatch):
    """({metric: record}, lines, passes of features) of an evaluation in a directory of its own."""
    computed, said = [], []
    for kind in ("fakes", "reals"):
        compute = getattr(Evaluation, f"_compute_{kind}")

        def counted(*args, kind=kind, compute=compute):
            computed.append(f"{kind} {args[-2]}-{args[-1]}")
            return compute(*args)

        monkeypatch.setattr(Evaluation, f"_compute_{kind}", counted)
    with small.tools(
        tmp_path, dataset="synthetic-32", minibatch=4, seed=2, say=said.append
    ) as tools:
        metrics = registry.parse_list(names)
        tools.check(metrics)
        for _ in range(2):
            records = evaluate(network, metrics, tools, run_dir=tmp_path)
    assert said[2:] == [f"{line}  (as recorded)" for line in said[:2]]
    return {record["metric"]: record for record in records}, said[:2], computed


@pytest.mark.conformance
@pytest.mark.usefixtures("stand_ins")
def test_features_are_computed_once_and_no_number_depends_on_it(tmp_path, network, monkeypatch):
    first = {}
    for names, passes in (
        ("fid30,toy3_full", ["reals 0-30", "fakes 0-30"]),
        # Of the second time, what was left of a minibatch is computed again.
        ("toy3_full,fid30", ["fakes 0-10", "reals 0-12", "reals 12-30", "fakes 8-30"]),
    ):
        with monkeypatch.context() as patch:
            records, lines, computed = evaluated(tmp_path / names, network, names, patch)
        assert computed == passes
        for name, record in records.items():
            assert first.setdefault(name, record["results"]) == record["results"]  # every bit
    check_record(records["toy3_full"])
    check_places(tmp_path / names, lines[0], records["toy3_full"])


def check_record(record):
    provenance = record["provenance"]
    assert (provenance["num_fakes"], provenance["num_reals"]) == (10, REALS)
    assert (provenance["mirror"], provenance["svm"]) == (False, "dual")
    assert record["details"] == {"scale": 0.001}
    with open_dataset(inspect("synthetic-32")) as reals:
        images = reals.read(range(REALS))[0]
    colours = small.Colours({"scale": np.float32(1)})(tf.constant(images)).numpy()
    np.testing.assert_allclose(record["results"]["toy3_full_real"], colours.mean() / 1000, 1e-6)


def check_places(run_dir, line, record):
    """Both numbers are in the line, the file and TensorBoard."""
    fake, real = record["results"].values()
    assert line.startswith(f"toy3_full_fake {fake:.6f}  toy3_full_real {real:.6f}  [network.")
    kept = json.loads((run_dir / "metric-toy3_full.jsonl").read_text())
    assert list(kept["results"]) == ["toy3_full_fake", "toy3_full_real"]
    events = EventAccumulator(str(run_dir))
    events.Reload()
    for key in ("toy3_full_fake", "toy3_full_real", "fid30"):
        assert [event.step for event in events.Tensors(f"Metrics/{key}")] == [5000]


@pytest.mark.usefixtures("stand_ins")
def test_parts_that_are_not_declared(tmp_path, network, monkeypatch):
    monkeypatch.setattr(Evaluation, "_compute_fakes", lambda *_: iter([np.ones([10, 2])]))
    monkeypatch.setattr(Evaluation, "_compute_reals", lambda *_: iter([np.ones([12, 2])]))
    monkeypatch.setattr(registry, "METRICS", [metric(**DECLARED)(toy.compute)])
    with small.tools(tmp_path, dataset="synthetic-32") as tools:
        parsed = registry.parse("mean")
        with pytest.raises(ValueError, match=r"mean has parts \['fake', 'real'\], but declares"):
            Evaluation(network, tools).run(parsed)


DECLARED = dict(
    title="means",
    families={"mean": {"scale": 1.0}},
    count=10,
    least=4,
    samples="fakes",
    networks=("inception",),
    reals=Reals(),
    parts=("fake",),
)


@pytest.mark.usefixtures("stand_ins")
def test_while_training(tmp_path):
    Gs = small.generator(resolution=8, num_channels=1, label_size=10)
    path = small.save(tmp_path / "network-snapshot-000001.safetensors", Gs, cur_nimg=1000)
    replicas, said = Replicas(tf.distribute.get_strategy()), []

    def evaluator(*overrides):
        config = small_config('metrics.names=["toy3_full"]', *overrides)
        return DuringTraining(config, tmp_path, replicas, said.append, lambda: False)

    with pytest.raises(UserError, match=r"toy: no w, and 3 is the seed"):
        evaluator('G={"func_name": "G_paper"}', "metrics.seed=3")
    with evaluator() as evaluate_snapshot:
        evaluate_snapshot(path)
    assert len(said) == 1
    assert said[0].startswith("toy3_full_fake ")
    assert (tmp_path / "metric-toy3_full.jsonl").is_file()


def test_what_is_missing(tmp_path, stand_ins):  # noqa: F811
    message = r"toy3x20_full needs a data set: --dataset=NAME"
    with small.tools(tmp_path) as tools, pytest.raises(UserError, match=message):
        tools.check([registry.parse("toy3x20_full")])
    assert stand_ins == []
    with small.tools(tmp_path, dataset="digits") as tools:
        tools.check([registry.parse("toy3x20_full")])
    assert stand_ins == ["inception"]


def test_names_need_no_tensorflow():
    script = "import sys\nfrom metrics import registry\nregistry.parse_list('all')\n"
    script += "assert not {'tensorflow', 'keras', 'sklearn', 'networks'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
