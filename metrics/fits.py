"""Many SVM fits side by side, each in a process of its own. Without TensorFlow.

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

from dnnlib.errors import UserError
from dnnlib.spawning import core_count, without_current_directory
from metrics import separability

_BYTES = 24  # that a fit takes for each number of its latents
_SMALL = 2_000_000  # numbers in all; below, starting processes takes longer than fitting
_POLL_SECONDS = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
    """Rows [N] of a latent space to learn classes [N] from, both kinds of which occur."""

    space: str
    rows: np.ndarray
    classes: np.ndarray


def fit_all(
    spaces: dict[str, np.ndarray], fits: list[Fit], svm: str, *,
    poll: Callable[[int], None] = lambda done: None, workers: int | None = None,
) -> list[tuple[np.ndarray, bool]]:  # fmt: skip
    """(joint frequencies [2, 2] of predicted and true class, whether the solver came to an end)
    of each fit, in order. The number of workers changes nothing.

    spaces: {name: latents [M, L]}. poll: called now and then with the number of fits done since
    the last time; what it raises ends the fits at once. workers: by default as many as there are
    cores and memory for. Raises UserError when a process ends before its time.
    """
    numbers = [len(fit.rows) * spaces[fit.space].shape[1] for fit in fits]
    if workers is None:
        workers = 1 if sum(numbers) < _SMALL else _most_workers(max(numbers))
    if workers == 1:
        results = []
        for fit in fits:
            results.append(_fit(spaces[fit.space], fit, svm))
            poll(1)
        return results
    with tempfile.TemporaryDirectory() as directory:
        for name, latents in spaces.items():
            np.save(os.path.join(directory, f"{name}.npy"), latents)
        try:
            return _in_processes(directory, fits, svm, poll, workers)
        except BrokenProcessPool as error:
            raise UserError("a process with an SVM fit was ended: out of memory?") from error


def _in_processes(directory, fits, svm, poll, workers):
    others = set(multiprocessing.active_children())
    with contextlib.ExitStack() as stack:
        with without_current_directory():  # submitting starts the processes
            # Spawned: a fork of a process that runs TensorFlow may hang.
            context = multiprocessing.get_context("spawn")
            pool = stack.enter_context(ProcessPoolExecutor(workers, context))
            futures = [pool.submit(_fit_stored, directory, fit, svm) for fit in fits]
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


def _fit_stored(directory: str, fit: Fit, svm: str) -> tuple[np.ndarray, bool]:
    return _fit(np.load(os.path.join(directory, f"{fit.space}.npy"), mmap_mode="r"), fit, svm)


def _fit(latents: np.ndarray, fit: Fit, svm: str) -> tuple[np.ndarray, bool]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the second result says it
        predicted, finished = separability.fit(latents[fit.rows], fit.classes, svm)
    return separability.joint_frequencies(predicted, fit.classes), finished
