"""Progress where there is no terminal: a line a minute, with the time that is left."""

import pytest

from dnnlib import progress
from dnnlib.progress import Progress


@pytest.fixture
def forty_seconds_an_item(monkeypatch):
    monkeypatch.setattr(progress.time, "monotonic", iter(range(0, 10_000, 40)).__next__)


@pytest.mark.usefixtures("forty_seconds_an_item")
def test_progress_is_told_in_lines_where_there_is_no_terminal():
    said = []
    assert list(Progress(60, "images", say=said.append).over([10] * 6, int)) == [10] * 6
    assert said == [
        "images: 20 of 60, about 2m 40s left",
        "images: 40 of 60, about 1m 20s left",
    ]


@pytest.mark.usefixtures("forty_seconds_an_item")
def test_hidden_progress_says_nothing():
    said = []
    list(Progress(60, "images", shown=False, say=said.append).over([10] * 6, int))
    assert said == []


@pytest.mark.usefixtures("forty_seconds_an_item")
def test_lines_go_to_stderr(capsys):
    list(Progress(60, "paths").over([10] * 3, int))
    assert capsys.readouterr() == ("", "paths: 20 of 60, about 2m 40s left\n")
