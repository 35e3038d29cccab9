"""A disk that fills up while something is saved: one line, exit code 2, nothing half-written."""

import contextlib
import errno
import gc
import resource
import signal
import sys

import numpy as np
import pytest
from safetensors import SafetensorError

from datasets.format.writer import MultiResolutionWriter
from dnnlib import atomic, tensor_file
from dnnlib.errors import UserError, disk_reason, exit_code, explain_write_errors
from generation import pictures, video
from metrics import results

FULL = "no space left on the device"
NOISE = np.random.RandomState(0).randint(0, 256, [128, 128, 3]).astype(np.uint8)


@contextlib.contextmanager
def limited(size=4096):
    """Files larger than that cannot be written, as on a full disk but for the error's number."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def frames():
    return (NOISE[:, ::step] for step in (1, -1, 1, -1))


def save_tensors(path):
    tensor_file.save(path, {"a": np.zeros(10_000, np.float32)}, "f", {})


def save_arrays(path):
    pictures.save_arrays(path, {"w": np.zeros([1, 10, 1000], np.float32)})


WRITERS = {
    "a.safetensors": save_tensors,
    "a.npz": save_arrays,
    "a.json": lambda path: atomic.write_json(path, list(range(10_000))),
    "a.png": lambda path: pictures.save(NOISE, path),
    "a.jpg": lambda path: pictures.save(NOISE, path),
    "a.webp": lambda path: pictures.save(NOISE, path, 100),
    "b.gif": lambda path: video.write(frames(), 4, path, 10),
    "b.webp": lambda path: video.write(frames(), 4, path, 10),
    "b.mp4": lambda path: video.write(frames(), 4, path, 10),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format(name, tmp_path, capsys, monkeypatch):
    later = []  # what Python would print of objects that go on failing
    monkeypatch.setattr(sys, "unraisablehook", later.append)
    if name.endswith(".mp4"):
        pytest.importorskip("av")
    path = tmp_path / name

    def run(argv):
        with limited():
            WRITERS[name](path)
        return 0

    assert exit_code(run, ["program"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"program: error: cannot write {path}: ")
    assert printed.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    gc.collect()
    assert later == []


def test_records_of_a_data_set(tmp_path):
    def write():
        with limited(), MultiResolutionWriter(tmp_path / "set", "set") as writer:
            for _ in range(4):
                writer.add_image(np.zeros([3, 64, 64], np.uint8))

    with pytest.raises(UserError, match=r"cannot write .*set: the file would be larger"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_labels_of_a_data_set(tmp_path):
    def write():
        with limited(), MultiResolutionWriter(tmp_path / "set", "set") as writer:
            writer.add_image(np.zeros([3, 4, 4], np.uint8))
            writer.add_labels(np.zeros([1, 4096], np.float32))

    with pytest.raises(UserError, match=r"cannot write .*set: "):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_record_of_a_metric(tmp_path):
    record = {"metric": "fid50k", "results": {"x": [0.0] * 10_000}}
    with pytest.raises(UserError, match=r"metric-fid50k\.jsonl: the file would"), limited():
        results.append(tmp_path, record)


class OpError(Exception):
    """As TensorFlow's."""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk quota exceeded"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), FULL),
        (
            SafetensorError("Error while serializing: IoError(Permission denied (os error 13))"),
            "permission denied",
        ),
        (OpError("/x/variables.data_temp; No space left on device [Op:SaveV2]"), FULL),
        (OSError("4096 requested and 0 written"), FULL),
        (OSError("Can't write data (errno = 28, error message = 'No space left on device')"), FULL),
        (RuntimeError("Disk quota exceeded"), "disk quota exceeded"),
        (
            OSError("encoder error -2 when writing image file"),
            "encoder error -2 when writing image file",
        ),
    ],
)
def test_errors_of_libraries(error, reason, tmp_path):
    def write():
        with atomic.atomic_path(tmp_path / "file") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(UserError) as caught:
        write()
    assert str(caught.value) == f"cannot write {tmp_path / 'file'}: {reason}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no shape"),
        OpError("OOM when allocating tensor with shape[1,2]"),
        ConnectionResetError(errno.ECONNRESET, "reset"),
    ],
)
def test_other_errors_are_not_about_the_disk(error, tmp_path):
    assert disk_reason(error) is None
    with pytest.raises(type(error)), explain_write_errors(tmp_path):
        raise error


def test_anywhere_else_in_a_program(capsys):
    def run(argv):
        raise OpError("events.out; No space left on device")

    assert exit_code(run, ["program"]) == 2
    assert capsys.readouterr().err == f"program: error: {FULL}\n"


def test_a_full_disk_is_not_taken_for_little_memory():
    tf = pytest.importorskip("tensorflow")
    from dnnlib import quiet

    error = tf.errors.ResourceExhaustedError(None, None, "x; No space left on device")
    with pytest.raises(tf.errors.ResourceExhaustedError), quiet.tensorflow_ready("less"):
        raise error
    with pytest.raises(UserError, match="out of memory: less"), quiet.tensorflow_ready("less"):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")


def test_saved_models(tmp_path, monkeypatch):
    from generation import convert
    from tests.generation.common import made

    monkeypatch.setattr(convert.describe, "load_for_pictures", lambda *args: made("paper"))
    error = convert.tf.errors.ResourceExhaustedError(None, None, "t; No space left on device")

    def save(module, path, *args):
        (tmp_path / path / "half").write_text("")
        raise error

    monkeypatch.setattr(convert.tf.saved_model, "save", save)
    with pytest.raises(UserError, match=f"cannot write {tmp_path / 'out'}: {FULL}"):
        convert.to_saved_model("x", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_message_is_not_out_of_memory(capsys):
    def run(argv):
        raise OSError

    assert exit_code(run, ["program"]) == 2
    assert "memory" not in capsys.readouterr().err
