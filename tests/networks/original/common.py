"""Recorded networks behind the facade, and how exact its output must be.

Tolerances as in test_golden_networks.py: 2e-5 of the range; uint8 images may differ by 1 in a
handful of pixels.
"""

import contextlib
import functools

import numpy as np

import networks
from tests import golden
from tests.networks.common import (
    error,
)

TOLERANCE = 2e-5


@functools.cache  # small; and graphs are compiled once
def case(tag):
    """(G, D, Gs) as RunnableNetworks, {key: recorded array}."""
    data = golden.load(golden.network_file(tag, "net"))
    pickle = golden.path(golden.network_file(tag, "pickle"))
    return networks.load_runnable(pickle), dict(data)


@contextlib.contextmanager
def lod_of(network, lod):
    if "lod" not in network.vars:
        assert float(lod) == 0
        yield
        return
    network.set_var("lod", float(lod))
    yield
    network.set_var("lod", 0)


def check(value, data, key):
    expected = data[key]
    assert value.dtype == expected.dtype
    assert value.shape == expected.shape
    if expected.dtype == np.uint8:
        difference = np.abs(np.int32(value) - expected)
        assert difference.max() <= 1, key
        assert np.count_nonzero(difference) <= max(5, 1e-3 * expected.size), key
    else:
        assert error(value, expected) <= TOLERANCE, key
