"""What users write in place of paths, in environments as they are."""

import pickle
import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest

from dnnlib import download, paths
from dnnlib.errors import UserError


@pytest.fixture(name="home")
def _home(monkeypatch, tmp_path):
    """A home directory, and nothing else that names a cache."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("STYLEGAN_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture(name="homeless")
def _homeless(home, monkeypatch):
    """A user of whom neither the environment nor the system knows a home directory."""

    def unknown(user):
        raise KeyError(user)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_home_directories_are_put_in(home):
    assert paths.expand("~/data/x.pkl") == f"{home}/data/x.pkl"
    assert paths.expand(Path("~/data")) == f"{home}/data"
    assert paths.expand("~") == str(home)
    someone = pwd.getpwall()[0]
    assert paths.expand(f"~{someone.pw_name}/x") == f"{someone.pw_dir}/x"


@pytest.mark.parametrize(
    "text", ["x", "/data", "a/~/b", "~backup.png", "https://a.org/~me/x.pkl", "", "latest", "ffhq"]
)
def test_other_texts_stay_as_they_are(home, text):
    assert paths.expand(text) == text


def test_absolute_paths(home, monkeypatch):
    monkeypatch.chdir(home)
    assert paths.absolute("a/../b") == f"{home}/b"
    assert paths.absolute("~/b") == f"{home}/b"
    assert paths.absolute("https://a.org/b") == "https://a.org/b"
    assert paths.absolute(None) is None


@pytest.mark.parametrize("value", ["", "relative"])
def test_a_home_that_is_none_is_looked_up(home, value, monkeypatch):
    """Python's own way makes /data of ~/data where HOME is empty."""
    monkeypatch.setenv("HOME", value)
    monkeypatch.setattr("pwd.getpwuid", lambda user: SimpleNamespace(pw_dir="/home/me"))
    assert paths.expand("~/data") == "/home/me/data"
    assert paths.cache_directory() == Path("/home/me/.cache/stylegan-tf2")


def test_without_any_home_the_message_says_what_to_set(homeless, monkeypatch):
    with pytest.raises(UserError, match=r"^~/x: no home directory is known: set HOME"):
        paths.expand("~/x")
    with pytest.raises(UserError, match="set HOME, or STYLEGAN_CACHE_DIR to a directory"):
        paths.cache_directory()
    assert paths.expand("x") == "x"
    assert paths.cache_directory("given") == Path("given")
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", "/own")
    assert paths.cache_directory() == Path("/own")


def test_the_cache_directory(home, monkeypatch):
    assert paths.cache_directory() == home / ".cache/stylegan-tf2"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which its specification says to ignore
    assert paths.cache_directory() == home / ".cache/stylegan-tf2"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert paths.cache_directory() == Path("/xdg/stylegan-tf2")
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", "~/own")
    assert paths.cache_directory() == home / "own"
    assert paths.cache_directory("~/given") == home / "given"


def test_a_local_file_may_be_in_the_home_directory(home):
    (home / "x.pkl").touch()
    assert download.local_path("~/x.pkl") == home / "x.pkl"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_are_known_by_their_first_bytes(tmp_path, protocol):
    path = tmp_path / "x"
    path.write_bytes(pickle.dumps({}, protocol))
    assert paths.is_pickle(path)
    for other in (b"", b"\x80", b"PK\3\4", b"\x80\xff", b"(dp0"):
        path.write_bytes(other)
        assert not paths.is_pickle(path)
