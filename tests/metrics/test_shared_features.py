"""Features that several ask for: computed once, each at its own place, within a bound."""

import numpy as np
import pytest

from metrics import shared_features
from metrics.evaluation import flips
from metrics.shared_features import SharedFeatures, rows

MINIBATCH = 4


@pytest.fixture
def shared():
    """Of a function that tells at which number a minibatch began: [number, place]."""

    def compute(start, count):
        shared.passes.append((start, count))
        for first in range(start, count, MINIBATCH):
            numbers = np.arange(first, min(first + MINIBATCH, count))
            yield np.stack([numbers, numbers - first], axis=1)

    shared = SharedFeatures(compute, MINIBATCH)
    shared.passes = []
    return shared


def expected(count):
    numbers = np.arange(count)
    return np.stack([numbers, numbers % MINIBATCH], axis=1)


def test_more_is_added_and_fewer_are_there(shared):
    for count in (6, 15, 15, 3, 0, 16):
        parts = list(shared.first(count, keep=True))
        np.testing.assert_array_equal(np.concatenate([*parts, expected(0)]), expected(count))
    assert shared.passes == [(0, 6), (4, 15), (12, 16)]


def test_what_nobody_wants_later_is_not_kept(shared):
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate(list(shared.first(5, False))), expected(5))
    assert shared.passes == [(0, 5), (0, 5)]


def test_room_is_bounded(shared, monkeypatch):
    monkeypatch.setattr(shared_features, "MOST_BYTES", expected(9).nbytes)
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate(list(shared.first(20, True))), expected(20))
    assert shared.passes == [(0, 20), (8, 20)]


def test_a_pass_that_was_cut_short_is_continued(shared):
    features = shared.first(20, keep=True)
    next(features), next(features)
    features.close()
    np.testing.assert_array_equal(np.concatenate(list(shared.first(20, True))), expected(20))


def test_flips_of_fewer_are_the_first_of_more():
    np.testing.assert_array_equal(flips(1000)[:77], flips(77))


@pytest.mark.parametrize("pieces", [1, 3, 20])
def test_rows_of_parts(pieces):
    features = np.float32(np.random.RandomState(0).randn(20, 4))
    for numbers in ([0, 5, 6, 19], [3], range(20)):
        parts = (features[start : start + pieces] for start in range(0, 20, pieces))
        taken = rows(parts, np.array(numbers))
        np.testing.assert_array_equal(taken, features[list(numbers)])
        assert taken.dtype == np.float32
    with pytest.raises(ValueError, match=r"20 features, expected more than 20"):
        rows([features], np.array([2, 20]))
