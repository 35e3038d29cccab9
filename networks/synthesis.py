"""What every family's synthesis network answers: images of w, at the stage that is asked for."""

from __future__ import annotations

from typing import Any, Optional, Union

import numpy as np
import tensorflow as tf

from networks import ops
from networks.base import ImageNetwork
from networks.generator import Noise
from networks.noise_inputs import NoiseInputs
from networks.seeds import Seed


class Synthesis(NoiseInputs, ImageNetwork):
    """Call: w [N, num_layers, dlatent_size] → images [N, R, R, num_channels], about [−1, 1].

    A family sets num_layers, and gives `render`.
    """

    num_layers: int

    def call(
        self, w: Any, *, noise: Noise = None, lod: Optional[float] = None, seed: Seed = None
    ) -> tf.Tensor:
        """noise: 'random' | 'fixed' | 'none', or one image [N or 1, H, W, 1] or None for each
        layer that takes noise; lod: None is the network's own; seed: of the random noise, an int
        or an int tensor [2]; None draws one."""
        level, alpha = self.split_lod(lod)
        return ops.upscale2d(self.render(w, level, alpha, noise=noise, seed=seed), 2**level)

    def render(
        self,
        w: Any,
        level: int = 0,
        alpha: Union[float, tf.Tensor, None] = None,
        *,
        noise: Noise = None,
        seed: Seed = None,
    ) -> tf.Tensor:
        """Images at the resolution of one stage: [N, R/2^level, R/2^level, C], float32.

        level: floor(lod). alpha: None outside fades, else the weight of the lower
        resolution (a number or a scalar tensor).
        """
        raise NotImplementedError

    def style_matrices(self) -> list[np.ndarray]:
        """For each w what the layers take of it, [dlatent_size, n], biases left out; empty without
        styles."""
        return []

    def check_w(self, w: Any) -> tf.Tensor:
        """w as a tensor; ValueError when it has another shape."""
        w = tf.convert_to_tensor(w)
        layers, width = self.num_layers, self.options["dlatent_size"]
        if w.shape.rank != 3 or list(w.shape[1:]) != [layers, width]:
            raise ValueError(
                f"{self.func_name}: w has shape {w.shape}, expected [N, {layers}, {width}]"
            )
        return w

    # ------------------------------------------------------------ as the original's networks

    def inputs_of_run(self) -> dict[str, list]:
        return {"dlatents": [None, self.num_layers, self.options["dlatent_size"]]}

    def output_of_run(self) -> list:
        return self.image_shape()
