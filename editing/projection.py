"""A picture into w: the code whose image looks most like it (StyleGAN2, §5.2 and appendix D).

w starts at its average and follows the gradient of a distance; noise that fades away keeps it from
the nearest hollow. The noise images are found as well, and kept from carrying the picture: they
must not resemble themselves, shifted by a pixel, at any scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from compute.box_means import downscale2d
from dnnlib.errors import UserError
from editing.distances import Distance, PixelScales, shrink
from generation import pictures
from networks.sampling import Renderer
from training.optimizer import Adam

STEPS = 1000
SEED = 303  # of what is drawn, as the originals have it
RATE = 0.1
RAMP_UP, RAMP_DOWN = 0.05, 0.25  # shares of all steps in which the rate rises, and falls
NOISE, NOISE_RAMP = 0.05, 0.75  # of w, in standard deviations, and the share in which it fades
REGULARITY = 1e5  # the weight of the noise images' regularity
AVERAGE_COUNT, AVERAGE_SEED = 10_000, 123
_CANDIDATES = 200  # latents of a class, for its average image
_MAX_CLASSES = 1000
_PAIRS = 16  # of its own images, for how different they are


def learning_rate(t: float) -> float:
    """At the share t of all steps. It is 0 at the first one, which fills Adam's moments only."""
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / RAMP_DOWN))
    return RATE * down * min(1.0, t / RAMP_UP)


def noise_strength(t: float) -> float:
    """Of w's noise at the share t of all steps, in standard deviations of w."""
    return NOISE * max(0.0, 1 - t / NOISE_RAMP) ** 2


def regularity(noise: tf.Tensor) -> tf.Tensor:
    """How much noise images [N, H, W, 1] resemble themselves when shifted, at all scales: [N].

    Squares of the products' means with the neighbours to the left and above, the borders joined; of
    the images, and of their 2×2 means down to 8×8 (appendix D).
    """
    total = tf.zeros([tf.shape(noise)[0]])
    while True:
        for axis in (1, 2):
            product = noise * tf.roll(noise, 1, axis)
            total += tf.square(tf.reduce_mean(product, axis=[1, 2, 3]))
        if noise.shape[1] <= 8:
            return total
        noise = downscale2d(noise)


def normalized(noise: tf.Tensor) -> tf.Tensor:
    """Noise images [N, H, W, 1] with mean 0 and mean square 1, each of its own."""
    noise = noise - tf.reduce_mean(noise, axis=[1, 2, 3], keepdims=True)
    return noise * tf.math.rsqrt(tf.reduce_mean(tf.square(noise), axis=[1, 2, 3], keepdims=True))


def w_statistics(
    G: Any, label: Optional[np.ndarray] = None, count: int = AVERAGE_COUNT, seed: int = AVERAGE_SEED
) -> tuple[np.ndarray, float]:
    """(average [D], standard deviation) of the first layer's w, untruncated, over `count` latents.

    label: [K], zeros by default. The deviation is one number, of w as a vector: the root of the
    mean of ‖w − average‖².
    """
    z = np.random.RandomState(seed).randn(count, G.latent_size)
    row = np.zeros([G.label_size], np.float32) if label is None else label
    parts = []
    for start in range(0, count, 1000):
        latents = tf.constant(z[start : start + 1000], tf.float32)
        labels = tf.tile(tf.constant(row, tf.float32)[None], [len(latents), 1])
        parts.append(G.codes(latents, labels, truncation_psi=None)[:, 0].numpy())
    w = np.concatenate(parts).astype(np.float64)
    average = w.mean(axis=0)
    deviation = math.sqrt(np.square(w - average).sum() / count)
    return average.astype(np.float32), deviation


def nearest_classes(sampler: Any, pixels: np.ndarray) -> np.ndarray:
    """[N], for each picture the class whose average w makes the image nearest to it, in pixels.

    sampler: of the network, without truncation. pixels: uint8 [N, R, R, C].
    """
    classes = min(sampler.label_size, _MAX_CLASSES)
    averages = []
    for label in np.eye(sampler.label_size, dtype=np.float32)[:classes]:
        average, _ = w_statistics(sampler.Gs, label, count=_CANDIDATES)
        averages.append(np.broadcast_to(average, sampler.w_shape))
    images = sampler.images(np.stack(averages), title="classes")
    scales = PixelScales()
    embedded = scales.embed(images)
    shown = [
        scales.between(scales.embed(np.repeat(picture[None], classes, 0)), embedded).numpy()
        for picture in pixels
    ]
    return np.argmin(shown, axis=1)


