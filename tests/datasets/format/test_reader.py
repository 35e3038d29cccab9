"""Finding, checking and reading data sets."""

import dataclasses
import threading

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from datasets.format.reader import inspect, open_dataset
from datasets.format.tfrecords import DataError
from datasets.format.writer import MultiResolutionWriter
from dnnlib.errors import UserError
from tests import golden
from tests.datasets.data_sets import COUNT, write_file


@pytest.fixture
def dataset(data_dir):
    with open_dataset(inspect("some", data_dir)) as dataset:
        yield dataset


# ---------------------------------------------------------------------------------------------
# Golden data.


@pytest.mark.conformance
def test_golden_set():
    data = golden.load("misc/dataset.npz")
    directory = golden.path("data/tiny_rgb32/tiny_rgb32-rxx.labels").parent
    with open_dataset(inspect("tiny_rgb32", directory.parent)) as dataset:
        for lod in range(4):
            images, labels = dataset.read(range(20), lod)
            expected = data[f"tiny_rgb32/decoded_lod{lod}"].transpose(0, 2, 3, 1)
            np.testing.assert_array_equal(images, expected)
            np.testing.assert_array_equal(labels, data["tiny_rgb32/decoded_labels"])


@pytest.mark.conformance
def test_golden_set_at_half_resolution_with_two_labels():
    data = golden.load("misc/dataset.npz")
    directory = golden.path("data/tiny_rgb32/tiny_rgb32-rxx.labels").parent
    info = inspect("tiny_rgb32", directory.parent, resolution=16, max_label_size=2)
    with open_dataset(info) as dataset:
        images, labels = dataset.read(range(20))
    expected = data["tiny_rgb32/halfres_lod0"].transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_array_equal(labels, data["tiny_rgb32/halfres_labels2"])
    assert labels.dtype == np.float32


# ---------------------------------------------------------------------------------------------
# The shuffled stream.


def test_every_image_exactly_once_per_epoch(dataset):
    epochs = dataset.order(0, 5 * COUNT, seed=3).reshape(5, COUNT)
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(COUNT))
    assert len({tuple(epoch) for epoch in epochs}) == 5
    assert not np.array_equal(dataset.order(0, COUNT, seed=4), epochs[0])


def test_order_never_changes(dataset):
    # Resuming a run on another version of NumPy, or of this program, needs these very numbers.
    assert dataset.order(0, 8, seed=0).tolist() == [1, 3, 13, 0, 8, 15, 11, 5]
    assert dataset.order(COUNT * 10**12 + 20, 6, seed=2**40).tolist() == [11, 19, 12, 12, 20, 1]


@given(st.integers(0, 2**50), st.lists(st.integers(0, 60), max_size=6), st.integers(0, 2**64 - 1))
@settings(max_examples=50)
def test_order_does_not_depend_on_the_batches(data_dir, position, counts, seed):
    with open_dataset(inspect("some", data_dir)) as dataset:
        whole = dataset.order(position, sum(counts), seed)
        parts = []
        for count in counts:
            parts.extend(dataset.order(position, count, seed))
            position += count
    assert whole.dtype == np.int64
    np.testing.assert_array_equal(whole, np.array(parts, np.int64))


def test_numpy_integers_are_integers(dataset):
    expected = dataset.order(100, 5, 7)
    np.testing.assert_array_equal(dataset.order(np.int64(100), np.int32(5), np.uint64(7)), expected)
    expected = dataset.random_labels((1, 2), 5)
    np.testing.assert_array_equal(dataset.random_labels((np.int64(1), np.uint8(2)), 5), expected)


@pytest.mark.parametrize("cache_bytes", [0, 3000, 1 << 20])
def test_minibatch_follows_the_order_at_every_lod(data_dir, cache_bytes):
    with open_dataset(inspect("some", data_dir), cache_bytes=cache_bytes) as dataset:
        for lod in (2, 1, 0, 1):
            for position in (0, 17, 1000):
                images, labels = dataset.minibatch(position, 40, lod, seed=5)
                indices = dataset.order(position, 40, seed=5)
                np.testing.assert_array_equal(labels[:, 0], indices)
                np.testing.assert_array_equal(images, dataset.read(indices, lod)[0])
                assert images.shape == (40, 16 >> lod, 16 >> lod, 3)
                assert images.dtype == np.uint8
                assert labels.dtype == np.float32


