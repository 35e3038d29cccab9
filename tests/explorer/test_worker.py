"""One thread for all: the latest wins, nobody waits for someone else's long work."""

import threading

import pytest

from explorer.worker import DETAILS, IDLE, Worker


@pytest.fixture
def worker():
    made = Worker()
    yield made
    made.close()


class Held:
    """Work that holds the worker until it is let go, so that a test decides what waits."""

    def __init__(self, worker):
        self.begun, self.go = threading.Event(), threading.Event()
        worker.submit("held", "held", self.steps, lambda result: None)
        assert self.begun.wait(10)

    def steps(self):
        self.begun.set()
        assert self.go.wait(10)
        yield


def result(value):
    def steps():
        yield from ()
        return value

    return steps


def test_the_latest_of_each_kind_is_done(worker):
    held, told, last = Held(worker), [], threading.Event()
    for number in range(50):
        worker.submit("page", "picture", result(number), told.append)
    worker.submit("page", "inside", result("inside"), told.append)
    worker.submit("other", "picture", result("other"), told.append)
    assert worker.waiting == 3
    worker.submit("last", "x", result(0), lambda value: last.set(), IDLE)
    held.go.set()
    assert last.wait(10)
    assert sorted(map(str, told)) == ["49", "inside", "other"]


def test_what_has_begun_is_answered_and_before_the_newer(worker):
    begun, go, told, last = threading.Event(), threading.Event(), [], threading.Event()

    def slow():
        begun.set()
        assert go.wait(10)
        yield from ()
        return "old"

    worker.submit("page", "picture", slow, told.append)
    assert begun.wait(10)
    worker.submit("page", "picture", result("new"), told.append)
    worker.submit("last", "x", result(0), lambda value: last.set(), IDLE)
    go.set()
    assert last.wait(10)
    assert told == ["old", "new"]


def test_pictures_come_between_the_steps_of_long_work(worker):
    held, order, last = Held(worker), [], threading.Event()

    def long():
        for step in range(5):
            order.append(step)
            if step == 1:
                worker.submit("b", "picture", result("picture"), order.append)
            yield
        return "long"

    def tell(value):
        order.append(value)
        last.set()

    worker.submit("a", "map", long, tell, DETAILS)
    held.go.set()
    assert last.wait(10)
    assert order == [0, 1, "picture", 2, 3, 4, "long"]


def test_long_work_gives_way_to_newer_of_its_kind(worker):
    told, last = [], threading.Event()

    def long(again=True):
        yield
        if again:
            worker.submit("a", "map", lambda: long(False), told.append, DETAILS)
            yield
        return "old" if again else "new"

    worker.submit("a", "map", long, told.append, DETAILS)
    worker.submit("last", "x", result(0), lambda value: last.set(), IDLE)
    assert last.wait(10)
    assert told == ["new"]


def test_owners_take_turns(worker):
    held, order, last = Held(worker), [], threading.Event()
    for owner in "ab":
        for kind in range(3):
            worker.submit(owner, kind, result(owner), order.append)
    worker.submit("last", "x", result(0), lambda value: last.set(), IDLE)
    held.go.set()
    assert last.wait(10)
    assert order == ["a", "b"] * 3


def test_newcomers_do_not_starve_who_waits(worker):
    """Each has its step after those who waited when it came, however many come."""
    order, last = [], threading.Event()

    def newcomer(number):
        def steps():
            order.append("new")
            if number < 30:
                worker.submit(("new", number), "file", newcomer(number + 1), lambda result: None)
            yield from ()

        return steps

    def page():
        worker.submit("first", "file", newcomer(0), lambda result: None)
        for step in range(5):
            order.append(step)
            yield

    worker.submit("page", "map", page, lambda result: last.set())
    assert last.wait(10)
    assert order[:9] == [0, 1, "new", 2, "new", 3, "new", 4, "new"]


def test_a_page_that_walks_leaves_turns_for_the_details_of_others(worker):
    held, order, last = Held(worker), [], threading.Event()

    def walk(number):
        def steps():
            order.append("walk")
            if number < 50:
                worker.submit("walker", "picture", walk(number + 1), lambda result: None)
            yield from ()

        return steps

    def details():
        for _ in range(3):
            order.append("details")
            yield

    def idle():
        order.append("idle")
        yield from ()

    worker.submit("idle", "ready", idle, lambda result: last.set(), IDLE)
    worker.submit("walker", "picture", walk(0), lambda result: None)
    worker.submit("other", "map", details, lambda result: order.append("told"), DETAILS)
    held.go.set()
    assert last.wait(10)
    assert order[:8] == ["walk", "details", "walk", "details", "walk", "details", "walk", "told"]
    assert order[-1] == "idle"


def test_of_one_owner_pictures_come_before_details(worker):
    held, order, last = Held(worker), [], threading.Event()
    worker.submit("a", "map", result("details"), order.append, DETAILS)
    worker.submit("a", "picture", result("picture"), order.append)
    worker.submit("last", "x", result(0), lambda value: last.set(), IDLE)
    held.go.set()
    assert last.wait(10)
    assert order == ["picture", "details"]


def test_of_owners_without_work_nothing_is_kept(worker):
    last = threading.Event()
    for owner in range(100):
        worker.submit(owner, "file", result(owner), lambda value: None)
    worker.submit("last", "x", result(0), lambda value: last.set(), IDLE)
    assert last.wait(10)
    worker.call(lambda: None)
    assert len(worker._served) <= 1  # the call's own, until its step has ended


def test_who_has_left_is_forgotten(worker):
    told, steps, last = [], [], threading.Event()

    def long():
        for step in range(9):
            steps.append(step)
            if step == 1:
                worker.forget("a")
            yield

    worker.submit("a", "map", long, told.append)
    worker.submit("last", "x", result(0), lambda value: last.set(), IDLE)
    assert last.wait(10)
    assert (told, steps) == ([], [0, 1])
    assert worker.waiting == 0


def test_errors_are_told_and_the_thread_lives(worker):
    told, last = [], threading.Event()

    def wrong():
        raise ValueError("x")
        yield

    worker.submit("a", "x", wrong, told.append)
    worker.submit("last", "x", result(0), lambda value: last.set(), IDLE)
    assert last.wait(10)
    assert isinstance(told[0], ValueError)
    worker.submit("a", "y", result(1), lambda value: 1 / 0)  # it cannot be told
    with pytest.raises(ZeroDivisionError):
        worker.call(lambda: 1 / 0)
    assert worker.call(lambda: 5) == 5
