"""Names of sources and files, and the cache."""

import errno
import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import pytest

from dnnlib import download, locks
from dnnlib.errors import UserError
from tests.dnnlib.download import bad_server as bad
from tests.dnnlib.download.common import DATA, SHA, fails, names

CDN = "https://nvlabs-fi-cdn.nvidia.com"

# ---------------------------------------------------------------- names and places


def test_known_networks():
    assert len(download.KNOWN) == 5 + 2 * 6 + 3 * 2 + 2 * 9 + 2 * 12
    source = download.resolve("ffhq-1024")
    assert source.url == "https://drive.google.com/uc?id=1MEGjdvVpUsu1jB4zrXZN7Y4kBBOzizDQ"
    assert source.file == "karras2019stylegan-ffhq-1024x1024.pkl"
    assert source.licence == "CC BY-NC 4.0 by NVIDIA"
    assert len({source.url for source in download.KNOWN.values()}) == len(download.KNOWN)
    assert len({source.file for source in download.KNOWN.values()}) == len(download.KNOWN)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("stylegan2-ffhq-config-f", "stylegan2-ffhq-config-f.pkl"),
        ("stylegan2-horse-config-a", "stylegan2-horse-config-a.pkl"),
        ("stylegan2-car-config-e-Gorig-Dskip", "table2/stylegan2-car-config-e-Gorig-Dskip.pkl"),
    ],
)
def test_networks_of_stylegan2(name, path):
    """By name, by the scripts' first names, and by address."""
    source = download.resolve(name)
    assert source.url == "https://nvlabs-fi-cdn.nvidia.com/stylegan2/networks/" + path
    assert (source.file, source.licence) == (f"{name}.pkl", "CC BY-NC 4.0 by NVIDIA")
    assert download.resolve(f"gdrive:networks/{path}") == source
    assert download.resolve(source.url) == source


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("ada-metfaces", f"{CDN}/stylegan2-ada-pytorch/pretrained/metfaces.pkl"),
        ("ada-tf-cifar10", f"{CDN}/stylegan2-ada/pretrained/cifar10.pkl"),
        (
            "ada-lsundog-res256-paper256-kimg100000-noaug",
            f"{CDN}/stylegan2-ada-pytorch/pretrained/transfer-learning-source-nets/"
            "lsundog-res256-paper256-kimg100000-noaug.pkl",
        ),
    ],
)
def test_networks_of_stylegan2_ada(name, url):
    source = download.resolve(name)
    assert (source.url, download.resolve(url)) == (url, source)
    assert source.licence == "NVIDIA's Source Code License (non-commercial)"


@pytest.mark.parametrize(
    "url",
    [
        "https://drive.google.com/uc?id=1MEGjdvVpUsu1jB4zrXZN7Y4kBBOzizDQ",
        "https://drive.google.com/uc?export=download&id=1MEGjdvVpUsu1jB4zrXZN7Y4kBBOzizDQ",
        "https://drive.google.com/file/d/1MEGjdvVpUsu1jB4zrXZN7Y4kBBOzizDQ/view?usp=sharing",
        "https://drive.google.com/open?id=1MEGjdvVpUsu1jB4zrXZN7Y4kBBOzizDQ",
        "https://drive.usercontent.google.com/download?id=1MEGjdvVpUsu1jB4zrXZN7Y4kBBOzizDQ",
    ],
)
def test_links_of_google_drive(url):
    assert download.resolve(url) == download.KNOWN["ffhq-1024"]
    other = download.resolve(url.replace("1MEG", "1XXX"))
    assert other.url == "https://drive.google.com/uc?id=1XXXjdvVpUsu1jB4zrXZN7Y4kBBOzizDQ"
    assert other.file == "drive-1XXXjdvVpUsu1jB4zrXZN7Y4kBBOzizDQ"


