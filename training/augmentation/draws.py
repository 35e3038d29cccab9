"""The random parameters of a minibatch's augmentations, each neutral where its gate fails.

A transform happens to an image with probability multiplier · p, independently of other images and
transforms: its gate is a uniform number below that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, Union

import tensorflow as tf

from networks.seeds import fold_in
from training.augmentation.transforms import BLIT, Transforms

Parameters = dict[str, tf.Tensor]


class Source(Protocol):
    """Where numbers come from; the first axis is the minibatch's."""

    def uniform(self, shape: Sequence[int]) -> tf.Tensor:
        """float32 in [0, 1), [N, *shape]."""

    def normal(self, shape: Sequence[int]) -> tf.Tensor:
        """float32 of N(0, 1), [N, *shape]."""


class SeededSource:
    """Numbers that follow from a seed, int32 [2], for a minibatch of N images."""

    def __init__(self, seed: tf.Tensor, minibatch: Union[int, tf.Tensor]):
        self._seed, self._minibatch, self._drawn = seed, minibatch, 0

    def _draw(self, distribution, shape: Sequence[int]) -> tf.Tensor:
        seed = fold_in(self._seed, self._drawn)
        self._drawn += 1
        return distribution([self._minibatch, *shape], seed, alg="philox")

    def uniform(self, shape: Sequence[int]) -> tf.Tensor:
        return self._draw(tf.random.stateless_uniform, shape)

    def normal(self, shape: Sequence[int]) -> tf.Tensor:
        return self._draw(tf.random.stateless_normal, shape)


def draw(
    transforms: Transforms,
    p: Union[float, tf.Tensor],
    source: Source,
    image_shape: tuple[int, int, int],
) -> Parameters:
    """{name: values in force} for images of image_shape (H, W, C): what `pipeline.apply` takes.

    Of every transform that is on: xflip, rotate90 (quarter turns), scale, aniso, brightness,
    contrast, lumaflip, hue, saturation, cutout (size) [N]; rotate_before and rotate_after [N], in
    radians; xint and xfrac, parts of the size as (x, y), and cutout_center [N, 2]; imgfilter
    [N, 4]; noise, the deviation [N], and noise_field [N, H, W, C]. p: may be above 1, which is
    always.
    """
    p = tf.convert_to_tensor(p, tf.float32)
    drawing = _Drawing(transforms, p, source)
    values: Parameters = {}
    for part in (drawing.blit, drawing.geom):
        values.update(part())
    values.update(drawing.color(image_shape[2] > 1))
    values.update(drawing.others(image_shape))
    return values


class _Drawing:
    """Values first, then their gate, in the original's order: recorded draws can be replayed."""

    def __init__(self, transforms: Transforms, p: tf.Tensor, source: Source):
        self.transforms, self.p, self.source = transforms, p, source

    def gated(self, value: tf.Tensor, chance: tf.Tensor, neutral: float) -> tf.Tensor:
        """value [N, …] where one more uniform number for each image is below chance."""
        gate = self.source.uniform([1] * (len(value.shape) - 1)) < chance
        return tf.where(gate, value, tf.constant(neutral, tf.float32))

    def has(self, name: str) -> bool:
        return getattr(self.transforms, name) > 0

    def chance(self, name: str) -> tf.Tensor:
        return getattr(self.transforms, name) * self.p

    def power(self, std: float) -> tf.Tensor:
        return 2.0 ** (self.source.normal([]) * std)

    def angle(self, largest: float) -> tf.Tensor:
        return (self.source.uniform([]) * 2 - 1) * math.pi * largest

    def blit(self) -> Parameters:
        values: Parameters = {}
        for name, choices in zip(BLIT, (2.0, 4.0)):
            if self.has(name):
                choice = tf.floor(self.source.uniform([]) * choices)
                values[name] = self.gated(choice, self.chance(name), 0.0)
        if self.has("xint"):
            shift = (self.source.uniform([2]) * 2 - 1) * self.transforms.xint_max
            values["xint"] = self.gated(shift, self.chance("xint"), 0.0)
        return values

    def geom(self) -> Parameters:
        values: Parameters = {}
        # So that one of two rotations happens with the chance that is asked for.
        once = 1 - tf.sqrt(tf.clip_by_value(1 - self.transforms.rotate * self.p, 0.0, 1.0))
        if self.has("scale"):
            values["scale"] = self._scale("scale", self.transforms.scale_std)
        if self.has("rotate"):
            angle = self.angle(self.transforms.rotate_max)
            values["rotate_before"] = self.gated(angle, once, 0.0)
        if self.has("aniso"):
            values["aniso"] = self._scale("aniso", self.transforms.aniso_std)
        if self.has("rotate"):
            angle = self.angle(self.transforms.rotate_max)
            values["rotate_after"] = self.gated(angle, once, 0.0)
        if self.has("xfrac"):
            shift = self.source.normal([2]) * self.transforms.xfrac_std
            values["xfrac"] = self.gated(shift, self.chance("xfrac"), 0.0)
        return values

    def _scale(self, name: str, std: float) -> tf.Tensor:
        return self.gated(self.power(std), self.chance(name), 1.0)

    def color(self, has_colour: bool) -> Parameters:
        values: Parameters = {}
        if self.has("brightness"):
            shift = self.source.normal([]) * self.transforms.brightness_std
            values["brightness"] = self.gated(shift, self.chance("brightness"), 0.0)
        if self.has("contrast"):
            values["contrast"] = self._scale("contrast", self.transforms.contrast_std)
        if self.has("lumaflip"):
            flip = tf.floor(self.source.uniform([]) * 2)
            values["lumaflip"] = self.gated(flip, self.chance("lumaflip"), 0.0)
        if self.has("hue") and has_colour:
            angle = self.angle(self.transforms.hue_max)
            values["hue"] = self.gated(angle, self.chance("hue"), 0.0)
        if self.has("saturation") and has_colour:
            values["saturation"] = self._scale("saturation", self.transforms.saturation_std)
        return values

    def others(self, image_shape: tuple[int, int, int]) -> Parameters:
        values: Parameters = {}
        if self.has("imgfilter"):
            gains = []
            for band in self.transforms.imgfilter_bands:
                gain = self.power(self.transforms.imgfilter_std)
                gains.append(self.gated(gain, self.chance("imgfilter") * band, 1.0))
            values["imgfilter"] = tf.stack(gains, axis=1)
        if self.has("noise"):
            deviation = tf.abs(self.source.normal([])) * self.transforms.noise_std
            values["noise"] = self.gated(deviation, self.chance("noise"), 0.0)
            values["noise_field"] = self.source.normal(image_shape)
        if self.has("cutout"):
            gate = self.source.uniform([]) < self.chance("cutout")
            values["cutout"] = tf.where(gate, self.transforms.cutout_size, 0.0)
            values["cutout_center"] = self.source.uniform([2])
        return values
