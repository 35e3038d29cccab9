"""Pivotal tuning (Roich et al. 2021): the generator moves a little, so that found w fit better.

What w alone cannot show, a picture's own details, goes into the weights, around a w that stays
where it can be edited.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from editing.distances import Distance, shrink
from networks import ops
from training.optimizer import Adam

RATE = 3e-4  # the paper's
PIXELS = 1.0  # the weight of squared differences beside the distance, as the paper has it


def tune(
    G: Any,
    targets: np.ndarray,
    w: np.ndarray,
    noise: list[np.ndarray],
    distance: Distance,
    *,
    steps: int,
    progress: bool = True,
) -> tuple[Any, np.ndarray]:
    """(a tuned copy of G, distances [steps] before each step, the mean of those of all pictures).

    targets: uint8 [N, R, R, C], w [N, layers, D] and noise images [N, H, W, 1] as a projection
    found them. The pictures take turns. What makes w of z does not move.
    """
    tuned = G.copy(dtype="float32")
    variables = {
        name: variable for name, variable in tuned.synthesis.named.items() if variable.trainable
    }
    level, alpha = tuned.split_lod(None)
    adam = Adam(variables, beta1=0.9, beta2=0.999, epsilon=1e-8)
    names = list(variables)

    @tf.function(autograph=False)
    def step(target: tf.Tensor, code: tf.Tensor, images_of_noise: list) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(variables.values()))
            images = tuned.render(code, level, alpha, noise=images_of_noise or "none")
            images = ops.upscale2d(images, 2**level)
            seen = shrink(images * 127.5 + 127.5)
            shown = distance.between(distance.embed(seen), distance.embed(shrink(target)))
            squares = tf.math.squared_difference(images, target / 127.5 - 1)
            loss = tf.reduce_mean(shown) + PIXELS * tf.reduce_mean(squares)
        zero = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(loss, list(variables.values()), unconnected_gradients=zero)
        adam.apply(names, gradients, tf.constant(RATE))
        return tf.reduce_mean(shown)

    distances = []
    bar = tqdm(range(steps), desc="tuning", leave=False, disable=None if progress else True)
    for index in bar:
        row = slice(index % len(targets), index % len(targets) + 1)
        arrays = tf.constant(targets[row], tf.float32), tf.constant(w[row], tf.float32)
        distances.append(float(step(*arrays, [tf.constant(image[row]) for image in noise])))
    return tuned, np.float32(distances)