@pytest.mark.parametrize(
    ("url", "stem", "suffix"),
    [
        ("https://a.org/models/inception-2015-12-05.tgz", "inception-2015-12-05", ".tgz"),
        ("http://a.org/x.pkl?version=2/y.z#part", "x", ".pkl"),
        ("http://a.org", "file", ""),
        ("http://a.org/dir/", "file", ""),
        ("http://a.org/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "etc-passwd", ""),
        ("HTTP://a.org/größe 1.pkl", "gr-e-1", ".pkl"),
        ("http://a.org/" + 300 * "a" + ".pkl", 80 * "a", ".pkl"),
    ],
)
def test_names_in_the_cache_are_readable_and_safe(url, stem, suffix):
    name = download.resolve(url).file
    assert name[: len(stem) + 1] == f"{stem}-"
    assert name[len(stem) + 1 + 10 :] == suffix


def test_names_in_the_cache_differ_by_address():
    urls = ["http://a.org/x.pkl", "http://b.org/x.pkl", "http://a.org/x.pkl?v=2"]
    assert len({download.resolve(url).file for url in urls}) == 3


def test_unknown_names_list_the_known_ones():
    fails("did you mean 'ffhq-1024'.*known are ffhq-1024, .*cats-256", "ffqh-1024")
    for other in ("ftp://a.org/x", "file:///etc/passwd", "http://", "missing/x.pkl", ""):
        fails("neither a file, an http", other)
    fails("expected 64 hexadecimal digits", "ffhq-1024", sha256="abc")


def test_local_path(tmp_path, server):
    file = tmp_path / "ffhq-1024"
    file.write_bytes(b"x")
    assert download.local_path(file) == file
    assert download.local_path(str(file)) == file
    with pytest.raises(UserError, match="is a directory"):
        download.local_path(tmp_path)
    with pytest.raises(UserError, match="known are"):
        download.local_path(tmp_path / "missing.pkl")
    url = server.at("/x.pkl", bad.body(DATA))
    path = download.local_path(f"{url}?{5000 * 'x'}", cache_dir=tmp_path / "other")
    assert path.read_bytes() == DATA
    assert path.parent == tmp_path / "other"


# ---------------------------------------------------------------- the cache


def test_the_second_use_asks_nobody(server, cache):
    url, lines = server.at("/x.pkl", bad.body(DATA, etag='"1"')), []
    path = download.fetch(url, sha256=SHA.upper(), say=lines.append)
    assert path.parent == cache
    assert path.read_bytes() == DATA
    assert names(cache) == ["", ".sha256"]
    assert (cache / f"{path.name}.sha256").read_text() == f"{SHA}  {path.name}\n"
    assert lines == [f"downloading {url}", f"saved {path}, sha256 {SHA}"]
    assert download.fetch(url, sha256=SHA) == path
    assert download.fetch(url) == path
    assert len(server.requests) == 1


def test_a_name_tells_its_licence_each_time(server, monkeypatch, cache):
    source = download.Source(server.at("/uc", bad.body(DATA)), "net.pkl", "CC BY-NC 4.0")
    monkeypatch.setitem(download.KNOWN, "net", source)
    for _ in range(2):
        lines = []
        assert download.fetch("net", say=lines.append) == cache / "net.pkl"
        assert lines[0] == "net.pkl: CC BY-NC 4.0"


def test_a_file_put_there_by_hand_is_taken_and_recorded(cache):
    url = "http://a.invalid/x.pkl"
    path = cache / download.resolve(url).file
    cache.mkdir()
    path.write_bytes(DATA)
    assert download.fetch(url) == path
    assert SHA in (cache / f"{path.name}.sha256").read_text()


def test_a_page_put_there_by_hand_is_not(cache):
    url = "http://a.invalid/x.pkl"
    cache.mkdir()
    (cache / download.resolve(url).file).write_text("\n<!DOCTYPE html><p>Quota exceeded")
    fails("is an HTML page, not the file", url)


def test_a_changed_file_is_refused_but_not_removed(server, cache):
    url = server.at("/x.pkl", bad.body(DATA))
    path = download.fetch(url)
    path.write_bytes(b"other")
    message = fails("has changed since its download", url)
    assert f"{path}.sha256 to keep it" in message
    assert path.read_bytes() == b"other"
    # Who gives the hash decides, and the record follows.
    assert download.fetch(url, sha256=hashlib.sha256(b"other").hexdigest()) == path
    assert download.fetch(url) == path


def test_another_hash_than_expected_removes_the_file(server, cache):
    url = server.at("/x.pkl", bad.body(DATA, etag='"1"'))
    other = 64 * "0"
    message = fails(f"expected sha256 {other}, {SHA} came", url, sha256=other)
    assert str(cache / download.resolve(url).file) in message
    assert names(cache) == []
    download.fetch(url)
    fails(f"expected sha256 {other}, {SHA} came: removed", url, sha256=other)
    assert names(cache) == []


def test_a_cache_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("")
    url = server.at("/x.pkl", bad.body(DATA))
    fails("cannot write .*not a directory", url, cache_dir=tmp_path / "file" / "below")


def test_a_full_disk(server, monkeypatch):
    class Full(io.FileIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "full")

    def full(path, mode="r", **options):
        return Full(path, mode) if mode == "wb" else open(path, mode, **options)

    monkeypatch.setattr(download, "open", full, raising=False)
    fails("cannot write .*: no space left", server.at("/x.pkl", bad.body(DATA)))
    assert len(server.requests) == 1


def test_one_download_for_many(server):
    url, lines = server.at("/x.pkl", bad.body(DATA, cut=5000, pause=0.15)), []
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda i: download.fetch(url, say=lines.append), range(4)))
    assert {path.read_bytes() for path in paths} == {DATA}
    assert len(server.requests) == 1
    assert sum("waiting for it" in line for line in lines) == 3


def test_without_locks_everyone_has_a_part_of_its_own(server, cache, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    url = server.at("/x.pkl", bad.body(DATA, cut=5000, pause=0.1))
    with ThreadPoolExecutor(3) as pool:
        paths = list(pool.map(lambda i: download.fetch(url), range(3)))
    assert {path.read_bytes() for path in paths} == {DATA}
    assert names(cache) == ["", ".sha256"]
    fails("404", server.at("/y.pkl", bad.body(DATA, etag='"1"', cut=5000), bad.status(404)))
    assert names(cache) == ["", ".sha256"]
