"""Generation at full speed, from a frozen copy of a generator."""

from __future__ import annotations

import tensorflow as tf

from networks import fast
from networks.registry import build
from networks.stylegan.generator import OWN
from networks.stylegan.synthesis import as_seed


def generator_function(
    G, *, lod=None, noise=None, truncation_psi=OWN, truncation_cutoff=OWN, dtype=None
):  # fmt: skip
    """Returns generate(z, labels=None, seed=None) → images, as G(z, labels, …) returns them.

    It is a frozen copy: what happens to G later does not reach it, so make a new one after
    every change. In exchange the weights are scaled, brought to the form their convolution
    takes and cast once, not at every call. Arguments as in a call of G; dtype: the compute
    precision, by default G's own. One graph is traced for each minibatch size.
    """
    options = G.options if dtype is None else {**G.options, "dtype": dtype}
    arrays = ((name, variable.numpy()) for name, variable in G.named.items())
    copy = build(G.func_name, seed=0, arrays=arrays, **options)
    weights = {}
    arguments = dict(
        lod=lod, noise=noise, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff
    )

    @tf.function(autograph=False)
    def call(z, labels, seed):
        with fast.frozen_weights(weights):
            return copy(z, labels, seed=seed, **arguments)

    def generate(z, labels=None, seed=None):
        z = tf.convert_to_tensor(z, tf.float32)
        if labels is not None:
            labels = tf.convert_to_tensor(labels, tf.float32)
        return call(z, labels, as_seed(seed))

    return generate
