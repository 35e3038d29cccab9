"""Which of several equal forms of the arithmetic to use, chosen in one place.

Every entry of a plan changes speed and rounding only; tests hold each against the plain
form. Layers ask `plan()` while they are traced.

What a trace uses, its plan and its frozen weights, hangs on that trace and the graphs within it;
outside of graphs, on the thread. So threads with graphs of their own do not meet. Replicas trace
one graph in threads of their own: enter a block in that graph, around them. What is traced after
a block does not know it any more, as what `tf.recompute_grad` computes again.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import weakref
from collections.abc import Iterator
from typing import Any, Optional

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Plan:
    """Which forms: see `PLAIN` for the arithmetic as it is written down, and `CPU`, `GPU`."""

    fuse_scaling: bool  # every up/down convolution as one strided 4×4 convolution
    fuse_epilogue: bool  # activation and AdaIN in few passes over memory (networks/fused.py)
    direct_blur: bool  # the gradient of a blur as a blur


PLAIN = Plan(fuse_scaling=False, fuse_epilogue=False, direct_blur=False)
CPU = Plan(fuse_scaling=True, fuse_epilogue=True, direct_blur=True)
GPU = Plan(fuse_scaling=True, fuse_epilogue=False, direct_blur=True)


class FrozenWeights:
    """Weights of one network in the form its operations take, computed once, outside of graphs.

    For a network whose variables do not change any more; one of these for each network.
    """

    def __init__(self) -> None:
        self._ready: dict[tuple[Any, tf.DType, Plan], tf.Tensor] = {}

    def of(self, layer: Any, dtype: tf.DType, plan: Plan) -> tf.Tensor:
        """layer.runtime_weight(dtype, plan)."""
        key = (layer, dtype, plan)
        if key not in self._ready:
            with tf.init_scope():
                self._ready[key] = layer.runtime_weight(dtype, plan)
        return self._ready[key]


@dataclasses.dataclass(frozen=True)
class _Settings:
    plan: Optional[Plan] = None  # None: the one for this machine's devices
    weights: Optional[FrozenWeights] = None  # None: from the variables, at every run of the graph


_of_graphs: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # graph → settings entered
_of_thread: contextvars.ContextVar[_Settings] = contextvars.ContextVar("settings")


def plan() -> Plan:
    """The plan in force: the innermost `using`, else the one for this machine's devices."""
    chosen = _settings().plan
    if chosen is not None:
        return chosen
    return GPU if tf.config.list_logical_devices("GPU") else CPU


@contextlib.contextmanager
def using(chosen: Plan) -> Iterator[None]:
    """Uses `chosen` for everything that is traced, or run, inside the block."""
    with _changed(plan=chosen):
        yield


@contextlib.contextmanager
def frozen_weights(weights: FrozenWeights) -> Iterator[None]:
    """Everything traced inside the block takes its layers' runtime weights from `weights`.

    A weight that is not there yet is computed, once, outside the graph that is traced.
    """
    with _changed(weights=weights):
        yield


def runtime_weight(layer: Any, dtype: tf.DType) -> tf.Tensor:
    """A layer's weight as its operation takes it, ready and scaled, frozen or not."""
    weights = _settings().weights
    if weights is None:
        return layer.runtime_weight(dtype, plan())
    return weights.of(layer, dtype, plan())


def _graph() -> Any:
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


def _settings() -> _Settings:
    graph = _graph()
    while graph is not None:
        entered = _of_graphs.get(graph)
        if entered:
            return entered[-1]
        graph = getattr(graph, "outer_graph", None)  # that of a branch or a loop is its function's
    return _of_thread.get(_Settings())


@contextlib.contextmanager
def _changed(**changes: Any) -> Iterator[None]:
    settings, graph = dataclasses.replace(_settings(), **changes), _graph()
    if graph is None:
        token = _of_thread.set(settings)
        try:
            yield
        finally:
            _of_thread.reset(token)
        return
    entered = _of_graphs.setdefault(graph, [])
    entered.append(settings)
    try:
        yield
    finally:
        entered.remove(settings)  # replicas share a graph, and leave in any order
        if not entered:
            _of_graphs.pop(graph, None)
