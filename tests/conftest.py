"""Set-up for every test: a quiet TensorFlow on the CPU, and the same randomness in every run."""

import os
import random
import sys

# Before anything imports TensorFlow; what the environment already says wins.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tolerances are those of float32 on a CPU; CUDA_VISIBLE_DEVICES=0 runs the tests on a GPU.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import hypothesis
import numpy as np
import pytest

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
