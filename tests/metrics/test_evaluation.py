"""Whole evaluations, with small stand-ins for the feature networks, against NumPy."""

import json

import numpy as np
import pytest
import tensorflow as tf

from compute.images import images_to_uint8
from compute.replica_map import ReplicaMap, Stopped
from datasets.format.reader import inspect, open_dataset
from datasets.format.writer import MultiResolutionWriter
from dnnlib.download import file_sha256
from dnnlib.errors import UserError
from metrics import frechet, path_length
from metrics.evaluation import Evaluation, evaluate, flips
from metrics.features.classifiers import Classifier
from metrics.registry import parse
from metrics.samples import Samples
from networks import build
from tests.metrics import small
from tests.metrics.small import stand_ins  # noqa: F401

pytestmark = [pytest.mark.conformance, pytest.mark.usefixtures("stand_ins")]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "network.safetensors"
    return small.save(path, small.generator(), cur_nimg=5000)


@pytest.fixture(scope="module")
def stylegan2(tmp_path_factory):
    """Conditional, as the synthetic set of four classes."""
    path = tmp_path_factory.mktemp("stylegan2") / "network.safetensors"
    return small.save(path, small.generator("G_main", label_size=4), cur_nimg=5000)


def run(path, name, tools):
    evaluation = Evaluation(path, tools)
    return evaluation.run(parse(name))


def number(record):
    return next(iter(record["results"].values()))


def colours(images):
    return small.Colours({"scale": np.float32(1)})(tf.constant(images)).numpy()


def test_fid_is_that_of_numpy(tmp_path, network):
    with small.tools(tmp_path, dataset="synthetic-32", mirror=True, minibatch=8) as tools:
        record = run(network, "fid30", tools)
        samples = Evaluation(network, tools).samples
    numbers = tf.range(30)
    fakes = samples.images(samples.codes(samples.latents(numbers), tf.zeros([30, 0])), numbers)
    with open_dataset(inspect("synthetic-32")) as reals:
        images = reals.read(range(30))[0]
        turned = flips(30)
    assert 5 < turned.sum() < 25
    images = np.where(turned[:, None, None, None], images[:, :, ::-1], images)
    expected = frechet.distance(
        frechet.statistics(colours(images)),
        frechet.statistics(colours(images_to_uint8(fakes).numpy())),
    )
    np.testing.assert_allclose(number(record), expected, rtol=1e-5)
    assert record["metric"] == "fid30"
    assert record["cur_nimg"] == 5000
    provenance = record["provenance"]
    assert provenance["network_sha256"] == file_sha256(network)
    assert provenance["num_reals"] == provenance["num_fakes"] == 30
    assert provenance["mirror"] is True
    assert provenance["feature_networks"] == {"inception.stand-in": "5" * 64}


@pytest.mark.parametrize("family", ["network", "stylegan2"])
def test_minibatches_make_no_difference(tmp_path, request, family):
    results, path = [], request.getfixturevalue(family)
    names = {"fid20": 1e-5, "ppl_zfull-20": 2e-3, "ls-20": 1e-5}
    if family == "stylegan2":
        names = {"fid20": 1e-5, "ppl2_wend-20": 2e-3, "ppl_zend-20": 5e-3}
    for minibatch in (3, 16):
        with small.tools(
            tmp_path / str(minibatch), dataset="synthetic-32-4", minibatch=minibatch
        ) as tools:
            tools._classifiers = [classifier()]
            records = evaluate(path, [parse(name) for name in names], tools)
            results.append([number(record) for record in records])
    for one, other, tolerance in zip(*results, names.values()):
        # Of paths the difference of two nearly equal images counts.
        np.testing.assert_allclose(one, other, rtol=tolerance)


def classifier(name="bright", resolution=32, channels=3, bias=None, func_name="G_style"):
    """A random one; of the small generator's images about half have the attribute."""
    options = dict(fmap_base=64, fmap_max=8, mbstd_group_size=0)
    D = build("D_basic", seed=3, resolution=resolution, num_channels=channels, **options)
    made = Classifier(name, f"classifier-{name}.safetensors", "c" * 64, D)
    if bias is None and resolution == 32:
        samples, numbers = Samples(small.generator(func_name), seed=99), tf.range(32)
        codes = samples.codes(samples.latents(numbers), tf.zeros([32, 0]))
        bias = -np.median(made(samples.images(codes, numbers)))
    D.named["4x4/Dense1/bias"].assign([bias or 0.0])
    return made


