"""What is sent for each kind of request: the work, in steps, and the message that comes of it."""

from __future__ import annotations

import dataclasses
import json
import struct
import time
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from datasets.grids import encode, to_pil
from explorer import inside, repeating
from explorer.previews import Previews
from explorer.recipe import Recipe
from explorer.scene import Scene
from explorer.worker import Steps

_QUALITY = 90  # of previews
MIME = {"PNG": "image/png", "JPEG": "image/jpeg"}


@dataclasses.dataclass(eq=False)
class Shown:
    """A network on the page. flags: those that name it on a command line."""

    scene: Scene
    previews: Previews
    flags: Sequence[str]
    directions: Optional[str]  # the file of --directions
    snapshot: Optional[str] = None  # its name, of a run's


def picture(shown: Shown, recipe: Recipe, preview: bool, header: dict[str, Any]) -> Steps:
    """The picture itself."""
    yield from ()
    begun = time.perf_counter()
    scene = shown.scene
    if preview:
        pixels = shown.previews.image(recipe)
        return message(header, pixels, begun, preview=True)
    start = scene.start(recipe)
    pixels = scene.render(scene.sampler_of(recipe), recipe, start)
    more = {
        "score": scene.score(recipe, pixels, start.labels),
        "command": repeating.command(scene, recipe, shown.flags, shown.directions),
    }
    return message({**header, **more}, pixels, begun)


def look_inside(shown: Shown, recipe: Recipe, layer: int, header: dict[str, Any]) -> Steps:
    """A layer's feature maps."""
    yield from ()
    begun = time.perf_counter()
    pixels, facts = inside.sheet(inside.features(shown.scene, recipe, layer))
    return message({**header, "layer": layer, **facts}, pixels, begun)


def noise_map(shown: Shown, recipe: Recipe, header: dict[str, Any]) -> Steps:
    """What noise changes."""
    begun = time.perf_counter()
    deviation = yield from inside.noise_deviation(shown.scene, recipe)
    pixels, facts = inside.deviation_picture(deviation)
    return message({**header, **facts}, pixels, begun)


def latents(shown: Shown, recipe: Recipe) -> Steps:
    """The bytes of a file of latents."""
    yield from ()
    return repeating.latents_file(shown.scene, recipe)


def ready(shown: Shown) -> Steps:
    """A picture as the first one will be, and previews: what takes long the first time."""
    scene, recipe = shown.scene, Recipe()
    yield
    pixels = scene.image(recipe)
    yield
    scene.score(recipe, pixels, scene.start(recipe).labels)
    yield
    yield from shown.previews.warm_up()


def message(
    header: dict[str, Any], pixels: np.ndarray, begun: float, *, preview: bool = False
) -> bytes:
    """A binary message: the header's length as uint32, little-endian, the header, the picture.

    pixels: uint8 [H, W, C]. begun: time.perf_counter() at the start of the work.
    """
    kind = "JPEG" if preview and pixels.shape[2] in (1, 3) else "PNG"
    # A quarter of the time of the usual compression, for a tenth more bytes.
    options = {"compress_level": 2} if kind == "PNG" else {"quality": _QUALITY, "subsampling": 0}
    data = encode(to_pil(pixels), kind, **options)
    fields = {
        "score": None,
        "command": None,
        **header,
        "preview": preview,
        "mime": MIME[kind],
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "milliseconds": round((time.perf_counter() - begun) * 1000, 1),
    }
    text = json.dumps(fields, allow_nan=False).encode()
    return struct.pack("<I", len(text)) + text + data
