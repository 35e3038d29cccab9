"""Work in other processes: its order, its limits, and its end."""

import contextlib
import subprocess
import sys

import numpy as np
import pytest

from datasets.workers import limited_memory, ordered_map
from dnnlib.errors import UserError
from tests.datasets.test_convert import ROOT, ended, wait_until


def test_results_come_in_order_and_tasks_are_taken_only_a_few_ahead():
    taken = []

    def tasks():
        for number in range(200):
            taken.append(number)
            yield number

    with contextlib.closing(ordered_map(abs, tasks(), workers=2)) as results:
        for number, result in zip(range(100), results):
            assert result == number
            assert len(taken) <= number + 1 + 8
    assert len(taken) < 200


class Unsendable:
    def __reduce__(self):
        raise MemoryError


def unsendable(task):
    return Unsendable()


def test_a_result_that_is_too_large_to_send_is_said():
    with pytest.raises(UserError, match=r"^task 7: a worker process is out of memory"):
        list(ordered_map(unsendable, [7], workers=1, describe=lambda task: f"task {task}"))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no such limit")
def test_this_process_can_be_limited_for_a_while():
    with limited_memory(0.2):
        with pytest.raises(MemoryError):
            np.ones(1 << 29, np.uint8)
        np.ones(1 << 24, np.uint8)
    np.ones(1 << 29, np.uint8)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no such help of the system")
def test_workers_end_with_their_parent_even_when_they_are_stuck():
    code = """\
import time
from multiprocessing import active_children
from datasets.workers import ordered_map

def tasks():
    yield 100
    yield 100
    time.sleep(2)  # until they have begun
    print(*(process.pid for process in active_children()), flush=True)
    yield 100

list(ordered_map(time.sleep, tasks(), workers=2))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    workers = [int(number) for number in process.stdout.readline().split()]
    process.kill()
    process.wait()
    process.stdout.close()
    assert len(workers) == 2
    wait_until(lambda: all(map(ended, workers)))
