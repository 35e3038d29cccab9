"""Inside a generator: a layer's feature maps, and what noise changes."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from dnnlib.errors import UserError
from explorer.recipe import Recipe
from explorer.scene import Scene
from generation import figures
from networks import fast, sampling
from networks.base import BLOCK

MOST_MAPS = 64  # on one sheet
DRAWS = 32  # of noise
_MOST_SIDE = 4096  # pixels of a sheet of several maps, about
_SIDE = 1024  # pixels that a sheet, or a map, is enlarged to at most
_GAP = 1  # pixels between maps


def layers_of(Gs: Any) -> list[dict[str, Any]]:
    """The layers that have feature maps: {'name', 'resolution', 'maps'}."""
    return [
        {"name": title(scope), "resolution": place.output[1], "maps": place.output[0]}
        for scope, place in _places(Gs)
    ]


def title(scope: str) -> str:
    """A layer's scope without the part that all of a synthesis network share."""
    return scope.removeprefix("G_synthesis/")


def _places(Gs: Any) -> list[tuple[str, Any]]:
    return [
        (scope, place)
        for scope, place in Gs.places.items()
        if place.kind == BLOCK and len(place.output) == 3
    ]


# ---------------------------------------------------------------- feature maps


def features(scene: Scene, recipe: Recipe, layer: int) -> np.ndarray:
    """What a layer gives for a picture: [H, W, maps] float32.

    Raises UserError for a layer that is not there, or takes no part at the recipe's lod.
    """
    sampler, start = scene.sampler_of(recipe), scene.start(recipe)
    places = _places(sampler.Gs)
    if layer >= len(places):
        raise UserError(f"layer: {layer}; the network has {len(places)} to look into, from 0")
    scope, place = places[layer]
    try:
        level, alpha = sampler.Gs.split_lod(recipe.lod)
    except ValueError as error:
        raise UserError(f"lod: {error}") from error
    # Outside of graphs: tracing one for each layer would take longer than it runs.
    noise = start.noise if isinstance(start.noise, str) else list(map(tf.constant, start.noise))
    with fast.using(fast.PLAIN), _watched(place.layer) as outputs:
        sampler.Gs.render(tf.constant(start.codes), level, alpha, noise=noise)
    if not outputs:
        raise UserError(f"{title(scope)} takes no part in images at lod {level + (alpha or 0):g}")
    if outputs[-1].shape.rank != 4:
        raise UserError(f"{title(scope)} has no maps to look at")
    return tf.cast(outputs[-1][0], tf.float32).numpy()


@contextlib.contextmanager
def _watched(layer: Any) -> Iterator[list]:
    """The outputs of a layer, as it is called in the block."""
    outputs: list = []
    original = layer.call

    def call(*args: Any, **keywords: Any) -> Any:
        outputs.append(original(*args, **keywords))
        return outputs[-1]

    layer.call = call
    try:
        yield outputs
    finally:
        del layer.call  # the class's own shows again


def sheet(maps: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """(uint8 picture, what is on it) of feature maps [H, W, maps].

    The MOST_MAPS that vary most, of large ones as many as a sheet has room for, in their order,
    each from its own least value, black, to its own greatest; enlarged without smoothing.
    """
    height, width, count = maps.shape
    finite = np.isfinite(maps).all(axis=(0, 1))  # of a network that has diverged, not all are
    maps = np.where(finite, maps, 0)
    most = min(MOST_MAPS, max(_MOST_SIDE // max(height, width), 1) ** 2)
    chosen = np.sort(np.argsort(-maps.var(axis=(0, 1)), kind="stable")[:most])
    columns = int(np.ceil(np.sqrt(len(chosen))))
    rows = -(-len(chosen) // columns)
    scale = max(_SIDE // (columns * max(height, width)), 1)
    cell = height * scale + _GAP, width * scale + _GAP
    picture = np.zeros([rows * cell[0] - _GAP, columns * cell[1] - _GAP, 1], np.uint8)
    low, high = maps.min(axis=(0, 1)), maps.max(axis=(0, 1))
    for position, index in enumerate(chosen):
        plane = maps[:, :, index]
        span = max(float(high[index] - low[index]), 1e-12)
        levels = np.rint((plane - low[index]) / span * 255).astype(np.uint8)
        levels = levels.repeat(scale, axis=0).repeat(scale, axis=1)
        top, left = position // columns * cell[0], position % columns * cell[1]
        picture[top : top + levels.shape[0], left : left + levels.shape[1], 0] = levels
    return picture, {
        "columns": columns,
        "cell": [cell[1], cell[0]],
        "total": count,
        "maps": [
            {
                "index": i,
                "low": float(low[i]) if finite[i] else None,
                "high": float(high[i]) if finite[i] else None,
            }
            for i in chosen.tolist()
        ],
    }


# ---------------------------------------------------------------- noise


def noise_deviation(scene: Scene, recipe: Recipe) -> Generator[None, None, np.ndarray]:
    """[H, W] float64: the standard deviation of each pixel's grey, in levels of 255, over DRAWS of
    noise. In steps of one image; layers that the recipe gives no noise have none.

    Raises UserError for a network without noise.
    """
    sampler, start = scene.sampler_of(recipe), scene.start(recipe)
    shapes = sampler.noise_shapes
    if not shapes:
        raise UserError("noise: the network has no noise inputs")
    if start.noise == "none":
        raise UserError("noise: no layer has any, so that it changes nothing")
    kinds = [recipe.noise] * len(shapes) if isinstance(recipe.noise, str) else recipe.noise
    total = squares = np.zeros([1, 1])
    for seed in figures.noise_seeds(recipe.drawn_from, DRAWS):
        drawn = sampling.noise_images(seed, shapes)
        start.noise = [
            np.zeros_like(image[None]) if kind == "none" else image[None]
            for image, kind in zip(drawn, kinds)
        ]
        grey = scene.render(sampler, recipe, start).astype(np.float64).mean(axis=2)
        total, squares = total + grey, squares + grey**2
        yield
    return np.sqrt(np.maximum(squares / DRAWS - (total / DRAWS) ** 2, 0))


def deviation_picture(deviation: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """(uint8 [H, W, 1], its facts): white is the greatest deviation, `range` tells how much."""
    most = float(deviation.max())
    picture = np.rint(deviation / max(most, 1e-12) * 255).astype(np.uint8)[:, :, None]
    facts = {"range": [0.0, most], "mean": float(deviation.mean()), "draws": DRAWS}
    return picture, facts
