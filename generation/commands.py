"""What the subcommands of run_generator.py do: {flag: value} → files, and the line to print."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Optional

from dnnlib import download
from dnnlib.errors import UserError
from generation import convert as converters, describe, figures, latents, pictures, video
from generation.directions import Edits
from generation.latents import parse_seeds
from networks.sampling import Sampler

MAX_FRAMES = 20_000  # 11 minutes; all their w are held in memory
_PART = 1000  # seeds whose w are held in memory at once
_KEPT = 10_000  # images whose latents go into a file, of 370 MB for 1024x1024


def images(args: dict) -> str:
    """One file for each seed or latent, and the latents."""
    pictures.check_latents_path(args["latents"], args["out"])
    starts = _Starts(args, "0-9", once=True)  # a seed's file is written once
    kept = []

    def made():
        for start in starts.parts():
            if starts.count <= _KEPT:
                kept.append(start)
            yield from starts.images(start)

    names = (f"image{n:04d}" for n in itertools.count())
    if starts.seeds is not None:
        names = (f"seed{seed:04d}" for seed in starts.seeds)
    out = Path(args["out"])
    paths = pictures.save_images(names, made(), out, format=args["format"], quality=args["quality"])
    said = f"Wrote {len(paths)} image(s): {paths[0]}" + (" …" if len(paths) > 1 else "")
    if not kept:
        all_said = "their seeds say" if starts.seeds is not None else f"{args['latents']} says"
        return f"{said}. More than {_KEPT:,}: without {pictures.LATENTS}, {all_said} it all."
    pictures.save_latents(out / pictures.LATENTS, starts.sampler, pictures.join(kept))
    return f"{said}, and {out / pictures.LATENTS}"


def grid(args: dict) -> str:
    """All images in one picture."""
    pictures.check_picture_path(args["out"])
    starts = _Starts(args, "0-63")
    made = (image for start in starts.parts() for image in starts.images(start))
    return _save(pictures.grid(made, starts.count, args["columns"]), args)


def uncurated(args: dict) -> str:
    """Figures 2 and 10 to 12."""
    pictures.check_picture_path(args["out"])
    crop, lods = numbers_of(args, "crop", 4), numbers_of(args, "lods")
    picture = figures.uncurated(
        _sampler(args), args["seed"], rows=args["rows"], lods=lods, crop=crop, label=args["class"]
    )
    return _save(picture, args)


def style_mixing(args: dict) -> str:
    """Figure 3."""
    pictures.check_picture_path(args["out"])
    columns = parse_seeds(args["columns_seeds"], "--columns_seeds")
    rows = parse_seeds(args["rows_seeds"], "--rows_seeds")
    sampler = _sampler(args)
    sampler.need_styles("style-mixing")
    styles = figures.parse_styles(args["styles"], sampler.num_layers)
    return _save(figures.style_mixing(sampler, columns, rows, styles, args["class"]), args)


def noise_detail(args: dict) -> str:
    """Figure 4."""
    pictures.check_picture_path(args["out"])
    seeds, crop = parse_seeds(args["seeds"]), numbers_of(args, "crop", 3)
    sampler = _sampler({**args, "noise": "random"})
    picture = figures.noise_detail(
        sampler, seeds, crop=crop, count=args["count"], label=args["class"]
    )
    return _save(picture, args)


def noise_components(args: dict) -> str:
    """Figure 5."""
    pictures.check_picture_path(args["out"])
    seeds = parse_seeds(args["seeds"])
    return _save(figures.noise_components(_sampler(args), seeds, label=args["class"]), args)


def truncation(args: dict) -> str:
    """Figure 8."""
    pictures.check_picture_path(args["out"])
    seeds, psis = parse_seeds(args["seeds"]), numbers_of(args, "psis", kind=float)
    return _save(figures.truncation(_sampler(args), seeds, psis, label=args["class"]), args)


def interpolate(args: dict) -> str:
    """A loop as a video."""
    video.check_path(args["out"])
    seeds = parse_seeds(args["seeds"])
    steps = max(round(args["seconds"] * args["fps"]), 1)
    if len(seeds) * steps > MAX_FRAMES:
        raise UserError(f"--seconds: {len(seeds) * steps:,} frames, more than {MAX_FRAMES:,}")
    sampler = _sampler(args)
    video.check_length(args["out"], len(seeds) * steps, sampler.resolution**2, args["fps"])
    if args["space"] == "w" and not sampler.has_styles:
        raise UserError(f"--space=w: this is {sampler.Gs.title}, which has no w")
    z = latents.from_seeds(seeds, sampler.latent_size)
    labels = latents.labels_for(seeds, sampler.label_size, args["class"])
    if args["space"] == "w":
        codes = video.lerp_loop(sampler.codes(z, labels), steps)
    else:
        codes = sampler.codes(video.slerp_loop(z, steps), video.lerp_loop(labels, steps))
    frames = sampler.stream(Edits(args, sampler.w_shape)(codes), title="frames")
    video.write(frames, len(codes), args["out"], args["fps"], args["quality"])
    return f"Wrote {args['out']}: {len(codes)} frames, {len(codes) / args['fps']:.1f} s"


def info(args: dict) -> str:
    """Layers, parameters, options, provenance, licence; what a loader would have run in it."""
    path = network_path(args)

    def page(description: dict) -> str:
        return json.dumps(description, indent=2) if args["json"] else describe.text(description)

    try:
        options = {"everything": args["all"], "resolution": args.get("resolution")}
        return page(describe.describe(path, **options))
    except UserError as error:
        said = describe.refused(path, error)
        if said is not None:  # the file is not read, but what is in it is all the more of interest
            print(page(said))
        raise


def convert(args: dict) -> str:
    """To a snapshot, a SavedModel, ONNX or PyTorch's names."""
    if not args["out"]:
        raise UserError("convert: --out=PATH is needed: .safetensors, .onnx, .npz or a directory")
    options = {key: args[key] for key in ("noise", "weights")}
    options["resolution"] = args.get("resolution")
    return converters.convert(network_path(args), args["out"], **options)


