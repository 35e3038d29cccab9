"""Whatever a file, variable or flag holds, it is one line: deep JSON, huge numbers, no file."""

import json
import math
import os
import socket

import numpy as np
import pytest

from compute import cluster
from datasets import labels
from datasets.format import info as formats
from datasets.format.tfrecords import DataError, ImageFile
from datasets.sources import containers
from dnnlib import atomic, config as config_lib, download, json_files, paths, tensor_file
from dnnlib.errors import UserError
from generation import latents
from metrics import results
from networks import legacy, options, registry, snapshot
from training import checkpoint, report, runs, saved_config
from training.request import Request
from training.source import Source

DEEP = ["[" * 90 + "]" * 90, "[" * 100_000, '{"a":' * 90 + "1" + "}" * 90]
NUMBERS = ["9" * 400, "9" * 9999, "-" + "9" * 21, "1e999", "-1e999", "NaN", "Infinity"]
OTHERS = ["", "{", "\ufeff{}", "nothing"]


def ids(values):
    """Short names: the values themselves are long."""
    return [f"{value[:8]}-{len(value)}" for value in values]


def given(name, values):
    return pytest.mark.parametrize(name, values, ids=ids(values))


@given("text", [*DEEP, *NUMBERS, *OTHERS])
def test_json(text):
    with pytest.raises(json_files.JsonError):
        json_files.parse(text)


def test_json_that_is_fine():
    value = {"a": [1, 2.5, None, True, "x", 2**63], "b": {"c": [[]]}}
    assert json_files.parse(json.dumps(value)) == value
    assert json_files.parse(b'{"a": 1}') == {"a": 1}
    assert math.isnan(json_files.parse("NaN", finite=False))
    assert json_files.parse("9" * 400, finite=False) == math.inf
    assert json_files.parse("-" + "9" * 400, finite=False) == -math.inf


HOSTILE = [*DEEP, *NUMBERS]


