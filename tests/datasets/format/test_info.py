"""Finding data sets, and naming what is wrong with them."""

import dataclasses
import gzip
import io
import pickle
import shutil

import numpy as np
import pytest

from datasets.format.info import inspect
from dnnlib.atomic import TEMP_PREFIX
from dnnlib.errors import UserError
from tests import golden
from tests.datasets.data_sets import COUNT, write_file


@pytest.mark.conformance
def test_golden_set():
    directory = golden.path("data/tiny_rgb32/tiny_rgb32-rxx.labels").parent
    info = inspect("tiny_rgb32", directory.parent)
    assert (info.resolution, info.channels, info.label_size, info.num_images) == (32, 3, 4, 20)
    assert info.max_lod == 3
    assert sorted(info.files) == [2, 3, 4, 5]
    assert inspect(str(directory)) == info


def test_lower_resolution(data_dir):
    whole, half = inspect("some", data_dir), inspect("some", data_dir, resolution=8)
    files = {log2: path for log2, path in whole.files.items() if log2 < 4}
    assert half == dataclasses.replace(whole, resolution=8, files=files)


@pytest.mark.parametrize(("asked", "width"), [("full", 3), (0, 0), (1, 1), (3, 3), (9, 3)])
def test_label_size(data_dir, asked, width):
    info = inspect("some", data_dir, max_label_size=asked)
    assert info.label_size == width
    assert (info.labels_path is None) == (width == 0)
    assert inspect("plain", data_dir, max_label_size=asked).label_size == 0


@pytest.mark.parametrize(
    ("kwargs", "reason"),
    [
        ({"resolution": 12}, "power of two"),
        ({"resolution": 2}, "power of two"),
        ({"resolution": 32}, "some: has no images of 32×32"),
        ({"max_label_size": -1}, "max_label_size"),
        ({"max_label_size": "all"}, "max_label_size"),
    ],
)
def test_bad_options(data_dir, kwargs, reason):
    with pytest.raises(UserError, match=reason):
        inspect("some", data_dir, **kwargs)


def test_a_set_not_found(data_dir, tmp_path):
    with pytest.raises(UserError) as caught:
        inspect("sone", data_dir)
    for words in ("'sone'", str(data_dir), "plain, some", "digits, synthetic"):
        assert words in str(caught.value)
    with pytest.raises(UserError, match="it contains no data sets"):
        inspect("some", tmp_path)
    with pytest.raises(UserError, match="not found"):
        inspect(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="empty"):
        inspect("", data_dir)


def test_unfinished_sets_are_none(copy):
    unfinished = copy.rename(copy.with_name(TEMP_PREFIX + "0badf00d-some"))
    with pytest.raises(UserError, match=r"'some' not found in .* \(it contains no data sets"):
        inspect("some", copy.parent)
    for args in ((unfinished.name, copy.parent), (str(unfinished),)):
        with pytest.raises(UserError, match=r"\.tmp-0badf00d-some: is unfinished"):
            inspect(*args)


def test_files_that_are_not_there(copy):
    for log2 in (2, 3):
        (copy / f"some-r{log2:02d}.tfrecords").unlink()
    with pytest.raises(UserError, match=r"missing: some-r02\.tfrecords, some-r03\.tfrecords"):
        inspect("some", copy.parent)
    (copy / "some-r04.tfrecords").unlink()
    with pytest.raises(UserError, match="some: holds no files"):
        inspect("some", copy.parent)


def test_one_set_per_directory(copy):
    shutil.copy(copy / "some-rxx.labels", copy / "more.labels")
    with pytest.raises(UserError, match="more than one file of labels"):
        inspect("some", copy.parent)
    shutil.copy(copy / "some-r02.tfrecords", copy / "more-r02.tfrecords")
    with pytest.raises(UserError, match="more than one data set: more, some"):
        inspect("some", copy.parent)


