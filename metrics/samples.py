"""A generator's random inputs and images, each a function of a seed and its number alone.

So neither the minibatch nor the number of replicas changes what is evaluated.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from dnnlib.errors import UserError
from networks import fast, ops
from networks.stylegan.generator import fold_in

# What a number's draws are for.
LATENT, SECOND_LATENT, POSITION, NOISE = range(4)


class Samples:
    """Inputs and images of one Gs, for use inside a step (compute/replica_map.py).

    Gs: a G_style or G_paper, whose weights must not change meanwhile. frozen: bring the weights
    to the form their operations take once, not at every step; for one replica only.
    """

    def __init__(self, Gs, seed: int, *, frozen: bool = False):
        self.Gs, self.seed = Gs, seed
        self.styled = Gs.func_name == "G_style"
        self.resolution, self.channels = Gs.resolution, Gs.options["num_channels"]
        self.label_size = Gs.options["label_size"]
        if self.channels not in (1, 3):
            raise UserError(
                f"the network makes images of {self.channels} channels; metrics need 1 or 3"
            )
        self._level, alpha = Gs.split_lod(None)
        self._alpha = alpha or None
        self._weights = {} if frozen else None
        used = 2 * (Gs.resolution_log2 - self._level) - 2
        has_noise = self.styled and Gs.options["use_noise"]
        self._sides = [2 ** (index // 2 + 2) for index in range(used)] if has_noise else []

    def latents(self, numbers: tf.Tensor, purpose: int = LATENT) -> tf.Tensor:
        """z [N, latent_size] of a standard normal distribution."""
        return self._normal(numbers, purpose, self.Gs.options["latent_size"])

    def positions(self, numbers: tf.Tensor) -> tf.Tensor:
        """t [N, 1], uniform in [0, 1)."""
        return self._draw(tf.random.stateless_uniform, numbers, POSITION, 1)

    def codes(self, z: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """What images are made from: w [N, layers, D], without truncation; of a G_paper the
        latent with its label [N, L + K]."""
        if self.styled:
            return self.Gs.mapping(z, labels)
        return tf.concat([z, labels], axis=1)

    def images(self, codes: tf.Tensor, noise_numbers: tf.Tensor) -> tf.Tensor:
        """Images [N, R, R, C], about [−1, 1]; noise_numbers [N]: equal ones get equal noise."""
        if self._weights is None:
            return self._images(codes, noise_numbers)
        with fast.frozen_weights(self._weights):
            return self._images(codes, noise_numbers)

    def _images(self, codes, noise_numbers):
        if self.styled:
            noise = self._noise(noise_numbers)
            images = self.Gs.synthesis.stage(codes, self._level, self._alpha, noise=noise)
        else:
            z, labels = tf.split(codes, [codes.shape[1] - self.label_size, self.label_size], axis=1)
            images = self.Gs.stage(z, labels, self._level, self._alpha)
        return ops.upscale2d(images, 2**self._level)

    def _noise(self, numbers):
        if not self._sides:
            return "none"
        sizes = [side * side for side in self._sides]
        parts = tf.split(self._normal(numbers, NOISE, sum(sizes)), sizes, axis=1)
        noise = [tf.reshape(part, [-1, s, s, 1]) for part, s in zip(parts, self._sides)]
        # Layers above the current level take no part.
        return noise + [None] * (len(self.Gs.synthesis.noise_images) - len(noise))

    def _normal(self, numbers, purpose, size):
        return self._draw(tf.random.stateless_normal, numbers, purpose, size)

    def _draw(self, distribution, numbers, purpose, size):
        base = fold_in(tf.constant([self.seed, purpose], tf.int32), 0)

        def one(number):
            return distribution([size], fold_in(base, number), alg="philox")

        drawn = tf.map_fn(one, numbers, fn_output_signature=tf.float32)
        return tf.ensure_shape(drawn, [numbers.shape[0], size])


class Labels:
    """The labels of generated images, by number: rows of a data set drawn uniformly, or, without
    one, a class drawn uniformly."""

    def __init__(self, label_size: int, seed: int, dataset=None):
        self.size, self.seed = label_size, seed
        self._dataset = dataset if label_size else None
        if self._dataset is not None and dataset.info.label_size != label_size:
            raise UserError(
                f"the network takes {label_size} labels, the data set {dataset.info.name} has "
                f"{dataset.info.label_size}"
            )

    def describe(self) -> str:
        """For the record of a result."""
        if not self.size:
            return "none"
        return "uniform classes" if self._dataset is None else "drawn from the data set"

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        """float32 [N, K]."""
        labels = np.zeros([len(numbers), self.size], np.float32)
        if self.size:
            for row, number in enumerate(numbers):
                labels[row] = self._one(int(number))
        return labels

    def _one(self, number):
        if self._dataset is not None:
            return self._dataset.random_labels((self.seed, number), 1)[0]
        chosen = np.random.RandomState([self.seed, number]).randint(self.size)
        return np.arange(self.size) == chosen
