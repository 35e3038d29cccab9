"""ONNX Runtime Web's files: by their hashes, from a directory or through the cache."""

import hashlib

import pytest

from dnnlib import download
from dnnlib.errors import UserError
from explorer import web_runtime

CONTENT = {part: f"the file {part}".encode() for part in web_runtime.FILES}


@pytest.fixture
def files(monkeypatch):
    """Small files in place of the real ones: {part: (name, hash)}."""
    small = {
        part: (name, hashlib.sha256(CONTENT[part]).hexdigest())
        for part, (name, _) in web_runtime.FILES.items()
    }
    monkeypatch.setattr(web_runtime, "FILES", small)
    return small


def test_a_directory(files, tmp_path):
    for part, (name, _) in files.items():
        (tmp_path / name).write_bytes(CONTENT[part])
    assert web_runtime.read(tmp_path) == CONTENT


def test_another_version(files, tmp_path):
    for part, (name, _) in files.items():
        (tmp_path / name).write_bytes(CONTENT[part])
    (tmp_path / files["wasm"][0]).write_bytes(b"of another version")
    with pytest.raises(UserError, match=r"--runtime=.*asyncify.wasm is not that of .* 1\.30\.0"):
        web_runtime.read(tmp_path)


def test_a_directory_of_something_else(files, tmp_path):
    with pytest.raises(UserError, match=r"it has no file ort\.webgpu.*npm pack onnxruntime-web@"):
        web_runtime.read(tmp_path)


def test_the_cache(files, tmp_path, monkeypatch):
    asked = []

    def fetch(address, *, cache_dir, sha256, say):
        asked.append((address, cache_dir, sha256))
        part = next(part for part in files if address.endswith(files[part][0]))
        (tmp_path / part).write_bytes(CONTENT[part])
        return tmp_path / part

    monkeypatch.setattr(download, "fetch", fetch)
    assert web_runtime.read(cache_dir="cache") == CONTENT
    expected = [(web_runtime.ADDRESS + name, "cache", sha256) for name, sha256 in files.values()]
    assert asked == expected


def test_no_network(monkeypatch, tmp_path):
    def fetch(*args, **options):
        raise UserError("https://…: no connection (unreachable)")

    monkeypatch.setattr(download, "fetch", fetch)
    with pytest.raises(UserError, match=r"no connection .* --runtime=DIR") as raised:
        web_runtime.read(cache_dir=tmp_path)
    assert "\n" not in str(raised.value)
