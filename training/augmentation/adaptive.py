"""How strongly to augment: p follows how surely D tells the real images (§3 of the paper).

r = E[sign(D(real))] over the real images that D has scored since p moved last: 0 while D cannot
tell training images, 1 when it knows them by heart. p goes up while r is above its target.
"""

from __future__ import annotations

import tensorflow as tf

from compute.devices import assign_local
from training.regularizers import mean_of_replicas

P = "augment_p"
_SIGNS, _SCORED = "augment_signs", "augment_scored"  # sums since p moved last
NUMBERS = {P: 0.0, _SIGNS: 0.0, _SCORED: 0.0}


def count_signs(numbers: dict[str, tf.Variable], signs: tf.Tensor) -> None:
    """Adds the mean sign of one minibatch's scores, over all replicas; on every replica.

    Minibatches are of one size, so that a mean of their means is that of all images.
    """
    mean = mean_of_replicas(tf.reduce_mean(signs))
    assign_local(numbers[_SIGNS], numbers[_SIGNS] + mean)
    assign_local(numbers[_SCORED], numbers[_SCORED] + 1.0)


def adapt(numbers: dict[str, tf.Variable], *, target: float, kimg: float, images: float) -> None:
    """p ← max(p + sign(r − target) · images / (1000 · kimg), 0), and forgets the signs.

    images: real images shown since p moved last. kimg: thousands of images in which p moves by 1.
    p has no upper bound. Outside the replicas.
    """
    scored = float(numbers[_SCORED].numpy())
    if not scored:
        return
    r = numbers[_SIGNS].numpy() / scored
    step = tf.sign(tf.constant(r, tf.float32) - target) * (images / (kimg * 1000))
    numbers[P].assign(tf.maximum(tf.convert_to_tensor(numbers[P]) + step, 0.0))
    numbers[_SIGNS].assign(0.0)
    numbers[_SCORED].assign(0.0)
