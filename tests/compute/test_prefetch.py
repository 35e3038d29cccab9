import itertools
import threading

import pytest

from compute.prefetch import prefetch


def prefetch_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not prefetch_threads()


def test_keeps_the_order_and_uses_another_thread():
    threads = []

    def fetch(request):
        threads.append(threading.current_thread())
        return request * 2

    assert list(prefetch(range(50), fetch)) == [2 * i for i in range(50)]
    assert len(set(threads)) == 1
    assert threads[0] is not threading.current_thread()


def test_empty():
    assert list(prefetch([], str)) == []


@pytest.mark.parametrize("depth", [1, 3])
def test_fetches_ahead_but_no_further(depth):
    fetched = []
    ahead = threading.Semaphore(0)

    def fetch(request):
        fetched.append(request)
        ahead.release()
        return request

    results = prefetch(itertools.count(), fetch, depth)
    for taken in range(5):
        assert next(results) == taken
        for _ in range(1 if taken else depth + 1):
            assert ahead.acquire(timeout=10)  # happens without anything more being asked for
        assert fetched == list(range(taken + depth + 1))
    results.close()


def test_exceptions_come_in_their_place():
    def fetch(request):
        if request == 3:
            raise KeyError("three")
        return request

    results = prefetch(range(10), fetch)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError, match="three"):
        next(results)
    assert not prefetch_threads()
    assert list(results) == []


def test_exceptions_of_the_requests():
    def requests():
        yield 1
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        list(prefetch(requests(), str))


def test_closing_waits_for_the_fetch_under_way_and_drops_the_others():
    begun, go = threading.Event(), threading.Event()
    fetched = []

    def fetch(request):
        if request == 1:
            begun.set()
            assert go.wait(10)
        fetched.append(request)
        return request

    results = prefetch(range(10), fetch)
    assert next(results) == 0
    assert begun.wait(10)
    threading.Timer(0.05, go.set).start()
    results.close()
    assert fetched == [0, 1]


def test_abandoned_generator_ends_its_thread():
    results = prefetch(itertools.count(), str)
    next(results)
    del results
    assert not prefetch_threads()


def test_depth_is_checked_at_once():
    with pytest.raises(ValueError, match="depth"):
        prefetch([], str, depth=0)
