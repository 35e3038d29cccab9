"""TF_CONFIG is checked whole: a mistake is one line that names the part, before anything waits."""

import json
import socket

import pytest

from compute.cluster import Cluster, read_cluster
from dnnlib.errors import UserError

TWO = ["10.0.0.1:2222", "node-2.local:2222"]


def read(monkeypatch, values):
    text = values if isinstance(values, str) else json.dumps(values)
    monkeypatch.setenv("TF_CONFIG", text)
    return read_cluster()


def part(index=0, type="worker", **cluster):
    return {"cluster": cluster or {"worker": TWO}, "task": {"type": type, "index": index}}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("", (1, 0)),
        ({}, (1, 0)),
        ({"cluster": {}, "task": {"type": "worker", "index": 0}, "environment": "cloud"}, (1, 0)),
        (part(1), (2, 1)),
        (part("1"), (2, 1)),
        ({"cluster": {"worker": TWO[:1]}, "task": {"index": 0}}, (1, 0)),
        (part(0, "chief", chief=["h:1"], worker=TWO), (3, 0)),
        (part(1, "worker", chief=["h:1"], worker=TWO, evaluator=["h:2"], ps=[]), (3, 2)),
        (part(0, worker=["[::1]:2222", "127.0.0.1:2222"]), (2, 0)),
    ],
)
def test_what_is_understood(monkeypatch, values, expected):
    cluster = read(monkeypatch, values)
    assert (cluster.num_workers, cluster.index) == expected
    assert cluster.is_chief == (cluster.index == 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("nonsense", "Expecting value"),
        pytest.param("[" * 100_000, "recursion|deep|Expecting", id="deep"),
        ([1], r"\[1\]: expected an object"),
        (part(7), "task.index=7: expected a number below 2, as many as cluster.worker has"),
        (part(-1), "task.index=-1"),
        (part("x"), "task.index='x': expected a whole number"),
        (part(1.5), "task.index=1.5"),
        (part(True), "task.index=True"),
        (part(None), "task.index=None"),
        (part("9" * 400), "task.index='999.*[.]{3}: expected a whole number"),
        (part(0, "boss"), "task.type='boss': expected 'chief' or 'worker'"),
        (part(0, "evaluator", worker=TWO, evaluator=["h:1"]), "task.type='evaluator'"),
        (part(0, ["worker"]), "task.type="),
        (part(0, "chief"), "task.index=0: expected a number below 0, as many as cluster.chief"),
        (part(1, "chief", chief=["h:1"], worker=TWO), "task.index=1"),
        (part(0, worker="h:1"), "cluster.worker='h:1': expected a list of 'host:port'"),
        (part(0, worker={"0": "h:1"}), "cluster.worker={'0': 'h:1'}"),
        (part(0, worker=["h"]), "cluster.worker='h': expected 'host:port' for each"),
        (part(0, worker=["h:0"]), "'h:0'"),
        (part(0, worker=["h:65536"]), "'h:65536'"),
        (part(0, worker=["http://h:1"]), "'http://h:1'"),
        (part(0, worker=[1]), "cluster.worker=1"),
        (part(0, worker=["h:1", "h:1"]), "expected no address twice"),
        (part(0, "chief", chief=TWO), "cluster.chief=.*expected one address"),
        (part(0, worker=TWO, ps=["h:1"]), "cluster='ps': expected no other lists"),
        ({"cluster": [], "task": {}}, r"cluster=\[\]: expected an object"),
        ({"cluster": {"worker": TWO}, "task": 3}, "task=3: expected an object"),
        ({"task": {"type": "worker", "index": 7}}, "task.index=7"),
    ],
)
def test_mistakes(monkeypatch, values, message):
    with pytest.raises(UserError, match=message) as caught:
        read(monkeypatch, values)
    text = str(caught.value)
    assert text.startswith("the environment variable TF_CONFIG cannot be understood: ")
    assert "\n" not in text
    assert len(text) < 300


def test_who_is_gone():
    with socket.create_server(("127.0.0.1", 0)) as here:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            there, nobody = here.getsockname()[1], closed.getsockname()[1]
        addresses = tuple(f"127.0.0.1:{port}" for port in (nobody, there, nobody))
        assert Cluster(3, 0, addresses).gone() == [f"worker 2 (127.0.0.1:{nobody})"]
