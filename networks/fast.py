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


PLAIN = Plan(fuse_scaling=False)
CPU = Plan(fuse_scaling=True)
GPU = Plan(fuse_scaling=True)

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
