"""This process's part among several machines, as TF_CONFIG tells it; no TensorFlow here."""

from __future__ import annotations

import dataclasses
import os
import re
import socket
from typing import Any

from dnnlib import json_files
from dnnlib.errors import UserError

_TRAINS = ("chief", "worker")  # types of tasks, in the order of their numbers
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):(\d{1,5})")
_PROBE_SECONDS = 3.0


@dataclasses.dataclass(frozen=True)
class Cluster:
    num_workers: int = 1  # processes that train together, the chief included
    index: int = 0  # this one's number among them; the chief is number 0
    addresses: tuple[str, ...] = ()  # of all of them, 'host:port'; empty: this process is alone

    @property
    def is_chief(self) -> bool:
        """Whether this is the one process that writes."""
        return self.index == 0

    def gone(self) -> list[str]:
        """Those of the others that nobody answers for: 'worker 1 (host:port)'."""
        return [
            f"worker {number} ({address})"
            for number, address in enumerate(self.addresses)
            if number != self.index and not _answers(address)
        ]


def read_cluster() -> Cluster:
    """Reads the environment variable TF_CONFIG; UserError when it cannot be understood."""
    text = os.environ.get("TF_CONFIG")
    if not text:
        return Cluster()
    try:
        values = json_files.parse(text)
        _expect(isinstance(values, dict), "", values, "an object with 'cluster' and 'task'")
        return _cluster(values)
    except ValueError as error:
        raise UserError(
            f"the environment variable TF_CONFIG cannot be understood: {error}"
        ) from error


def _cluster(values: dict) -> Cluster:
    cluster, task = values.get("cluster", {}), values.get("task", {})
    _expect(isinstance(cluster, dict), "cluster", cluster, "an object of lists of addresses")
    _expect(isinstance(task, dict), "task", task, "an object with 'type' and 'index'")
    for kind, listed in cluster.items():
        known = kind in (*_TRAINS, "evaluator") or not listed
        _expect(known, "cluster", kind, "no other lists than chief, worker and evaluator")
        _expect(isinstance(listed, list), f"cluster.{kind}", listed, "a list of 'host:port'")
        for address in listed:
            _expect(_is_address(address), f"cluster.{kind}", address, "'host:port' for each")
    addresses = tuple(address for kind in _TRAINS for address in cluster.get(kind, []))
    twice = [address for address in addresses if addresses.count(address) > 1]
    _expect(not twice, "cluster", twice[:1], "no address twice")
    chiefs = len(cluster.get("chief", []))
    _expect(chiefs <= 1, "cluster.chief", cluster.get("chief"), "one address")

    kind, index = task.get("type", "worker"), task.get("index", 0)
    _expect(kind in _TRAINS, "task.type", kind, "'chief' or 'worker'")
    whole = isinstance(index, int) and not isinstance(index, bool)
    whole = whole or (isinstance(index, str) and re.fullmatch(r"[0-9]{1,9}", index) is not None)
    _expect(whole, "task.index", index, "a whole number")
    number, count = int(index), len(cluster.get(kind, []))
    if cluster or number or kind == "chief":
        expected = f"a number below {count}, as many as cluster.{kind} has"
        _expect(0 <= number < count, "task.index", index, expected)
    if not addresses:
        return Cluster()
    before = chiefs if kind == "worker" else 0
    return Cluster(len(addresses), before + number, addresses)


def _expect(good: bool, key: str, value: Any, expected: str) -> None:
    if not good:
        shown = repr(value)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        raise ValueError(f"{key}{'=' if key else ''}{shown}: expected {expected}")


def _is_address(value: Any) -> bool:
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    return match is not None and 0 < int(match[2]) < 2**16


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_SECONDS):
            return True
    except OSError:
        return False
