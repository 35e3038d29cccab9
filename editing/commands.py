"""What run_generator.py's commands on pictures and directions do: {flag: value} → files, a line."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Optional

import numpy as np

import networks
from datasets import fitting
from dnnlib import atomic
from dnnlib.errors import UserError
from editing import (
    animation,
    contact_sheet,
    directions as ways,
    distances,
    effects,
    keyframes,
    projection,
    targets,
    tuning,
)
from editing.projection import Projection
from generation import describe, directions as saved, figures, latents, pictures, sound, video
from generation.commands import MAX_FRAMES, load_generator, network_path, numbers_of
from metrics.features import classifiers
from networks.sampling import Sampler

PROJECTED, COMPARED, TUNED = "projected.npz", "before-after.png", "tuned.safetensors"
DIRECTIONS, EFFECTS, SHEET = "directions.safetensors", "effects.json", "directions.png"
_PART = 1000  # codes that are held in memory at once
_CONTROLS = 3  # random directions
_FRAMES, _FPS = 300, 30  # of the video, at most


def project(args: dict) -> str:
    """A picture, or those of a directory, into w."""
    _check_directory(args)
    if args["video"]:
        video.check_path(args["video"], "video")
    crop = numbers_of(args, "crop", 3)
    background = args["background"] and fitting.parse_background(args["background"])
    path = network_path(args)
    sampler = Sampler(load_generator(args), memory=args["memory"], psi=None)
    sides = sampler.resolution, sampler.channels
    if not sampler.has_styles:
        raise UserError(f"project: this is {sampler.Gs.title}, which has no w")
    if args["video"]:
        video.check_length(args["video"], _FRAMES, 2 * sides[0] ** 2, _FPS, "video")
    found = targets.read(args["target"], *sides, crop=crop, background=background)
    pixels = np.stack([target.pixels for target in found])
    distance = distances.choose(
        args["distance"],
        *sides,
        vgg16_weights=args["vgg16_weights"],
        cache_dir=args["cache_dir"],
        say=partial(print, file=sys.stderr),
    )
    projected = projection.project(
        sampler.Gs,
        pixels,
        distance,
        steps=args["steps"],
        space=args["space"],
        labels=_labels(sampler, pixels, args["class"]),
        seed=args["seed"],
        minibatch=max(sampler.minibatch // 4, 1),  # gradients take that much more
    )
    tell_strange(sampler, distance, found, projected)
    columns = [pixels, _images(sampler, projected)]
    arrays = {f"noise{index}": image for index, image in enumerate(projected.noise)}
    arrays.update(w=projected.w, distances=projected.distances.T)
    arrays["names"] = np.array([target.name for target in found])
    out, more = Path(args["out"]), []
    if args["tune"]:
        tuned, arrays["tuning_distances"] = tuning.tune(
            sampler.Gs, pixels, projected.w, projected.noise, distance, steps=args["tune"]
        )
        columns.append(_images(Sampler(tuned, memory=args["memory"], psi=None), projected))
        info = {**describe.derived_from(path, "tuned"), "steps of tuning": args["tune"]}
        networks.save(out / TUNED, Gs=tuned, info=info)
        more.append(f"{out / TUNED}, in the last column")
    pictures.save_arrays(out / PROJECTED, arrays)
    pictures.save(_rows(columns), out / COMPARED)
    if args["video"]:
        _video(args, sampler, pixels[0], projected)
        more.append(f"{args['video']}")
    shown = f"{distance.name}: {projected.distances[-1].mean():.4f}"
    return ", ".join([f"Wrote {out / PROJECTED} ({shown})", str(out / COMPARED), *more])


def _check_directory(args: dict) -> None:
    """Before work that takes minutes."""
    if os.path.lexists(args["out"]) and not os.path.isdir(args["out"]):
        raise UserError(f"--out={args['out']}: it is there and no directory")


def _labels(sampler: Sampler, pixels: np.ndarray, wanted: Optional[int]) -> Optional[np.ndarray]:
    """[N, K]: the class that was asked for, or each picture's nearest; None without labels."""
    size = sampler.label_size
    if not size or wanted is not None:
        return latents.labels_for([0] * len(pixels), size, wanted) if wanted is not None else None
    classes = projection.nearest_classes(sampler, pixels)
    shown = ", ".join(map(str, classes[:20])) + (", …" if len(classes) > 20 else "")
    print(
        f"note: without --class, w starts at the nearest average, of class {shown}", file=sys.stderr
    )
    return np.eye(size, dtype=np.float32)[classes]