def test_ppl_is_that_of_numpy(tmp_path, network):
    with small.tools(tmp_path, minibatch=6) as tools:
        record = run(network, "ppl_wend-20", tools)
        samples = Evaluation(network, tools).samples
    numbers, labels = tf.range(20), tf.zeros([20, 0])
    w0, w1 = (samples.codes(samples.latents(numbers, purpose), labels) for purpose in (0, 1))
    group = numbers // 16  # which share their noise
    first, second = (samples.images(w, group).numpy() for w in (w0, w0 + (w1 - w0) * 1e-4))
    lengths = np.mean(np.square((first - second)[:, 12:28, 8:24] * 127.5), axis=(1, 2, 3)) / 1e-8
    np.testing.assert_allclose(number(record), path_length.filtered_mean(lengths), rtol=5e-3)
    assert "dataset" not in record["provenance"]


def test_ppl2_is_that_of_numpy(tmp_path, stylegan2):
    """Whole images of a conditional network; both ends of a path have its label."""
    with small.tools(tmp_path, minibatch=6, dataset="synthetic-32-4") as tools:
        record = run(stylegan2, "ppl2_wend-20", tools)
        evaluation = Evaluation(stylegan2, tools)
    samples, numbers = evaluation.samples, tf.range(20)
    (labels,) = evaluation.fetch_labels(np.arange(20))
    assert (labels.sum(axis=0) > 0).sum() >= 3
    w0, w1 = (samples.codes(samples.latents(numbers, purpose), labels) for purpose in (0, 1))
    group = numbers // 4
    first, second = (samples.images(w, group).numpy() for w in (w0, w0 + (w1 - w0) * 1e-4))
    lengths = np.mean(np.square((first - second) * 127.5), axis=(1, 2, 3)) / 1e-8
    np.testing.assert_allclose(number(record), path_length.filtered_mean(lengths), rtol=1e-2)
    assert record["provenance"]["labels"] == "drawn from the data set"


def test_ppl_needs_w_and_size(tmp_path):
    progressive = small.save(tmp_path / "p.safetensors", small.generator("G_paper"))
    tiny = small.save(tmp_path / "t.safetensors", small.generator(resolution=16))
    tinier = small.save(tmp_path / "8.safetensors", small.generator(resolution=8))
    with small.tools(tmp_path) as tools:
        assert number(run(progressive, "ppl_zend-4", tools)) > 0
        for name in ("ppl_wend-4", "ppl2_wend-4"):
            with pytest.raises(UserError, match=r"the network has no w; ppl_zfull and ppl_zend"):
                run(progressive, name, tools)
        with pytest.raises(UserError, match=r"images are 16x16.*32x32 is the least"):
            run(tiny, "ppl_zend-4", tools)
        assert number(run(tiny, "ppl2_wend-4", tools)) > 0
        with pytest.raises(UserError, match=r"images are 8x8, too small.*16x16 is the least"):
            run(tinier, "ppl2_wend-4", tools)


def test_labels_gray_and_progressive(tmp_path):
    """Conditional and grayscale networks, with the data set's labels or without a data set."""
    styled = small.generator(num_channels=1, label_size=10)
    paper = small.generator("G_paper", num_channels=1, label_size=10)
    second = small.generator("G_main", num_channels=1, label_size=10)
    for name, Gs in (("s", styled), ("p", paper), ("2", second)):
        path = small.save(tmp_path / f"{name}.safetensors", Gs)
        with small.tools(tmp_path, dataset="digits") as tools:
            record = run(path, "fid24", tools)
            assert record["provenance"]["labels"] == "drawn from the data set"
            assert np.isfinite(number(record))
        with small.tools(tmp_path) as tools:
            tools._classifiers = [classifier(channels=3)]  # sees gray as three equal channels
            record = run(path, "ls-20", tools)
            assert record["provenance"]["labels"] == "uniform classes"
            spaces = ["ls_z-20"] if name == "p" else ["ls_z-20", "ls_w-20"]
            assert list(record["results"]) == spaces


def test_real_statistics_are_kept_by_content(tmp_path, network, monkeypatch):
    counted = []
    compute = Evaluation._compute_reals
    monkeypatch.setattr(
        Evaluation, "_compute_reals", lambda *args: counted.append(1) or compute(*args)
    )
    features = np.random.RandomState(0).rand(10, 96)
    monkeypatch.setattr(Evaluation, "_compute_fakes", lambda *_: iter([features]))
    for settings, expected in (
        ({}, 1),
        ({"seed": 5, "minibatch": 3}, 1),  # no matter for the real images
        ({"mirror": True}, 2),
        ({"dataset": "synthetic-32-4"}, 3),  # other images
        ({}, 3),
    ):
        with small.tools(tmp_path, **{"dataset": "synthetic-32", **settings}) as tools:
            run(network, "fid10", tools)
        assert len(counted) == expected, settings
    kept = sorted((tmp_path / "cache" / "metrics").iterdir())
    assert len(kept) == 3
    for index, path in enumerate(kept):  # as after a copy that failed, and a failing disk
        content = path.read_bytes()
        path.write_bytes(content[:100] if index else content[:-1] + bytes([content[-1] ^ 1]))
    with small.tools(tmp_path, dataset="synthetic-32") as tools:
        run(network, "fid10", tools)
    assert len(counted) == 4