class _Starts:
    """What images are made from: --seeds, or the codes of --latents.

    once: whether a seed that is given twice counts once. seeds: None with --latents; count: how
    many images. Raises UserError for both at once.
    """

    def __init__(self, args: dict, usual_seeds: str, once: bool = False) -> None:
        self.seeds = None
        if args["latents"] is None:
            seeds = parse_seeds(usual_seeds if args["seeds"] is None else args["seeds"])
            self.seeds = list(dict.fromkeys(seeds)) if once else seeds
        elif args["seeds"] is not None:
            raise UserError(
                f"--seeds={args['seeds']} and --latents={args['latents']}: expected one of them"
            )
        self.sampler = _sampler(args)
        if self.seeds is not None:
            self.count, self._part = len(self.seeds), self._of_seeds
        else:
            self.count, self._part = pictures.of_file(self.sampler, args["latents"], args["class"])
        self._class, self._edits = args["class"], Edits(args, self.sampler.w_shape)

    def parts(self):
        """Yields `pictures.Starts`, of so many that their w fit in memory."""
        for start in range(0, self.count, _PART):
            part = self._part(start, start + _PART)
            part.codes = self._edits(part.codes)
            yield part

    def _of_seeds(self, start, stop):
        return pictures.of_seeds(self.sampler, self.seeds[start:stop], self._class)

    def images(self, start):
        """Yields the images; a file's own noise images stand in for the network's."""
        return self.sampler.stream(start.codes, noise_seeds=start.seeds, noise_images=start.noise)


def network_path(args: dict) -> Path:
    """The file of --network, fetched where it is an address or a name."""
    say = partial(print, file=sys.stderr)
    return download.local_path(args["network"], cache_dir=args["cache_dir"], say=say)


def load_generator(args: dict) -> Any:
    """The generator of --network."""
    return describe.load_for_pictures(network_path(args), args.get("resolution"))


def _sampler(args):
    Gs = load_generator(args)
    psi, cutoff = args.get("truncation_psi"), args.get("truncation_cutoff")
    given = {}
    if psi is not None or cutoff is not None:
        if not Gs.has_styles:
            raise UserError(f"--truncation_psi: this is {Gs.title}, which has no w")
        given = Gs.truncation(psi, cutoff)
    return Sampler(Gs, memory=args["memory"], noise=args["noise"], **given)


def _save(picture, args):
    pictures.save(picture, args["out"], args["quality"])
    height, width = picture.shape[:2]
    return f"Wrote {args['out']}, {width} x {height} pixels"


def numbers_of(
    args: dict, name: str, count: Optional[int] = None, kind: Callable[[str], Any] = int
) -> Any:
    """The numbers of a flag like --crop=0,64,512,384; None if it was not given."""
    text = args[name]
    if text is None:
        return None
    try:
        numbers = [kind(part) for part in text.split(",")]
        if count not in (None, len(numbers)) or not all(abs(number) < 1e6 for number in numbers):
            raise ValueError
    except ValueError:
        expected = f"{count} numbers" if count else "numbers"
        raise UserError(f"--{name}={text}: expected {expected} separated by commas") from None
    return numbers
