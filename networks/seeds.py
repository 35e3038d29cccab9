"""Seeds of everything random in networks and steps: pairs of numbers, folded with a purpose."""

from __future__ import annotations

from typing import Union

import tensorflow as tf

Seed = Union[None, int, tf.Tensor]

# What a generator's seed is folded with: its noise layers are 0, 1, …
MIXING = 1000  # and the two numbers after it: the second latent, whether to mix, and where


def as_seed(seed: Seed) -> tf.Tensor:
    """An int32 tensor [2] from None (draws one), an int (also a tensor), or such a tensor."""
    if seed is None:
        return tf.random.uniform([2], maxval=tf.int32.max, dtype=tf.int32)
    if isinstance(seed, int):
        seed = tf.constant(seed % 2**62, tf.int64)
    seed = tf.convert_to_tensor(seed)
    if seed.shape == []:
        seed = tf.cast(seed, tf.int64)
        seed = tf.stack([seed % 2**31, seed // 2**31 % 2**31])
    if seed.shape != [2]:
        raise ValueError(f"seed has shape {seed.shape}, expected an int or an int tensor [2]")
    return tf.cast(seed, tf.int32)


def fold_in(seed: tf.Tensor, data: Union[int, tf.Tensor]) -> tf.Tensor:
    """A new seed [2] from a seed and an integer."""
    return tf.random.experimental.stateless_fold_in(seed, data, alg="philox")
