"""From a source to a data set: content and order, bad images, and every way to be interrupted."""

import contextlib
import copy
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from datasets import convert as conversion
from datasets.convert import convert, set_bytes
from datasets.format.reader import inspect, open_dataset
from datasets.format.tfrecords import ImageFile
from datasets.sources.base import BadImage
from dnnlib.errors import UserError
from tests import golden
from tests.datasets.sources.small_sources import Arrays, Faulty

ROOT = Path(__file__).resolve().parents[2]


def quiet(line):
    """Says nothing."""


def read_images(path):
    with ImageFile(path) as file:
        return np.stack([file.image(index) for index in range(len(file))])


def random_images(count, channels, resolution):
    return np.random.RandomState(0).randint(0, 256, [count, channels, resolution, resolution], "u1")


# ---------------------------------------------------------------- content


@pytest.mark.conformance
@pytest.mark.parametrize(("name", "log2"), [("tiny_rgb32", 5), ("tiny_gray16", 4)])
def test_writes_what_the_reference_wrote(tmp_path, name, log2):
    data = golden.load("misc/dataset.npz")
    source = Arrays(data[f"{name}/images"], data[f"{name}/labels"], shuffled=True)
    convert(source, tmp_path / name, workers=2, say=quiet)
    names = {f"{name}-r{level:02d}.tfrecords" for level in range(2, log2 + 1)}
    assert {path.name for path in (tmp_path / name).iterdir()} == names | {f"{name}-rxx.labels"}
    for lod in range(log2 - 1):
        images = read_images(tmp_path / name / f"{name}-r{log2 - lod:02d}.tfrecords")
        np.testing.assert_array_equal(images, data[f"{name}/decoded_lod{lod}"])
    labels = np.load(tmp_path / name / f"{name}-rxx.labels", allow_pickle=False)
    np.testing.assert_array_equal(labels, data[f"{name}/decoded_labels"])


def test_the_number_of_workers_changes_nothing_and_the_size_is_announced(tmp_path):
    source = Arrays(random_images(150, 1, 16), np.eye(3, dtype=np.float32)[np.arange(150) % 3])
    said = []
    report = convert(source, tmp_path / "1", name="x", workers=1, say=said.append)
    convert(source, tmp_path / "3", name="x", workers=3, say=quiet)
    sizes = 0
    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "3" / path.name).read_bytes()
        sizes += path.stat().st_size
    shape = (1, 16, 16)
    assert report.num_bytes == sizes == set_bytes(shape, 150, source.labels)
    assert said == [
        f"150 images, gray, 16×16 to 4×4, labels of 3: {sizes:,} bytes in {tmp_path / '1'}"
    ]
    assert report.written == 150
    assert set(report.seconds) == {"read", "encode", "write", "total"}


# ---------------------------------------------------------------- bad images


@pytest.mark.parametrize("shuffled", [False, True])
def test_the_first_bad_image_in_the_order_of_writing_ends_it(tmp_path, shuffled):
    source = Faulty(40, {33: "bad", 9: "bad", 20: "bad"}, shuffled)
    first = next(number for number in source.order() if number in source.faults)
    with pytest.raises(BadImage, match=rf"^img{first}\.png: has {first} bits.*--skip_bad"):
        convert(source, tmp_path / "set", workers=2, say=quiet)
    assert not list(tmp_path.iterdir())


def test_bad_images_are_left_out_with_their_labels_and_listed(tmp_path):
    faults = {**dict.fromkeys(range(0, 60, 2), "bad"), 7: "size"}
    said = []
    report = convert(
        Faulty(60, faults), tmp_path / "set", workers=2, skip_bad=True, say=said.append
    )
    kept = [number for number in range(60) if number not in faults]
    with open_dataset(inspect(str(tmp_path / "set"))) as dataset:
        images, labels = dataset.read(range(len(kept)))
    np.testing.assert_array_equal(images[:, 0, 0, 0], kept)
    np.testing.assert_array_equal(labels[:, 0], kept)
    assert report.written == len(kept)
    assert report.skipped == len(faults)
    assert report.reasons == {
        "has N bits per channel": 30,
        "is … …, not uint8 [3, 8, 8]": 1,
    }
    listed = (tmp_path / "set/skipped.txt").read_text().splitlines()
    assert len(listed) == len(faults)
    assert listed[:2] == ["img0.png: has 0 bits per channel", "img2.png: has 2 bits per channel"]
    assert "img7.png: is uint8 [3, 16, 16], not uint8 [3, 8, 8]" in listed
    assert report.examples == listed[:20]
    assert "  30 × has N bits per channel" in report.lines()


