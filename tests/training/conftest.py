"""A working directory of a test's own."""

import pytest


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The test has a working directory, and so a results/, of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    return tmp_path