def test_content_is_not_the_name(tmp_path):
    from datasets.format.builtin import digits_directory

    source = digits_directory()
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        for path in source.iterdir():
            (tmp_path / name / path.name).write_bytes(path.read_bytes())
    changed = tmp_path / "other" / "digits-rxx.labels"
    content = bytearray(changed.read_bytes())
    content[-40:] = bytes(40)
    changed.write_bytes(content)
    keys = {}
    for name in ("one", "other", "digits"):
        for labels in (0, "full"):
            info = inspect(name, None if name == "digits" else tmp_path, max_label_size=labels)
            with open_dataset(info) as reals:
                keys[name, labels] = reals.content_key
    assert keys["one", "full"] == keys["digits", "full"] != keys["other", "full"]
    assert keys["one", 0] == keys["other", 0] == keys["digits", 0] != keys["one", "full"]


def test_records_are_kept_and_not_computed_again(tmp_path, network):
    said = []
    for round_ in range(2):
        with small.tools(tmp_path, say=said.append, dataset="synthetic-32") as tools:
            metrics = [parse("fid10"), parse("ppl_zend-4")]
            evaluate(network, metrics, tools, run_dir=tmp_path / "run")
        files = sorted((tmp_path / "run").glob("*.jsonl"))
        assert [path.name for path in files] == ["metric-fid10.jsonl", "metric-ppl_zend-4.jsonl"]
        assert all(len(path.read_text().splitlines()) == 1 for path in files), round_
    assert said[2:] == [f"{line}  (as recorded)" for line in said[:2]]
    assert said[0].startswith("fid10 ")
    assert "network.safetensors (sha256 " in said[0]
    assert "synthetic-32 (content" in said[0]
    assert "10 reals, not mirrored; 10 fakes, no truncation, seed 0" in said[0]
    assert "metrics version 1" in said[0]
    with small.tools(tmp_path, dataset="synthetic-32", seed=1) as tools:  # another evaluation
        evaluate(network, [parse("fid10")], tools, run_dir=tmp_path / "run")
    lines = (tmp_path / "run" / "metric-fid10.jsonl").read_text().splitlines()
    assert [json.loads(line)["provenance"]["seed"] for line in lines] == [0, 1]
    assert list((tmp_path / "run").glob("events.out.tfevents.*"))


def test_a_data_set_that_is_smaller_than_the_count(tmp_path, network):
    """Its images come again from the beginning, and line and record say so; so does the line of a
    record that was written before it did."""
    with MultiResolutionWriter(tmp_path / "small", "small") as writer:
        for image in np.random.RandomState(0).randint(0, 256, [20, 3, 32, 32]).astype(np.uint8):
            writer.add_image(image)
    said, path = [], tmp_path / "run" / "metric-fid40.jsonl"
    for _ in range(2):
        with small.tools(
            tmp_path, say=said.append, dataset="small", data_dir=str(tmp_path)
        ) as tools:
            (record,) = evaluate(network, [parse("fid40")], tools, run_dir=tmp_path / "run")
        assert record["details"] == {"distinct_reals": 20}
        assert record["provenance"]["num_reals"] == 40
        path.write_text(json.dumps({**record, "details": {}}) + "\n")
    assert "20 reals, each twice, not mirrored; 40 fakes" in said[0]
    assert said[1] == f"{said[0]}  (as recorded)"


def test_fewer_classes_than_the_data_set_are_recorded(tmp_path):
    """Of any metric, and in its line; of a record from before that as well."""
    path = small.save(tmp_path / "n.safetensors", small.generator(label_size=2))
    said, metrics = [], [parse("fid4"), parse("ppl_wend-4")]
    for turn in range(2):
        settings = dict(dataset="synthetic-32-5", say=said.append)
        with small.tools(tmp_path, **settings) as tools:
            records = evaluate(path, metrics, tools, run_dir=tmp_path / "run")
        for record in records:
            assert record["details"]["classes"] == {"network": 2, "dataset": 5}
            text = (tmp_path / "run" / f"metric-{record['metric']}.jsonl").read_text()
            assert '"classes": {"network": 2, "dataset": 5}' in text or turn
            old = json.dumps({**record, "details": {}}) + "\n"
            (tmp_path / "run" / f"metric-{record['metric']}.jsonl").write_text(old)
    lines = [line for line in said if not line.startswith("note: ")]
    assert len(lines) == 4
    assert all("; labels drawn from the data set (2 of its 5 classes); " in line for line in lines)


