"""What `info` says of the code in a pickle."""

import json

import pytest

import networks
from dnnlib.errors import UserError
from generation import commands, describe, scan_report
from tests.dnnlib.pickles import pickle_assembler as assembler
from tests.generation.common import made


def written(tmp_path, data, name="x.pkl"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def info(path, *, everything=False, as_json=False):
    args = {"network": str(path), "all": everything, "json": as_json, "cache_dir": None}
    return commands.info(args)


def test_a_refused_file_is_scanned_all_the_same(tmp_path, capsys):
    path = written(tmp_path, assembler.file(assembler.many(assembler.network(), assembler.SHELL)))
    with pytest.raises(UserError, match=r"os\.system' is not allowed"):
        info(path)
    page = capsys.readouterr().out
    for expected in (
        "x.pkl: not read, ",
        "WARNING   os.system('exit 1'): called once, and no network needs it",
        "dnnlib.tflib.network.Network",
        "source    build_module_src of",
    ):
        assert expected in page
    with pytest.raises(UserError):
        info(path, as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert "is not allowed" in said["refused"]
    assert said["size"] == path.stat().st_size
    (call,) = [use for use in said["scan"]["calls"] if not use["known"]]
    assert call == {"name": "os.system", "times": 1, "known": False, "arguments": "'exit 1'"}


def test_pickles_of_the_oldest_protocols(tmp_path, capsys):
    with pytest.raises(UserError, match="protocol 0 or 1"):
        info(written(tmp_path, b"cos\nsystem\n(S'exit 1'\ntR."))
    assert "WARNING   os.system('exit 1'): called once" in capsys.readouterr().out


def test_what_is_no_pickle_is_not_scanned(tmp_path, capsys):
    for data in (b"<html>", b"", b"\x89PNG"):
        with pytest.raises(UserError):
            info(written(tmp_path, data))
    with pytest.raises(UserError):
        info(tmp_path / "missing.pkl")
    path = tmp_path / "x.safetensors"
    networks.save(path, Gs=made())
    assert "scan" not in describe.describe(path)
    assert capsys.readouterr().out == ""


def test_terminals_and_long_lists():
    use = {"times": 2, "known": True}
    uses = [{"name": f"module{i}.function\x1b[31m", **use} for i in range(30)]
    report = {"imports": uses, "calls": [], "sources": [], "incomplete": "why\n (byte 3)"}
    lines = list(scan_report.lines(report))
    assert all(line.isprintable() and len(line) <= 100 for line in lines)
    assert "and 18 more" in " ".join(lines)
    assert "×2" in lines[1]
    assert lines[-1] == "  ended early: why (byte 3)"
    empty = {"imports": [], "calls": [], "sources": [], "incomplete": None}
    assert list(scan_report.lines(empty))[-1] == "  nothing"
