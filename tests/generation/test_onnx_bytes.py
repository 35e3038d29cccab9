"""The same network is the same bytes on every stack: ONNX models against recorded digests.

Variables are whole numbers over 64, which no library draws. A digest that changes is a file that
changes for everybody: record it again only for a change that is meant.
"""

import hashlib

import numpy as np
import pytest

import networks
from generation.onnx import build
from generation.onnx.graph import serialized
from tests.generation.test_onnx import OF

pytestmark = pytest.mark.conformance

CASES = {
    ("G_paper", "labels", "generator", "float32", "fixed"): "3665cab0e6134b92",
    ("G_style", "labels", "generator", "float32", "random"): "f1423c265707c421",
    ("G_style", "unfused", "synthesis", "float16", "fixed"): "c84b1f4b556c3532",
    ("G_main", "labels", "mapping", "float32", "none"): "d66a4d43da70630b",
    ("G_main", "many_taps", "generator", "float32", "input"): "390e5cf6789aecae",
    ("G_main", "revised", "synthesis", "float32", "none"): "e7cf9bb1d9177e7c",
    ("G_ada", "labels", "generator", "int8", "fixed"): "987ca5f5986506cb",
}


def made(func_name, case):
    """A network of numbers that are the same everywhere; wide enough for int8."""
    base, cases = OF[func_name]
    wide = dict(fmap_max=24, fmap_base=256) if func_name == "G_ada" else {}
    network = networks.build(func_name, seed=1, **{**base, **cases[case], **wide})
    arrays = {}
    for index, (name, array) in enumerate(network.arrays().items()):
        values = (np.arange(array.size) * 37 + index * 11) % 64 - 31.5
        arrays[name] = np.float32(values / 64).reshape(array.shape)
        if name.endswith("lod"):
            arrays[name] = np.float32(0.5)
    network.set_arrays(arrays)
    return network


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_bytes(case):
    func_name, options, part, weights, noise = case
    model = build(made(func_name, options), part, weights=weights, noise=noise)
    assert hashlib.sha256(serialized(model)).hexdigest()[:16] == CASES[case]