@pytest.mark.parametrize(
    ("name", "count", "shape", "reason"),
    [
        ("some-r03", 3, [3, 8, 8], "3 images, but the smallest file of the set has 23"),
        ("some-r03", 0, [3, 8, 8], "contains no images"),
        ("some-r03", COUNT, [1, 8, 8], "has 1 channels, the smallest file has 3"),
        ("some-r02", COUNT, [2, 4, 4], "its images have 2 channels"),
        ("some-r03", COUNT, [3, 8, 4], "its images are 4×8, expected square"),
        ("some-r03", COUNT, [3, 7, 7], "its images are 7×7, expected a power of two"),
        ("some-r03", COUNT, [3, 4, 4], "its images are 4×4, not 8×8"),
    ],
)
def test_bad_images(copy, name, count, shape, reason):
    write_file(copy / f"{name}.tfrecords", [np.zeros(shape, np.uint8)] * count)
    with pytest.raises(UserError, match=rf"{name}\.tfrecords: {reason}"):
        inspect("some", copy.parent)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (npy(np.zeros([COUNT + 1, 3])), "24 labels, but there are 23 images"),
        (npy(np.zeros(COUNT)), r"expected numbers \[images, label size\]"),
        (npy(np.full([COUNT, 1], "text")), "expected numbers"),
        (npy(np.full([COUNT, 1], {}, dtype=object)), "not a readable .npy array"),
        (pickle.dumps(np.zeros([COUNT, 1])), "not a readable .npy array"),
        (npy(np.zeros([COUNT, 3]))[:-1], "not a readable .npy array"),
        (npy(np.zeros([COUNT, 3])).replace(b"(23, 3)", b"(9**9,)"), "not a readable .npy array"),
        (npy(np.zeros([COUNT, 3])).replace(b"(23, 3), ", b"(2300000,"), "not a readable .npy"),
        (b"", "not a readable .npy array"),
    ],
)
def test_bad_labels(copy, content, reason):
    (copy / "some-rxx.labels").write_bytes(content)
    with pytest.raises(UserError, match=f"some-rxx.labels: {reason}"):
        inspect("some", copy.parent)
    assert inspect("some", copy.parent, max_label_size=0).label_size == 0


def test_synthetic_names():
    info = inspect("synthetic")
    assert (info.resolution, info.channels, info.label_size, info.path) == (64, 3, 0, None)
    assert inspect("synthetic", resolution=256).resolution == 256
    info = inspect("synthetic-128-5")
    assert (info.resolution, info.label_size) == (128, 5)
    info = inspect("synthetic-128-5", resolution=8, max_label_size=2)
    assert (info.resolution, info.label_size) == (8, 2)
    for name, reason in (("synthetic-100", "power of two"), ("synthetic-x", "not found")):
        with pytest.raises(UserError, match=reason):
            inspect(name)
    with pytest.raises(UserError, match="no images of 64×64"):
        inspect("synthetic-32", resolution=64)


def test_own_set_may_have_a_built_in_name_in_data_dir(data_dir, tmp_path, monkeypatch):
    shutil.copytree(data_dir / "some", tmp_path / "synthetic")
    assert inspect("synthetic", tmp_path).num_images == COUNT
    monkeypatch.chdir(tmp_path)
    assert inspect("synthetic").path is None


def test_hidden_files_are_no_part_of_a_set(data_dir, tmp_path):
    shutil.copytree(data_dir / "some", tmp_path / "some")
    before = inspect("some", tmp_path)
    for path in list((tmp_path / "some").iterdir()):
        (tmp_path / "some" / f"._{path.name}").write_bytes(b"\0\5\x16\7")
    assert inspect("some", tmp_path) == before


def test_channels_that_come_last(tmp_path):
    write_file(tmp_path / "a-r02.tfrecords", np.zeros([2, 4, 4, 3], np.uint8))
    with pytest.raises(UserError, match=r"in the order height, width, channels \(4×4×3\)"):
        inspect(str(tmp_path))


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (gzip.compress(bytes(100)), "gzip data: unpack it first"),
        (b"PK\3\4" + bytes(100), "a zip archive: unpack it first"),
        (b"\n<!DOCTYPE html><html>" + bytes(100), "an HTML page, as servers send it"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "a Git LFS pointer"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a PNG picture"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "a JPEG picture"),
    ],
)
def test_files_of_other_kinds(tmp_path, head, kind):
    (tmp_path / "a-r02.tfrecords").write_bytes(head)
    with pytest.raises(UserError, match=rf"a-r02\.tfrecords: is no TFRecord file but {kind}"):
        inspect(str(tmp_path))
