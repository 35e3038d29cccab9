"""Whatever is wrong with a checkpoint, it is named and the one before it is used."""

import json
import types

import numpy as np
import pytest
import safetensors.numpy

from dnnlib.errors import UserError
from training import checkpoint
from training.checkpoint import Progress
from training.schedule import LoopState


class Variable:
    dtype = types.SimpleNamespace(as_numpy_dtype=np.float32)

    def __init__(self, value):
        self.value = np.asarray(value, np.float32)
        self.shape = self.value.shape

    def numpy(self):
        return self.value

    def assign(self, value):
        self.value = np.array(value)


def progress(cur_nimg):
    means = {"D": [0.5, 2], "G": [0.0, 0]}
    return Progress(LoopState(cur_nimg, 1, 8, 2.5), 4, {"D": 4, "G": 2}, 1.5, means)


@pytest.fixture
def saved(tmp_path):
    """(older checkpoint, newer checkpoint)"""
    for nimg in (16, 32):
        checkpoint.save(tmp_path, {"G/w": Variable([nimg, nimg])}, progress(nimg))
    return checkpoint.paths(tmp_path)


def restored(path):
    variables = {"G/w": Variable([0, 0])}
    return checkpoint.restore(path.parent, variables), variables["G/w"].value.tolist()


def falls_back(saved, capsys, words):
    newer = saved[-1]
    assert restored(newer) == (progress(16), [16.0, 16.0])
    told = capsys.readouterr().err
    assert told.startswith(f"warning: {newer} ")
    assert words in told
    assert told.endswith("; trying an older one\n")
    assert told.count("\n") == 1


def test_the_newest_is_used_and_its_progress_comes_back(saved, capsys):
    assert restored(saved[-1]) == (progress(32), [32.0, 32.0])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("place", [b"\x00\x00\x00\x42", b"G/w", b"rounds", b'"version"'])
def test_a_flipped_bit_anywhere(saved, capsys, place):
    content = bytearray(saved[-1].read_bytes())
    content[content.rindex(place)] ^= 4
    saved[-1].write_bytes(content)
    falls_back(saved, capsys, "is damaged (")


ZEROS = np.zeros(2, np.float32)


def without_checksum(path, name="G/w", array=ZEROS, **metadata):
    """A checkpoint as releases before wrote it, which nothing but its content can give away."""
    texts = {"format": checkpoint.FORMAT, "version": "2", "progress": "{}", **metadata}
    safetensors.numpy.save_file({name: array}, path, texts)


GOOD = json.dumps(progress(32).to_json())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "3",
        "{}",
        "[" * 100_000,
        '{"loop": null}',
        '{"loop": []}',
        GOOD.replace('"rounds": 4', '"rounds": "x"'),
        GOOD.replace('"rounds": 4', '"rounds": -4'),
        GOOD.replace('"D": 4', '"D": null'),
        GOOD.replace("[0.5, 2]", "[0.5]"),
        GOOD.replace("[0.5, 2]", "7"),
        GOOD.replace('"tick":', '"tjck":'),
        GOOD.replace('"seconds": 1.5', '"seconds": []'),
        GOOD.replace('"cur_nimg": 32', '"x": 1'),
    ],
)
def test_damaged_progress(saved, capsys, text):
    without_checksum(saved[-1], progress=text)
    falls_back(saved, capsys, "is damaged (")


@pytest.mark.parametrize(
    "changed",
    [{"name": "G/v"}, {"array": np.zeros(3, np.float32)}, {"array": np.zeros(2, np.int32)}],
)
def test_other_variables(saved, capsys, changed):
    without_checksum(saved[-1], progress=GOOD, **changed)
    falls_back(saved, capsys, "does not fit the networks")


def test_a_checkpoint_of_before_is_read(saved, capsys):
    without_checksum(saved[-1], progress=GOOD)
    assert restored(saved[-1]) == (progress(32), [0.0, 0.0])
    assert capsys.readouterr().err == ""


def test_none_that_can_be_used(saved, capsys):
    for path in saved:
        path.write_bytes(b"")
    with pytest.raises(UserError, match="none of its 2 checkpoints can be read"):
        restored(saved[0])
    without_checksum(saved[0], name="G/v", progress=GOOD)
    with pytest.raises(UserError, match=r"000016.safetensors does not fit the networks.*'G/v'"):
        restored(saved[0])
    assert capsys.readouterr().err.count("\n") == 4


def test_damaged_ones_do_not_push_out_what_is_saved_after_them(saved):
    older, newer = saved
    newer.write_bytes(b"")
    written = checkpoint.save(older.parent, {"G/w": Variable([1, 1])}, progress(24))
    assert checkpoint.paths(older.parent) == [older, written]
