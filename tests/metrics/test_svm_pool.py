"""SVM fits in several processes are those of one."""

import multiprocessing

import numpy as np
import pytest

from dnnlib.errors import UserError
from metrics import separability, svm_pool
from metrics.svm_pool import Problem, solve_all


@pytest.fixture(scope="module")
def problems():
    """Fits that give up before they have found the plane: their results show the solver's draws."""
    rng = np.random.RandomState(0)
    spaces = {"z": (50 * rng.randn(900, 30)).astype(np.float32), "w": 80 * rng.randn(900, 20)}
    posed = []
    for seed in range(3):
        classes = np.random.RandomState(seed).randint(2, size=600)
        for space in spaces:
            posed.append(Problem(space, rng.permutation(900)[:600], classes))
    return spaces, posed


def test_the_number_of_processes_changes_nothing(problems):
    one, two = (solve_all(*problems, "dual", workers=workers) for workers in (1, 2))
    assert not any(finished for _, finished in one)
    for (table, finished), (other, other_finished) in zip(one, two):
        np.testing.assert_array_equal(table, other)
        assert finished == other_finished
        np.testing.assert_allclose(table.sum(), 1)
    # A fit alone gives the same, too.
    spaces, (first, *_) = problems
    with pytest.warns(match=r"failed to converge"):
        predicted, _ = separability.fit(spaces["z"][first.rows], first.classes)
    np.testing.assert_array_equal(
        separability.joint_frequencies(predicted, first.classes), one[0][0]
    )


def test_stopping_ends_the_processes(problems):
    class Stop(Exception):
        pass

    def poll(done):
        raise Stop

    before = set(multiprocessing.active_children())
    with pytest.raises(Stop):
        solve_all(*problems, "dual", workers=2, poll=poll)
    assert set(multiprocessing.active_children()) <= before


def test_a_process_that_dies_is_an_error(problems, monkeypatch):
    monkeypatch.setattr(svm_pool, "_solve_stored", _die)
    with pytest.raises(UserError, match=r"a process with an SVM fit was ended: out of memory\?"):
        solve_all(*problems, "dual", workers=2)


def _die(*_):
    import os

    os._exit(1)
