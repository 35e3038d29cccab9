"""The list of slow tests names tests that exist."""

from pathlib import Path

import pytest

from tests import slow

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("entry", [*slow.TESTS, *slow.LONGEST])
def test_entries_exist(entry):
    file, _, name = entry.partition("::")
    assert not name or f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")
    assert (ROOT / file).is_file()


def test_an_entry_holds_all_parameters():
    assert slow.holds("tests/training/test_steps.py::test_any[a-b]")
    assert slow.holds("tests/dnnlib/test_quiet.py::test_importing_tensorflow")
    assert not slow.holds("tests/dnnlib/test_quiet.py::test_what_is_no_bug_is_one_line[x]")
