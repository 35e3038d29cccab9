"""Flipped bits are found; files of before, without a checksum, are still read."""

import google_crc32c
import numpy as np
import pytest
import safetensors.numpy

from dnnlib import tensor_file
from dnnlib.tensor_file import TensorFileError

ARRAYS = {"G/weight": np.arange(12, dtype=np.float32).reshape(3, 4), "lod": np.zeros((), "f4")}
TEXTS = {"info": '{"x": "\\"crc32c\\":\\"00000000\\""}'}  # looks like a checksum, within a text


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.safetensors"
    tensor_file.save(path, ARRAYS, "test", TEXTS)
    return path


def test_arrays_and_texts_come_back(path):
    arrays, metadata = tensor_file.load(path, "test")
    assert metadata == {"format": "test", **TEXTS}
    assert arrays.keys() == ARRAYS.keys()
    assert all((arrays[name] == ARRAYS[name]).all() for name in ARRAYS)


def test_the_checksum_is_that_of_the_file_with_zeros_in_its_place(path):
    with safetensors.safe_open(path, framework="np") as file:
        stored = file.metadata()["crc32c"]
    content = path.read_bytes()
    assert content.count(stored.encode()) == 1
    zeroed = content.replace(stored.encode(), b"00000000")
    assert f"{google_crc32c.value(zeroed):08x}" == stored


def test_a_flipped_bit_is_found_wherever_it_is(path):
    content = bytearray(path.read_bytes())
    for position in range(0, len(content), 3):
        content[position] ^= 1 << position % 8
        path.write_bytes(content)
        with pytest.raises(TensorFileError):
            tensor_file.load(path, "test")
        content[position] ^= 1 << position % 8


@pytest.mark.parametrize("start", [0, 40, -60])
def test_zeroed_and_missing_bytes_are_found(path, start):
    content = path.read_bytes()
    start %= len(content)
    for damaged in (content[:start] + bytes(30) + content[start + 30 :], content[:start]):
        path.write_bytes(damaged)
        with pytest.raises(TensorFileError):
            tensor_file.load(path, "test")


def test_a_file_of_before_is_read(path):
    safetensors.numpy.save_file(ARRAYS, path, {"format": "test", **TEXTS})
    arrays, metadata = tensor_file.load(path, "test")
    assert metadata == {"format": "test", **TEXTS}
    assert (arrays["G/weight"] == ARRAYS["G/weight"]).all()
