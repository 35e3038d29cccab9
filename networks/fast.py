"""Which of several equal forms of the arithmetic to use, chosen in one place.

Every entry of a plan changes speed and rounding only; tests hold each against the plain
form. Layers ask `plan()` while they are traced.
"""

from __future__ import annotations

import contextlib
import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Plan:
    fuse_scaling: bool  # every up/down convolution as one strided 4×4 convolution
    fuse_epilogue: bool  # activation and AdaIN in few passes over memory (networks/fused.py)
    direct_blur: bool  # the gradient of a blur as a blur


PLAIN = Plan(fuse_scaling=False, fuse_epilogue=False, direct_blur=False)
CPU = Plan(fuse_scaling=True, fuse_epilogue=True, direct_blur=True)
GPU = Plan(fuse_scaling=True, fuse_epilogue=False, direct_blur=True)

_override: list[Plan] = []


def plan() -> Plan:
    """The plan in force: the innermost `using`, else the one for this machine's devices."""
    if _override:
        return _override[-1]
    return GPU if tf.config.list_logical_devices("GPU") else CPU


@contextlib.contextmanager
def using(chosen: Plan):
    """Uses `chosen` for everything traced inside the block."""
    _override.append(chosen)
    try:
        yield
    finally:
        _override.pop()


_frozen: list[dict] = []


@contextlib.contextmanager
def frozen_weights(weights: dict):
    """Everything traced inside the block takes its layers' runtime weights from `weights`.

    A weight that is not there yet is computed, once, outside the graph that is traced.
    """
    _frozen.append(weights)
    try:
        yield
    finally:
        _frozen.pop()


def runtime_weight(layer, dtype):
    """layer.runtime_weight(dtype): the weight as its operation takes it, ready and scaled."""
    if not _frozen:
        return layer.runtime_weight(dtype)
    key = (layer.scope, dtype)
    if key not in _frozen[-1]:
        with tf.init_scope():
            _frozen[-1][key] = layer.runtime_weight(dtype)
    return _frozen[-1][key]
