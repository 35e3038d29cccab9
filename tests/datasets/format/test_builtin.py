import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from datasets.format.builtin import SyntheticImages, digits_directory, enlarge_digit
from datasets.format.info import write_files
from datasets.format.reader import inspect, open_dataset
from datasets.format.writer import choose_shuffled_order
from dnnlib.errors import UserError

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache directory in which two processes wrote the digits at the same time."""
    directory = tmp_path_factory.mktemp("cache")
    code = "from datasets.format.builtin import digits_directory as d; print(d())"
    environment = {**os.environ, "STYLEGAN_CACHE_DIR": str(directory)}
    command = [sys.executable, "-c", code]
    racing = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in racing:
        assert Path(process.communicate()[0].strip()).parent == directory
        assert process.returncode == 0
    return directory


@pytest.fixture
def in_cache(cache, monkeypatch):
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", str(cache))
    return cache


def test_digits(in_cache):
    info = inspect("digits")
    assert info.name == "digits"
    assert (info.resolution, info.channels, info.label_size, info.num_images) == (32, 1, 10, 1797)
    digits = load_digits()
    order = choose_shuffled_order(1797)
    with open_dataset(info) as dataset:
        np.testing.assert_array_equal(dataset.labels, np.eye(10)[digits.target[order]])
        full, _ = dataset.read(range(1797))
        small, _ = dataset.read(range(1797), lod=3)
    assert (full.min(), full.max()) == (0, 255)
    assert full[:, 0].mean() < 10  # a black border
    assert full[:, :, 0].mean() < 1
    means = full[..., 0].reshape(-1, 4, 8, 4, 8).mean(axis=(2, 4))
    np.testing.assert_array_equal(small[..., 0], np.rint(means))
    # They are those digits: shrunk to their 28 pixels, most like their own original.
    for index in range(0, 1797, 300):
        seen = full[index, 2:30, 2:30, 0].reshape(14, 2, 14, 2).mean(axis=(1, 3)).ravel()
        originals = digits.images.repeat(7, 1).repeat(7, 2).reshape(-1, 14, 4, 14, 4)
        originals = originals.mean(axis=(2, 4)).reshape(1797, -1)
        originals = originals - originals.mean(axis=1, keepdims=True)
        likeness = originals @ (seen - seen.mean()) / np.linalg.norm(originals, axis=1)
        assert likeness.argmax() == order[index]


def test_only_the_set_is_left_in_the_cache(in_cache):
    names = [f"digits-r{log2:02d}.tfrecords" for log2 in (2, 3, 4, 5)] + ["digits-rxx.labels"]
    assert sorted(path.name for path in (in_cache / "digits-v1").iterdir()) == names
    assert [path.name for path in in_cache.iterdir()] == ["digits-v1"]


def test_digits_are_written_once_and_completed_if_files_are_lost(in_cache):
    file = in_cache / "digits-v1/digits-r02.tfrecords"
    content, written = file.read_bytes(), file.stat().st_mtime_ns
    digits_directory()
    assert file.stat().st_mtime_ns == written
    file.unlink()
    digits_directory()
    assert file.read_bytes() == content


def test_digits_at_a_lower_resolution(in_cache):
    with open_dataset(inspect("digits", "/nowhere", resolution=16)) as dataset:
        assert dataset.read([0])[0].shape == (1, 16, 16, 1)


@pytest.mark.parametrize("chosen", [{}, {"resolution": 8, "max_label_size": 3}])
def test_digits_are_described_before_they_are_written(chosen, tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", str(tmp_path / "cache"))
    described = inspect("digits", write=False, **chosen)
    with pytest.raises(UserError, match="has no images of 64×64"):
        inspect("digits", resolution=64, write=False)
    assert list(tmp_path.iterdir()) == []
    write_files(described)
    assert described == inspect("digits", **chosen)


def test_unusable_cache_directory(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", str(tmp_path / "file/cache"))
    with pytest.raises(UserError, match=r"STYLEGAN_CACHE_DIR.*file/cache"):
        inspect("digits")


def test_enlarging_keeps_constants_and_the_margin():
    enlarged = enlarge_digit(np.full([8, 8], 16.0))
    assert enlarged.shape == (32, 32)
    assert enlarged.dtype == np.uint8
    assert (enlarged[6:-6, 6:-6] == 255).all()
    assert not enlarge_digit(np.zeros([8, 8])).any()
    np.testing.assert_array_equal(enlarged, enlarged[::-1, ::-1])
    assert enlarged[16, 0] < 20


@pytest.mark.parametrize("classes", [0, 3])
def test_synthetic_images_are_a_function_of_the_index(classes):
    images = SyntheticImages(classes)
    together = images.read(5, np.arange(8))
    assert together.shape == (8, 32, 32, 3)
    for index in range(8):
        np.testing.assert_array_equal(images.read(5, np.array([index]))[0], together[index])
    assert together.std(axis=(1, 2, 3)).min() > 5  # not constant
    assert np.abs(np.diff(together.astype(int), axis=0)).mean(axis=(1, 2, 3)).min() > 5


def test_synthetic_images_agree_between_resolutions():
    images = SyntheticImages()
    large, small = (images.read(log2, np.arange(5)).astype(float) for log2 in (7, 5))
    means = large.reshape(5, 32, 4, 32, 4, 3).mean(axis=(2, 4))
    assert np.abs(means - small).max() < 8  # samples of smooth functions instead of means


def test_synthetic_labels():
    np.testing.assert_array_equal(SyntheticImages(3).labels(5).argmax(axis=1), [0, 1, 2, 0, 1])
    assert SyntheticImages(0).labels(5).shape == (5, 0)


def test_large_synthetic_images_are_drawn_in_parts():
    images = SyntheticImages(2).read(10, np.array([3, 4, 5]))
    assert images.shape == (3, 1024, 1024, 3)