@pytest.fixture
def run_dir(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@given("value", HOSTILE)
def test_every_reader_of_json(value, run_dir, monkeypatch, tmp_path):
    (run_dir / "config.json").write_text(f'{{"seed": {value}}}')
    with pytest.raises(UserError, match=r"config\.json"):
        saved_config.load_config(run_dir)
    assert saved_config.preset_of(run_dir) is None

    results.path_in(run_dir, "m").write_text(f'{{"provenance": {value}}}\n')
    assert results.find(run_dir, "m", {}) is None
    assert report._nimg_of(f'{{"cur_nimg": {value}}}') == math.inf

    monkeypatch.setenv("TF_CONFIG", f'{{"task": {{"index": {value}}}}}')
    with pytest.raises(UserError, match="TF_CONFIG"):
        cluster.read_cluster()

    with pytest.raises(UserError, match=r"dataset\.json"):
        labels.labels_from_json(f'{{"labels": [["a", {value}]]}}'.encode(), ["a"], "dataset.json")

    path = tmp_path / "checkpoint-000000000001.safetensors"
    metadata = {"version": "2", "progress": f'{{"loop": {{}}, "seconds": {value}}}'}
    tensor_file.save(path, {"a": np.zeros(1)}, checkpoint.FORMAT, metadata)
    with pytest.raises(UserError, match="none of its 1 checkpoints"):
        checkpoint.restore(tmp_path, {})


@given("value", DEEP)
def test_metadata_of_snapshots(value, tmp_path):
    path = tmp_path / "a.safetensors"
    metadata = {"networks": "{}", "info": value}
    tensor_file.save(path, {}, snapshot.FORMAT, metadata)
    with pytest.raises(UserError, match="not a usable snapshot"):
        snapshot.read_info(path)


@given("value", [*HOSTILE, "0x" + "f" * 5000, "['x']" * 3])
@pytest.mark.parametrize("key", ["seed", "total_kimg", "G.fmap_max", "schedule.G_lrate", "xla"])
def test_settings(key, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(UserError) as caught:
        runs.plan(Request(dataset="synthetic-8", overrides=(f"{key}={value}",)))
    assert key.split(".")[-1] in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert list(tmp_path.iterdir()) == []


def test_a_key_of_many_parts():
    with pytest.raises(UserError, match="5001 deep"):
        config_lib.apply_overrides(saved_config.TrainingConfig(), ["G" + ".a" * 5000 + "=1"])


@pytest.mark.parametrize(
    ("decay", "expected"),
    [(-2000, [512, 512]), (2000, [512, 0]), (1e308, [512, 0]), (1.0, [512, 64])],
)
def test_feature_maps_of_any_decay(decay, expected):
    given = {"fmap_base": 8192, "fmap_decay": decay, "fmap_max": 512}
    assert [options.feature_maps(given, stage) for stage in (0, 7)] == expected


def test_any_decay_in_a_network():
    assert registry.resolve("G_style", fmap_decay=-2000)["fmap_decay"] == -2000
    with pytest.raises(ValueError, match="fmap"):
        registry.resolve("G_style", fmap_decay=2000)


# ---------------------------------------------------------------- what is no file


def pipe(path):
    os.mkfifo(path)


def sock(path):
    here = os.getcwd()
    os.chdir(path.parent)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


KINDS = {
    "a pipe": pipe,
    "a socket": sock,
    "a directory": lambda path: path.mkdir(),
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


def check_config(path):
    path.rename(path.with_name("config.json"))
    saved_config.load_config(path.parent)


def find_record(path):
    path.rename(path.with_name("metric-a.jsonl"))
    results.find(path.parent, "a", {})


READERS = {
    "open_input": paths.open_input,
    "open_to_append": paths.open_to_append,
    "network": download.local_path,
    "network without a download": download.local_path_if_there,
    "snapshot": snapshot.read,
    "pickle": legacy.read,
    "kind": paths.is_pickle,
    "hash": download.file_sha256,
    "latents": lambda path: latents.read(path, 4, 0, None),
    "resume_from": lambda path: Source(str(path), path).check({}),
    "zip": lambda path: containers.open_container(path).names(),
    "config": check_config,
    "records": find_record,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file(kind, reader, tmp_path):
    if (reader, kind) == ("zip", "a directory"):
        return
    path = tmp_path / "input"
    KINDS[kind](path)
    with pytest.raises(UserError, match=rf"{tmp_path}\S* is {kind}, not a"):
        READERS[reader](path)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_of_a_kind(kind, tmp_path):
    path = tmp_path / "checkpoint-000000000001.safetensors"
    KINDS[kind](path)
    with pytest.raises(tensor_file.TensorFileError, match=kind):
        tensor_file.load(path, "f")
    with pytest.raises(UserError, match="none of its 1 checkpoints"):
        checkpoint.restore(tmp_path, {})
    with pytest.raises(DataError, match=kind):
        ImageFile(path)
    with pytest.raises(DataError, match=kind):
        formats.open_labels(str(path))


@pytest.mark.parametrize("find", [download.local_path, download.local_path_if_there])
def test_a_link_to_nothing_is_no_address(find, tmp_path):
    (tmp_path / "n.pkl").symlink_to("gone")
    with pytest.raises(UserError, match=r"n\.pkl is a link to gone, which is not there$"):
        find(tmp_path / "n.pkl")


def test_what_is_there_of_an_address(tmp_path):
    """What a download left is found; nothing is written, and nothing removed."""
    url = "https://example.com/a.pkl"
    assert download.local_path_if_there(url, cache_dir=tmp_path / "cache") is None
    assert not (tmp_path / "cache").exists()
    path = tmp_path / download.resolve(url).file
    path.write_bytes(b"abc")
    assert download.cached(url, cache_dir=tmp_path) == path
    with pytest.raises(UserError, match=r"expected sha256 0{64}, but it has ba7816bf.*: delete it"):
        download.cached(url, cache_dir=tmp_path, sha256="0" * 64)
    path.with_name(f"{path.name}.sha256").write_text("0" * 64)
    with pytest.raises(UserError, match="has changed since its download"):
        download.cached(url, cache_dir=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("kind", ["a pipe", "a socket"])
def test_no_file_takes_the_place_of_what_is_none(kind, tmp_path):
    path = tmp_path / "output"
    KINDS[kind](path)
    with pytest.raises(UserError, match=rf"output is {kind}, not a file"):
        atomic.write_text(path, "x")
    assert list(tmp_path.iterdir()) == [path]
    assert not path.is_file()
    with pytest.raises(UserError, match="null is a device, not a file"):
        paths.check_output("/dev/null")


def test_files_are_read(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    (tmp_path / "link").symlink_to(path)
    for name in ("file", "link"):
        with paths.open_input(tmp_path / name) as file:
            assert file.read() == b"abc"
    with pytest.raises(FileNotFoundError):
        paths.open_input(tmp_path / "nothing")
