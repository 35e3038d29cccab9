"""Set-up for every test: a quiet TensorFlow on the CPU, and the same randomness in every run."""

import os
import random
import sys

# Before anything imports TensorFlow; what the environment already says wins.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tolerances are those of float32 on a CPU; CUDA_VISIBLE_DEVICES=0 runs the tests on a GPU.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
if "PYTEST_XDIST_WORKER" in os.environ:
    # As many tests at a time as there are cores: each has one, and shares a GPU with the others.
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

import hypothesis
import numpy as np
import pytest

from tests import golden, slow

# The same examples in every run, and no time limit: the first example of a test may trace a graph.
hypothesis.settings.register_profile("house", derandomize=True, deadline=None)
hypothesis.settings.load_profile("house")


@pytest.fixture(autouse=True)
def _seeds():
    """Seeds the global generators: a test that has no seed of its own repeats all the same."""
    random.seed(0)
    np.random.seed(0)
    tf = sys.modules.get("tensorflow")  # not imported here: tests without TensorFlow stay fast
    if tf is not None:
        tf.keras.utils.set_random_seed(0)


def pytest_addoption(parser):
    parser.addoption(
        "--fast", action="store_true", help="leave out golden data and what tests/slow.py lists"
    )


def pytest_configure(config):
    golden.left_out = config.getoption("--fast")


def pytest_collection_modifyitems(config, items):
    items.sort(key=lambda item: slow.rank(item.nodeid))
    if config.getoption("--fast"):
        left_out = [item for item in items if slow.holds(item.nodeid)]
        items[:] = [item for item in items if not slow.holds(item.nodeid)]
        config.hook.pytest_deselected(items=left_out)


def pytest_make_parametrize_id(val):
    """Bytes are named by their length: xdist compares names, and a picture may hold the time."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None
