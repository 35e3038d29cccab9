"""Files of folders and of zip files, the hostile ones too."""

import copy
import os
import zipfile

import pytest

from datasets.sources import containers
from datasets.sources.base import BadImage
from datasets.sources.containers import open_container, printable
from dnnlib.errors import UserError


def fill(directory, *names):
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return directory


def pack(path, *members, **options):
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, data in members:
            file.writestr(name, data)
    return open_container(path)


def test_files_of_a_folder(tmp_path):
    folder = open_container(fill(tmp_path, "b/c/1", "b/c.d/2", "a.txt", ".x", ".y/z", "b/.z"))
    assert folder.names() == ["a.txt", "b/c.d/2", "b/c/1"]
    assert folder.read("b/c.d/2") == b"b/c.d/2"


def test_links(tmp_path):
    directory = fill(tmp_path / "a", "x/1", "2")
    other = fill(tmp_path / "b", "3")
    (directory / "x/loop").symlink_to(directory)
    (directory / "self").symlink_to("self")
    (directory / "x/other").symlink_to(other)
    (other / "back").symlink_to(directory / "x")
    (directory / "4").symlink_to(other / "3")
    (directory / "broken").symlink_to("nowhere")
    folder = open_container(directory)
    assert folder.names() == ["2", "4", "broken", "self", "x/1", "x/other/3"]
    assert folder.read("4") == b"3"
    with pytest.raises(BadImage, match=r"^broken: cannot be read: No such file or directory$"):
        folder.read("broken")
    with pytest.raises(BadImage, match=r"^self: cannot be read: Too many levels of symbolic"):
        folder.read("self")


def test_a_directory_reached_by_two_paths_is_there_twice(tmp_path):
    directory = fill(tmp_path / "a", "dogs/1", "x/2")
    other = fill(tmp_path / "z", "deep/3")
    (directory / "cats").symlink_to("../z")
    (directory / "birds").symlink_to("dogs")
    (other / "deep/loop").symlink_to(other)
    (directory / "x/self").symlink_to(".")
    folder = open_container(directory)
    assert folder.names() == ["birds/1", "cats/deep/3", "dogs/1", "x/2"]
    assert folder.read("birds/1") == b"dogs/1"


def test_odd_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory.png").mkdir()
    folder = open_container(tmp_path)
    assert folder.names() == ["pipe"]
    for name in ("pipe", "directory.png"):
        with pytest.raises(BadImage, match=rf"^{name}: (is not a regular file|cannot be read)"):
            folder.read(name)


def test_large_files(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "MAX_FILE_BYTES", 1 << 20)
    folder = open_container(tmp_path)
    (tmp_path / "a").write_bytes(bytes(1 << 20))
    assert len(folder.read("a")) == 1 << 20
    (tmp_path / "a").write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(BadImage, match=r"^a: is larger than 1 MiB, the limit$"):
        folder.read("a")


def test_messages_do_not_disturb_the_terminal(tmp_path):
    assert printable("é 1.png") == "é 1.png"
    assert printable("a\n\x1b[31m.png") == r"a\n\x1b[31m.png"
    name = os.fsdecode(b"\xff")
    (tmp_path / name).write_text("hello")
    folder = open_container(tmp_path)
    assert folder.names() == [name]
    assert folder.read(name) == b"hello"
    assert printable(name) == r"\udcff"


def test_names_in_a_zip_are_just_names(tmp_path):
    names = ["../up", "/abs", "a/../b", "C:/x", "a/"]
    archive = pack(
        tmp_path / "a.zip",
        *((name, name) for name in [*names, "__MACOSX/._x", "__MACOSX/x", ".y/z"]),
    )
    assert archive.names() == ["../up", "/abs", "C:/x", "a/../b"]
    for name in archive.names():
        assert archive.read(name) == name.encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_bombs_in_a_zip(tmp_path, monkeypatch, compression):
    monkeypatch.setattr(containers, "MAX_FILE_BYTES", 1 << 20)
    path = tmp_path / "a.zip"
    archive = pack(path, ("a", bytes(1 << 21)), ("b", b"hello"), compression=compression)
    with pytest.raises(BadImage, match=r"^a: is larger than 1 MiB, the limit$"):
        archive.read("a")
    assert archive.read("b") == b"hello"
    # With a lie about the size, in the directory at the end and in the member's header.
    size, lie = (1 << 21).to_bytes(4, "little"), (9).to_bytes(4, "little")
    assert path.read_bytes().count(size) == 2
    path.write_bytes(path.read_bytes().replace(size, lie))
    with pytest.raises(BadImage, match=r"^a: is damaged in .*a\.zip: Bad CRC-32"):
        open_container(path).read("a")


def test_encrypted_members(tmp_path):
    path = tmp_path / "a.zip"
    pack(path, ("a", b"hello"), ("b", b"hello"))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1  # the flags of the first entry in the directory
    path.write_bytes(content)
    archive = open_container(path)
    with pytest.raises(BadImage, match=r"^a: is encrypted$"):
        archive.read("a")
    assert archive.read("b") == b"hello"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name(tmp_path):
    archive = pack(tmp_path / "a.zip", ("a", b"1"), ("b", b"2"), ("a", b"3"))
    with pytest.raises(UserError, match=r"a\.zip: has two files named a$"):
        archive.names()


def test_not_there_or_no_zip(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such folder or zip file$"):
        open_container(tmp_path / "nowhere")
    path = tmp_path / "a.zip"
    path.write_text("hello")
    with pytest.raises(UserError, match=r"a\.zip: neither a folder nor an intact zip file: File "):
        open_container(path).names()


def test_an_open_zip_can_be_pickled(tmp_path):
    archive = pack(tmp_path / "a.zip", ("a", b"hello"))
    assert archive.read("a") == b"hello"
    assert copy.deepcopy(archive).read("a") == b"hello"  # by the same protocol
