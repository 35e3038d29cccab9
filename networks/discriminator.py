"""What every family's discriminator answers: scores of images, at the stage that trains."""

from __future__ import annotations

from typing import Any, Optional, Union

import tensorflow as tf

from networks import ops
from networks.base import ImageNetwork


class ScoringNetwork(ImageNetwork):
    """Call: images [N, R, R, num_channels] in [−1, 1], labels [N, label_size] or None (zeros)
    → scores [N, 1] float32, higher for what looks real.

    A family gives `stage`, and sets `features`: how many the minibatch standard deviation adds.
    """

    features = 0

    def call(self, images: Any, labels: Any = None, *, lod: Optional[float] = None) -> tf.Tensor:
        """lod: None is the network's own; without effect where there is none."""
        level, alpha = self.split_lod(lod)
        images = tf.convert_to_tensor(images)
        expected = [self.resolution, self.resolution, self.options["num_channels"]]
        if images.shape.rank != 4 or list(images.shape[1:]) != expected:
            raise ValueError(
                f"{self.func_name}: images have shape {images.shape}, expected [N, {expected[0]}, "
                f"{expected[1]}, {expected[2]}]"
            )
        return self.at_stage(images, labels, level, alpha)

    def at_stage(
        self,
        images: tf.Tensor,
        labels: Any,
        level: int,
        alpha: Union[float, tf.Tensor, None] = None,
    ) -> tf.Tensor:
        """Scores of images [N, R, R, C] at one stage, as `stage`."""
        return self.stage(ops.downscale2d(images, 2**level), labels, level, alpha)

    def stage(
        self,
        images: tf.Tensor,
        labels: Any,
        level: int,
        alpha: Union[float, tf.Tensor, None] = None,
    ) -> tf.Tensor:
        """Scores of images at the resolution of one stage, [N, R/2^level, R/2^level, C].

        alpha: None outside fades, else the weight of the lower resolution.
        """
        raise NotImplementedError

    def first_variables(self, layers: int) -> set[str]:
        """The variables of the first layers, counted from the highest resolution.

        In the order of a block, as far as it has them: FromRGB, Conv0, Conv1_down, Skip. Raises
        ValueError unless the last layer, which makes the score, is left.
        """
        scopes: dict[str, list[str]] = {}
        for name in self.named:
            place = self.place_of(name)
            if place is not None and place.resolution is not None:
                scopes.setdefault(place.scope, []).append(name)
        if not 0 <= layers < len(scopes):
            raise ValueError(f"{self.func_name} has {len(scopes) - 1} layers before its last")
        return {name for names in list(scopes.values())[:layers] for name in names}

    def normalize_kernels(self, level: int, fading: bool = False) -> None:
        """What a family does to its weights before each step, such as spectral normalisation."""

    def score(self, outputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Scores [N, 1] of the last layer's outputs, one for each label."""
        if not self.options["label_size"]:
            return outputs
        return tf.reduce_sum(outputs * labels, axis=1, keepdims=True)

    def check_minibatch(self, images: tf.Tensor) -> None:
        """Raises ValueError unless the minibatch standard deviation has whole groups."""
        minibatch = images.shape[0]
        group_size = self.options["mbstd_group_size"]
        if not self.features or minibatch is None or group_size is None:
            return
        group = min(group_size, minibatch)
        if minibatch % group:
            raise ValueError(
                f"{self.func_name}: a minibatch of {minibatch} does not divide into groups of "
                f"{group} (mbstd_group_size); use a multiple, or another group size"
            )

    # ------------------------------------------------------------ as the original's networks

    def inputs_of_run(self) -> dict[str, list]:
        return {"images": self.image_shape(), "labels": [None, self.options["label_size"]]}

    def output_of_run(self) -> list:
        return [None, 1]