def test_cache_keeps_to_its_budget(data_dir):
    sizes = {lod: COUNT * 3 * (16 >> lod) ** 2 for lod in range(3)}
    with open_dataset(inspect("some", data_dir), cache_bytes=sizes[0] + sizes[2]) as dataset:
        for lod, kept in ((2, [2]), (1, [2, 1]), (0, [0]), (2, [0, 2]), (0, [2, 0]), (1, [1])):
            dataset.minibatch(0, 1, lod, 0)
            cached = [images.nbytes for images, _ in dataset._cache.values()]
            assert cached == [sizes[level] for level in kept]


def test_no_cache_for_reading_a_few(dataset):
    dataset.read([1, 2])
    assert not dataset._cache


def test_concurrent_readers(data_dir):
    with open_dataset(inspect("some", data_dir)) as dataset:
        expected = [dataset.read(dataset.order(8 * i, 8, 1), i % 3)[0] for i in range(40)]
        results = {}

        def run(first):
            for i in range(first, 40, 4):
                results[i] = dataset.minibatch(8 * i, 8, i % 3, 1)[0]

        threads = [threading.Thread(target=run, args=[first]) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for i in range(40):
        np.testing.assert_array_equal(results[i], expected[i])


def test_large_images_are_read_in_threads(tmp_path):
    images = np.random.RandomState(2).randint(0, 256, [6, 3, 256, 256]).astype(np.uint8)
    with MultiResolutionWriter(tmp_path / "large", "x") as writer:
        for image in images:
            writer.add_image(image)
    with open_dataset(inspect("large", tmp_path), cache_bytes=0) as dataset:
        for indices in ([5, 0, 3, 3, 1], [2]):
            expected = images[indices].transpose(0, 2, 3, 1)
            np.testing.assert_array_equal(dataset.read(indices)[0], expected)


# ---------------------------------------------------------------------------------------------
# Labels.


def test_random_labels_are_uniform_over_the_rows(dataset):
    labels = dataset.random_labels((1, 2, 3), 23000)
    assert labels.dtype == np.float32
    counts = np.bincount(labels[:, 0].astype(int), minlength=COUNT)
    assert counts.sum() == 23000
    # Binomial with mean 1000 and standard deviation 31; the draw is fixed, so this cannot flake.
    assert np.abs(counts - 1000).max() < 130
    np.testing.assert_array_equal(labels[:, 1], labels[:, 0] % 3)


def test_random_labels_depend_on_every_word(dataset):
    words = [(0,), (1,), (0, 0), (0, 1), (1, 0), (2**32,), (-1,), (2**70, 5), ()]
    draws = [tuple(dataset.random_labels(seed, 20)[:, 0]) for seed in words]
    assert len(set(draws)) == len(words)
    np.testing.assert_array_equal(dataset.random_labels((0, 1), 20)[:, 0], draws[3])


def test_no_labels(data_dir):
    for info in (inspect("plain", data_dir), inspect("some", data_dir, max_label_size=0)):
        assert info.label_size == 0
        with open_dataset(info) as dataset:
            assert dataset.read([0, 1])[1].shape == (2, 0)
            assert dataset.random_labels((1,), 3).shape == (3, 0)


def test_first_label_columns(data_dir):
    with open_dataset(inspect("some", data_dir, max_label_size=2)) as dataset:
        np.testing.assert_array_equal(dataset.read([4])[1], [[4, 1]])
        assert dataset.random_labels((1,), 3).shape == (3, 2)


def test_labels_of_another_type_and_name(copy):
    (copy / "some-rxx.labels").unlink()
    labels = np.asfortranarray(np.arange(COUNT * 2).reshape(COUNT, 2))
    with open(copy / "other.labels", "wb") as file:
        np.save(file, labels.astype(np.int16))
    with open_dataset(inspect(str(copy))) as dataset:
        assert dataset.labels.dtype == np.float32
        np.testing.assert_array_equal(dataset.labels, labels)


# ---------------------------------------------------------------------------------------------
# What is wrong is named.


def test_bad_arguments(dataset):
    for index in (-1, COUNT):
        with pytest.raises(IndexError, match=f"some has {COUNT} images"):
            dataset.read([0, index])
    for lod in (-1, 3, 0.5):
        with pytest.raises(ValueError, match="lod: expected 0 … 2"):
            dataset.read([0], lod)
    with pytest.raises(ValueError, match="negative"):
        dataset.order(-1, 3, 0)


def test_labels_that_are_not_finite(copy):
    labels = np.zeros([COUNT, 2])
    labels[7, 1] = np.nan
    with open(copy / "some-rxx.labels", "wb") as file:
        np.save(file, labels)
    with pytest.raises(DataError, match="labels: the label of image 7 is not finite"):
        open_dataset(inspect(str(copy)))


def damage_record_9(copy):
    path = copy / "some-r03.tfrecords"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // COUNT * 9 + 100] ^= 4
    path.write_bytes(damaged)


@pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
def test_the_next_image_stands_in_for_a_damaged_one_on_request(copy, cache_bytes, capsys):
    damage_record_9(copy)
    options = dict(cache_bytes=cache_bytes, replace_damaged=True)
    with open_dataset(inspect(str(copy)), **options) as dataset:
        intact = dataset.read([10], 1)
        order = dataset.order(0, 2 * COUNT, 0)
        images, labels = dataset.minibatch(0, 2 * COUNT, 1, 0)
        for place in np.flatnonzero(order == 9):
            np.testing.assert_array_equal(images[place], intact[0][0])
            np.testing.assert_array_equal(labels[place], intact[1][0])
        others = order != 9
        np.testing.assert_array_equal(images[others], dataset.read(order[others], 1)[0])
        np.testing.assert_array_equal(labels[others], dataset.labels[order[others]])
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == 1
    assert "record 9: corrupt data" in warnings[0]
    assert "image 10 stands in" in warnings[0]


@pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
def test_a_damaged_record_is_named(copy, cache_bytes):
    damage_record_9(copy)
    with open_dataset(inspect(str(copy)), cache_bytes=cache_bytes) as dataset:
        with pytest.raises(DataError, match=r"some-r03\.tfrecords: record 9: corrupt data"):
            dataset.minibatch(0, COUNT, 1, 0)
        dataset.minibatch(0, COUNT, 0, 0)
        dataset.read([8, 10], 1)


def test_an_image_of_another_size_is_named(copy):
    images = [np.zeros([3, 8, 8], np.uint8)] * COUNT
    images[5] = np.zeros([3, 4, 8], np.uint8)
    write_file(copy / "some-r03.tfrecords", images)
    reason = r"some-r03\.tfrecords: record 5: the image is \[3, 4, 8\]"
    with open_dataset(inspect(str(copy))) as dataset, pytest.raises(DataError, match=reason):
        dataset.minibatch(0, 4, 1, 0)


def test_a_set_that_changed_after_inspection(copy):
    info = inspect(str(copy))
    write_file(copy / "some-r03.tfrecords", [np.zeros([3, 8, 8], np.uint8)] * 3)
    with open_dataset(info) as dataset, pytest.raises(DataError, match=r"r03\.tfrecords: 3 images"):
        dataset.read([0], 1)


def test_reads_the_synthetic_set():
    info = dataclasses.replace(inspect("synthetic-32-4"), num_images=10)
    with open_dataset(info) as dataset:
        images, labels = dataset.minibatch(0, 10, 1, 0)
        assert images.shape == (10, 16, 16, 3)
        np.testing.assert_array_equal(labels.argmax(1), dataset.order(0, 10, 0) % 4)
        np.testing.assert_array_equal(images, dataset.read(dataset.order(0, 10, 0), 1)[0])


# ---------------------------------------------------------------------------------------------
# Some of the images.


def test_a_subset_is_some_images_with_their_labels(data_dir):
    expected = np.arange(COUNT)
    np.random.RandomState(5).shuffle(expected)
    expected = np.sort(expected[:4])
    with (
        open_dataset(inspect("some", data_dir)) as whole,
        open_dataset(inspect("some", data_dir, subset=4, subset_seed=5)) as some,
    ):
        assert some.info.num_images == len(some.labels) == 4
        for lod in (0, 1):
            images, labels = some.read(range(4), lod)
            found = whole.read(expected, lod)
            np.testing.assert_array_equal(images, found[0])
            np.testing.assert_array_equal(labels, found[1])
        some.minibatch(0, 8, 0, 1)  # through the cache
        np.testing.assert_array_equal(some.read([3])[0], whole.read(expected[3:])[0])
        assert set(some.order(0, 8, 1)) == {0, 1, 2, 3}
        assert some.content_key != whole.content_key
        with pytest.raises(IndexError):
            some.read([4])
    with open_dataset(inspect("synthetic-8-3", subset=5)) as some:
        assert some.read(range(5))[0].shape == (5, 8, 8, 3)


@pytest.mark.parametrize("count", [0, -1, COUNT + 1])
def test_a_subset_is_not_larger_than_the_set(data_dir, count):
    with pytest.raises(UserError, match=f"subset={count}: some has {COUNT} images"):
        inspect("some", data_dir, subset=count)
