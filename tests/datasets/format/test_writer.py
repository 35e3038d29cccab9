"""Writing data sets; that they read back is tested in test_reader.py too."""

import errno

import numpy as np
import pytest

from datasets.format import writer as tfrecord_export
from datasets.format.tfrecords import ImageFile
from datasets.format.writer import MultiResolutionWriter, choose_shuffled_order
from dnnlib.errors import UserError
from tests import golden


def read_images(path):
    with ImageFile(path) as file:
        return np.stack([file.image(index) for index in range(len(file))])


def write(directory, images, labels=None, name="some"):
    with MultiResolutionWriter(directory, name) as writer:
        for image in images:
            writer.add_image(image)
        if labels is not None:
            writer.add_labels(labels)


@pytest.mark.conformance
@pytest.mark.parametrize("count", [1, 2, 10, 20, 60, 50000, 60000, 70000, 202599])
def test_shuffled_order_is_the_references(count):
    data = golden.load("misc/dataset.npz")
    order = choose_shuffled_order(count)
    np.testing.assert_array_equal(order[:100], data[f"order/n{count}"])
    checksum = [np.sum(order * np.arange(1, count + 1)), order[-1]]
    np.testing.assert_array_equal(checksum, data[f"order/n{count}_checksum"])


@pytest.mark.conformance
@pytest.mark.parametrize(("name", "log2"), [("tiny_rgb32", 5), ("tiny_gray16", 4)])
def test_writes_what_the_reference_writes(tmp_path, name, log2):
    data = golden.load("misc/dataset.npz")
    order = choose_shuffled_order(20)
    np.testing.assert_array_equal(order, data[f"{name}/order"])
    write(tmp_path / "set", data[f"{name}/images"][order], data[f"{name}/labels"][order], name)
    for lod in range(log2 - 1):
        images = read_images(tmp_path / f"set/{name}-r{log2 - lod:02d}.tfrecords")
        np.testing.assert_array_equal(images, data[f"{name}/decoded_lod{lod}"])
    labels = np.load(tmp_path / f"set/{name}-rxx.labels", allow_pickle=False)
    assert labels.dtype == np.float32
    np.testing.assert_array_equal(labels, data[f"{name}/decoded_labels"])
    assert len(list((tmp_path / "set").iterdir())) == log2  # r02 … and the labels


def test_lower_resolutions_are_rounded_once(tmp_path):
    # Rounding between the levels, or halves upwards, would give other values.
    image = np.random.RandomState(0).randint(0, 256, [1, 16, 16]).astype(np.uint8)
    image[0, :4, :4] = [[0, 0, 1, 0], [0, 1, 0, 0], [2, 0, 1, 1], [1, 0, 1, 1]]
    write(tmp_path / "set", [image])
    for log2, factor in ((3, 2), (2, 4)):
        size = 1 << log2
        means = image.reshape(1, size, factor, size, factor).astype(np.float64).mean(axis=(2, 4))
        stored = read_images(tmp_path / f"set/some-r{log2:02d}.tfrecords")
        np.testing.assert_array_equal(stored[0], np.rint(means))


def test_smallest_image(tmp_path):
    image = np.zeros([3, 4, 4], np.uint8)
    write(tmp_path / "set", [image])
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["some-r02.tfrecords"]


def test_may_fill_an_empty_directory(tmp_path):
    (tmp_path / "set").mkdir()
    write(tmp_path / "set", [np.zeros([1, 4, 4], np.uint8)])
    assert (tmp_path / "set/some-r02.tfrecords").is_file()


GOOD = np.zeros([3, 8, 8], np.uint8)


@pytest.mark.parametrize(
    ("images", "labels", "reason"),
    [
        ([], None, "no images"),
        ([GOOD, GOOD[:1]], None, "image 1 of .*the ones before"),
        ([GOOD, GOOD[:, :4, :4]], None, "image 1 of .*the ones before"),
        ([GOOD, GOOD.astype(np.float32)], None, "image 1 of .* must be uint8"),
        ([GOOD.astype(np.uint16)], None, "must be uint8"),
        ([np.zeros([4, 8, 8], np.uint8)], None, "1 or 3 channels"),
        ([np.zeros([8, 8], np.uint8)], None, "1 or 3 channels"),
        ([np.zeros([3, 8, 16], np.uint8)], None, "not 16×8"),
        ([np.zeros([3, 12, 12], np.uint8)], None, "power of two"),
        ([np.zeros([3, 2, 2], np.uint8)], None, "power of two"),
        ([GOOD, GOOD], np.zeros([3, 5]), "3 labels for 2 images"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing(tmp_path, images, labels, reason):
    with pytest.raises(UserError, match=reason):
        write(tmp_path / "set", images, labels)
    assert not list(tmp_path.iterdir())


def test_interruption_leaves_nothing(tmp_path):
    def images():
        yield GOOD
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "set", images())
    assert not list(tmp_path.iterdir())


def test_full_disk_is_explained_and_leaves_nothing(tmp_path, monkeypatch):
    def encode(image):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(tfrecord_export, "encode_image", encode)
    with pytest.raises(UserError, match="no space left"):
        write(tmp_path / "set", [GOOD])
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    for name in (".tmp-01234567-set", ".tmp-89abcdef-set", ".tmp-01234567-other", ".tmp-x-set"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").touch()
    (tmp_path / ".tmp-89abcdef-set/.lock").touch()
    write(tmp_path / "set", [GOOD])
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"set", ".tmp-01234567-other", ".tmp-x-set"}


def test_two_cannot_write_the_same_set_at_once(tmp_path):
    with MultiResolutionWriter(tmp_path / "set", "x") as writer:
        writer.add_image(GOOD)
        with pytest.raises(UserError, match=r"another process is writing it"):
            write(tmp_path / "set", [GOOD])
        write(tmp_path / "another", [GOOD])
    assert {path.name for path in tmp_path.iterdir()} == {"set", "another"}


def test_a_directory_that_came_into_use_meanwhile_stays(tmp_path):
    def images():
        yield GOOD
        (tmp_path / "set").mkdir()
        (tmp_path / "set/file").touch()

    with pytest.raises(UserError, match=r"exists already"):
        write(tmp_path / "set", images())
    assert [path.name for path in tmp_path.rglob("*")] == ["set", "file"]


def test_does_not_touch_a_directory_in_use(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/file").touch()
    with pytest.raises(UserError, match="exists already"):
        MultiResolutionWriter(tmp_path / "set", "x")
    with pytest.raises(UserError, match="exists already"):
        MultiResolutionWriter(tmp_path / "set/file", "x")
