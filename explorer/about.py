"""What the page is told of the networks: only what can be seen and moved."""

from __future__ import annotations

import hashlib
import os
from typing import Any, Optional

import numpy as np

from explorer.inside import layers_of
from explorer.scene import Scene
from generation import describe

VERSION = 1  # of the messages
_DIGITS = 16  # of an id
_SAMPLED = 16  # values of an array in an id
_MOST_TEXT = 2000  # characters of one value of a file's provenance


def about(scenes: list[Scene], run: Optional[dict] = None) -> dict[str, Any]:
    """The first message to a page, also what an exported page holds."""
    several = any(len(scene.which) > 1 for scene in scenes)
    return {
        "type": "about",
        "version": VERSION,
        "networks": [network(scene) for scene in scenes],
        "run": run,
        "features": {
            "inside": True,
            "noise_map": any(scene.sampler.noise_shapes for scene in scenes),
            "score": any(scene.has_D for scene in scenes),
            "latents": True,
            "command": True,
            "which": several,
            "directions": any(scene.directions for scene in scenes),
            "run": run is not None,
        },
    }


def network(scene: Scene) -> dict[str, Any]:
    """One network."""
    Gs, sampler = scene.Gs, scene.sampler
    origin = describe.origin(scene.path)
    licence = origin["licence"]
    return {
        "name": scene.name,
        "id": network_id(Gs),
        "title": Gs.title,
        "family": Gs.FAMILY,
        "resolution": Gs.resolution,
        "channels": Gs.num_channels,
        "latent_size": Gs.latent_size,
        "label_size": Gs.label_size,
        "which": scene.which,
        "has_D": scene.has_D,
        "styles": sampler.has_styles,
        "w_layers": sampler.num_layers,
        "w_resolutions": w_resolutions(Gs),
        "noise_layers": [list(shape) for shape in sampler.noise_shapes],
        "growing": Gs.growing,
        "lod": float(sum(part or 0 for part in Gs.split_lod(None))),
        "max_lod": Gs.resolution_log2 - 2 if Gs.growing else 0,
        **_truncation(Gs),
        "directions": _directions(scene),
        "projected": list(scene.projected),
        "inside": layers_of(Gs),
        "provenance": {
            str(key)[:_MOST_TEXT]: _text(value) for key, value in origin["provenance"].items()
        },
        "licence": None if licence == describe.NO_LICENCE else _text(licence),
    }


def network_id(network: Any) -> str:
    """Tells networks apart whose files have the same name: a digest of names, shapes and a few
    values of its arrays, which is the same for the same network in every file."""
    digest = hashlib.sha256()
    for name, array in network.arrays().items():
        flat = array.ravel()
        few = flat[:: max(flat.size // _SAMPLED, 1)][:_SAMPLED].astype("<f4")
        digest.update(f"{name}{array.shape}".encode() + np.ascontiguousarray(few).tobytes())
    return digest.hexdigest()[:_DIGITS]


def run_id(directory: str | os.PathLike) -> str:
    """Tells runs apart whose directories have the same name, without telling where they are."""
    return hashlib.sha256(os.fsencode(os.path.realpath(directory))).hexdigest()[:_DIGITS]


def w_resolutions(Gs: Any) -> list[int]:
    """Pixels that each w of the codes works on."""
    sides = [side for side, _ in Gs.noise_shapes()]
    if Gs.num_layers == 1:
        return [Gs.resolution]
    if not sides:  # without noise inputs: two layers for each resolution
        return [min(2 ** (layer // 2 + 2), Gs.resolution) for layer in range(Gs.num_layers)]
    return [sides[min(layer, len(sides) - 1)] for layer in range(Gs.num_layers)]


def _truncation(Gs: Any) -> dict[str, Any]:
    """The network's own psi and cutoff; None where it has none."""
    if not Gs.has_styles:
        return {"psi": None, "cutoff": None}
    return {"psi": Gs.options.get("truncation_psi"), "cutoff": Gs.options.get("truncation_cutoff")}


def _directions(scene: Scene) -> list[dict[str, Any]]:
    unknown = {"effect": None, "saturates": None}
    return [
        {
            "name": one.name,
            "kind": one.kind,
            "layers": list(one.layers),
            **scene.effects.get(one.name, unknown),
        }
        for one in scene.directions.values()
    ]


def _text(value: Any) -> str:
    return str(value)[:_MOST_TEXT]
