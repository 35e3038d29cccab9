"""The noise images of a synthesis network: its own variables, drawn ones, given ones, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Optional

import tensorflow as tf

from networks.generator import Noise
from networks.layers import Initial
from networks.seeds import Seed, as_seed, fold_in

NOISE_MODES = ("random", "fixed", "none")


class NoiseInputs:
    """For an ImageNetwork of which some layers take a noise image each.

    The network has `noise_shapes()`, [(height, width)] of those layers, the option
    `randomize_noise`, and `noise_variables`, which `make_noise_variables` makes.
    """

    options: Any
    seed: int
    compute: tf.DType
    func_name: str
    noise_variables: list[tf.Variable]
    noise_shapes: Any
    add_named: Any

    def make_noise_variables(self) -> list[tf.Variable]:
        """The network's own noise images, noise0, noise1, …, [1, 1, H, W]."""
        return [
            self.add_named(
                f"noise{index}",
                [1, 1, height, width],
                Initial(self.seed, f"noise{index}", 1.0),
                trainable=False,
            )
            for index, (height, width) in enumerate(self.noise_shapes())
        ]

    def noise_source(
        self, w: tf.Tensor, noise: Noise, seed: Seed
    ) -> Callable[[int], Optional[tf.Tensor]]:
        """A function: layer index → noise [N or 1, H, W, 1] in the compute dtype, or None."""
        if noise is None:
            noise = "random" if self.options["randomize_noise"] else "fixed"
        if isinstance(noise, (list, tuple)):
            return self._given_noise(noise)
        if noise not in NOISE_MODES:
            raise ValueError(
                f"{self.func_name}: noise={noise!r}, expected one of {NOISE_MODES} or a list"
            )
        if noise == "none" or not self.noise_shapes():
            return lambda index: None
        if noise == "fixed":
            return lambda index: tf.cast(
                tf.transpose(self.noise_variables[index], [0, 2, 3, 1]), self.compute
            )
        seed, minibatch = as_seed(seed), tf.shape(w)[0]

        def random(index: int) -> tf.Tensor:
            height, width = self.noise_shapes()[index]
            return tf.random.stateless_normal(
                [minibatch, height, width, 1],
                fold_in(seed, index),
                dtype=self.compute,
                alg="philox",
            )

        return random

    def _given_noise(self, images: Sequence[Any]) -> Callable[[int], Optional[tf.Tensor]]:
        """As `noise_source`, from a list of noise images."""
        shapes = self.noise_shapes()
        if len(images) != len(shapes):
            raise ValueError(
                f"{self.func_name}: {len(images)} noise images, expected {len(shapes)}"
            )
        for index, (image, (height, width)) in enumerate(zip(images, shapes)):
            if image is not None and list(image.shape[1:]) != [height, width, 1]:
                raise ValueError(
                    f"{self.func_name}: noise image {index} has shape {image.shape}, "
                    f"expected [N or 1, {height}, {width}, 1]"
                )
        if not shapes:
            return lambda index: None
        return lambda index: None if images[index] is None else tf.cast(images[index], self.compute)