def test_images_that_are_too_small_are_left_out_without_being_asked(tmp_path):
    report = convert(Faulty(9, {4: "small"}), tmp_path / "set", workers=1, say=quiet)
    assert (report.written, report.skipped) == (8, 1)
    with pytest.raises(BadImage, match=r"img5\.png"):
        convert(Faulty(9, {4: "small", 5: "bad"}), tmp_path / "two", workers=1, say=quiet)


def test_an_image_that_needs_too_much_memory_is_a_bad_one(tmp_path):
    source = Faulty(3, {1: "huge"})
    with pytest.raises(BadImage, match=r"img1\.png: needs more memory than 0\.5 GB"):
        convert(source, tmp_path / "set", workers=1, memory_gb=0.5, say=quiet)
    report = convert(source, tmp_path / "set", workers=1, skip_bad=True, say=quiet)
    assert report.written == 2


def test_memory_that_an_image_takes_in_other_resolutions_counts(monkeypatch):
    def too_large(image):
        raise MemoryError

    monkeypatch.setattr(conversion, "encode_resolutions", too_large)
    chunk = conversion._Encode(Faulty(3, {}), (3, 8, 8), False, 2.0)([1])
    assert str(chunk.error) == "img1.png: needs more memory than 2 GB (--memory_gb gives more)"


class Opened(Faulty):
    """Counts how often it is opened."""

    opened = 0

    def open(self):
        self.opened += 1


class Unopenable(Faulty):
    def open(self):
        raise MemoryError


def test_workers_open_the_source_once_and_have_no_labels(tmp_path):
    source = Opened(9, {})
    encode = conversion._Encode(source, (3, 8, 8), False, 2.0)
    assert encode.__getstate__()["source"].labels is None
    assert len(source.labels) == 9
    encode([1, 2])
    encode([3])
    assert source.opened == 1
    with pytest.raises(UserError, match=r"^faulty: does not fit into --memory_gb=0\.5; an \.npz"):
        convert(Unopenable(9, {}), tmp_path / "set", workers=1, memory_gb=0.5, say=quiet)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("fault", "kind", "reason"),
    [
        ("die", UserError, r"worker process died \(signal 9.*img2\.png"),
        ("unreadable", UserError, r"img2\.png: cannot read: Permission denied"),
        ("bug", RuntimeError, r"KeyError: 'a bug of ours'"),
    ],
)
def test_what_no_skipping_helps_against_leaves_nothing(tmp_path, fault, kind, reason):
    with pytest.raises(kind, match=reason):
        convert(Faulty(4, {2: fault}), tmp_path / "set", workers=1, skip_bad=True, say=quiet)
    assert not list(tmp_path.iterdir())


class Mistaken(Faulty):
    def __init__(self, **attributes):
        super().__init__(4, {})
        self.__dict__.update(attributes)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (Faulty(3, dict.fromkeys(range(3), "bad")), r"no image could be used: has N bits"),
        (Mistaken(count=0, labels=None), r"there are no images"),
        (Mistaken(labels=np.zeros([5, 2])), r"labels are \[5, 2\].*each of 4 images"),
        (Mistaken(labels=np.zeros([4, 0])), r"labels are \[4, 0\], expected some columns"),
        (Mistaken(resolution=12), r"power of two"),
        (Mistaken(channels=4), r"1 or 3 channels"),
    ],
)
def test_unusable_sources_are_explained(tmp_path, source, reason):
    with pytest.raises(UserError, match=reason):
        convert(source, tmp_path / "set", workers=1, skip_bad=True, say=quiet)
    assert not list(tmp_path.iterdir())


def test_a_directory_in_use_and_an_impossible_name_are_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"exists already and is not an empty"):
        convert(Faulty(4, {}), tmp_path)
    with pytest.raises(UserError, match=r"without / and"):
        convert(Faulty(4, {}), tmp_path / "set", name="../x")


