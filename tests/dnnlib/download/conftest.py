"""A server that misbehaves, and a cache of each test's own."""

import os

import pytest

from dnnlib import download, web_pages
from tests.dnnlib.download import bad_server as bad


@pytest.fixture(name="server")
def _server():
    with bad.BadServer() as server:
        yield server


@pytest.fixture(autouse=True)
def waits(monkeypatch, tmp_path):
    """No proxies, a cache of its own, short timeouts; returns the waits, which are not made."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", str(tmp_path / "cache"))
    made = []
    monkeypatch.setattr(download, "_sleep", made.append)
    monkeypatch.setattr(download, "TIMEOUT", 0.25)
    return made


@pytest.fixture(name="drive")
def _drive(monkeypatch):
    """The local server counts as Google Drive."""
    monkeypatch.setattr(web_pages, "DRIVE_HOSTS", ("127.0.0.1",))


@pytest.fixture(name="cache")
def _cache(tmp_path):
    return tmp_path / "cache"
