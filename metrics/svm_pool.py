"""Many SVMs fitted side by side, each in a process of its own. Without TensorFlow.

scikit-learn's solver draws from one generator for all of a process, so fits in threads would change
each other's results.
"""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from dnnlib.errors import UserError, explain_write_errors
from dnnlib.spawning import core_count, without_current_directory
from dnnlib.terminal import prepare
from metrics import separability

_BYTES = 24  # that a fit takes for each number of its latents
_SMALL = 2_000_000  # numbers in all; below, starting processes takes longer than fitting
_POLL_SECONDS = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """Rows [N] of a latent space to learn classes [N] from, both kinds of which occur."""

    space: str
    rows: np.ndarray
    classes: np.ndarray


# Joint frequencies [2, 2] of predicted and true class; whether the solver came to an end.
Solution = tuple[np.ndarray, bool]


def solve_all(
    spaces: dict[str, np.ndarray],
    problems: list[Problem],
    svm: str,
    *,
    poll: Callable[[int], None] = lambda solved: None,
    workers: int | None = None,
) -> list[Solution]:
    """The solution of each problem, in order. The number of workers changes nothing.

    spaces: {name: latents [M, L]}. svm: one of separability.SVMS. poll: called now and then with
    the number of problems solved since the last time; what it raises ends all at once. workers: by
    default as many as there are cores and memory for. Raises UserError when a process ends before
    its time.
    """
    numbers = [len(problem.rows) * spaces[problem.space].shape[1] for problem in problems]
    if workers is None:
        workers = 1 if sum(numbers) < _SMALL else _most_workers(max(numbers))
    if workers == 1:
        solutions = []
        for problem in problems:
            solutions.append(_solve(spaces[problem.space], problem, svm))
            poll(1)
        return solutions
    with tempfile.TemporaryDirectory() as directory:
        with explain_write_errors(directory):
            for name, latents in spaces.items():
                np.save(os.path.join(directory, f"{name}.npy"), latents)
        try:
            return _in_processes(directory, problems, svm, poll, workers)
        except BrokenProcessPool as error:
            raise UserError("a process with an SVM fit was ended: out of memory?") from error


def _in_processes(
    directory: str,
    problems: list[Problem],
    svm: str,
    poll: Callable[[int], None],
    workers: int,
) -> list[Solution]:
    others = set(multiprocessing.active_children())
    with contextlib.ExitStack() as stack:
        with without_current_directory():  # submitting starts the processes
            # Spawned: a fork of a process that runs TensorFlow may hang.
            context = multiprocessing.get_context("spawn")
            pool = stack.enter_context(ProcessPoolExecutor(workers, context, initializer=prepare))
            futures = [pool.submit(_solve_stored, directory, item, svm) for item in problems]
        try:
            waiting = set(futures)
            while waiting:
                done, waiting = wait(waiting, timeout=_POLL_SECONDS)
                poll(len(done))
            return [future.result() for future in futures]
        except BaseException:  # Ctrl-C as well
            for future in futures:
                future.cancel()
            for child in set(multiprocessing.active_children()) - others:
                child.terminate()
            raise


def _most_workers(numbers: int) -> int:
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # not Linux
        return 1
    return max(1, min(core_count(), memory // 2 // (_BYTES * numbers)))


def _solve_stored(directory: str, problem: Problem, svm: str) -> Solution:
    latents = np.load(os.path.join(directory, f"{problem.space}.npy"), mmap_mode="r")
    return _solve(latents, problem, svm)


def _solve(latents: np.ndarray, problem: Problem, svm: str) -> Solution:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the second result says it
        predicted, finished = separability.fit(latents[problem.rows], problem.classes, svm)
    return separability.joint_frequencies(predicted, problem.classes), finished
