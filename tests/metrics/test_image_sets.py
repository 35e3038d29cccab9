"""KID, precision and recall, Inception Score and the full FID of whole evaluations, with small
stand-ins for the feature networks, against NumPy."""

import json

import numpy as np
import pytest
import tensorflow as tf

from compute.images import images_to_uint8
from compute.replica_map import ReplicaMap, Stopped
from datasets.format.reader import inspect, open_dataset
from datasets.format.writer import MultiResolutionWriter
from dnnlib.errors import UserError
from metrics import neighbours
from metrics.evaluation import Evaluation, evaluate, flips
from metrics.registry import parse, parse_list
from metrics.tools import Settings, Tools
from tests.metrics import small
from tests.metrics.small import stand_ins  # noqa: F401

pytestmark = [pytest.mark.conformance, pytest.mark.usefixtures("stand_ins")]
FAKES, REALS = 24, 40  # evaluated, and in the data set
NAMES = "fid24_full,kid24,kid24_full,pr243,pr243_full,is24"


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "network.safetensors"
    return small.save(path, small.generator("G_main"), cur_nimg=5000)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data set of few images."""
    directory = tmp_path_factory.mktemp("data")
    with MultiResolutionWriter(directory / "few", "few") as writer:
        for image in np.random.RandomState(0).randint(0, 256, [REALS, 3, 32, 32]):
            writer.add_image(np.uint8(image // 4 + 90))
    return {"dataset": "few", "data_dir": str(directory)}


@pytest.fixture(scope="module")
def records(network, data, tmp_path_factory):
    """{metric: record}, as the command's files have them, and the features that they are of."""
    tmp_path, patch, said = tmp_path_factory.mktemp("out"), pytest.MonkeyPatch(), []
    small.replace_networks(patch)
    with small.tools(tmp_path, say=said.append, mirror=True, seed=3, minibatch=7, **data) as tools:
        metrics = parse_list(NAMES)
        tools.check(metrics)
        evaluate(network, metrics, tools, run_dir=tmp_path)
        samples = Evaluation(network, tools).samples
    patch.undo()
    numbers = tf.range(FAKES)
    fakes = samples.images(samples.codes(samples.latents(numbers), tf.zeros([FAKES, 0])), numbers)
    with open_dataset(inspect("few", data["data_dir"])) as dataset:
        reals = dataset.read(range(REALS))[0]
    turned = np.where(flips(REALS)[:, None, None, None], reals[:, :, ::-1], reals)
    colours = small.Colours({"scale": np.float32(1)})
    features = {
        name: np.float64(colours(tf.constant(images)))
        for name, images in (
            ("fakes", images_to_uint8(fakes).numpy()),
            ("all", reals),
            ("first", turned[:FAKES]),
        )
    }
    kept = {m.name: json.loads((tmp_path / f"metric-{m.name}.jsonl").read_text()) for m in metrics}
    assert [line.split()[0] for line in said][3:] == [
        "pr243_precision",
        "pr243_full_precision",
        "is24_mean",
    ]
    return kept, features


def test_fid_of_all_reals(records):
    kept, features = records
    means, roots, traces = [], [], 0
    for name in ("all", "fakes"):
        means.append(features[name].mean(axis=0))
        covariance = np.cov(features[name].T, ddof=0)
        values, vectors = np.linalg.eigh(covariance)
        roots.append(vectors * np.sqrt(np.maximum(values, 0)))
        traces += np.trace(covariance)
    product = np.linalg.svd(roots[0].T @ roots[1], compute_uv=False).sum()
    expected = np.sum((means[0] - means[1]) ** 2) + traces - 2 * product
    np.testing.assert_allclose(kept["fid24_full"]["results"]["fid24_full"], expected, rtol=1e-5)
    provenance = kept["fid24_full"]["provenance"]
    assert (provenance["num_reals"], provenance["mirror"]) == (REALS, False)
    assert provenance["method"] == "covariances over n, float64"


