import errno
import json
import os
import stat

import pytest

from dnnlib import atomic
from dnnlib.errors import UserError


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def write_half(target, error):
    with atomic.atomic_path(target) as temp:
        temp.write_text("half")
        raise error


def test_content_appears_under_the_final_name_only_at_the_end(tmp_path):
    target = tmp_path / "new" / "image.png"
    with atomic.atomic_path(target) as temp:
        assert temp.suffix == ".png"  # writers choose the format by it
        assert temp.name.startswith(atomic.TEMP_PREFIX)
        temp.write_bytes(b"abc")
        assert not target.exists()
    assert target.read_bytes() == b"abc"
    assert names(target.parent) == ["image.png"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_keeps_the_old_file_and_leaves_nothing(tmp_path, error):
    target = tmp_path / "file.txt"
    atomic.write_text(target, "old")
    with pytest.raises(error):
        write_half(target, error)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_failure_before_the_file_exists_is_reported_as_it_is(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic.atomic_path(tmp_path / "file"):
        _ = 1 / 0
    assert names(tmp_path) == []


def test_the_file_is_synced_before_it_gets_its_name(tmp_path, monkeypatch):
    calls = []
    real_replace = os.replace

    def replace(source, target):
        calls.append("replace")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append("fsync"))
    monkeypatch.setattr(os, "replace", replace)
    atomic.write_bytes(tmp_path / "file", b"x")
    assert calls[:2] == ["fsync", "replace"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only"),
    ],
)
def test_conditions_of_the_machine_are_explained(tmp_path, code, words):
    target = tmp_path / "file"
    with pytest.raises(UserError, match=words) as caught:
        write_half(target, OSError(code, os.strerror(code)))
    assert str(target) in str(caught.value)
    assert names(tmp_path) == []


def test_other_errors_of_the_system_pass_through(tmp_path):
    with pytest.raises(OSError, match="ioctl"), atomic.atomic_path(tmp_path / "file"):
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))


def test_a_parent_that_is_a_file_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot write"):
        atomic.write_text(tmp_path / "file" / "below" / "name", "y")


def test_files_get_ordinary_permissions(tmp_path):
    # tempfile would make them private, which surprises on shared disks.
    mask = os.umask(0)
    os.umask(mask)
    atomic.write_text(tmp_path / "file", "x")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask


def test_json_is_readable_and_strict(tmp_path):
    path = tmp_path / "value.json"
    atomic.write_json(path, {"name": "größe", "list": [1, 2.5]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "größe", "list": [1, 2.5]}
    assert path.read_bytes().endswith(b"}\n")
    assert b"\r" not in path.read_bytes()
    with pytest.raises(ValueError):
        atomic.write_json(path, float("nan"))
    assert json.loads(path.read_text(encoding="utf-8"))["list"] == [1, 2.5]


def test_clean_stale_removes_only_temporary_files(tmp_path):
    atomic.write_text(tmp_path / "keep.txt", "x")
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / (atomic.TEMP_PREFIX + "directory")).mkdir()
    stale = tmp_path / (atomic.TEMP_PREFIX + "0badf00d-keep.txt")
    stale.write_text("half")
    assert atomic.clean_stale(tmp_path) == [stale]
    assert names(tmp_path) == [".hidden", atomic.TEMP_PREFIX + "directory", "keep.txt"]
