"""The TFRecord reader and writer against TensorFlow's own, golden files, and damage."""

import struct

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, strategies as st

from datasets.format import tfrecords
from datasets.format.tfrecords import (
    DataError,
    ImageFile,
    RecordFile,
    encode_image,
    find_image,
    frame_record,
    masked_crc,
)
from tests import golden


def some_image(seed=0, shape=(3, 4, 4)):
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def write_records(path, records):
    path.write_bytes(b"".join(map(frame_record, records)))
    return path


def decode_image(record):
    shape, start, stop = find_image(record)
    return np.frombuffer(record, np.uint8, stop - start, start).reshape(shape)


def read_all(path):
    with RecordFile(path) as file:
        return [file.read(index) for index in range(len(file))]


def message(number, *values):
    """A message of byte-string fields, all with one number."""
    return b"".join(bytes([number << 3 | 2, len(value)]) + value for value in values)


def feature_map(**features):
    entries = [message(1, name.encode()) + message(2, value) for name, value in features.items()]
    return message(1, message(1, *entries))


def test_crc_has_the_published_check_value():
    # CRC-32C of "123456789" is E3069283 (RFC 3720, B.4); the masking is TFRecord's.
    crc = 0xE3069283
    expected = (((crc >> 15) | (crc << 17 & 0xFFFFFFFF)) + 0xA282EAD8) % 2**32
    assert masked_crc(b"123456789") == expected


def test_tensorflow_reads_what_we_write(tmp_path):
    images = [some_image(i, (c, r, r)) for i, (c, r) in enumerate([(1, 4), (3, 8), (1, 256)])]
    path = write_records(tmp_path / "a.tfrecords", map(encode_image, images))
    records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
    assert len(records) == len(images)
    for record, image in zip(records, images):
        feature = tf.train.Example.FromString(record).features.feature
        assert list(feature["shape"].int64_list.value) == list(image.shape)
        assert feature["data"].bytes_list.value[0] == image.tobytes()


def test_reads_what_tensorflow_writes(tmp_path):
    images = [some_image(i, (3, 16, 16)) for i in range(5)]
    path = str(tmp_path / "a.tfrecords")
    with tf.io.TFRecordWriter(path) as writer:
        for image in images:
            example = tf.train.Example()
            example.features.feature["shape"].int64_list.value.extend(image.shape)
            example.features.feature["data"].bytes_list.value.append(image.tobytes())
            example.features.feature["more"].float_list.value.append(0.5)
            writer.write(example.SerializeToString())
    with ImageFile(path) as file:
        assert len(file) == 5
        for index in (4, 0, 1, 2, 3, 3):
            np.testing.assert_array_equal(file.image(index), images[index])


def test_feature_order_and_packing_do_not_matter():
    image = some_image()
    pixels = message(1, message(1, image.tobytes()))
    packed = message(3, message(1, bytes(image.shape)))
    unpacked = message(3, b"".join(bytes([1 << 3, size]) for size in image.shape))
    for shape in (packed, unpacked):
        for features in ({"shape": shape, "data": pixels}, {"data": pixels, "shape": shape}):
            np.testing.assert_array_equal(decode_image(feature_map(**features)), image)


@pytest.mark.conformance
def test_golden_files():
    data = golden.load("misc/dataset.npz")
    for lod in range(4):
        path = golden.path(f"data/tiny_rgb32/tiny_rgb32-r{5 - lod:02d}.tfrecords")
        with ImageFile(path) as file:
            images = np.stack([file.image(index) for index in range(len(file))])
        np.testing.assert_array_equal(images, data[f"tiny_rgb32/decoded_lod{lod}"])


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_any_records_come_back(tmp_path_factory, records):
    path = write_records(tmp_path_factory.mktemp("any") / "a.tfrecords", records)
    assert read_all(path) == records


def test_index_error(tmp_path):
    path = write_records(tmp_path / "a.tfrecords", [b"x"])
    with RecordFile(path) as file:
        for index in (-1, 1):
            with pytest.raises(IndexError, match="no record"):
                file.read(index)