@pytest.mark.parametrize(("name", "kind"), [("kid24", "first"), ("kid24_full", "all")])
def test_kid(records, name, kind):
    kept, features = records
    real, fake, rng = features[kind], features["fakes"], np.random.RandomState(3)
    estimates = []
    for _ in range(100):
        x = fake[rng.choice(len(fake), FAKES, replace=False)]
        y = real[rng.choice(len(real), FAKES, replace=False)]
        kernels = [(a @ b.T / 96 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))]
        off = ~np.eye(FAKES, dtype=bool)
        estimates.append(kernels[0][off].mean() + kernels[1][off].mean() - 2 * kernels[2].mean())
    record = kept[name]
    np.testing.assert_allclose(record["results"][name], np.mean(estimates), rtol=1e-5)
    np.testing.assert_allclose(
        record["details"].pop("std_of_subsets"), np.std(estimates), atol=1e-6
    )
    assert record["details"] == {"subset_size": FAKES}
    number, mirror = (REALS, False) if kind == "all" else (FAKES, True)
    assert (record["provenance"]["num_reals"], record["provenance"]["mirror"]) == (number, mirror)


@pytest.mark.parametrize(("name", "kind"), [("pr243", "first"), ("pr243_full", "all")])
def test_precision_and_recall(records, name, kind):
    kept, features = records
    real, fake = features[kind][:, :16], features["fakes"][:, :16]

    def near(points, centres):
        within = np.linalg.norm(centres[:, None] - centres, axis=-1)
        radii = np.sort(within, axis=1)[:, 3]
        return (np.linalg.norm(points[:, None] - centres, axis=-1) <= radii).any(axis=1).mean()

    results = kept[name]["results"]
    np.testing.assert_allclose(results[f"{name}_precision"], near(fake, real), atol=1e-9)
    np.testing.assert_allclose(results[f"{name}_recall"], near(real, fake), atol=1e-9)
    assert kept[name]["provenance"]["feature_networks"] == {"vgg16.stand-in": "5" * 64}


def test_inception_score(records):
    kept, features = records
    logits = features["fakes"] @ np.random.RandomState(0).randn(96, 12).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    scores = []
    for split in range(10):
        part = p[split * FAKES // 10 : (split + 1) * FAKES // 10]
        scores.append(np.exp((part * np.log(part / part.mean(axis=0))).sum(axis=1).mean()))
    results = kept["is24"]["results"]
    np.testing.assert_allclose(results["is24_mean"], np.mean(scores), rtol=1e-5)
    np.testing.assert_allclose(results["is24_std"], np.std(scores), rtol=1e-4)
    provenance = kept["is24"]["provenance"]
    assert provenance["method"] == "10 splits, 1008 outputs without bias, float64"
    assert provenance["feature_networks"] == {"inception.stand-in": "5" * 64}
    assert "num_reals" not in provenance


def test_a_small_data_set_counts_once(tmp_path, network, data):
    with small.tools(tmp_path, **data) as tools:
        evaluation = Evaluation(network, tools)
        for name in ("kid100", "pr1003", "kid100_full", "fid100_full"):
            assert evaluation.number_of_reals(parse(name)) == (REALS, False)
            assert evaluation.shortages(parse(name)) == {}
        assert evaluation.shortages(parse("fid100")) == {"distinct_reals": REALS}


def test_too_few_reals_show_before_anything_is_loaded(tmp_path, stand_ins):  # noqa: F811
    with MultiResolutionWriter(tmp_path / "three", "three") as writer:
        for _ in range(3):
            writer.add_image(np.zeros([3, 32, 32], np.uint8))
    with small.tools(tmp_path, dataset="three", data_dir=str(tmp_path)) as tools:
        with pytest.raises(UserError, match=r"pr10k3 needs 4 real images or more; .* three has 3"):
            tools.check([parse("pr10k3")])
        assert stand_ins == []
        tools.check([parse("kid10k"), parse("fid10k_full")])


def test_distances_can_be_stopped(tmp_path, network, data, monkeypatch):
    answers = []
    stoppable = ReplicaMap(tf.distribute.get_strategy(), progress=False, stop=lambda: bool(answers))
    monkeypatch.setattr(neighbours, "squared_radii", lambda *args: answers.append(1) or args[-1]())
    settings = Settings(cache_dir=str(tmp_path), **data)
    with Tools(settings, stoppable) as tools, pytest.raises(Stopped):
        Evaluation(network, tools).run(parse("pr103"))
