"""How a picture is made again without the page: its latents, and the command line."""

from __future__ import annotations

import io
import shlex
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from dnnlib.errors import UserError
from explorer.recipe import Recipe
from explorer.scene import Scene
from generation import pictures
from generation.directions import parse_amounts

LATENTS = pictures.LATENTS


def latents_file(scene: Scene, recipe: Recipe) -> bytes:
    """An .npz file that `images --latents` takes: codes after everything, noise, seeds."""
    sampler, start = scene.sampler_of(recipe), scene.start(recipe)
    seeded = recipe.projected is None
    starts = pictures.Starts([start.seed], start.codes, start.z, start.labels if seeded else None)
    if isinstance(_kind(recipe), tuple) and isinstance(start.noise, list):
        starts.noise = start.noise
    elif recipe.noise == "fixed" and recipe.projected is not None:
        starts.noise = scene.projected[recipe.projected].noise
    arrays = pictures.latent_arrays(sampler, starts)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def command(
    scene: Scene, recipe: Recipe, network: Sequence[str], directions: Optional[str]
) -> Optional[str]:
    """The command line that makes the picture again; None where none does.

    network: the flags that name the network. directions: the file of --directions. What no flag
    says is in the file of latents, which it then names.
    """
    sampler = scene.sampler_of(recipe)
    own = sampler.Gs.split_lod(None)
    if sampler is not scene.sampler or sampler.Gs.split_lod(recipe.lod) != own:
        return None  # `images` takes the usual network at its own lod
    kind = _kind(recipe)
    flags = _flags(scene, recipe, directions)
    if flags is None:
        flags = [f"--latents={LATENTS}"]
        kind = "fixed" if isinstance(kind, tuple) else kind
    if kind != "fixed":
        flags.append(f"--noise={kind}")
    words = ["python", "run_generator.py", "images", *network, *flags]
    return shlex.join(words)


def _kind(recipe: Recipe) -> Any:
    """The kind of noise of all layers, or a tuple where they differ."""
    if isinstance(recipe.noise, tuple) and len(set(recipe.noise)) == 1:
        return recipe.noise[0]
    return recipe.noise


def _flags(scene: Scene, recipe: Recipe, directions: Optional[str]) -> Optional[list[str]]:
    """The flags of a picture of one seed; None where flags cannot say it all."""
    kind = _kind(recipe)
    another_noise = kind == "random" and recipe.drawn_from != recipe.seed
    seeds_weight = recipe.seeds[0][1] if len(recipe.seeds) == 1 else -1.0
    classes = recipe.labels or ()
    if recipe.projected or recipe.mixing or isinstance(kind, tuple) or another_noise:
        return None
    if seeds_weight < 0 or len(classes) > 1:
        return None
    flags = [f"--seeds={recipe.seed}"]
    flags += [f"--class={index}" for index, _ in classes]
    if recipe.psi is not None:
        flags.append(f"--truncation_psi={recipe.psi!r}")
    if recipe.cutoff is not None:
        flags.append(f"--truncation_cutoff={recipe.cutoff}")
    if recipe.edits:
        text = ",".join(f"{name}={amount!r}" for name, amount in recipe.edits)
        if directions is None or not _says(text, scene, recipe):
            return None
        flags += [f"--directions={directions}", f"--apply={text}"]
    return flags


def _says(text: str, scene: Scene, recipe: Recipe) -> bool:
    """Whether --apply reads a text as the recipe's edits: names may hold anything."""
    try:
        amounts = parse_amounts(text, list(scene.directions.values()))
    except UserError:
        return False
    return tuple((direction.name, amount) for direction, amount in amounts) == recipe.edits
