"""Linear separability: the reference's numbers, and tables worked out by hand."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from metrics import separability as ls
from tests import golden


@pytest.fixture(scope="module")
def recorded():
    return golden.load("misc/metrics.npz")


def test_golden_entropies(recorded):
    for index, table in enumerate(recorded["ls/tables"]):
        probabilities = table / table.sum()
        np.testing.assert_allclose(
            ls.entropy(probabilities), recorded["ls/entropy"][index], atol=1e-6
        )
        # The last table is of counts.
        expected = recorded["ls/conditional_entropy"][index]
        computed = ls.conditional_entropy(table)
        np.testing.assert_allclose(computed, expected, atol=1e-6)


def test_golden_run(recorded):
    spaces = [recorded["ls/run/latents"], recorded["ls/run/dlatents"]]
    logits, keep = recorded["ls/run/logits"], int(recorded["ls/run/num_keep"])
    bits = np.zeros([3, 2])
    for attribute in range(3):
        rows = ls.most_confident(logits[:, attribute], keep)
        classes = ls.targets(logits[rows, attribute])
        for index, space in enumerate(spaces):
            if len(set(classes)) == 2:
                predicted, _ = ls.fit(space[rows], classes)
                table = ls.joint_frequencies(predicted, classes)
                expected = recorded["ls/run/tables_attr_space"][attribute, index]
                np.testing.assert_allclose(table, expected, atol=1e-6)
                bits[attribute, index] = ls.conditional_entropy(table)
    np.testing.assert_allclose(bits, recorded["ls/run/cond_entropy_attr_space"], atol=1e-6)
    scores = [ls.score(bits[:, index]) for index in range(2)]
    np.testing.assert_allclose(scores, recorded["ls/run/score_z_w"], rtol=1e-6)


def test_conditional_entropy_by_hand():
    assert ls.conditional_entropy(np.array([[0.5, 0], [0, 0.5]])) == 0  # X tells all
    np.testing.assert_allclose(ls.conditional_entropy(np.full([2, 2], 0.25)), 1)  # X tells nothing
    # Of the X = 0 half nothing is unknown, of the other half one bit.
    np.testing.assert_allclose(ls.conditional_entropy(np.array([[0.5, 0], [0.25, 0.25]])), 0.5)
    assert ls.conditional_entropy(np.array([[1.0, 0], [0, 0]])) == 0  # one class


def test_score_by_hand():
    assert ls.score([0, 0]) == 1
    assert ls.score([1, 0.5, 0.5]) == 4


def test_the_surest_come_first_and_equals_in_order():
    logits = np.array([0.1, -3, 3, 2, -50, 40, 0])
    # 40 and −50 are equally sure in float32.
    assert ls.most_confident(logits, 6).tolist() == [4, 5, 1, 2, 3, 0]
    assert ls.targets(logits).tolist() == [0, 1, 0, 0, 1, 0, 1]


@pytest.mark.parametrize("svm", ls.SVMS)
def test_a_plane_is_found(svm):
    rng = np.random.RandomState(0)
    latents = rng.randn(400, 6)
    classes = (latents @ rng.randn(6) > 0).astype(int)
    predicted, finished = ls.fit(latents, classes, svm)
    assert finished
    assert np.mean(predicted == classes) > 0.98


def test_a_solver_that_gives_up_says_so_and_repeats():
    rng = np.random.RandomState(0)
    latents, classes = 100 * rng.randn(600, 40), rng.randint(2, size=600)
    before = np.random.get_state()[1].copy()
    computed = []
    for _ in range(2):
        with pytest.warns(ConvergenceWarning):
            computed.append(ls.fit(latents, classes))
    assert not computed[0][1]
    np.testing.assert_array_equal(computed[0][0], computed[1][0])
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # the global one is untouched


def test_unknown_solver():
    with pytest.raises(ValueError, match=r"svm='sgd', expected one of dual, primal"):
        ls.fit(np.zeros([4, 2]), np.array([0, 1, 0, 1]), "sgd")