def test_truncation_at_every_offset(tmp_path):
    records = [encode_image(some_image(i, (1, 4, 4))) for i in range(3)]
    whole = write_records(tmp_path / "whole", records).read_bytes()
    size = len(whole) // 3
    path = tmp_path / "cut.tfrecords"
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        if cut % size == 0:
            assert read_all(path) == records[: cut // size]
        else:
            with pytest.raises(
                DataError, match=rf"cut\.tfrecords: record {cut // size}: truncated"
            ):
                RecordFile(path)


def test_damage_of_every_byte_is_named(tmp_path):
    records = [encode_image(some_image(i, (1, 4, 4))) for i in range(2)]
    whole = write_records(tmp_path / "whole", records).read_bytes()
    path = tmp_path / "bad.tfrecords"
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        index = at // (len(whole) // 2)
        with pytest.raises(DataError, match=rf"bad\.tfrecords: record {index}: corrupt"):
            read_all(path)


def test_declared_lengths_are_not_believed(tmp_path):
    header = struct.pack("<Q", 2**60)
    path = tmp_path / "big.tfrecords"
    path.write_bytes(header + struct.pack("<I", masked_crc(header)) + b"data")
    with pytest.raises(DataError, match="record 0: truncated"):
        RecordFile(path)


def test_large_files_of_equal_records_are_sampled(tmp_path, monkeypatch):
    monkeypatch.setattr(tfrecords, "_ALWAYS_WALK", 10)
    monkeypatch.setattr(tfrecords, "_SAMPLED_HEADERS", 3)
    monkeypatch.setattr(RecordFile, "_walk", lambda self: pytest.fail("walked"))
    records = [bytes([i]) * 20 for i in range(100)]
    path = write_records(tmp_path / "a.tfrecords", records)
    assert read_all(path) == records
    damaged = bytearray(path.read_bytes())
    damaged[36 * 5] ^= 1  # the length of a record that is not in the sample
    path.write_bytes(damaged)
    with RecordFile(path) as file:
        assert file.read(6) == records[6]
        with pytest.raises(DataError, match="record 5: corrupt length"):
            file.read(5)


def test_large_files_of_unequal_records_are_walked(tmp_path, monkeypatch):
    monkeypatch.setattr(tfrecords, "_ALWAYS_WALK", 10)
    records = [bytes(20 + i % 3) for i in range(99)]  # 21 on average, so the size fits, too
    records[0] = bytes(21)
    records[1] = bytes(20)
    assert read_all(write_records(tmp_path / "a.tfrecords", records)) == records


def test_file_that_shrinks_while_open(tmp_path):
    path = write_records(tmp_path / "a.tfrecords", [b"abc", b"def"])
    with RecordFile(path) as file:
        with open(path, "r+b") as other:
            other.truncate(25)
        with pytest.raises(DataError, match="record 1"):
            file.read(1)


@pytest.mark.parametrize("name", ["missing.tfrecords", "."])
def test_unreadable_file(tmp_path, name):
    with pytest.raises(DataError, match="directory"):  # "No such file or directory", "Is a …"
        RecordFile(tmp_path / name)


def parsed_by_tensorflow(record):
    """→ what decode_image should return; None where TensorFlow finds no image."""
    try:
        example = tf.train.Example.FromString(record)
    except Exception:
        return None
    feature = example.features.feature
    shape = list(feature["shape"].int64_list.value)
    data = list(feature["data"].bytes_list.value)
    if len(shape) != 3 or len(data) != 1 or min(shape) < 1 or len(data[0]) != np.prod(shape):
        return None
    return np.frombuffer(data[0], np.uint8).reshape(shape)


def check_decoding(record):
    expected = parsed_by_tensorflow(record)
    try:
        image = decode_image(record)
    except DataError:
        return  # Being stricter than TensorFlow is fine.
    assert expected is not None
    np.testing.assert_array_equal(image, expected)


@given(st.data())
def test_mutated_examples_are_errors_or_right(data):
    record = bytearray(encode_image(some_image(shape=(1, 4, 4))))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(record) - 1))
        kind = data.draw(st.sampled_from(["change", "insert", "delete"]))
        if kind == "insert":
            record.insert(at, data.draw(st.integers(0, 255)))
        elif kind == "change":
            record[at] = data.draw(st.integers(0, 255))
        elif len(record) > 1:
            del record[at]
    check_decoding(bytes(record))


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_not_an_example(record):
    check_decoding(record)


def test_every_truncated_example_is_an_error():
    record = encode_image(some_image(shape=(1, 4, 4)))
    for length in range(len(record)):
        with pytest.raises(DataError):
            decode_image(record[:length])


SHAPE = message(3, message(1, b"\1\4\4"))
JPEG, PNG = b"\xff\xd8\xff\xe0" + bytes(9), b"\x89PNG\r\n\x1a\n" + bytes(9)
PIXELS = message(1, message(1, bytes(16)))


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        ({}, "no feature 'shape'"),
        ({"shape": SHAPE}, "no feature 'data'"),
        ({"data": PIXELS}, "no feature 'shape'"),
        ({"shape": message(3, message(1, b"\4\4")), "data": PIXELS}, r"'shape' is \[4, 4\]"),
        ({"shape": message(3, message(1, b"\1\4\5")), "data": PIXELS}, r"'data' has 16 bytes"),
        ({"shape": message(1, b"\1\4\4"), "data": PIXELS}, "'shape' is not an int64 list"),
        ({"shape": SHAPE, "data": message(3, message(1, b""))}, "'data' is not a bytes list"),
        ({"shape": SHAPE, "data": message(1, message(1, b"a", b"b"))}, "'data' is not one byte"),
        ({"image/encoded": message(1, message(1, JPEG))}, r"encoded picture \(JPEG\), not pixels"),
        ({"shape": SHAPE, "data": message(1, message(1, PNG))}, r"encoded picture \(PNG\)"),
    ],
)
def test_records_that_are_no_images(tmp_path, features, reason):
    good = encode_image(some_image())
    path = write_records(tmp_path / "a.tfrecords", [good, feature_map(**features)])
    with ImageFile(path) as file:
        file.image(0)
        with pytest.raises(DataError, match=rf"a\.tfrecords: record 1: .*{reason}"):
            file.image(1)


@pytest.mark.parametrize(
    "image",
    [np.zeros([3, 4, 4], np.float32), np.zeros([4, 4], np.uint8), np.zeros([3, 0, 4], "u1")],
)
def test_encode_refuses_what_is_no_image(image):
    with pytest.raises(ValueError, match="expected uint8"):
        encode_image(image)
