"""Fréchet distances: the reference's, known answers, and features that come in pieces."""

import numpy as np
import pytest

from metrics import frechet
from metrics.frechet import Moments, Statistics
from tests import golden


@pytest.mark.parametrize("case", ["small", "mid", "singular"])
def test_golden(case):
    recorded = golden.load("misc/metrics.npz")
    computed = []
    for kind in ("real", "fake"):
        computed.append(frechet.statistics(recorded[f"fid/{case}/act_{kind}"]))
        # The reference's mean is float32, its covariance float64.
        np.testing.assert_allclose(computed[-1].mean, recorded[f"fid/{case}/mu_{kind}"], atol=1e-6)
        sigma = recorded[f"fid/{case}/sigma_{kind}"]
        np.testing.assert_allclose(computed[-1].covariance, sigma, rtol=1e-12, atol=1e-13)
    # Of the singular case the reference's root has an error of its own, 2e-6 of 130.
    result = recorded[f"fid/{case}/result"]
    np.testing.assert_allclose(frechet.distance(*computed), result, rtol=1e-7)


def test_golden_of_covariances_over_n():
    recorded = golden.load("ada/metrics3/metrics3.npz")
    both = [frechet.statistics(recorded[f"fid/{kind}"]) for kind in ("real", "fake")]
    over_n = [frechet.over_n(computed) for computed in both]
    for computed, kind in zip(over_n, ("real", "fake")):
        np.testing.assert_allclose(computed.mean, recorded[f"fid/{kind}_mean"], atol=1e-7)
        covariance = recorded[f"fid/{kind}_cov"]
        np.testing.assert_allclose(computed.covariance, covariance, rtol=1e-9, atol=1e-9)
    for pair, name in (
        (over_n, "original"),
        (over_n, "float64_ddof0_ddof0"),
        (both, "float64_ddof1_ddof1"),
        ((over_n[0], both[1]), "float64_real_ddof0_fake_ddof1"),
    ):
        np.testing.assert_allclose(frechet.distance(*pair), recorded[f"fid/{name}"], rtol=1e-9)


@pytest.mark.parametrize("count", [40, 3000])  # fewer than dimensions, and more
def test_identical_sets_have_distance_zero(count):
    features = np.abs(np.random.RandomState(0).randn(count, 256)).astype(np.float32)
    computed = frechet.statistics(features)
    assert abs(frechet.distance(computed, computed)) < 1e-6 * np.trace(computed.covariance)


def test_gaussians_with_a_known_answer():
    # Σ₁ = U diag(a) Uᵀ and Σ₂ = U diag(b) Uᵀ commute: the spread is Σ (√a − √b)².
    rng = np.random.RandomState(1)
    U = np.linalg.qr(rng.randn(50, 50))[0]
    a, b, mean = rng.uniform(0.1, 3, 50), rng.uniform(0.1, 3, 50), rng.randn(2, 50)
    one = Statistics(mean[0], (U * a) @ U.T, 99)
    other = Statistics(mean[1], (U * b) @ U.T, 99)
    expected = np.sum((mean[0] - mean[1]) ** 2) + np.sum((np.sqrt(a) - np.sqrt(b)) ** 2)
    np.testing.assert_allclose(frechet.distance(one, other), expected, rtol=1e-10)
    np.testing.assert_allclose(frechet.distance(other, one), expected, rtol=1e-10)


def test_gaussians_that_do_not_commute():
    # In two dimensions tr √M = √(tr M + 2 √det M).
    one = np.array([[2.0, 0.7], [0.7, 1.0]])
    other = np.array([[1.0, -0.4], [-0.4, 3.0]])
    product = one @ other
    root = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    computed = frechet.distance(Statistics(np.zeros(2), one, 9), Statistics(np.zeros(2), other, 9))
    np.testing.assert_allclose(computed, np.trace(one + other) - 2 * root, rtol=1e-12)


@pytest.mark.parametrize("pieces", [1, 7, 512, 5000])
def test_pieces_make_no_difference_at_all(pieces):
    features = np.random.RandomState(2).randn(1300, 20).astype(np.float32) + 5
    whole = frechet.statistics(features)
    moments = Moments()
    for start in range(0, len(features), pieces):
        moments.add(features[start : start + pieces])
    computed = moments.statistics()
    assert computed.count == 1300
    np.testing.assert_array_equal(computed.mean, whole.mean)
    np.testing.assert_array_equal(computed.covariance, whole.covariance)


def test_features_far_from_zero_lose_no_digits():
    features = np.random.RandomState(3).randn(2000, 8) + 1e4
    computed = frechet.statistics(features)
    np.testing.assert_allclose(computed.covariance, np.cov(features.T), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(computed.mean, features.mean(axis=0), rtol=1e-14)


def test_one_feature_has_no_covariance():
    moments = Moments()
    moments.add(np.zeros([1, 4]))
    with pytest.raises(ValueError, match=r"two features or more, not 1"):
        moments.statistics()