def spread(sampler: Any, distance: Distance) -> float:
    """How far two of a network's own images are from each other: the median of some pairs.

    sampler: of the network, without truncation. Classes take turns.
    """
    codes = pictures.of_seeds(sampler, range(2 * _PAIRS), None).codes
    images = sampler.images(codes, title="pairs")
    embedded = [
        distance.embed(shrink(tf.constant(half, tf.float32)))
        for half in (images[:_PAIRS], images[: _PAIRS - 1 : -1])
    ]
    return float(np.median(distance.between(*embedded).numpy()))


@dataclass
class Start:
    """Where the search for some pictures begins. N pictures, one column each."""

    w: np.ndarray  # [N, D], averages
    deviations: np.ndarray  # [N], of w
    noise: list[np.ndarray]  # [N, H, W, 1] for each layer


@dataclass
class Projection:
    """What was found for N pictures."""

    w: np.ndarray  # [N, layers, D]
    noise: list[np.ndarray]  # [N, H, W, 1] for each layer
    distances: np.ndarray  # [steps, N], each before its step and with w's noise
    path: np.ndarray  # of the first picture, [steps, 1 or layers, D], after each step


class Projector:
    """Finds w for `count` pictures at once, each as if it were alone.

    G: a generator with styles, whose weights do not change. space: 'w', one for all layers, or
    'w+', one for each. `start`, then `step` as often as the schedule has steps.
    """

    def __init__(self, G: Any, distance: Distance, *, space: str = "w", count: int = 1) -> None:
        layers, width = G.w_shape
        self.G, self.distance, self.layers = G, distance, layers
        self.codes_shape = (count, 1 if space == "w" else layers, width)
        self._stage = G.split_lod(None)
        self.w = tf.Variable(tf.zeros(self.codes_shape))
        sides = G.noise_shapes()
        self.noise = [tf.Variable(tf.zeros([count, *side, 1])) for side in sides]
        self._named = {"w": self.w, **{f"noise{i}": image for i, image in enumerate(self.noise)}}
        self._adam = Adam(self._named, beta1=0.9, beta2=0.999, epsilon=1e-8)
        self._renderer = Renderer(G, frozen=True)
        self._embed = tf.function(distance.embed, autograph=False)
        self.graph = tf.function(self._step, autograph=False)
        self._targets: list[tf.Tensor] = []
        self._deviations = tf.zeros([count, 1, 1])

    def start(self, start: Start, targets: np.ndarray) -> None:
        """targets: [N, R, R, C] in 0…255."""
        self.w.assign(np.broadcast_to(start.w[:, None], self.codes_shape))
        for variable, image in zip(self.noise, start.noise):
            variable.assign(image)
        self._deviations = tf.constant(start.deviations, tf.float32)[:, None, None]
        self._targets = self._embed(shrink(tf.constant(targets, tf.float32)))
        self._adam.reset()

    def step(self, t: float, w_noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One step at the share t of all of them; returns (distances [N], losses [N]) before it.

        w_noise: [N, 1 or layers, D], N(0, 1).
        """
        distances, losses = self.graph(*self.inputs(t, w_noise))
        return distances.numpy(), losses.numpy()

    def inputs(self, t: float, w_noise: np.ndarray) -> list:
        """What `graph` takes for a step: its numbers, and the targets."""
        numbers = [learning_rate(t), noise_strength(t), w_noise]
        return [*(tf.constant(number, tf.float32) for number in numbers), self._targets]

    def found_w(self) -> np.ndarray:
        """[N, layers, D] as it is now."""
        count, _, width = self.codes_shape
        return np.broadcast_to(self.w.numpy(), [count, self.layers, width]).copy()

    def _step(self, rate, strength, w_noise, targets):
        variables = list(self._named.values())
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            w = self.w + strength * self._deviations * w_noise
            codes = tf.broadcast_to(w, [self.codes_shape[0], self.layers, self.codes_shape[2]])
            noise = [tf.convert_to_tensor(image) for image in self.noise]
            images = self._renderer.at_stage(codes, *self._stage, noise or "none")
            seen = self.distance.embed(shrink(images * 127.5 + 127.5))
            distances = self.distance.between(seen, targets)
            losses = tf.identity(distances)
            if noise:
                losses += REGULARITY * tf.add_n([regularity(image) for image in noise])
            loss = tf.reduce_sum(losses)
        gradients = tape.gradient(loss, variables)
        self._adam.apply(list(self._named), gradients, rate)
        for image in self.noise:
            image.assign(normalized(image))
        return distances, losses


def draws(
    seed: int, shapes: Sequence[tuple[int, int]], codes_shape: tuple[int, ...], steps: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """What is drawn for one picture: (noise images [H, W, 1], noise of w [steps, …])."""
    rng = np.random.RandomState(seed)
    noise = [rng.randn(height, width, 1).astype(np.float32) for height, width in shapes]
    return noise, rng.randn(steps, *codes_shape).astype(np.float32)


def project(
    G: Any,
    targets: np.ndarray,
    distance: Distance,
    *,
    steps: int = STEPS,
    space: str = "w",
    labels: Optional[np.ndarray] = None,
    seed: int = SEED,
    minibatch: int = 1,
    progress: bool = True,
) -> Projection:
    """Projects pictures, uint8 [N, R, R, C], `minibatch` at once.

    labels: [N, K], zeros by default; they decide where w starts, and how far it is shaken. Every
    picture gets the same draws, so that its w does not depend on its company. Raises UserError
    where a distance ends as no number.
    """
    if G.options["dtype"] != "float32":
        G = G.copy(dtype="float32")  # small steps are lost in the rounding of others
    count = min(minibatch, len(targets))
    projector = Projector(G, distance, space=space, count=count)
    noise, w_noise = draws(seed, G.noise_shapes(), projector.codes_shape[1:], steps)
    statistics = _Statistics(G)
    parts = []
    bar = tqdm(
        total=-(-len(targets) // count) * steps,
        desc="projecting",
        unit=" steps",
        leave=False,
        disable=None if progress else True,
    )
    with bar:
        for first in range(0, len(targets), count):
            # The last minibatch starts over from the front: one shape, one graph.
            rows = np.arange(first, first + count) % len(targets)
            found = [statistics(None if labels is None else labels[row]) for row in rows]
            start = Start(
                w=np.stack([average for average, _ in found]),
                deviations=np.float32([deviation for _, deviation in found]),
                noise=[np.repeat(image[None], count, axis=0) for image in noise],
            )
            projector.start(start, targets[rows])
            parts.append((min(count, len(targets) - first), _search(projector, w_noise, bar)))
    result = _joined(parts)
    if not np.isfinite(result.distances[-1]).all() or not np.isfinite(result.w).all():
        raise UserError("the network's images, or their distance, are no numbers: it is of no use")
    return result


class _Statistics:
    """Of w, for each label once."""

    def __init__(self, G: Any) -> None:
        self._G, self._kept = G, {}

    def __call__(self, label: Optional[np.ndarray]) -> tuple[np.ndarray, float]:
        key = None if label is None else tuple(label.tolist())
        if key not in self._kept:
            self._kept[key] = w_statistics(self._G, label)
        return self._kept[key]


def _search(projector: Projector, w_noise: np.ndarray, bar: Any) -> Projection:
    distances, path = [], []
    for step, drawn in enumerate(w_noise):
        drawn = np.broadcast_to(drawn, projector.codes_shape)
        shown, _ = projector.step(step / len(w_noise), drawn)
        distances.append(shown)
        path.append(projector.w[0].numpy())
        bar.set_postfix_str(f"distance {shown.mean():.4f}", refresh=False)
        bar.update()
    noise = [image.numpy() for image in projector.noise]
    return Projection(projector.found_w(), noise, np.stack(distances), np.stack(path))


def _joined(parts: Sequence[tuple[int, Projection]]) -> Projection:
    """Of each part the first rows."""
    layers = zip(*(part.noise for _, part in parts))
    counts = [count for count, _ in parts]
    return Projection(
        w=np.concatenate([part.w[:count] for count, part in parts]),
        noise=[np.concatenate([n[:c] for n, c in zip(layer, counts)]) for layer in layers],
        distances=np.concatenate([part.distances[:, :count] for count, part in parts], axis=1),
        path=parts[0][1].path,
    )
