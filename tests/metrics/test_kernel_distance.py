"""Kernel distances: the original's, and a formula of sums over pairs."""

import numpy as np
import pytest

from metrics import kernel_distance
from tests import golden


@pytest.fixture(scope="module")
def recorded():
    return golden.load("ada/metrics3/metrics3.npz")


def distances(real, fake, draws):
    return [kernel_distance.squared_mmd(fake[x], real[y]) for x, y in draws]


@pytest.mark.parametrize("case", "ab")
def test_golden(recorded, case):
    real, fake = recorded["kid/real"], recorded["kid/fake"]
    seed, subsets, most = recorded[f"kid/{case}_params"]
    draws = kernel_distance.draw(seed, len(fake), len(real), subsets, most)
    for side, kind in enumerate(("fake", "real")):
        drawn = np.stack([pair[side] for pair in draws])
        np.testing.assert_array_equal(drawn, recorded[f"kid/{case}_{kind}_index"])
    computed = distances(real, fake, draws)
    expected = recorded[f"kid/{case}_per_subset_float64"]
    np.testing.assert_allclose(computed, expected, rtol=0, atol=1e-14)
    np.testing.assert_allclose(np.mean(computed), recorded[f"kid/{case}_float64"], atol=1e-14)
    np.testing.assert_allclose(np.mean(computed), recorded[f"kid/{case}_original"], atol=4e-7)


def test_golden_of_inceptions_width(recorded):
    real = np.float32(np.abs(np.random.RandomState(3).randn(1200, 2048)) * 0.45)
    fake = np.float32(np.abs(np.random.RandomState(4).randn(1500, 2048)) * 0.46)
    seed, subsets, most = recorded["kid/big_params"]
    draws = kernel_distance.draw(seed, len(fake), len(real), subsets, most)
    computed = np.mean(distances(real, fake, draws))
    np.testing.assert_allclose(computed, recorded["kid/big_float64"], rtol=1e-10)


def test_sums_over_pairs():
    """The estimate's definition, pair by pair."""
    rng = np.random.RandomState(0)
    x, y = rng.randn(7, 5), rng.randn(7, 5) + 0.3

    def kernel(a, b):
        return (sum(p * q for p, q in zip(a, b)) / 5 + 1) ** 3

    others = [(i, j) for i in range(7) for j in range(7) if i != j]
    within = sum(kernel(x[i], x[j]) + kernel(y[i], y[j]) for i, j in others) / 42
    across = sum(kernel(a, b) for a in x for b in y) / 49
    computed = kernel_distance.squared_mmd(np.float32(x), np.float32(y))
    np.testing.assert_allclose(computed, within - 2 * across, rtol=1e-5)


def test_subsets_are_no_larger_than_the_smaller_set():
    draws = kernel_distance.draw(seed=5, fakes=30, reals=20)
    assert len(draws) == 100
    for pair in draws:
        assert sorted(pair[1]) == list(range(20))
        assert len(set(pair[0])) == 20
    np.testing.assert_array_equal(kernel_distance.numbers(draws, 0), np.arange(30))
    assert len(kernel_distance.draw(seed=5, fakes=3000, reals=2000)[0][0]) == 1000
    other = kernel_distance.draw(seed=6, fakes=30, reals=20)
    assert not np.array_equal(other[0][0], draws[0][0])


def test_it_is_unbiased():
    """Of two samples of the same distribution it is 0 on average, which takes negative ones."""
    rng = np.random.RandomState(1)
    found = [kernel_distance.squared_mmd(*rng.randn(2, 40, 6)) for _ in range(300)]
    assert min(found) < 0
    assert abs(np.mean(found)) < 3 * np.std(found) / 300**0.5
