"""What the tests of configurations and of runs share."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from dnnlib.errors import UserError
from training import checkpoint, runs
from training.classifiers import runs as classifier_runs
from training.request import Request

# The demo's networks on images that need no file.
BASE = Request(dataset="synthetic-32")


def make_info(resolution=32, channels=3, label_size=0):
    """As datasets.format.reader.inspect would find it."""
    return SimpleNamespace(resolution=resolution, channels=channels, label_size=label_size)


def ask(**flags):
    return dataclasses.replace(BASE, **flags)


def add_checkpoint(run_dir):
    (run_dir / "checkpoint-000000001000.safetensors").write_bytes(b"")
    assert checkpoint.paths(run_dir)


def started(request):
    return runs.plan(request).start()


def files(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def refused(request, message):
    """The request is refused with one line, and nothing is made or changed."""
    before = files(Path())
    kind = classifier_runs if request.preset == "classifier" else runs
    with pytest.raises(UserError, match=message) as caught:
        kind.plan(request)
    assert "\n" not in str(caught.value)
    assert files(Path()) == before