def test_a_link_is_followed_and_what_cannot_be_replaced_is_refused(tmp_path, monkeypatch):
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    convert(Faulty(4, {}), tmp_path / "link", workers=1, say=quiet)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target/link-r02.tfrecords").exists()
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(UserError, match=r"is a link to .*nowhere, which does not exist"):
        convert(Faulty(4, {}), tmp_path / "dangling")
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "disk")
    (tmp_path / "disk").mkdir()
    (tmp_path / "via").symlink_to("disk")
    for name in ("disk", "via"):
        with pytest.raises(UserError, match=rf"{name}: is where a file system is mounted.*inside"):
            convert(Faulty(4, {}), tmp_path / name)


def test_files_and_links_named_as_temporary_directories_are_left_alone(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / ".tmp-00000000-set").symlink_to("other")
    (tmp_path / ".tmp-11111111-set").touch()
    convert(Faulty(4, {}), tmp_path / "set", workers=1, say=quiet)
    assert len(list(tmp_path.glob(".tmp-*-set"))) == 2
    assert not list((tmp_path / "other").iterdir())


# ---------------------------------------------------------------- disks and interruptions


def test_too_little_space_is_said_before_any_work(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(9, 9, 1000))
    with pytest.raises(UserError, match=r"takes 1,\d\d\d bytes, but only 1,000 are free"):
        convert(Faulty(4, {}), tmp_path / "set", say=quiet)
    assert not list(tmp_path.iterdir())


@contextlib.contextmanager
def small_disk(path, size):
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small file system is not permitted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def test_a_disk_that_fills_up_is_said_and_nothing_remains(tmp_path, monkeypatch):
    disk = tmp_path / "disk"
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 1 << 40))
    with small_disk(disk, "1m"):
        with pytest.raises(UserError, match=rf"cannot write {disk}/set: no space left"):
            convert(Arrays(random_images(64, 3, 128)), disk / "set", workers=1, say=quiet)
        assert not list(disk.iterdir())


def test_an_error_of_the_disk_is_no_success(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match=r"no space left"):
        convert(Faulty(4, {}), tmp_path / "set", workers=1, say=quiet)
    assert not list(tmp_path.iterdir())


def start(directory):
    """A conversion that takes some seconds, in a process group of its own; its workers' ids."""
    pids = directory / "pids"
    pids.mkdir()
    command = [
        sys.executable,
        "-m",
        "tests.datasets.sources.small_sources",
        directory / "set",
        pids,
    ]
    process = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_until(lambda: len(list(pids.iterdir())) == 2)
    return process, [int(path.name) for path in pids.iterdir()]


def wait_until(condition):
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("nothing happened in half a minute")


def ended(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"  # that nobody waits for


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
def test_killed_at_work_it_leaves_no_half_set_and_can_be_repeated(tmp_path):
    process, workers = start(tmp_path)
    with pytest.raises(UserError, match=r"another process is writing it"):
        convert(Faulty(4, {}), tmp_path / "set", workers=1, say=quiet)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    wait_until(lambda: all(map(ended, workers)))
    (left,) = tmp_path.glob(".tmp-*-set")
    assert not (tmp_path / "set").exists()
    convert(Faulty(4, {}), tmp_path / "set", workers=1, say=quiet)
    assert not left.exists()
    assert inspect(str(tmp_path / "set")).num_images == 4
    assert {path.name for path in tmp_path.iterdir()} == {"set", "pids"}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
def test_ctrl_c_cleans_up(tmp_path):
    process, workers = start(tmp_path)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all of them get it
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "")
    assert all(map(ended, workers))
    assert {path.name for path in tmp_path.iterdir()} == {"pids"}


# ---------------------------------------------------------------- reasons


def test_the_kind_of_a_bad_image_leaves_out_what_is_its_own():
    error = BadImage("a{}.png", "is {} {}×{}, not {}", "gray", 3, 4, np.dtype("u1"))
    for bad in (error, copy.copy(error)):  # which makes it as another process does
        assert str(bad) == "a{}.png: is gray 3×4, not uint8"
        assert bad.kind == "is … N×N, not …"
