"""SVHN's file as SciPy writes it; and damaged, hostile and other MATLAB files."""

import contextlib
import pickle
import struct
import zlib

import numpy as np
import pytest
import scipy.io
from hypothesis import given, strategies as st

from datasets.sources.svhn import Svhn, read_mat
from dnnlib.errors import UserError
from tests.memory import allocating_less_than

pytestmark = pytest.mark.conformance

COUNT = 12
IMAGES = np.random.RandomState(0).randint(0, 256, [COUNT, 3, 32, 32]).astype(np.uint8)
DIGITS = np.arange(COUNT) % 10
X = IMAGES.transpose(2, 3, 1, 0)
Y = np.where(DIGITS == 0, 10, DIGITS)[:, np.newaxis].astype(np.uint8)

CELLS = np.empty([2], object)
CELLS[:] = ["a", np.zeros(3)]


def write(directory, packed=True, **arrays):
    path = directory / "train_32x32.mat"
    scipy.io.savemat(path, arrays or {"X": X, "y": Y}, do_compression=packed)
    return directory


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["u1", "f8", "i4"])
def test_reads(tmp_path, packed, kind):
    source = Svhn(write(tmp_path, packed, meta="about", y=Y.astype(kind), X=X))
    assert (len(source), source.channels, source.resolution) == (COUNT, 3, 32)
    assert source.shuffled
    for copy in (source, pickle.loads(pickle.dumps(source))):
        images = np.stack([copy.read(number) for number in range(COUNT)])
        assert images.dtype == np.uint8
        assert copy.read(0).flags.c_contiguous
        np.testing.assert_array_equal(images, IMAGES)
    assert len(pickle.dumps(source)) < 10_000
    assert source.labels.dtype == np.float32
    np.testing.assert_array_equal(source.labels, DIGITS[:, np.newaxis] == np.arange(10))


@pytest.mark.parametrize("packed", [False, True])
def test_other_arrays_are_skipped(tmp_path, packed):
    others = {"cells": CELLS, "struct": {"a": 1, "b": {"c": "d"}}, "z": np.array([1j])}
    arrays = {"q": np.arange(100.0), **others, "X": X, "y": Y}
    found = read_mat(write(tmp_path, packed, **arrays) / "train_32x32.mat", ("y", "X"))
    np.testing.assert_array_equal(found["X"], X)
    np.testing.assert_array_equal(found["y"], Y)


