"""Attribute classifiers from snapshots and legacy pickles, and what is none."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf

import networks
from dnnlib.errors import UserError
from metrics.features.classifiers import load, plan
from tests.dnnlib.download import bad_server
from tests.dnnlib.pickles import pickle_assembler

pytestmark = pytest.mark.conformance

SMALL = dict(resolution=8, num_channels=3, fmap_base=32, fmap_max=8)
PLAIN = dict(mbstd_group_size=0, **SMALL)


def write_snapshot(path, func_name="D_basic", info=None, seed=1, **options):
    network = networks.build(func_name, seed=seed, **options)
    networks.save(path, D=network, info=info)
    return network


def write_pickle(path, func_name, options, arrays):
    found = pickle_assembler.original(3, list(arrays.items()), name="classifier", **options)
    found.state["build_func_name"] = func_name
    path.write_bytes(pickle_assembler.pickled(found, 4))


def images(count=3, side=8, channels=3):
    return np.random.RandomState(1).uniform(-1, 1, [count, side, side, channels]).astype("f")


def test_a_snapshot(tmp_path):
    path = tmp_path / "classifier-x.safetensors"
    network = write_snapshot(path, info={"attribute": "smiling"}, **PLAIN)
    (found,) = load([path])
    assert (found.attribute, found.resolution, found.channels) == ("smiling", 8, 3)
    assert found.file == str(path)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    logits = found(images())
    assert (logits.shape, logits.dtype) == ([3], tf.float32)
    np.testing.assert_array_equal(logits, network(images())[:, 0])


def test_larger_images_are_seen_as_box_means_and_grey_ones_three_times(tmp_path):
    write_snapshot(tmp_path / "classifier-x.safetensors", **PLAIN)
    (found,) = load([tmp_path])
    large = images(side=32)
    means = large.reshape(3, 8, 4, 8, 4, 3).mean(axis=(2, 4))
    expected = found(means).numpy()
    np.testing.assert_allclose(found(large), expected, rtol=1e-4, atol=1e-6)
    grey = images(channels=1)
    np.testing.assert_array_equal(found(grey), found(np.repeat(grey, 3, axis=3)))

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, 32, 32, 3])])
    def graph(images):
        return found(images)

    np.testing.assert_allclose(graph(large), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(graph(large[:1]), expected[:1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 12, 12, 3), r"x\.safetensors: expected images of 8x8 or a multiple, got 12x12"),
        ((1, 4, 4, 3), "got 4x4"),
        ((1, 16, 8, 3), "got 16x8"),
        ((1, 8, 8, 2), r"expected 3 channel\(s\), got 2"),
    ],
)
def test_images_that_do_not_fit(shape, message, tmp_path):
    write_snapshot(tmp_path / "x.safetensors", **PLAIN)
    (found,) = load([tmp_path / "x.safetensors"])
    with pytest.raises(UserError, match=message):
        found(np.zeros(shape, np.float32))


def test_colour_for_a_grey_classifier(tmp_path):
    write_snapshot(tmp_path / "x.safetensors", **{**PLAIN, "num_channels": 1})
    with pytest.raises(UserError, match=r"expected 1 channel\(s\), got 3"):
        load([tmp_path / "x.safetensors"])[0](images())


def test_a_discriminator_of_stylegan2(tmp_path):
    write_snapshot(tmp_path / "x.safetensors", "D_stylegan2", **PLAIN)
    (found,) = load([tmp_path / "x.safetensors"])
    assert found(images()).shape == [3]
    write_snapshot(tmp_path / "y.safetensors", "D_stylegan2", **SMALL)
    with pytest.raises(UserError, match="it has minibatch standard deviation"):
        load([tmp_path / "y.safetensors"])


@pytest.mark.parametrize(
    ("func_name", "options"),
    [
        ("D_basic", dict(blur_filter=None)),
        ("D_basic", dict(structure="fixed", blur_filter=[1, 2, 1])),
        ("D_paper", dict(fused_scale=False)),
    ],
)
def test_a_pickle_without_the_channel_has_no_minibatch_stddev(func_name, options, tmp_path):
    """Blur, scopes and the rest are as its options say; nothing else need be in them."""
    network = networks.build(func_name, seed=2, mbstd_group_size=0, **SMALL, **options)
    write_pickle(
        tmp_path / "celebahq-classifier-00-male.pkl",
        f"training.networks.{func_name}",
        {**SMALL, **options},
        network.arrays(),
    )
    (found,) = load([tmp_path])
    assert (found.attribute, found.resolution, found.channels) == ("00-male", 8, 3)
    np.testing.assert_array_equal(found(images(5)), network(images(5))[:, 0])


def test_order_directories_and_names(tmp_path):
    for name in ("classifier-b", "classifier-a", "network-final"):
        write_snapshot(tmp_path / "many" / f"{name}.safetensors", **PLAIN)
    write_pickle(tmp_path / "many" / "z.pkl", "D_basic", PLAIN, _arrays())
    write_snapshot(tmp_path / "own.safetensors", **PLAIN)
    found = load([tmp_path / "own.safetensors", str(tmp_path / "many")])
    assert [classifier.attribute for classifier in found] == ["own", "a", "b", "z"]
    planned, absent = plan([tmp_path / "own.safetensors", str(tmp_path / "many")])
    facts = [
        [(c.attribute, c.file, c.resolution, c.channels) for c in all] for all in (found, planned)
    ]
    assert facts[0] == facts[1]
    assert absent == []
    with pytest.raises(UserError, match=r"own.safetensors: attribute 'own' is that of .*, too"):
        plan([tmp_path / "own.safetensors"] * 2)
    with pytest.raises(UserError, match=r"own.safetensors: attribute 'own' is that of .*, too"):
        load([tmp_path / "own.safetensors"] * 2)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: no classifier-\*"):
        load([tmp_path / "empty"])
    with pytest.raises(UserError, match="no classifiers given"):
        load([])


def test_an_address_gives_the_name(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    write_snapshot(tmp_path / "x.safetensors", **PLAIN)
    with bad_server.BadServer() as server:
        body = bad_server.body((tmp_path / "x.safetensors").read_bytes())
        url = server.at("/celebahq-classifier-05-5-o-clock-shadow.pkl", body)
        assert plan([url]) == ([], [url])
        assert not (tmp_path / "cache").exists()
        (found,) = load([url])
        assert [one.attribute for one in plan([url])[0]] == [found.attribute]
    assert (found.attribute, found.file) == ("05-5-o-clock-shadow", url)


def _arrays(func_name="D_basic", **options):
    return networks.build(func_name, seed=1, **{**PLAIN, **options}).arrays()


def _pickle_of_a_generator(path):
    options = dict(resolution=8, fmap_base=32, fmap_max=8)
    arrays = networks.build("G_paper", seed=1, **options).arrays()
    write_pickle(path, "G_paper", options, arrays)


def _pickled_gan(path):
    arrays = list(_arrays().items())
    found = [pickle_assembler.original(3, arrays, name=name, **PLAIN) for name in ("G", "D", "Gs")]
    path.write_bytes(pickle_assembler.pickled(tuple(found), 4))


def _gan(path):
    options = dict(resolution=8, fmap_base=32, fmap_max=8)
    G = networks.build("G_paper", seed=1, **options)
    networks.save(path, G=G, D=networks.build("D_basic", seed=1, **PLAIN), Gs=G)


def _several_outputs(path):
    options = dict(label_size=0, label_outputs=False)
    arrays = _arrays("D_paper", label_size=3, label_outputs=True)
    write_pickle(path, "D_paper", {**PLAIN, **options}, arrays)


UNSUITABLE = {
    "a discriminator": (
        lambda path: write_snapshot(path, **SMALL),
        "is no attribute classifier: it has minibatch standard deviation",
    ),
    "a pickled discriminator": (
        lambda path: write_pickle(path, "D_basic", SMALL, _arrays(mbstd_group_size=4)),
        "it has minibatch standard deviation",
    ),
    "labels": (lambda path: write_snapshot(path, label_size=3, **PLAIN), "label_size=3"),
    "several outputs": (_several_outputs, r"4x4/Dense1/weight: expected \(8, 1\), got \(8, 4\)"),
    "a generator": (_pickle_of_a_generator, "it is a G_paper, expected D_basic or D_paper"),
    "a whole GAN": (_gan, "it holds G, D, Gs, expected D alone"),
    "a whole pickled GAN": (_pickled_gan, "it holds G, D, Gs, expected one network"),
    "a generator as D": (
        lambda path: write_snapshot(path, "G_paper", resolution=8, fmap_base=32, fmap_max=8),
        "it is a G_paper, expected D_basic or D_paper",
    ),
    "an attribute that is a number": (
        lambda path: write_snapshot(path, info={"attribute": 3}, **PLAIN),
        "its attribute is 3, expected text",
    ),
    "an unknown option": (
        lambda path: write_pickle(path, "D_basic", {**PLAIN, "depth": 3}, _arrays()),
        "D_basic has no option 'depth'",
    ),
    "an unknown function": (
        lambda path: write_pickle(path, "D_other", PLAIN, _arrays()),
        "unknown network 'D_other'",
    ),
    "no network at all": (lambda path: path.write_bytes(b"text"), "not a usable snapshot"),
    "a hostile pickle": (
        lambda path: path.write_bytes(b"\x80\x04cos\nsystem\n\x8c\x04true\x85R."),
        "not a readable legacy network",
    ),
}


@pytest.mark.parametrize("case", UNSUITABLE)
def test_what_is_no_classifier_is_one_line_that_names_the_file(case, tmp_path):
    write, message = UNSUITABLE[case]
    write(tmp_path / "thing.file")
    with pytest.raises(UserError, match=rf"thing\.file.*{message}") as caught:
        load([tmp_path / "thing.file"])
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError) as planned:
        plan([tmp_path / "thing.file"])
    assert str(planned.value) == str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"nothing\.pkl.* is neither a file, an http"):
        load([tmp_path / "nothing.pkl"])
