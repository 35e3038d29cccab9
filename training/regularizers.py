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
from training.losses import Batch, Game, mixed_penalty, scores_and_squared_gradient


@dataclasses.dataclass(frozen=True)
class Regularizer:
    """A penalty, and the numbers that it keeps between steps.

    numbers: {name: value at the start}. They are part of the state; `Game.numbers` has their
    variables, for `assign_mean`.
    """

    penalty: Callable[..., tuple]
    numbers: Mapping[str, float] = dataclasses.field(default_factory=dict)


def mean_of_replicas(value: tf.Tensor) -> tf.Tensor:
    """The mean of the replicas' values, the same on all of them."""
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync > 1:
        value = replica.all_reduce(tf.distribute.ReduceOp.MEAN, value)
    return value


def assign_mean(variable: tf.Variable, value: tf.Tensor) -> None:
    """Sets a number to the mean of the replicas' values, so that all of them keep the same."""
    assign_local(variable, mean_of_replicas(value))


def r1(game: Game, batch: Batch, r1_gamma: float) -> tuple:
    """(γ/2)·‖∇ D(x)‖² at real images (Mescheder et al. 2018), as in D_logistic_simplegp."""
    _, squared = scores_and_squared_gradient(game, batch.reals, batch.labels)
    return squared * (r1_gamma * 0.5), {"r1_penalty": squared}


def r2(game: Game, batch: Batch, r2_gamma: float) -> tuple:
    """(γ/2)·‖∇ D(x)‖² at generated images (Mescheder et al. 2018)."""
    fakes = game.generate(batch.z, batch.labels)
    _, squared = scores_and_squared_gradient(game, fakes, batch.labels)
    return squared * (r2_gamma * 0.5), {"r2_penalty": squared}


def gradient_penalty(game: Game, batch: Batch, wgan_lambda: float, wgan_target: float) -> tuple:
    """(λ/target²)·(‖∇ D(x̂)‖ − target)² between real and generated images, as in D_wgan_gp."""
    fakes = game.generate(batch.z, batch.labels)
    return mixed_penalty(game, batch.reals, fakes, batch.labels, wgan_lambda, wgan_target)


def path_length(
    game: Game, batch: Batch, pl_minibatch_shrink: float, pl_decay: float, pl_weight: float
) -> tuple:
    """(‖∇_w Σ image·y‖ − a)², a the running mean of these lengths (StyleGAN2 §3.2, appendix B).

    Of the first N / pl_minibatch_shrink latents. y is N(0, 1) / √(pixels), and a length the root
    of the layers' mean. a is the mean after this step, over all replicas, and the gradient flows
    through it as well.
    """
    count = max(batch.z.shape[0] // int(pl_minibatch_shrink), 1)
    codes = game.codes(batch.z[:count], batch.labels[:count])
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(codes)
        images = game.render(codes)
        pixels = images.shape[1] * images.shape[2]
        total = tf.reduce_sum(images * (game.normal(tf.shape(images)) / pixels**0.5))
        total = game.scale_loss(total)
    gradient = game.unscale(tape.gradient(total, codes))
    lengths = tf.sqrt(tf.reduce_mean(tf.reduce_sum(tf.square(gradient), axis=2), axis=1))

    variable = game.numbers["pl_mean"]
    before, own = tf.convert_to_tensor(variable), tf.reduce_mean(lengths)
    everywhere = mean_of_replicas(tf.stop_gradient(own))
    mean = before + pl_decay * (everywhere - before)
    assign_local(variable, mean)
    penalty = tf.square(lengths - mean)
    # What flows through `mean`, of all replicas' lengths, to this one's: a term without a value.
    slope = -2 * (everywhere - mean) * pl_decay
    penalty += slope * (own - tf.stop_gradient(own))
    terms = {"pl_lengths": lengths, "pl_penalty": penalty}
    return (penalty * pl_weight)[:, None], terms


REGULARIZERS = {
    "D_r1": Regularizer(r1),
    "D_r2": Regularizer(r2),
    "D_gradient_penalty": Regularizer(gradient_penalty),
    "G_path_length": Regularizer(path_length, {"pl_mean": 0.0}),
}
