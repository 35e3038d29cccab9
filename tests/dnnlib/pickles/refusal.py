"""What every reader of pickles is asked: how it refuses, and what it runs (nothing)."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def run(code, *arguments):
    """Runs Python code in its own process: an audit hook cannot be removed."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def check(read, data, pattern, kind, most=300):
    """That read(data) raises an error of this kind, one line with reason and position."""
    with pytest.raises(kind, match=pattern) as caught:
        read(data)
    error = caught.value
    assert re.search(pattern, error.reason)
    assert 0 <= error.offset <= len(data)
    assert str(error).endswith(f"{error.reason} (byte {error.offset})")
    assert len(str(error)) < most
    assert "\n" not in str(error)
    return error
