"""A network file, and the pictures that it makes of recipes."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Callable, Optional, Union

import numpy as np
import tensorflow as tf

from dnnlib.errors import UserError
from explorer import starting_points
from explorer.recipe import Recipe
from explorer.starting_points import Projected
from generation import describe, latents
from generation.directions import Direction
from networks import registry, sampling, snapshot
from networks.options import OWN
from networks.sampling import Sampler

_KEPT = 64  # codes of seeds, for one network
_KEPT_NOISE = 2  # images of all layers, of seeds: of large networks they are many megabytes


@dataclasses.dataclass
class Start:
    """What one picture is made from. codes: [1, …]. z: [1, latent_size], labels: [1, K], of those
    that begin with seeds. noise: [1, H, W, 1] of each layer, or 'none'. seed: of random noise."""

    codes: np.ndarray
    noise: Union[str, list[np.ndarray]]
    seed: int
    labels: np.ndarray
    z: Optional[np.ndarray] = None


class Scene:
    """One network file, opened. For one thread.

    path: a local file. name: what it is called on the page. directions, effects, projected: what a
    user brings beside it. Raises UserError where the file has no generator that makes pictures.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        *,
        memory: float = sampling.MEMORY,
        resolution: Optional[int] = None,
    ):
        self.path, self.name, self.resolution = path, name, resolution
        self._memory = memory
        self._makers = snapshot.makers(path, resolution)
        Gs = describe.load_for_pictures(path, resolution)
        self._samplers = {self._usual(): sampler_for(Gs, memory)}
        self.sampler = self._samplers[self._usual()]
        self.Gs = Gs
        self.directions: dict[str, Direction] = {}
        self.effects: dict[str, dict] = {}  # of directions, as they were measured
        self.projected: dict[str, Projected] = {}
        self._seeds = _Recent(_KEPT)
        self._random_noise = _Recent(_KEPT_NOISE)
        self._D: Any = None
        self._score: Optional[Callable[..., Any]] = None

    def use_directions(self, path: str) -> None:
        """Takes those of a file, with their effects; UserError where they are not of its w."""
        self.directions = starting_points.directions(path, self.sampler)
        self.effects = starting_points.effects(path)

    def use_projected(self, path: str) -> None:
        """Takes the pictures of a file or a directory; UserError where they do not fit."""
        self.projected = starting_points.projected(path, self.sampler)

    # ------------------------------------------------------------ what it has

    def _usual(self) -> str:
        return "Gs" if "Gs" in self._makers else "G"

    @property
    def which(self) -> list[str]:
        """The generators of the file, the one that pictures are made with first."""
        others = [role for role in ("Gs", "G") if role in self._makers and role != self._usual()]
        return [self._usual(), *others]

    @property
    def has_D(self) -> bool:
        return "D" in self._makers

    def sampler_of(self, recipe: Recipe) -> Sampler:
        """Of the generator that a recipe names."""
        which = recipe.which or self._usual()
        if which not in self._makers:
            raise UserError(f"which: the file has {' and '.join(self.which)}, and no {which}")
        if which not in self._samplers:
            network = self._made(which)
            if registry.role(network.func_name, network.FAMILY) != "G":
                raise UserError(f"which: the file's {which} is no whole generator")
            self._samplers[which] = sampler_for(network, self._memory)
        return self._samplers[which]

    def _made(self, role: str) -> Any:
        # Those who make networks are for one call each.
        try:
            return snapshot.makers(self.path, self.resolution)[role]()
        except KeyError:
            raise UserError(f"{self.name}: the file has changed; it has no {role} now") from None

    # ------------------------------------------------------------ from recipes to pictures

    def image(self, recipe: Recipe) -> np.ndarray:
        """uint8 [R, R, C], as `run_generator.py images` makes it."""
        return self.render(self.sampler_of(recipe), recipe, self.start(recipe))

    def render(self, sampler: Sampler, recipe: Recipe, start: Start) -> np.ndarray:
        """As `image`, of its beginnings, with any sampler of this network."""
        noise: dict[str, Any] = {"noise_images": start.noise}
        if start.noise == "none":
            noise = {"noise_layers": []}
        try:
            sampler.Gs.split_lod(recipe.lod)
        except ValueError as error:
            raise UserError(f"lod: {error}") from error
        return next(iter(sampler.stream(start.codes, lod=recipe.lod, **noise)))

    def start(self, recipe: Recipe) -> Start:
        """Codes and noise of a recipe. Raises UserError for what the network does not have."""
        sampler = self.sampler_of(recipe)
        labels = self._labels(recipe)
        z = noise = None
        if recipe.projected is not None:
            codes, noise = self._projected(recipe)
        else:
            codes, z = self._of_seeds(recipe.which, recipe.seeds, recipe.labels)
        codes = sampler.truncate(codes, **self._truncation(recipe))
        codes = self._mixed(recipe, codes)
        for name, amount in recipe.edits:
            if name not in self.directions:
                known = ", ".join(list(self.directions)[:10]) or "none"
                raise UserError(f"edits: no direction {name!r}; there are: {known}")
            codes = self.directions[name].move(codes, amount)
        return Start(codes, self._noise(recipe, noise), recipe.drawn_from, labels, z)

    def _truncation(self, recipe: Recipe) -> dict[str, Any]:
        """psi and cutoff as Sampler.truncate takes them."""
        if recipe.psi is None and recipe.cutoff is None:
            # A projected w stays as it is, as that of a file of latents.
            return {"psi": OWN if recipe.projected is None else 1.0, "cutoff": OWN}
        if not self.Gs.has_styles:
            raise UserError(f"psi: this is {self.Gs.title}, which has no w")
        return self.sampler_of(recipe).Gs.truncation(recipe.psi, recipe.cutoff)

    def _of_seeds(
        self,
        which: Optional[str],
        seeds: tuple[tuple[int, float], ...],
        labels: Optional[tuple[tuple[int, float], ...]],
    ) -> tuple[np.ndarray, np.ndarray]:
        """(codes before truncation, z) of blended seeds."""

        def make() -> tuple[np.ndarray, np.ndarray]:
            sampler = self.sampler_of(Recipe(which=which))
            z = blend(seeds, sampler.latent_size)
            recipe = Recipe(which=which, seeds=seeds, labels=labels)
            codes = sampler.codes(z, self._labels(recipe), psi=1.0)
            return codes, z

        return self._seeds.get(("codes", which or self._usual(), seeds, labels), make)

    def _labels(self, recipe: Recipe) -> np.ndarray:
        """[1, K] float32: a recipe's, or those that its seeds' numbers give, in their shares."""
        size = self.Gs.label_size
        if recipe.labels is None:
            seeds, weights = zip(*recipe.seeds)
            shares = np.maximum(weights, 0.0)
            if not shares.any():
                shares = np.ones(len(seeds))
            classes = latents.labels_for(seeds, size)
            return np.float32(shares / shares.sum() @ classes)[None]
        if not size:
            raise UserError("labels: the network has no classes")
        labels = np.zeros([1, size], np.float32)
        for index, weight in recipe.labels:
            if index >= size:
                raise UserError(f"labels: class {index}; the network has {size}, from 0")
            labels[0, index] += np.float32(weight)
        return labels

    def _projected(self, recipe: Recipe) -> tuple[np.ndarray, Optional[list[np.ndarray]]]:
        if recipe.projected not in self.projected:
            known = ", ".join(list(self.projected)[:10]) or "none"
            raise UserError(f"projected: no {recipe.projected!r}; there are: {known}")
        start = self.projected[recipe.projected]
        return start.w, start.noise

    def _mixed(self, recipe: Recipe, codes: np.ndarray) -> np.ndarray:
        if not recipe.mixing:
            return codes
        layers = self.Gs.num_layers
        if layers < 2:
            raise UserError("mixing: the network has no styles in several layers")
        codes = codes.copy()
        for layer, seed in recipe.mixing:
            if layer >= layers:
                raise UserError(f"mixing: layer {layer}; the network has {layers}, from 0")
            other, _ = self._of_seeds(recipe.which, ((seed, 1.0),), recipe.labels)
            other = self.sampler_of(recipe).truncate(other, **self._truncation(recipe))
            codes[:, layer] = other[:, layer]
        return codes

    def _noise(
        self, recipe: Recipe, projected: Optional[list[np.ndarray]]
    ) -> Union[str, list[np.ndarray]]:
        """[1, H, W, 1] of each layer, zeros for none; 'none' where no layer has any."""
        shapes = self.sampler.noise_shapes
        kinds = recipe.noise
        if isinstance(kinds, str):
            kinds = (kinds,) * len(shapes)
        elif len(kinds) != len(shapes):
            raise UserError(f"noise: {len(kinds)} kinds; the network has {len(shapes)} layers")
        if all(kind == "none" for kind in kinds):
            return "none"
        fixed = random = None
        if "fixed" in kinds:
            fixed = projected or self._fixed_noise(recipe)
        if "random" in kinds:
            seed = recipe.drawn_from
            random = self._random_noise.get(
                seed,
                lambda: [image[None] for image in sampling.noise_images(seed, shapes)],
            )
        drawn = {"fixed": fixed, "random": random}
        return [
            # Zeros change no pixel, and need no graph of their own.
            np.zeros([1, *shape, 1], np.float32) if kind == "none" else drawn[kind][index]
            for index, (kind, shape) in enumerate(zip(kinds, shapes))
        ]

    def _fixed_noise(self, recipe: Recipe) -> list[np.ndarray]:
        sampler = self.sampler_of(recipe)
        return self._seeds.get(("fixed", recipe.which), lambda: sampler.Gs.noise_images())

    # ------------------------------------------------------------ D

    def score(self, recipe: Recipe, image: np.ndarray, labels: np.ndarray) -> Optional[float]:
        """What D says of a picture, uint8 [R, R, C], higher for what looks real; None without D."""
        if not self.has_D:
            return None
        if self._score is None:
            D = self._made("D")

            def score(levels: tf.Tensor, labels: tf.Tensor, level: int, alpha: Any) -> tf.Tensor:
                return D.at_stage(tf.cast(levels, tf.float32) / 127.5 - 1, labels, level, alpha)

            # A graph for each level; of a fade one for all its values.
            self._D, self._score = D, tf.function(score, autograph=False)
        level, alpha = self._D.split_lod(recipe.lod if self._D.growing else None)
        alpha = None if alpha is None else tf.constant(alpha, tf.float32)
        scores = self._score(tf.constant(image[None]), tf.constant(labels), level, alpha)
        value = float(scores.numpy().item())
        return value if np.isfinite(value) else None


def sampler_for(Gs: Any, memory: float) -> Sampler:
    """Of a generator whose lod may be dragged: each graph, which takes long to trace, is kept."""
    levels = Gs.resolution_log2 - 1 if Gs.growing else 1
    graphs = 2 * (2 * levels - 1)  # each level, and each fade between two, with noise and without
    return Sampler(Gs, memory=memory, progress=False, graphs=max(graphs, sampling.MAX_GRAPHS))


def blend(seeds: tuple[tuple[int, float], ...], latent_size: int) -> np.ndarray:
    """z [1, latent_size]: Σ weight z / √Σ weight², again of variance 1; of one seed its own."""
    z = latents.from_seeds([seed for seed, _ in seeds], latent_size)
    if len(seeds) == 1:
        return z * np.float32(np.sign(seeds[0][1]))
    weights = np.array([weight for _, weight in seeds])
    weights /= np.linalg.norm(weights)
    return np.float32(weights @ z)[None]


class _Recent:
    """What was made last, by key."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: collections.OrderedDict[Hashable, Any] = collections.OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of a key, made if it is not there."""
        if key not in self._values:
            self._values[key] = make()
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        self._values.move_to_end(key)
        return self._values[key]
