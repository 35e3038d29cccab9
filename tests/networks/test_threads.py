"""Several networks in several threads: each trace keeps to its own weights and its own plan."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from networks import fast
from networks.sampling import generator_function
from tests.networks.common import error, generator, normal, randomize

pytestmark = pytest.mark.conformance


def side_by_side(*functions):
    """What functions return that are called in a thread each, all at the same moment."""
    barrier, results = threading.Barrier(len(functions)), [None] * len(functions)

    def call(index):
        barrier.wait()
        results[index] = functions[index]()

    threads = [threading.Thread(target=call, args=[index]) for index in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_two_threads_with_two_networks():
    """Each thread traces at its first call. The layers of both have the same names."""
    z = normal(2, 8)
    networks = [randomize(generator(), seed=seed) for seed in (1, 2)]
    expected = [np.array(G(z, noise="fixed")) for G in networks]
    assert error(expected[0], expected[1]) > 0.1
    generate = [generator_function(G, noise="fixed") for G in networks]
    calls = [lambda g=g: np.array(g(z)) for g in generate]
    for images, wanted in zip(side_by_side(*calls), expected):
        assert error(images, wanted) < 1e-4
    for call, wanted in zip(calls, expected):  # also afterwards, in this thread
        assert error(call(), wanted) < 1e-4


def test_a_plan_is_its_threads():
    chosen = (fast.PLAIN, fast.CPU)
    inside = threading.Barrier(2)

    def plan_of(plan):
        with fast.using(plan):
            inside.wait()
            return fast.plan()

    plans = side_by_side(*(lambda plan=plan: plan_of(plan) for plan in chosen))
    assert tuple(plans) == chosen


def test_blocks_within_one_graph_are_left_in_any_order():
    """As replicas do, whose threads trace one graph and wait for each other within blocks."""

    @tf.function(autograph=False)
    def graph():
        first, second = fast.using(fast.PLAIN), fast.using(fast.CPU)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        plans.append(fast.plan())
        second.__exit__(None, None, None)
        plans.append(fast.plan())
        return tf.constant(0)

    plans = []
    graph()
    assert plans == [fast.CPU, fast.plan()]