def test_as_many_classes_as_the_data_set_are_no_matter(tmp_path):
    path = small.save(tmp_path / "n.safetensors", small.generator(label_size=2))
    with small.tools(tmp_path, dataset="synthetic-32-2", say=lambda _: None) as tools:
        (record,) = evaluate(path, [parse("ppl_wend-4")], tools)
    assert "classes" not in record["details"]


@pytest.mark.parametrize(("family", "func_name"), [("network", "G_style"), ("stylegan2", "G_main")])
def test_ls_counts_bits(tmp_path, request, family, func_name):
    with small.tools(tmp_path) as tools:
        bright = classifier(func_name=func_name)
        tools._classifiers = [bright, classifier("always", bias=1e6)]
        record = run(request.getfixturevalue(family), "ls-600", tools)
    bits = record["details"]["bits"]
    assert 0 < bits["w"]["bright"] < 1
    for space in "zw":
        assert bits[space]["always"] == 0  # a single class tells nothing
        np.testing.assert_allclose(record["results"][f"ls_{space}-600"], 2 ** bits[space]["bright"])
    assert record["provenance"]["feature_networks"] == {"bright": "c" * 64, "always": "c" * 64}
    assert record["provenance"]["svm"] == "dual"


def test_what_is_missing(tmp_path, network):
    with small.tools(tmp_path) as tools:
        with pytest.raises(UserError, match=r"fid5k needs a data set: --dataset=NAME"):
            tools.check([parse("fid5k")])
        with pytest.raises(UserError, match=r"ls needs classifiers of attributes: --classifiers"):
            tools.check([parse("ls")])
        tools._classifiers = [classifier(resolution=64)]
        with pytest.raises(
            UserError, match=r"a classifier of 64x64x3 images; the network's are 32"
        ):
            run(network, "ls-20", tools)
    for settings, metric, message in (
        ({"dataset": "digits"}, "fid10", r"images have 3 channels, those of the data set digits"),
        ({"precision": "mixed_bfloat16"}, "ppl_zend-4", r"lost in the rounding of mixed_bfloat16"),
        ({"precision": "mixed_bfloat16"}, "ppl2_wend", r"lost in the rounding of mixed_bfloat16"),
    ):
        with small.tools(tmp_path, **settings) as tools, pytest.raises(UserError, match=message):
            run(network, metric, tools)


def test_what_needs_no_data_set_does_not_look_for_it(tmp_path, network):
    with small.tools(tmp_path, dataset="nowhere") as tools:
        tools.check([parse("ppl_zend-4")])
        assert number(run(network, "ppl_zend-4", tools)) > 0


def test_reduced_precision(tmp_path, network):
    settings = {"dataset": "synthetic-32", "precision": "mixed_bfloat16"}
    with small.tools(tmp_path, **settings) as tools:
        assert run(network, "fid10", tools)["provenance"]["precision"] == "mixed_bfloat16"


def test_a_diverged_network_has_no_number(tmp_path):
    Gs = small.generator()
    Gs.named["G_synthesis/ToRGB_lod0/bias"].assign([0.0, np.nan, 0.0])
    path = small.save(tmp_path / "diverged.safetensors", Gs)
    with small.tools(tmp_path, dataset="synthetic-32") as tools:
        tools._classifiers = [classifier()]
        evaluation = Evaluation(path, tools)
        for name, subject in (
            ("fid20", "images or their features"),
            ("ppl_zend-8", "path lengths"),
            ("ls-20", "the classifiers' logits"),
        ):
            message = rf"diverged\.safetensors: {subject} are infinite or not a number"
            with pytest.raises(UserError, match=message):
                evaluation.run(parse(name))


def test_a_map_can_be_stopped():
    answers = iter([False, False, True])
    stoppable = ReplicaMap(tf.distribute.get_strategy(), progress=False, stop=lambda: next(answers))
    with pytest.raises(Stopped):
        list(stoppable.map(lambda numbers: (numbers,), 100, 4))
    assert next(answers, "asked three times") == "asked three times"


@pytest.mark.parametrize(("count", "minibatch"), [(10, 4), (3, 8), (8, 4), (1, 1)])
def test_a_map_comes_in_order_and_whole(count, minibatch):
    parts = ReplicaMap(tf.distribute.get_strategy(), progress=False).map(
        lambda numbers, more: (numbers, numbers + more),
        count,
        minibatch,
        fetch=lambda numbers: (np.int32(10 * numbers),),
    )
    numbers, sums = (np.concatenate(arrays) for arrays in zip(*parts))
    assert numbers.tolist() == list(range(count))
    assert sums.tolist() == [11 * n for n in range(count)]
