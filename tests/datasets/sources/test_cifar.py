"""CIFAR's files: binary ones packed here, pickles by Python's own pickler and as Python 2's."""

import pickle

import numpy as np
import pytest
from hypothesis import given, strategies as st

from datasets.sources.cifar import Cifar10, Cifar100
from dnnlib.errors import UserError
from tests.dnnlib.pickles.pickle_assembler import listed, number, string
from tests.dnnlib.pickles.test_arrays import python_2

pytestmark = pytest.mark.conformance

COUNTS = (3, 2, 4, 1, 2)
TOTAL = sum(COUNTS)
IMAGES = np.random.RandomState(0).randint(0, 256, [TOTAL, 3, 32, 32]).astype(np.uint8)
TENS = np.random.RandomState(1).randint(0, 10, [TOTAL])
HUNDREDS = np.random.RandomState(2).randint(0, 100, [TOTAL])
PARTS = list(
    zip(
        np.split(IMAGES.reshape(TOTAL, 3072), np.cumsum(COUNTS)[:-1]),
        np.split(TENS, np.cumsum(COUNTS)[:-1]),
    )
)


def binary(images, *labels):
    columns = [np.asarray(label, np.uint8)[:, np.newaxis] for label in labels]
    return np.hstack([*columns, images]).tobytes()


def by_python_2(images, labels):
    labels = listed(*map(number, labels.tolist()))
    data = string(images.tobytes())
    return python_2(data=data, shape=images.shape, labels=labels)


def by_python_3(images, labels):
    return pickle.dumps({"data": images, "labels": labels.tolist()}, 4)


def write_10(directory, form):
    suffix = ".bin" if form == "binary" else ""
    write = {"binary": binary, "python 2": by_python_2, "python 3": by_python_3}[form]
    for index, (images, labels) in enumerate(PARTS, 1):
        data = binary(images, labels) if form == "binary" else write(images, labels)
        (directory / f"data_batch_{index}{suffix}").write_bytes(data)
    return directory


def write_100(directory, form):
    images = IMAGES.reshape(TOTAL, 3072)
    if form == "binary":
        (directory / "train.bin").write_bytes(binary(images, HUNDREDS // 5, HUNDREDS))
    else:
        found = {b"fine_labels": HUNDREDS.tolist(), b"coarse_labels": [0] * TOTAL, b"data": images}
        (directory / "train").write_bytes(pickle.dumps(found, 2))
    return directory


def expect(source, classes, labels):
    assert (len(source), source.channels, source.resolution) == (TOTAL, 3, 32)
    assert source.shuffled
    for copy in (source, pickle.loads(pickle.dumps(source))):
        images = np.stack([copy.read(number) for number in range(TOTAL)])
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, IMAGES)
    assert len(pickle.dumps(source)) < 10_000
    assert source.labels.dtype == np.float32
    np.testing.assert_array_equal(source.labels, labels[:, np.newaxis] == np.arange(classes))


@pytest.mark.parametrize("form", ["binary", "python 2", "python 3"])
def test_cifar_10(tmp_path, form):
    expect(Cifar10(write_10(tmp_path, form)), 10, TENS)


@pytest.mark.parametrize("form", ["binary", "python"])
def test_cifar_100(tmp_path, form):
    expect(Cifar100(write_100(tmp_path, form)), 100, HUNDREDS)


def pickled(**items):
    return pickle.dumps({"data": np.zeros([2, 3072], np.uint8), "labels": [0, 1], **items}, 2)


BAD = {
    "no array": (pickled(data=[1]), r"batch_3: expected an array 'data', uint8 \[N, 3072\]"),
    "grey": (pickled(data=np.zeros([2, 1024], np.uint8)), r"expected an array 'data'"),
    "fewer labels": (pickled(labels=[1]), r"expected 2 numbers as 'labels'"),
    "text": (pickled(labels=["0", "1"]), r"expected 2 numbers as 'labels'"),
    "label 10": (pickled(labels=[0, 10]), r"batch_3: label 10, expected 0 to 9"),
    "label -1": (pickled(labels=[-1, 0]), r"batch_3: label -1, expected 0 to 9"),
    "huge label": (pickled(labels=[2**62, 0]), r"label 4611686018427387904, expected 0 to 9"),
    "code": (pickled(x=pytest.fail), r"batch_3: not a readable pickle .*is not allowed"),
    "truncated": (pickled()[:-1], r"batch_3: not a readable pickle"),
    "empty": (b"", r"batch_3: the file is empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_pickles(tmp_path, case):
    data, message = BAD[case]
    (write_10(tmp_path, "python 3") / "data_batch_3").write_bytes(data)
    with pytest.raises(UserError, match=message):
        Cifar10(tmp_path)


def test_bad_binary_files(tmp_path):
    path = write_10(tmp_path, "binary") / "data_batch_2.bin"
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    with pytest.raises(UserError, match=r"batch_2\.bin: has 6,145 bytes, no multiple of the 3,073"):
        Cifar10(tmp_path)
    path.write_bytes(b"\x0a" + good[1:])
    with pytest.raises(UserError, match=r"batch_2\.bin: label 10, expected 0 to 9"):
        Cifar10(tmp_path)
    path.unlink()
    with pytest.raises(UserError, match=r"batch_2\.bin: cannot read"):
        Cifar10(tmp_path)


def test_missing(tmp_path):
    with pytest.raises(UserError, match=r"neither data_batch_1 nor data_batch_1\.bin"):
        Cifar10(tmp_path)
    with pytest.raises(UserError, match=r"neither train nor train\.bin"):
        Cifar100(write_10(tmp_path, "binary"))


def test_changed_between(tmp_path):
    source = Cifar10(write_10(tmp_path, "binary"))
    copy = pickle.loads(pickle.dumps(source))
    (tmp_path / "data_batch_2.bin").write_bytes(bytes(3073))
    with pytest.raises(UserError, match=r"changed during the conversion"):
        copy.read(0)


@given(st.binary(max_size=100), st.sampled_from(["train", "train.bin"]), st.integers(0, 2))
def test_any_bytes(tmp_path_factory, data, name, full):
    directory = tmp_path_factory.mktemp("any")
    (directory / name).write_bytes(data + bytes(3074 * full))
    try:
        source = Cifar100(directory)
        assert source.read(0).shape == (3, 32, 32)
    except UserError:
        pass
