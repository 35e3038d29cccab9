"""Regularisers: penalties that are phases of their own, every so many rounds (training/phases.py).

A regulariser gets a `Game`, a `Batch` and its options, and returns (penalty [N, 1] float32,
terms), as a loss does; gradients go to the network whose table in training/loss_options.py names
it. The penalty is as it would be in a loss: the phase multiplies it by its interval.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Callable

import tensorflow as tf

from compute.devices import assign_local
from training.losses import Batch, Game, scores_and_squared_gradient


@dataclasses.dataclass(frozen=True)
class Regularizer:
    """A penalty, and the numbers that it keeps between steps.

    numbers: {name: value at the start}. They are part of the state; `Game.numbers` has their
    variables, for `assign_mean`.
    """

    penalty: Callable[..., tuple]
    numbers: Mapping[str, float] = dataclasses.field(default_factory=dict)


def assign_mean(variable: tf.Variable, value: tf.Tensor) -> None:
    """Sets a number to the mean of the replicas' values, so that all of them keep the same."""
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync > 1:
        value = replica.all_reduce(tf.distribute.ReduceOp.MEAN, value)
    assign_local(variable, value)


def r1(game: Game, batch: Batch, r1_gamma: float) -> tuple:
    """(γ/2)·‖∇ D(x)‖² at real images (Mescheder et al. 2018), as in D_logistic_simplegp."""
    _, squared = scores_and_squared_gradient(game, batch.reals, batch.labels)
    return squared * (r1_gamma * 0.5), {"r1_penalty": squared}


REGULARIZERS = {"D_r1": Regularizer(r1)}
