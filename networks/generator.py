"""What every family's generator answers, so that whoever makes pictures need not ask which it is.

A generator turns latents into codes, `codes(z, labels)`, and codes into images,
`render(codes)`. Codes are w [N, layers, width] where it `has_styles`, else something of its own,
[N, …].
"""

from __future__ import annotations

from typing import Any, Optional, Union

import numpy as np
import tensorflow as tf

from networks import ops, registry
from networks.base import ImageNetwork
from networks.options import OWN, Own
from networks.seeds import Seed, as_seed

Psi = Union[Own, None, float, tf.Tensor]
Cutoff = Union[Own, None, float]
# 'random' | 'fixed' | 'none', or one image [N or 1, H, W, 1] or None for each layer; None: as the
# network was built.
Noise = Union[None, str, list]


class Generator(ImageNetwork):
    """Call: z [N, latent_size], labels [N, label_size] or None (zeros) → images
    [N, R, R, num_channels] float32, about [−1, 1], not clipped.

    A family gives `codes` and `render`, and what differs from the answers here: those of a
    network without styles, noise and truncation, whose training is as its use.
    """

    @property
    def has_styles(self) -> bool:
        """Whether codes are w, [N, num_layers, width]."""
        return registry.has_styles(self.FUNC_NAME, self.FAMILY)

    @property
    def num_layers(self) -> int:
        """How many layers take a w each; 0 without styles, 1 where all share one."""
        return 0

    @property
    def w_shape(self) -> Optional[tuple[int, int]]:
        """(layers, width) of w; None without styles."""
        return None

    @property
    def latent_size(self) -> int:
        """Width of z."""
        return self.options["latent_size"]

    @property
    def label_size(self) -> int:
        """Width of the labels; 0 without."""
        return self.options["label_size"]

    @property
    def num_channels(self) -> int:
        """Channels of the images."""
        return self.options["num_channels"]

    @property
    def tracked(self) -> tuple[str, ...]:
        """Variables that training moves without gradients, as an average of w."""
        return ()

    @property
    def widest_layer(self) -> int:
        """How many values its widest layer has for one image, for bounds of memory."""
        outputs = [place.output for place in self.places.values() if len(place.output) == 3]
        outputs.append((0, self.resolution, self.resolution))
        return max((maps + self.num_channels) * height * width for maps, height, width in outputs)

    def noise_shapes(self) -> list[tuple[int, int]]:
        """(height, width) of each layer's noise image; empty for a network without noise."""
        return []

    def noise_images(self) -> list[np.ndarray]:
        """The network's own noise images, [1, H, W, 1] float32 for each layer."""
        return []

    def style_matrices(self) -> list[np.ndarray]:
        """For each w of the codes what the layers take of it, [width, n]; empty without styles."""
        return []

    # ------------------------------------------------------------ what a family gives

    def codes(
        self,
        z: Any,
        labels: Any = None,
        *,
        truncation_psi: Psi = OWN,
        truncation_cutoff: Cutoff = OWN,
    ) -> tf.Tensor:
        """What images are made from, [N, …] float32."""
        raise NotImplementedError

    def render(
        self,
        codes: Any,
        level: int = 0,
        alpha: Union[float, tf.Tensor, None] = None,
        *,
        noise: Noise = None,
        seed: Seed = None,
    ) -> tf.Tensor:
        """Images at one stage's resolution: [N, R/2^level, R/2^level, C], float32.

        alpha: None outside fades, else the weight of the lower resolution (a number or a scalar
        tensor). seed: of random noise, an int or an int tensor [2]; None draws one.
        """
        raise NotImplementedError

    def truncate(self, codes: Any, psi: Psi = OWN, cutoff: Cutoff = OWN) -> tf.Tensor:
        """Codes closer to their average: what truncation means where codes are w."""
        return codes

    def truncation(self, psi: Optional[float], cutoff: Optional[int]) -> dict[str, Any]:
        """{'psi', 'cutoff'} where a user gave at least one of them; the other one is the usual."""
        raise ValueError(f"{self.func_name} has no w to truncate")

    def training_codes(
        self, z: tf.Tensor, labels: Any, level: int, seed: tf.Tensor, *, mixing: Any = OWN
    ) -> tf.Tensor:
        """Codes for a step of training at `level`; mixing: the probability of style mixing, by
        default the network's own; None or 0: never."""
        return self.codes(z, labels)

    # ------------------------------------------------------------ what follows from it

    def stage(
        self,
        z: Any,
        labels: Any,
        level: int,
        alpha: Union[float, tf.Tensor, None] = None,
        *,
        truncation_psi: Psi = OWN,
        truncation_cutoff: Cutoff = OWN,
        noise: Noise = None,
        seed: Seed = None,
    ) -> tf.Tensor:
        """Images of latents at one stage's resolution, as `render` makes them of codes."""
        codes = self.codes(
            z, labels, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff
        )
        return self.render(codes, level, alpha, noise=noise, seed=seed)

    def training_stage(
        self,
        z: tf.Tensor,
        labels: Any,
        level: int,
        alpha: Union[float, tf.Tensor, None] = None,
        *,
        seed: tf.Tensor,
        noise: Noise = None,
        mixing: Any = OWN,
    ) -> tf.Tensor:
        """Training-mode images at one stage's resolution: [N, R/2^level, R/2^level, C]."""
        codes = self.training_codes(z, labels, level, seed, mixing=mixing)
        return self.render(codes, level, alpha, noise=noise, seed=seed)

    def call(
        self,
        z: Any,
        labels: Any = None,
        *,
        training: bool = False,
        truncation_psi: Psi = OWN,
        truncation_cutoff: Cutoff = OWN,
        noise: Noise = None,
        lod: Optional[float] = None,
        seed: Seed = None,
    ) -> tf.Tensor:
        """training: updates the average of w and mixes styles instead of truncating.
        lod: None is the network's own; seed: of noise and mixing, an int or an int tensor [2];
        None draws one. What the network does not have is accepted and without effect.
        """
        level, alpha = self.split_lod(lod)
        seed = as_seed(seed)
        if training:
            images = self.training_stage(z, labels, level, alpha, noise=noise, seed=seed)
        else:
            images = self.stage(
                z,
                labels,
                level,
                alpha,
                noise=noise,
                seed=seed,
                truncation_psi=truncation_psi,
                truncation_cutoff=truncation_cutoff,
            )
        return ops.upscale2d(images, 2**level)

    # ------------------------------------------------------------ as the original's networks

    def inputs_of_run(self) -> dict[str, list]:
        return {"latents": [None, self.latent_size], "labels": [None, self.label_size]}

    def output_of_run(self) -> list:
        return self.image_shape()
