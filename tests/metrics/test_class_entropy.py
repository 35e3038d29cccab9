"""Inception Scores: the original's, and known answers."""

import numpy as np
import pytest

from metrics import class_entropy
from tests import golden


@pytest.fixture(scope="module")
def recorded():
    return golden.load("ada/metrics3/metrics3.npz")


def probabilities(count):
    """By the golden data's recipe."""
    logits = np.random.RandomState(21).randn(count, 1008) * 2
    logits[np.arange(count), np.random.RandomState(22).randint(40, size=count)] += 6
    return np.float32(np.exp(class_entropy.log_softmax(logits)))


def scores(p, splits, pieces=64):
    with np.errstate(divide="ignore"):
        log_p = np.log(np.float64(p))
    parts = (log_p[start : start + pieces] for start in range(0, len(p), pieces))
    return class_entropy.scores(parts, len(p), splits)


@pytest.mark.parametrize("case", "abc")
def test_golden(recorded, case):
    count, splits = recorded[f"is/{case}_params"]
    computed = scores(probabilities(count), splits)
    # Of probabilities that were rounded to float32, as recorded.
    np.testing.assert_allclose(computed, recorded[f"is/{case}_scores_float64"], rtol=1e-12)
    mean_std = computed.mean(), computed.std()
    np.testing.assert_allclose(mean_std, recorded[f"is/{case}_mean_std_float64"], rtol=1e-9)
    np.testing.assert_allclose(mean_std, recorded[f"is/{case}_mean_std"], rtol=1e-4)


def test_golden_of_stylegan2():
    recorded = golden.load("stylegan2/misc2/metrics2.npz")
    computed = scores(recorded["is/probabilities"], int(recorded["is/num_splits"]))
    np.testing.assert_allclose(computed.mean(), recorded["is/mean"], rtol=1e-6)
    np.testing.assert_allclose(computed.std(), recorded["is/std"], rtol=1e-4)


@pytest.mark.parametrize("pieces", [1, 7, 50])
def test_pieces_and_uneven_splits(pieces):
    p = probabilities(47)[:, :60]
    p /= p.sum(axis=1, keepdims=True)
    expected = []
    for split in range(4):
        part = np.float64(p[split * 47 // 4 : (split + 1) * 47 // 4])
        divergence = (part * np.log(part / part.mean(axis=0))).sum(axis=1)
        expected.append(np.exp(divergence.mean()))
    np.testing.assert_allclose(scores(p, 4, pieces), expected, rtol=1e-12)


def test_known_answers():
    """As many as there are classes where each image is of one; 1 where all images are alike."""
    np.testing.assert_allclose(scores(np.eye(8)[np.arange(80) % 8], 2), 8)
    np.testing.assert_allclose(scores(np.full([20, 8], 1 / 8), 2), 1)


def test_logits_far_apart():
    """Probabilities below what a float holds are 0, and no NaN."""
    logits = np.float32([[0, 2000], [2000, 0], [1e30, 0]])
    log_p = class_entropy.log_softmax(logits)
    np.testing.assert_array_equal(np.exp(log_p), [[0, 1], [1, 0], [1, 0]])
    np.testing.assert_allclose(class_entropy.scores([log_p[:2]], 2, 1), 2)


def test_rows_that_are_missing():
    with pytest.raises(ValueError, match=r"5 rows, expected 6"):
        class_entropy.scores([np.zeros([5, 2])], 6, 1)
