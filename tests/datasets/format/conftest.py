"""A small set to read, and a copy of it to damage."""

import shutil

import pytest

from tests.datasets.data_sets import write_set


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    write_set(directory / "some")
    write_set(directory / "plain", with_labels=False)
    return directory


@pytest.fixture
def copy(data_dir, tmp_path):
    """The directory of a copy of `some` that a test may damage."""
    return shutil.copytree(data_dir / "some", tmp_path / "some")
