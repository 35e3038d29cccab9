"""NVIDIA's pickled feature networks: matched by order, shape, names or values, or refused."""

import numpy as np
import pytest

from dnnlib.errors import UserError
from metrics.features import pickled_weights, vgg16
from tests.metrics.features import feature_files as files
from tests.metrics.features.feature_weights import inception_arrays, vgg16_arrays

pytestmark = pytest.mark.conformance


@pytest.fixture(name="arrays", scope="module")
def _arrays():
    return inception_arrays()


def same(found, wanted):
    assert list(found) == list(wanted)
    assert all(np.array_equal(found[name], array) for name, array in wanted.items())


@pytest.mark.parametrize(
    "order", ["beta gamma mean var", "var mean gamma beta", "gamma beta var mean"]
)
def test_inception_by_name(arrays, order):
    for gammas in (True, False):
        variables = files.inception_variables(arrays, True, gammas, order)
        found, ones = pickled_weights.match("inception", dict(variables))
        same(found, arrays)
        assert len(ones) == 94 * gammas


@pytest.mark.parametrize(
    "order", ["beta gamma mean var", "gamma beta mean var", "var beta mean gamma"]
)
def test_inception_by_value(arrays, order):
    """Without names, beta is the first of the two that are neither 1 nor all positive."""
    for gammas in (True, False):
        variables = files.inception_variables(arrays, False, gammas, order)
        same(pickled_weights.match("inception", dict(variables))[0], arrays)


@pytest.mark.parametrize("shape", [(1, 1, -1, 1), (-1,), (1, -1), None])
def test_vgg16(shape):
    """With LPIPS's heads in any shape, or without them."""
    arrays = vgg16_arrays()
    variables = files.vgg16_variables(arrays, vgg16.heads() if shape else {}, shape)
    grouped = sorted(variables, key=lambda pair: -np.ndim(pair[1]))
    for found in (variables, grouped):
        same(pickled_weights.match("vgg16", dict(found))[0], arrays)


def swapped(variables, one, other):
    variables = list(variables)
    variables[one], variables[other] = variables[other], variables[one]
    return variables


def renamed(variables, old, new):
    return [(name.replace(old, new), array) for name, array in variables]


def test_doubts_about_inception(arrays):
    named = files.inception_variables(arrays)
    numbered = files.inception_variables(arrays, names=False)
    positive = {n: abs(a) + 0.1 if n.endswith("beta") else a for n, a in arrays.items()}
    for variables, match in (
        (swapped(named, 2, 7), r"expected \[3, 3, 3, 32\] for conv/conv2d_params"),
        (named[:-7], r"93 kernels, expected 94"),
        (named[:4] + named[5:], r"3 or 4 vectors follow a kernel"),
        (named[3:7] + named[:3] + named[7:], r"follows no kernel like it"),
        ([*named, ("more", np.zeros(7, np.float32))], r"'more' of shape \[7\] follows no kernel"),
        (renamed(named, "pop_var", "pop_mean2"), r"do not tell .* apart: .*pop_beta"),
        (renamed(named, "pop_var", "pop"), r"do not tell beta, gamma, moving_mean, moving_var"),
        (
            files.inception_variables(positive, names=False),
            r"1 are 1 everywhere and 2 above 0, expected 1 \(gamma\) and 1 \(variance\)",
        ),
        (numbered[:3] + numbered[4:], r"3 or 4 vectors follow a kernel"),
    ):
        with pytest.raises(UserError, match=match):
            pickled_weights.match("inception", dict(variables))


def test_doubts_about_vgg16():
    arrays, heads = vgg16_arrays(), vgg16.heads()
    other = {name: head + np.float32(1e-3) for name, head in heads.items()}
    kernel = ("more", np.zeros([3, 3, 5, 5], np.float32))
    for variables, match in (
        (files.vgg16_variables(arrays, other), r"'lin0/weight' is not what LPIPS v0.1 weighs"),
        (files.vgg16_variables(arrays, other, -1), r"18 vectors besides LPIPS v0.1's"),
        ([*arrays.items(), kernel], r"14 kernels, expected 13"),
        (swapped(arrays.items(), 0, 2), r"'conv1_2/weight' has shape \[3, 3, 64, 64\], expected"),
        ([*arrays.items(), ("more", np.zeros([5, 5], np.float32))], r"'more' has shape \[5, 5\]"),
    ):
        with pytest.raises(UserError, match=match):
            pickled_weights.match("vgg16", dict(variables))
