"""Copies of training images: planted ones are counted, with an interval, and shown."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy.stats import binomtest

from datasets.format.reader import inspect, open_dataset
from metrics import copies, registry, results
from metrics.copy_rate import copy_rate, wilson
from metrics.evaluation import Evaluation, evaluate
from metrics.features import pixels, weights
from metrics.neighbours import Nearest
from metrics.tools import Settings, Tools
from tests.metrics import small
from tests.metrics.small import stand_ins  # noqa: F401

DATASET = "synthetic-32"


# ---------------------------------------------------------------- rates


@pytest.mark.parametrize(("count", "of"), [(0, 50), (1, 7), (30, 1000), (50, 50)])
def test_wilsons_interval_is_scipys(count, of):
    expected = binomtest(count, of).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson(count, of), expected, atol=1e-12)


def test_the_threshold_is_an_order_statistic():
    reals = np.arange(1.0, 200.0)[::-1]  # 199: the second smallest of them, by 0.01 · 200
    result = copy_rate(np.array([0.5, 1.5, 1.999, 2.0, 50.0]), reals)
    assert (result.threshold, result.expected, result.nearer) == (2.0, 0.01, 3)
    assert result.rate == pytest.approx(0.6 - 0.01)
    low, high = binomtest(3, 5).proportion_ci(method="wilson")
    own = binomtest(2, 200).proportion_ci(method="wilson")
    assert result.low == pytest.approx(0.59 - np.hypot(0.6 - low, own.high - 0.01))
    assert result.high == pytest.approx(0.59 + np.hypot(high - 0.6, 0.01 - own.low))
    assert copy_rate(reals, np.arange(1.0, 20.0)).expected == 1 / 20  # too few for a hundredth


def test_reals_that_were_not_trained_on_are_no_copies():
    """By chance: of 400 tries in which nothing copies, few say so."""
    rng = np.random.RandomState(0)
    alarms = [copy_rate(rng.rand(500), rng.rand(reals)).copies for reals in (60, 2000) * 200]
    assert np.mean(alarms) < 0.03


# ---------------------------------------------------------------- nearest neighbours


def test_nearest_is_that_of_all_pairs():
    rng = np.random.RandomState(0)
    points, others, turned = rng.randn(30, 5), rng.randn(50, 5), rng.randn(50, 5)
    search = Nearest(points, 3)
    for start in range(0, 50, 20):
        search.add(start, others[start : start + 20], turned[start : start + 20])
    apart = [np.square(points[:, None] - view).sum(axis=2) for view in (others, turned)]
    order = np.argsort(np.minimum(*apart), axis=1)[:, :3]
    np.testing.assert_array_equal(search.numbers, order)
    expected = np.take_along_axis(np.minimum(*apart), order, axis=1)
    np.testing.assert_allclose(search.squares, expected, rtol=1e-9)


def test_a_point_is_not_its_own_neighbour():
    points = np.random.RandomState(0).randn(40, 3)
    own = np.array([3, 17, 39])
    search = Nearest(points[own], 1, own)
    search.add(0, points[:25])
    search.add(25, points[25:])
    apart = np.square(points[own][:, None] - points).sum(axis=2)
    apart[np.arange(3), own] = np.inf
    np.testing.assert_array_equal(search.numbers[:, 0], apart.argmin(axis=1))
    few = Nearest(points[:2], 3, np.arange(2))
    few.add(0, points[:2])
    assert few.numbers.tolist() == [[1, -1, -1], [0, -1, -1]]


def means(images, side):
    """[N, R, R, C] in 0…1 → [N, side · side · C] / side."""
    count, size, _, channels = images.shape
    cells = images.reshape(count, side, size // side, side, size // side, channels)
    return cells.mean(axis=(2, 4)).reshape(count, -1) / side


@pytest.mark.parametrize(("resolution", "sides"), [(64, [32, 16, 8, 4]), (8, [8, 4]), (4, [4])])
def test_pixels(resolution, sides):
    images = np.random.RandomState(0).randint(0, 256, [3, resolution, resolution, 3], "u1")
    expected = np.concatenate([means(images / 255, side) for side in sides], axis=1)
    features = pixels.Pixels()(tf.constant(images)).numpy()
    np.testing.assert_allclose(features, expected, atol=1e-6)
    assert pixels.scales(resolution) == sides
    rough = np.concatenate([means(images / 255, side) for side in sides if side <= 8], axis=1)
    np.testing.assert_allclose(pixels.coarse(features, resolution, 3), rough, atol=1e-6)


def test_moved_pixels():
    rng = np.random.RandomState(0)
    ones, others = (rng.randint(0, 256, [4, 32, 32, 1], "u1") for _ in range(2))
    padded = np.pad(others, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
    ones[1], ones[2] = others[1], padded[2, 2:, :-2]
    features = pixels.Pixels()(tf.constant(ones)).numpy()

    def apart(down, right):
        moved = padded[:, down : down + 32, right : right + 32]
        return np.square(pixels.Pixels()(tf.constant(moved)).numpy() - features).sum(axis=1)

    expected = np.min([apart(down, right) for down in range(3) for right in range(3)], axis=0)
    np.testing.assert_allclose(pixels.moved_squares(features, others), expected, atol=1e-6)
    assert expected[1:3].max() < 1e-9 < expected[0]


# ---------------------------------------------------------------- the metric


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "network.safetensors"
    return small.save(path, small.generator(), cur_nimg=5000)


@pytest.fixture(autouse=True)
def fewer_reals(monkeypatch):
    """So that a test takes a second."""
    monkeypatch.setattr(copies, "MOST_CALIBRATING", 150)
    monkeypatch.setattr(copies, "CANDIDATES", 6)


@pytest.fixture
def planted(monkeypatch):
    """Has the generator "make" images of the data set: {numbers: changed by}."""
    chosen = {}

    def images(numbers):
        with open_dataset(inspect(DATASET)) as dataset:
            read = dataset.read(chosen["numbers"][numbers])[0]
        return chosen["change"](read)

    def features(self, network, start, count):
        yield pixels.Pixels()(tf.constant(images(np.arange(start, count)))).numpy()

    monkeypatch.setattr(Evaluation, "_compute_fakes", features)
    monkeypatch.setattr(Evaluation, "images", lambda self, numbers: images(numbers))
    return chosen


def run(tmp_path, network, name="copies-100", subset=None, mirror=False):
    said = []
    options = dict(dataset=DATASET, minibatch=8, mirror=mirror, subset=subset, say=said.append)
    with small.tools(tmp_path, **options) as tools:
        metrics = registry.parse_list(name)
        tools.check(metrics)
        (record,) = evaluate(network, metrics, tools, run_dir=tmp_path)
        (again,) = evaluate(network, metrics, tools, run_dir=tmp_path)
    assert again["results"] == record["results"]
    assert said[-1].endswith("(as recorded)")
    return record, said


def trained_numbers(count):
    return inspect(DATASET, subset=count).subset.indices(count)


CHANGES = {
    "exact": (lambda images: images, False),
    "moved": (lambda images: np.roll(images, 1, axis=1), False),
    "brighter": (lambda images: (images * 0.95 + 8).astype(np.uint8), False),
    "mirrored": (lambda images: images[:, :, ::-1], True),
}


@pytest.mark.conformance
@pytest.mark.usefixtures("stand_ins")
@pytest.mark.parametrize("change", CHANGES)
def test_planted_copies_are_counted_and_shown(tmp_path, network, planted, change):
    trained = trained_numbers(300)
    others = np.setdiff1d(np.arange(4096), trained)
    planted["change"], mirror = CHANGES[change]
    planted["numbers"] = np.concatenate([trained[:20], others[:80]])
    record, said = run(tmp_path, network, subset=300, mirror=mirror)
    numbers, details = record["results"], record["details"]
    assert list(numbers) == ["copies_rate-100", "copies_low-100", "copies_high-100"]
    assert 0.17 <= numbers["copies_rate-100"] <= 0.22
    assert 0.1 < numbers["copies_low-100"] < 0.2 < numbers["copies_high-100"] < 0.35
    assert details["calibration"] == "held-out reals"
    assert details["reals"] == 150
    shown = {pair["fake"]: pair["real"] for pair in details["closest"]}
    assert all(shown[fake] == trained[fake] for fake in range(20))
    provenance = record["provenance"]
    assert (provenance["num_reals"], provenance["features"]) == (300, "pixels")
    assert (provenance["subset_seed"], provenance["mirror"]) == (0, mirror)
    assert said[1].startswith("  It copies: 2")
    path = tmp_path / f"metric-copies-100-network-{provenance['network_sha256'][:8]}.png"
    assert said[2] == f"  {path}"
    with Image.open(path) as picture:
        assert picture.size == (8 * 32, 6 * 32)
        left, right = np.asarray(picture)[:32, :32], np.asarray(picture)[:32, 32:64]
    with open_dataset(inspect(DATASET)) as dataset:
        first = dataset.read([details["closest"][0]["real"]])[0]
    np.testing.assert_array_equal(right, first[0])
    np.testing.assert_array_equal(left, planted["change"](first)[0])


@pytest.mark.usefixtures("stand_ins")
def test_other_images_are_no_copies(tmp_path, network, planted):
    planted["change"] = CHANGES["exact"][0]
    planted["numbers"] = np.setdiff1d(np.arange(4096), trained_numbers(300))[-100:]
    record, said = run(tmp_path, network, subset=300)
    assert record["results"]["copies_low-100"] < 0
    assert said[1].startswith("  No sign of copies: ")


@pytest.mark.usefixtures("stand_ins")
def test_without_a_subset_each_real_is_among_the_others(tmp_path, network, planted):
    """Half of the images are exact copies, and copies in the data set do not hide them."""
    planted["change"] = lambda images: images
    planted["numbers"] = np.arange(100)
    record, _ = run(tmp_path, network)
    assert record["results"]["copies_rate-100"] > 0.98
    assert record["details"]["calibration"] == "each real among the others"
    assert record["details"]["left_out_as_copies"] == 0
    kept = json.loads(results.path_in(tmp_path, "copies-100").read_text())
    assert kept["results"] == record["results"]


@pytest.mark.usefixtures("stand_ins")
def test_the_generators_own_images(tmp_path, network):
    """Nothing planted: a new network copies nothing, and its pairs are its own images."""
    with small.tools(tmp_path, dataset=DATASET, minibatch=8, subset=40) as tools:
        evaluation = Evaluation(network, tools)
        record = evaluation.run(registry.parse("copies-30"))
        assert record["results"]["copies_rate-30"] < 0.1
        fake = record["details"]["closest"][0]["fake"]
        numbers = tf.constant([fake])
        samples = evaluation.samples
        expected = samples.images(
            samples.codes(samples.latents(numbers), tf.zeros([1, 0])), numbers
        )
        shown = evaluation.picture[:32, :32].astype(np.float32) / 127.5 - 1
    np.testing.assert_allclose(shown, np.clip(expected[0], -1, 1), atol=0.01)


# ---------------------------------------------------------------- feature networks


def test_which_features(tmp_path, monkeypatch):
    metric = registry.parse("copies")

    def chosen(**settings):
        tools = Tools(Settings(cache_dir=str(tmp_path), **settings), None)
        return tools.networks_of(metric)

    assert chosen() == ("pixels",)
    cached = {"inception"}
    monkeypatch.setattr(weights, "is_cached", lambda name, cache_dir: name in cached)
    assert chosen() == ("inception",)
    cached.add("vgg16")
    assert chosen() == ("vgg16_places",)
    assert chosen(inception_weights="some.pth") == ("inception",)
    assert chosen(vgg16_weights="none.pth") == ("vgg16_places",)
    assert Tools(Settings(), None).networks_of(registry.parse("fid50k")) == ("inception",)


def test_copies_in_the_data_set_are_left_out():
    distances = np.concatenate([np.linspace(1, 2, 97), [0, 0.01, 0.07]])
    assert copies.without_copies(distances).min() == 1
    mostly = np.concatenate([np.zeros(90), np.ones(10)])  # then all of them tell
    np.testing.assert_array_equal(copies.without_copies(mostly), mostly)


def test_one_training_image_does_not_fill_the_picture():
    places = np.array([7] * 50 + list(range(10)))
    shown = copies._closest(np.arange(60.0), places)
    assert shown[:4] == [0, 1, 50, 51]
    assert len(shown) == 2 + 9
