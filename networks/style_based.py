"""Generators of two networks, a mapping from z to w and a synthesis of images from w (StyleGAN §2).

What the families of them share: the average of w, truncation, style mixing.
"""

from __future__ import annotations

import math
from typing import Any, Optional, Union

import numpy as np
import tensorflow as tf

from compute.devices import assign_local
from networks import registry
from networks.generator import Cutoff, Generator, Noise, Psi
from networks.options import OWN
from networks.seeds import MIXING, Seed, fold_in


class StyleBasedGenerator(Generator):
    """A generator whose codes are w, [N, num_layers, dlatent_size].

    A family makes `mapping`, `synthesis` and the variable dlatent_avg [dlatent_size], the moving
    average of w that truncation pulls towards. NO_CUTOFF_IS_EVERY_LAYER: what the option
    truncation_cutoff=None says, every layer or none.
    """

    NO_CUTOFF_IS_EVERY_LAYER = False
    mapping: Any
    synthesis: Any
    dlatent_avg: Any

    @property
    def num_layers(self) -> int:
        return self.synthesis.num_layers

    @property
    def w_shape(self) -> tuple[int, int]:
        return self.num_layers, self.options["dlatent_size"]

    @property
    def tracked(self) -> tuple[str, ...]:
        return ("dlatent_avg",)

    def noise_shapes(self) -> list[tuple[int, int]]:
        return self.synthesis.noise_shapes()

    def noise_images(self) -> list[np.ndarray]:
        return [
            np.transpose(image.numpy(), [0, 2, 3, 1]) for image in self.synthesis.noise_variables
        ]

    def style_matrices(self) -> list[np.ndarray]:
        return self.synthesis.style_matrices()

    def codes(
        self,
        z: Any,
        labels: Any = None,
        *,
        truncation_psi: Psi = OWN,
        truncation_cutoff: Cutoff = OWN,
    ) -> tf.Tensor:
        return self.truncate(self.mapping(z, labels), truncation_psi, truncation_cutoff)

    def render(
        self,
        codes: Any,
        level: int = 0,
        alpha: Union[float, tf.Tensor, None] = None,
        *,
        noise: Noise = None,
        seed: Seed = None,
    ) -> tf.Tensor:
        return self.synthesis.render(codes, level, alpha, noise=noise, seed=seed)

    def set_lod(self, lod: float) -> None:
        super().set_lod(lod)
        self.synthesis.set_lod(lod)

    def truncate(self, codes: Any, psi: Psi = OWN, cutoff: Cutoff = OWN) -> tf.Tensor:
        """Pulls the layers below `cutoff` towards dlatent_avg: w_avg + ψ (w − w_avg).

        psi may be a tensor, a scalar or [N, 1, 1].
        """
        psi = self.options["truncation_psi"] if psi is OWN else psi
        pulled = self.truncated_layers(cutoff)
        if psi is None or not pulled or (not tf.is_tensor(psi) and psi == 1):
            return codes
        layers = tf.range(self.num_layers)[None, :, None]
        coefficient = tf.where(layers < pulled, tf.cast(psi, tf.float32), 1.0)
        average = tf.convert_to_tensor(self.dlatent_avg)
        return average + (codes - average) * coefficient

    def truncated_layers(self, cutoff: Cutoff = OWN) -> int:
        """How many of the first layers a cutoff pulls towards the average."""
        cutoff = self.options["truncation_cutoff"] if cutoff is OWN else cutoff
        if cutoff is None:
            cutoff = self.num_layers if self.NO_CUTOFF_IS_EVERY_LAYER else 0
        return min(max(math.ceil(cutoff), 0), self.num_layers)

    def truncation(self, psi: Optional[float], cutoff: Optional[int]) -> dict[str, Any]:
        """What was not given is the network's own, or the paper's where it has none."""
        chosen = {"truncation_psi": psi, "truncation_cutoff": cutoff}
        usual = registry.defaults(self.FUNC_NAME)
        for key, value in chosen.items():
            own = self.options[key] if value is None else value
            chosen[key] = usual[key] if own is None else own
        return {"psi": chosen["truncation_psi"], "cutoff": chosen["truncation_cutoff"]}

    def training_codes(
        self, z: tf.Tensor, labels: Any, level: int, seed: tf.Tensor, *, mixing: Any = OWN
    ) -> tf.Tensor:
        """w for training at `level`: tracks dlatent_avg, then mixes styles."""
        w = self.mapping(z, labels)
        self.track_average(w)
        probability = self.options["style_mixing_prob"] if mixing is OWN else mixing
        if not probability:
            return w
        seeds = [fold_in(seed, MIXING + index) for index in range(3)]
        z2 = tf.random.stateless_normal(tf.shape(z), seeds[0], alg="philox")
        layers = self.mixed_layers(level)
        draw = tf.random.stateless_uniform([], seeds[1], alg="philox")
        index = tf.random.stateless_uniform([], seeds[2], 1, layers, tf.int32, alg="philox")
        cutoff = tf.where(draw < probability, index, layers)
        return mix_styles(w, self.mapping(z2, labels), cutoff)

    def mixed_layers(self, level: int) -> int:
        """How many layers style mixing shares among two w."""
        return 2 * (self.resolution_log2 - level) - 2

    def track_average(self, w: tf.Tensor) -> None:
        """dlatent_avg ← lerp(mean of w, dlatent_avg, 0.995), the mean over all replicas."""
        beta = self.options["dlatent_avg_beta"]
        if beta is None:
            return
        mean = tf.reduce_mean(w[:, 0], axis=0)
        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            mean = replica.all_reduce(tf.distribute.ReduceOp.MEAN, mean)
        average = tf.convert_to_tensor(self.dlatent_avg)
        assign_local(self.dlatent_avg, mean + (average - mean) * beta)

    def components_of_run(self) -> dict[str, Any]:
        return {"mapping": self.mapping, "synthesis": self.synthesis}


def mix_styles(w: tf.Tensor, w2: tf.Tensor, cutoff: tf.Tensor) -> tf.Tensor:
    """Layers below `cutoff` from w, the others from w2 (StyleGAN §3.1): [N, layers, D]."""
    layers = tf.range(w.shape[1])[None, :, None]
    return tf.where(layers < cutoff, w, w2)