def tell_strange(
    sampler: Sampler,
    distance: distances.Distance,
    found: list[targets.Target],
    projected: Projection,
) -> None:
    """A note on pictures that the network hardly reaches, since it makes none of that kind."""
    spread = projection.spread(sampler, distance)
    far = projected.distances[-1] > distance.strange * spread
    names = [target.name for target, is_far in zip(found, far) if is_far]
    if names:
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        share = projected.distances[-1].max() / spread
        print(
            f"note: {shown}: what the network makes stays {share:.0%} as far from it as two of its "
            "own images are from each other. Is it a picture of what it makes, cut as those it was "
            "trained on (faces: aligned)? --crop, --space=w+ and --tune come closer",
            file=sys.stderr,
        )


def directions(args: dict) -> str:
    """Directions in w, and what they change."""
    _check_directory(args)
    path = network_path(args)
    sampler = Sampler(load_generator(args), memory=args["memory"], psi=None)
    if not sampler.has_styles:
        raise UserError(f"directions: this is {sampler.Gs.title}, which has no w")
    kinds = _kinds(args, bool(sampler.Gs.style_matrices()))
    ranges = _ranges(args["layers"], sampler.num_layers)
    judges = effects.Judges(_classifiers(args))
    distance = _perceptual(args, sampler)
    sample = ways.draw(sampler.Gs, args["samples"])
    everywhere = (0, sampler.num_layers)
    planes, components = [], []  # for which the layers make no difference
    if "planes" in kinds:
        planes = ways.planes(sample, _logits(sampler, sample, judges), everywhere)
        planes += _kept(args, planes, sample)
    if "pca" in kinds:
        components = ways.pca(sample, everywhere, args["count"])
    controls = ways.random(sample, everywhere, _CONTROLS)
    found, shown = [], []
    for name, layers in ranges.items():
        sefa = ways.sefa(sampler.Gs, sample, layers, args["count"]) if "sefa" in kinds else []
        found += ways.within([*planes, *sefa, *components], name, layers)
        shown += ways.within(controls, name, layers)
    if not found:
        raise UserError(
            "directions: no attribute has a plane, for all images or none have it; --kinds=sefa,pca"
        )
    out = Path(args["out"])
    saved.save(out / DIRECTIONS, found, describe.derived_from(path, "found in"))
    shown = [*found, *shown]
    rows = np.broadcast_to(
        np.float32(sample.w[: args["measure"], None]),
        [min(args["measure"], len(sample.w)), *sampler.w_shape],
    )
    measured = list(effects.measure(sampler, shown, rows, judges, distance))
    page = {"images": len(rows), "directions": [effect.record() for effect in measured]}
    atomic.write_json(out / EFFECTS, page)
    pictures.save(contact_sheet.sheet(sampler, shown, rows[:1]), out / SHEET)
    print(effects.table(measured))
    return f"Wrote {out / DIRECTIONS} ({len(found)}), {out / EFFECTS}, {out / SHEET}"


def animate(args: dict) -> str:
    """A video of a plan."""
    video.check_path(args["out"])
    plan = keyframes.read(args["plan"])
    heard = sound.read(plan.audio.file) if plan.audio else None
    seconds = heard.seconds if heard else plan.seconds
    if seconds * args["fps"] > MAX_FRAMES:
        raise UserError(
            f"--plan={args['plan']}: {seconds:,.0f} s are more than {MAX_FRAMES:,} frames"
        )
    sampler = Sampler(load_generator(args), memory=args["memory"])
    named = []
    if args["directions"]:
        if not sampler.has_styles:
            raise UserError(f"--directions: this is {sampler.Gs.title}, which has no w")
        named = saved.read(args["directions"], sampler.w_shape)
    made = animation.Animation(sampler, plan, args["fps"], named, heard)
    video.check_length(args["out"], made.count, sampler.resolution**2, args["fps"])
    video.write(made.frames(), made.count, args["out"], args["fps"], args["quality"], heard)
    silent = heard and Path(args["out"]).suffix.lower() != ".mp4"
    note = "; the sound itself is in an .mp4 only" if silent else ""
    return f"Wrote {args['out']}: {made.count} frames, {made.count / args['fps']:.1f} s{note}"