BAD = {
    "no y": ({"X": X}, r"no array 'y'"),
    "no X": ({"y": Y, "x": X}, r"no array 'X'"),
    "floats": ({"X": X / 255, "y": Y}, r"'X' is float64 \[32, 32, 3, 12\], expected uint8 \[32,"),
    "layout": ({"X": IMAGES, "y": Y}, r"'X' is uint8 \[12, 3, 32, 32\], expected"),
    "fewer": ({"X": X, "y": Y[1:]}, r"'y' is uint8 \[11, 1\], expected \[12, 1\] with 1 to 10"),
    "label 0": ({"X": X, "y": Y % 10}, r"with 1 to 10"),
    "label 1.5": ({"X": X, "y": Y + 0.5}, r"with 1 to 10"),
    "cells": ({"X": CELLS, "y": Y}, r"no array 'X'"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("case", BAD)
def test_other_contents(tmp_path, case, packed):
    arrays, message = BAD[case]
    with pytest.raises(UserError, match=message):
        Svhn(write(tmp_path, packed, **arrays))


def test_missing_and_of_another_kind(tmp_path):
    with pytest.raises(UserError, match=r"there is no train_32x32\.mat"):
        Svhn(tmp_path)
    for data in (b"x", bytes(128), b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"):
        (tmp_path / "train_32x32.mat").write_bytes(data)
        with pytest.raises(UserError, match=r"train_32x32\.mat: not a MATLAB 5 file"):
            Svhn(tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_truncated(tmp_path, packed):
    path = write(tmp_path, packed) / "train_32x32.mat"
    good = path.read_bytes()
    for size in (127, 129, 140, 200, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:size])
        with pytest.raises(UserError, match=r"damaged"):
            Svhn(tmp_path)


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(claimed, data=b"abc", shape=(32, 32, 3, 2**20)):
    """An array X whose header claims what its bytes do not hold."""
    parts = element(6, struct.pack("<II", 9, 0)) + element(5, struct.pack("<4i", *shape))
    parts += element(1, b"X") + struct.pack("<II", 2, claimed) + data
    return parts


HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def hostile():
    inside = matrix(32 * 32 * 3 * 2**20)
    claims = struct.pack("<II", 14, 2**32 - 1)
    yield claims + inside
    yield struct.pack("<II", 14, len(inside)) + inside
    yield element(15, zlib.compress(claims + inside))
    yield element(15, zlib.compress(struct.pack("<II", 14, 2**20) + inside))
    yield element(15, zlib.compress(bytes(10**7)))
    negative = matrix(3, shape=(-1, -1, 3, 1))
    yield struct.pack("<II", 14, len(negative)) + negative
    yield element(15, b"no zlib stream")
    yield element(15, zlib.compress(element(14, matrix(3072, bytes(3072), (32, 32, 3, 1))))[:-4])


def test_claims_are_not_believed(tmp_path):
    path = tmp_path / "train_32x32.mat"
    damage = r"train_32x32\.mat: damaged or truncated"
    for data in hostile():
        path.write_bytes(HEADER + data)
        with allocating_less_than(2**20), pytest.raises(UserError, match=damage):
            read_mat(path, ("X", "y"))


def packed_bomb(name, kind, shape, size, tail=b""):
    """A packed array of `size` zeros of a kind (MATLAB's type of numbers)."""
    inside = element(6, struct.pack("<II", 9, 0))
    inside += element(5, struct.pack(f"<{len(shape)}i", *shape))
    inside += element(1, name) + struct.pack("<II", kind, size)
    packer = zlib.compressobj()
    total = len(inside) + size + len(tail)
    data = packer.compress(struct.pack("<II", 14, total) + inside)
    data += b"".join(packer.compress(bytes(2**20)) for _ in range(size >> 20))
    return element(15, data + packer.compress(bytes(size % 2**20) + tail) + packer.flush())


BOMBS = {
    "shape": (packed_bomb(b"X", 2, (32, 32, 100 * 2**10), 100 * 2**20), r"'X' is uint8 .*expected"),
    "floats": (packed_bomb(b"X", 9, (32, 32, 3, 4096), 96 * 2**20), r"'X' is float64 .*expected"),
    "labels": (packed_bomb(b"y", 2, (100 * 2**20, 1), 100 * 2**20), r"'y' is uint8 .*1,048,576"),
    "tail": (packed_bomb(b"X", 2, (32, 32, 3, 1), 3072, bytes(10**8)), r"with 3,072 of"),
}


@pytest.mark.parametrize("case", BOMBS)
def test_bombs_are_not_unpacked(tmp_path, case):
    data, message = BOMBS[case]
    (tmp_path / "train_32x32.mat").write_bytes(HEADER + data)
    with allocating_less_than(2**20), pytest.raises(UserError, match=message):
        Svhn(tmp_path)


def test_open_unpacks_before_the_first_read(tmp_path):
    source = pickle.loads(pickle.dumps(Svhn(write(tmp_path))))
    source.open()
    (tmp_path / "train_32x32.mat").unlink()
    np.testing.assert_array_equal(source.read(1), IMAGES[1])


@given(st.data())
def test_damaged(tmp_path_factory, data):
    directory = tmp_path_factory.getbasetemp()
    path = write(directory, data.draw(st.booleans()), y=Y[:2], X=X[..., :2]) / "train_32x32.mat"
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(128, min(330, len(damaged) - 1)))
        damaged[position] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    with allocating_less_than(2**22), contextlib.suppress(UserError):
        source = Svhn(directory)
        assert source.read(0).shape == (3, 32, 32)
