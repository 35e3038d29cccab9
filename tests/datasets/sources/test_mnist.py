"""MNIST's files, written here by the format's description."""

import contextlib
import gzip
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given, strategies as st

from datasets.sources.mnist import Mnist, MnistRgb, read_idx
from dnnlib.errors import UserError
from tests.memory import allocating_less_than

pytestmark = pytest.mark.conformance  # the draws of NumPy 1 and 2 must be equal

COUNT = 30
IMAGES = np.random.RandomState(0).randint(0, 256, [COUNT, 28, 28]).astype(np.uint8)
DIGITS = np.random.RandomState(1).randint(0, 10, [COUNT]).astype(np.uint8)
PADDED = np.zeros([COUNT, 32, 32], np.uint8)
PADDED[:, 2:30, 2:30] = IMAGES
X, Y = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx(values, *shape, kind=8):
    shape = shape or values.shape
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape), *shape)
    return header + values.tobytes()


def write(directory, images=None, labels=None, packed=False):
    for name, data in ((X, images or idx(IMAGES)), (Y, labels or idx(DIGITS))):
        if packed:
            (directory / f"{name}.gz").write_bytes(gzip.compress(data))
        else:
            (directory / name).write_bytes(data)
    return directory


@pytest.mark.parametrize("packed", [False, True])
def test_reads(tmp_path, packed):
    source = Mnist(write(tmp_path, packed=packed))
    assert (len(source), source.channels, source.resolution) == (COUNT, 1, 32)
    assert source.shuffled
    for copy in (source, pickle.loads(pickle.dumps(source))):
        images = np.stack([copy.read(number) for number in range(COUNT)])
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, PADDED[:, np.newaxis])
    assert len(pickle.dumps(source)) < 10_000
    assert source.labels.dtype == np.float32
    np.testing.assert_array_equal(source.labels, DIGITS[:, np.newaxis] == np.arange(10))


@pytest.mark.parametrize("seed", [123, 7])
def test_rgb_draws_as_the_reference(tmp_path, seed):
    source = MnistRgb(write(tmp_path), num_images=100, seed=seed)
    assert (len(source), source.channels, source.resolution) == (100, 3, 32)
    assert source.labels is None
    np.testing.assert_array_equal(source.order(), np.arange(100))
    random = np.random.RandomState(seed)
    expected = [PADDED[random.randint(COUNT, size=3)] for _ in range(100)]
    numbers = [99, 0, *range(100)]
    for number in numbers:
        np.testing.assert_array_equal(source.read(number), expected[number])


def test_rgb_needs_no_labels_and_takes_only_counts(tmp_path):
    write(tmp_path)
    (tmp_path / Y).unlink()
    assert len(MnistRgb(tmp_path)) == 1_000_000
    with pytest.raises(UserError, match=r"num_images is 0, expected at least 1"):
        MnistRgb(tmp_path, 0)


WRONG_LABELS = DIGITS.copy()
WRONG_LABELS[3] = 10
BAD = {
    "truncated": ({"images": idx(IMAGES)[:-1]}, rf"{X}.*expected 23,520 bytes .* found 23,519"),
    "longer": ({"images": idx(IMAGES) + b"\0"}, rf"{X}.*expected 23,520 bytes .* found more"),
    "header": ({"images": idx(IMAGES)[:15]}, r"begins with 00000803, found 00000803"),
    "type": ({"images": idx(IMAGES, kind=9)}, r"begins with 00000803, found 00000903"),
    "labels first": ({"images": idx(DIGITS)}, r"begins with 00000803, found 00000801"),
    "size": ({"images": idx(IMAGES, COUNT, 14, 56)}, r"is \[30, 14, 56\], expected \[N, 28, 28\]"),
    "claims": ({"images": idx(IMAGES, 2**32 - 1, 28, 28)}, r"with N up to 1,048,576"),
    "claims less": ({"images": idx(IMAGES, 2**20, 28, 28)}, r"found 23,520; download"),
    "none": ({"images": idx(IMAGES, 0, 28, 28)}, r"\[0, 28, 28\], expected"),
    "fewer labels": ({"labels": idx(DIGITS[1:])}, rf"{Y}.* has 29 labels, {X}.* 30 images"),
    "label 10": ({"labels": idx(WRONG_LABELS)}, rf"{Y}.*label 10, expected 0 to 9"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("case", BAD)
def test_bad_files(tmp_path, case, packed):
    files, message = BAD[case]
    with pytest.raises(UserError, match=message):
        Mnist(write(tmp_path, packed=packed, **files))


def test_missing_and_empty(tmp_path):
    with pytest.raises(UserError, match=rf"neither {X} nor {X}\.gz"):
        Mnist(tmp_path)
    write(tmp_path)
    (tmp_path / Y).write_bytes(b"")
    with pytest.raises(UserError, match=rf"{Y}: the file is empty"):
        Mnist(tmp_path)


def test_damaged_gzip(tmp_path):
    path = tmp_path / f"{X}.gz"
    packed = gzip.compress(idx(IMAGES))
    for data in (packed[:-9], packed[:-8] + bytes(8), packed[:20], packed[:200] + b"x" * 99):
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"cannot be unpacked"):
            read_idx(path, 3)


@given(st.binary(max_size=40), st.booleans(), st.booleans())
def test_any_bytes(tmp_path_factory, tail, packed, good):
    path = tmp_path_factory.getbasetemp() / "any-idx"
    data = (struct.pack(">4B", 0, 0, 8, 3) if good else b"") + tail
    path.write_bytes(gzip.compress(data) if packed else data)
    with allocating_less_than(2**22), contextlib.suppress(UserError):
        assert read_idx(path, 3).shape[1:] == (28, 28)