def _kinds(args: dict, has_matrices: bool) -> list[str]:
    if args["kinds"] is None:
        usable = {"planes": args["classifiers"], "sefa": has_matrices, "pca": True}
        return [kind for kind in ways.KINDS if usable[kind]]
    kinds = args["kinds"].split(",")
    for kind in kinds:
        if kind not in ways.KINDS:
            known = ", ".join(ways.KINDS)
            raise UserError(f"--kinds={args['kinds']}: {kind!r} is none of {known}")
    if "sefa" in kinds and not has_matrices:
        raise UserError("--kinds=sefa: it looks at styles, and the network has no layers with them")
    if "planes" in kinds and not args["classifiers"]:
        raise UserError("--kinds=planes: planes are of classifiers; --classifiers=DIR names them")
    return kinds


def _ranges(text: str, num_layers: int) -> dict[str, tuple[int, int]]:
    """{name of a range of layers: (first, stop)}; of one alone the name is ''."""
    parts, ranges = [part.strip() for part in text.split(",")], {}
    for part in parts:
        whole = part == "all"
        layers = range(num_layers) if whole else figures.parse_styles(part, num_layers, "layers")[0]
        ranges["" if whole or len(parts) == 1 else part] = (layers.start, layers.stop)
    return ranges


def _perceptual(args: dict, sampler: Sampler) -> Optional[distances.Distance]:
    """LPIPS, where it can be had or is asked for; None: pixels alone say how much changes."""
    asked = args["distance"] or args["vgg16_weights"]
    distance = distances.choose(
        args["distance"],
        sampler.resolution,
        sampler.channels,
        vgg16_weights=args["vgg16_weights"],
        cache_dir=args["cache_dir"],
        say=partial(print, file=sys.stderr) if asked else lambda text: None,
    )
    return distance if isinstance(distance, distances.Perceptual) else None


def _classifiers(args: dict) -> list[classifiers.Classifier]:
    if not args["classifiers"]:
        return []
    say = partial(print, file=sys.stderr)
    return classifiers.load(args["classifiers"].split(","), args["cache_dir"], say)


def _logits(sampler: Sampler, sample: ways.Sample, judges: effects.Judges) -> dict[str, np.ndarray]:
    """{attribute: [N]} of the sample's images."""
    parts = []
    for start in range(0, len(sample.w), _PART):
        w = np.float32(sample.w[start : start + _PART, None])
        codes = np.broadcast_to(w, [len(w), *sampler.w_shape])
        parts.append(judges.logits(sampler.images(codes, title="samples")))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _kept(args: dict, planes: list[saved.Direction], sample: ways.Sample) -> list[saved.Direction]:
    """Each plane's direction again, without its part along those of --keep."""
    if args["keep"] is None:
        return []
    by_name = {one.name: one for one in planes}
    names = args["keep"].split(",")
    for name in names:
        if name not in by_name:
            known = ", ".join(by_name) or "none: all images have an attribute, or none has"
            raise UserError(f"--keep={args['keep']}: no plane of {name!r}; there are: {known}")
    kept = [by_name[name] for name in names]
    return [ways.keeping(one, kept, sample) for one in planes if one.name not in names]


def _images(sampler: Sampler, projected: Projection) -> np.ndarray:
    return sampler.images(projected.w, noise_images=projected.noise, title="images")


def _rows(columns: list[np.ndarray]) -> np.ndarray:
    """A row for each picture: itself, and what was found."""
    cells = [image for row in zip(*columns) for image in row]
    return pictures.grid(iter(cells), len(cells), len(columns))


def _video(args: dict, sampler: Sampler, picture: np.ndarray, projected: Projection) -> None:
    """The way of the first picture's w, beside the picture."""
    count = min(len(projected.path), _FRAMES)
    steps = np.linspace(0, len(projected.path) - 1, count).round().astype(int)
    w = np.broadcast_to(projected.path[steps], [count, *sampler.w_shape])
    noise = [image[:1] for image in projected.noise]
    frames = (
        np.concatenate([picture, image], axis=1)
        for image in sampler.stream(w, noise_images=noise, title="frames")
    )
    video.write(frames, count, args["video"], _FPS, args["quality"])
