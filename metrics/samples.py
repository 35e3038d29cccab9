"""A generator's random inputs and images, each a function of a seed and its number alone.

So neither the minibatch nor the number of replicas changes what is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

import numpy as np
import tensorflow as tf

from datasets.format.reader import Dataset
from dnnlib.errors import UserError
from networks.sampling import Renderer
from networks.seeds import fold_in

# What a number's draws are for.
LATENT, SECOND_LATENT, POSITION, NOISE = range(4)


class Samples:
    """Inputs and images of one Gs, for use inside a step (compute/replica_map.py).

    Gs: a generator, whose weights must not change meanwhile. frozen: bring the weights
    to the form their operations take once, not at every step; for one replica only.
    """

    def __init__(self, Gs: Any, seed: int, *, frozen: bool = False):
        self.Gs, self.seed = Gs, seed
        self.resolution, self.channels = Gs.resolution, Gs.num_channels
        if self.channels not in (1, 3):
            raise UserError(
                f"the network makes images of {self.channels} channels; metrics need 1 or 3"
            )
        self._stage = Gs.split_lod(None)
        self._renderer = Renderer(Gs, frozen=frozen)

    def latents(self, numbers: tf.Tensor, purpose: int = LATENT) -> tf.Tensor:
        """z [N, latent_size] of a standard normal distribution."""
        return self._normal(numbers, purpose, self.Gs.latent_size)

    def positions(self, numbers: tf.Tensor) -> tf.Tensor:
        """t [N, 1], uniform in [0, 1)."""
        return self._draw(tf.random.stateless_uniform, numbers, POSITION, 1)

    def codes(self, z: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """What images are made from, without truncation: w [N, layers, D] where there are styles,
        else what the generator makes of a latent and its label [N, …]."""
        return self.Gs.codes(z, labels, truncation_psi=None)

    def images(self, codes: tf.Tensor, noise_numbers: tf.Tensor) -> tf.Tensor:
        """Images [N, R, R, C], about [−1, 1]; noise_numbers [N]: equal ones get equal noise."""
        level, alpha = self._stage
        noise = self._noise(noise_numbers, self.Gs.resolution >> level)
        return self._renderer.at_stage(codes, level, alpha, noise)

    def _noise(self, numbers: tf.Tensor, largest: int) -> str | list:
        """Noise images [N, H, W, 1] of the layers up to a resolution; above, none takes part."""
        shapes = self.Gs.noise_shapes()
        used = [shape for shape in shapes if shape[0] <= largest]
        if not used:
            return "none"
        sizes = [height * width for height, width in used]
        parts = tf.split(self._normal(numbers, NOISE, sum(sizes)), sizes, axis=1)
        noise = [tf.reshape(part, [-1, *shape, 1]) for part, shape in zip(parts, used)]
        return noise + [None] * (len(shapes) - len(used))

    def _normal(self, numbers: tf.Tensor, purpose: int, size: int) -> tf.Tensor:
        return self._draw(tf.random.stateless_normal, numbers, purpose, size)

    def _draw(
        self, distribution: Callable, numbers: tf.Tensor, purpose: int, size: int
    ) -> tf.Tensor:
        base = fold_in(tf.constant([self.seed, purpose], tf.int32), 0)

        def one(number: tf.Tensor) -> tf.Tensor:
            return distribution([size], fold_in(base, number), alg="philox")

        drawn = tf.map_fn(one, numbers, fn_output_signature=tf.float32)
        return tf.ensure_shape(drawn, [numbers.shape[0], size])


class Labels:
    """The labels of generated images, by number: rows of a data set drawn uniformly, or, without
    one, a class drawn uniformly."""

    def __init__(self, label_size: int, seed: int, dataset: Optional[Dataset] = None):
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

    def _one(self, number: int) -> np.ndarray:
        if self._dataset is not None:
            return self._dataset.random_labels((self.seed, number), 1)[0]
        chosen = np.random.RandomState([self.seed, number]).randint(self.size)
        return np.arange(self.size) == chosen
