"""What files are that were taken for something else."""

import gzip
import io
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from dnnlib import file_kinds


def _zip(name):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr(name, b"...")
    return written.getvalue()


def _npy():
    written = io.BytesIO()
    np.save(written, np.zeros(3))
    return written.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
KINDS = [
    (b"", "an empty file"),
    (b"\n<!DOCTYPE html><html>", "an HTML page"),
    (b"<HTML><body>Quota exceeded", "an HTML page"),
    (LFS, "a Git LFS pointer"),
    (gzip.compress(b"x"), "gzip data"),
    (_zip("network.pkl"), "a zip archive"),
    (_zip("archive/data.pkl"), "a PyTorch file"),
    (pickle.dumps(0x1950A86A20F9469CFC6C, 2), "a PyTorch file"),
    (_npy(), "a NumPy array"),
    (b'{"message": "Not Found"}', "JSON"),
    ("404: nicht verfügbar\n".encode(), "text"),
    (("é" * 2000).encode()[: file_kinds.HEAD], "text"),
    *((pickle.dumps(OrderedDict(a=1), protocol), "protocol 0 or 1") for protocol in (0, 1)),
    *((pickle.dumps([1, {"a": 2}], protocol), "protocol 0 or 1") for protocol in (0, 1)),
    *((pickle.dumps({"a": (1, 2)}, protocol), "protocol 0 or 1") for protocol in (0, 1)),
]


@pytest.mark.parametrize(("data", "kind"), KINDS)
def test_kinds(data, kind, tmp_path):
    assert kind in file_kinds.describe(data, len(data))
    (tmp_path / "file").write_bytes(data)
    assert kind in file_kinds.describe_file(tmp_path / "file")


def test_what_is_not_recognised(tmp_path):
    for data in (
        pickle.dumps([1], 2),
        b"\x40\0\0\0\0\0\0\0{}",
        b"\x0a\x90\x03\x0a\x04conv",
        bytes(9),
    ):
        assert file_kinds.describe(data, len(data)) is None
    assert file_kinds.describe_file(tmp_path) is None
