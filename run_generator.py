#!/usr/bin/env python3
"""Makes pictures with a trained generator. `python run_generator.py --help` tells how."""

from __future__ import annotations

if __name__ == "__main__":  # before the imports that take long
    from dnnlib import interrupts

    interrupts.end_at_once()

import sys
from functools import partial
from typing import Optional

from dnnlib import quiet
from dnnlib.command_line import (
    CHOICE,
    HELP,
    NUMBER,
    PATH,
    PATHS,
    REPEATED_PATH,
    SWITCH,
    TEXT,
    WHOLE,
    Command,
    Flag,
    Program,
    flag,
)

_INTRO = """\
usage: python run_generator.py COMMAND --network=FILE [options]

Makes pictures with the generator of a network file: a snapshot (.safetensors) of
run_training.py, one of NVIDIA's pickles (.pkl; no code in it is executed), an http(s)
address of either, or the name of a published network.
"""

_EXAMPLES = """\
examples:
  python run_generator.py grid --network=results/00000-demo/network-final.safetensors
  python run_generator.py images --network=ffhq-1024 --seeds=0-99 --out=faces
  python run_generator.py style-mixing --network=ffhq-1024 --styles=coarse,coarse,middle,fine \\
      --rows_seeds=10-13 --out=mixing.png
  python run_generator.py interpolate --network=cats-256 --seeds=3,14,15 --out=cats.mp4
  python run_generator.py explore --network=cats-256
  python run_generator.py convert --network=old.pkl --out=new.safetensors
"""

# ---------------------------------------------------------------- flags

_NETWORK = flag(
    "network", PATH, "FILE", "the network: a file, an address, or a known name", needed=True
)
_RESOLUTION = flag(
    "resolution",
    WHOLE,
    "N",
    "of a StyleGAN of a PyTorch port, whose file does not say it: as far as it was trained",
    lower_bound=4,
    upper_bound=1024,
)
_CACHE = flag(
    "cache_dir",
    PATH,
    "DIR",
    "where downloads are kept (default: $STYLEGAN_CACHE_DIR, or below ~/.cache)",
)
_CLASS = flag(
    "class",
    WHOLE,
    "N",
    "the label's index, for a network with labels; by default the seed's number gives the class",
)
_PSI = [
    flag(
        "truncation_psi",
        NUMBER,
        "X",
        "closer to the average image and cleaner below 1; by default the network's own, 1 is off",
        lower_bound=-1000.0,
        upper_bound=1000.0,
    ),
    flag(
        "truncation_cutoff",
        WHOLE,
        "N",
        "truncate the first N layers; default: its own",
        lower_bound=0,
        upper_bound=100,
    ),
]
_MEMORY = flag(
    "memory",
    NUMBER,
    "GIB",
    "memory for images that are made at the same time",
    2.0,
    lower_bound=0.0,
    upper_bound=1e6,
)
_QUALITY = partial(
    flag,
    "quality",
    WHOLE,
    "N",
    "of JPEG, WebP and MP4, 1 to 100",
    lower_bound=1,
    upper_bound=100,
)


def _out(default: Optional[str], text: str) -> Flag:
    return flag("out", PATH, "PATH", text, default)


def _seeds(default: str) -> Flag:
    return flag("seeds", TEXT, "LIST", "numbers and ranges, like 7, 0-99 or 1,5,20-29", default)


def _noise(*kinds: str) -> Flag:
    text = "fixed: the network's noise images; random: by the seed; none"
    if "original" in kinds:
        text += "; original: by the seed, as StyleGAN2's own generator script draws it"
    if "input" in kinds:
        text += "; input: .onnx files take the images as inputs"
    return flag("noise", CHOICE, "KIND", text, "fixed", enum_values=list(kinds))


def _seeds_or_latents(usual: str) -> list[Flag]:
    """Without a default, so that commands can tell whether both were given."""
    text = f"numbers and ranges, like 7, 0-99 or 1,5,20-29 (default: {usual})"
    latents = "an .npz file with an array z or w, or an .npy file, instead of --seeds"
    return [flag("seeds", TEXT, "LIST", text), flag("latents", PATH, "FILE", latents)]


_ANY_NOISE = _noise("fixed", "random", "none")
_NOISE_OF_SEEDS = _noise("fixed", "random", "original", "none")
_EDITS = [
    flag("directions", PATH, "FILE", "directions in w, as the command directions finds them"),
    flag("apply", TEXT, "LIST", "how far along them, in standard deviations: smile=+2,age=-1"),
]
_DISTANCE = [
    flag(
        "distance",
        CHOICE,
        "KIND",
        "lpips, the default where its weights are, or pixels",
        enum_values=["lpips", "pixels"],
    ),
    flag("vgg16_weights", PATH, "FILE", "LPIPS's network: a file or an address (docs/metrics.md)"),
]
_PICTURE = "the picture: .png, .jpg or .webp"
_MAKING = [_CLASS, *_PSI, _MEMORY]


def _command(summary: str, own: list) -> Command:
    return Command(summary, [_NETWORK, *own, _RESOLUTION, _CACHE, HELP])


# generation/commands.py has a function for each, or editing/commands.py, or explorer/commands.py.
_COMMANDS = {
    "images": _command(
        "one file for each seed or latent; also saves the latents",
        [
            *_seeds_or_latents("0-9"), *_EDITS, *_MAKING, _NOISE_OF_SEEDS,
            flag("format", CHOICE, "KIND", "png, jpeg or webp", "png",
                  enum_values=["png", "jpeg", "webp"]),
            _QUALITY(default=95), _out("images", "the directory for the files"),
        ],
    ),
    "grid": _command(
        "all in one picture",
        [
            *_seeds_or_latents("0-63"), *_EDITS, *_MAKING, _NOISE_OF_SEEDS,
            flag("columns", WHOLE, "N", "cells in a row; about square by default",
                  lower_bound=1, upper_bound=10_000),
            _QUALITY(default=95), _out("grid.png", _PICTURE),
        ],
    ),
    "uncurated": _command(
        "figures 2 and 10-12: samples in columns of decreasing size",
        [
            flag("seed", WHOLE, "N", "of all latents", 5, lower_bound=0,
                  upper_bound=2**32 - 1),
            flag("rows", WHOLE, "N", "rows of full size", 3, lower_bound=1,
                  upper_bound=10_000),
            flag("lods", TEXT, "LIST",
                  "columns, 2^lod times smaller each (default: 0,1,2,2,3,3 as far as cells keep "
                  "8 pixels; bedrooms and cats: 0,0,1,1,2,2,2)"),
            flag("crop", TEXT, "X,Y,W,H", "the part of each image that is shown (cars: "
                  "0,64,512,384)"),
            *_MAKING, _ANY_NOISE, _QUALITY(default=95), _out("uncurated.png", _PICTURE),
        ],
    ),
    "style-mixing": _command(
        "figure 3: rows of images with styles taken from columns",
        [
            flag("columns_seeds", TEXT, "LIST", "where styles come from", "0-4"),
            flag("rows_seeds", TEXT, "LIST", "what they are put into", "10-15"),
            flag("styles", TEXT, "LIST", "for each row, or one for all: coarse, middle, fine, or "
                  "layers like 0-6", "coarse,coarse,coarse,middle,middle,fine"),
            *_MAKING, _ANY_NOISE, _QUALITY(default=95), _out("style-mixing.png", _PICTURE),
        ],
    ),
    "noise-detail": _command(
        "figure 4: what noise changes, in detail and as a deviation",
        [
            _seeds("0-1"),
            flag("crop", TEXT, "X,Y,SIZE", "the detail (default: a quarter, right of the "
                  "centre)"),
            flag("count", WHOLE, "N", "images for the deviation", 100, lower_bound=4,
                  upper_bound=10_000),
            *_MAKING, _QUALITY(default=95), _out("noise-detail.png", _PICTURE),
        ],
    ),
    "noise-components": _command(
        "figure 5: noise in all, no, fine and coarse layers",
        [
            _seeds("0-1"), *_MAKING, _noise("fixed", "random"), _QUALITY(default=95),
            _out("noise-components.png", _PICTURE),
        ],
    ),
    "truncation": _command(
        "figure 8: from the average image to its opposites",
        [
            _seeds("0-1"),
            flag("psis", TEXT, "LIST", "the columns", "1,0.7,0.5,0,-0.5,-1"),
            _CLASS, _MEMORY, _ANY_NOISE, _QUALITY(default=95), _out("truncation.png", _PICTURE),
        ],
    ),
    "interpolate": _command(
        "a loop through all seeds as a video",
        [
            _seeds("0-5"),
            flag("space", CHOICE, "z|w", "great circles in z, or lines in w", "z",
                  enum_values=["z", "w"]),
            flag("seconds", NUMBER, "S", "from one seed to the next", 2.0, lower_bound=0.0,
                  upper_bound=3600.0),
            flag("fps", WHOLE, "N", "frames per second", 30, lower_bound=1, upper_bound=240),
            *_EDITS, *_MAKING, _noise("fixed", "none"), _QUALITY(default=85),
            _out("interpolation.mp4", "the video: .mp4, .gif or .webp"),
        ],
    ),
    "project": _command(
        "find a picture, or a directory of pictures, in w",
        [
            flag("target", PATH, "PATH", "the picture, or a directory of pictures", needed=True),
            flag("crop", TEXT, "X,Y,SIZE", "the square of each picture that counts (default: the "
                  "largest in its middle)"),
            flag("background", TEXT, "COLOUR", "behind transparent pixels: white, black, #rrggbb"),
            flag("space", CHOICE, "w|w+", "one w for all layers, which can be edited best, or one "
                  "for each, which comes closer", "w", enum_values=["w", "w+"]),
            flag("steps", WHOLE, "N", "steps of the search; 300 are mostly enough", 1000,
                  lower_bound=1, upper_bound=100_000),
            flag("tune", WHOLE, "N", "then tune the generator around what was found, in N steps "
                  "(350 for example), as a snapshot of its own", 0,
                  lower_bound=0, upper_bound=100_000),
            *_DISTANCE,
            flag("class", WHOLE, "N", "of a network with labels, where the search starts (default: "
                  "the class whose average image is nearest)"),
            flag("seed", WHOLE, "N", "of all that is drawn", 303, lower_bound=0,
                  upper_bound=2**32 - 1),
            flag("video", PATH, "FILE", "also the way to it: .mp4, .gif or .webp"),
            _MEMORY, _QUALITY(default=95),
            _out("projected", "the directory for projected.npz, which --latents takes, and "
                  "before-after.png"),
        ],
    ),
    "directions": _command(
        "find directions in w, and measure what each of them changes",
        [
            flag("kinds", TEXT, "LIST", "planes: normals of linear separability's planes, one for "
                  "each classifier; sefa: what the styles take most of; pca: what w varies most "
                  "along (default: sefa,pca, and planes with --classifiers)"),
            flag("classifiers", PATHS, "LIST", "attribute classifiers: files, addresses or "
                  "directories (run_training.py --preset=classifier)"),
            flag("keep", TEXT, "LIST", "attributes that are to stay: also planes' directions "
                  "without their part along these"),
            flag("count", WHOLE, "N", "of sefa and of pca", 5, lower_bound=1, upper_bound=1000),
            flag("layers", TEXT, "RANGES", "that they move: all, coarse, middle, fine, or 0-3; of "
                  "several, as in all,coarse,fine, each is measured", "all"),
            flag("samples", WHOLE, "N", "latents that directions are found from", 10_000,
                  lower_bound=100, upper_bound=1_000_000),
            flag("measure", WHOLE, "N", "images that their effects are measured on", 200,
                  lower_bound=1, upper_bound=100_000),
            *_DISTANCE, _MEMORY,
            _out("directions", "the directory for directions.safetensors, effects.json and "
                  "directions.png"),
        ],
    ),
    "animate": _command(
        "a video that follows a plan of keyframes, and sound if it names some",
        [
            flag("plan", PATH, "FILE", "keyframes in text or JSON (docs/editing.md)", needed=True),
            _EDITS[0],
            flag("fps", WHOLE, "N", "frames per second", 30, lower_bound=1, upper_bound=240),
            _MEMORY, _QUALITY(default=85),
            _out("animation.mp4", "the video: .mp4, .gif or .webp"),
        ],
    ),
    "explore": Command(
        "a page in the browser: everything that can be moved, and a look inside",
        [
            flag("network", REPEATED_PATH, "FILE", "the network, or a run directory, which is "
                  "shown as it trains; several times for several networks side by side",
                  needed=True),
            flag("directions", PATH, "FILE", "directions in w, as the command directions finds "
                  "them; what they do is read from effects.json beside it"),
            flag("projected", PATH, "PATH", "a projected.npz of the command project, or a "
                  "directory of them: pictures to start from"),
            flag("port", WHOLE, "N", "of the page's address (default: 8000, or the next free one)",
                  lower_bound=0, upper_bound=65_535),
            flag("host", TEXT, "ADDRESS", "that is listened on; any but this machine's own lets "
                  "other machines in, with the token", "127.0.0.1"),
            flag("open", SWITCH, "", "open the page in a browser", False),
            _MEMORY, _RESOLUTION, _CACHE, HELP,
        ],
    ),
    "info": _command(
        "layers, parameters, options, where a network comes from, its licence",
        [
            flag("all", SWITCH, "", "options that are as usual, too", False),
            flag("json", SWITCH, "", "as JSON", False),
        ],
    ),
    "convert": _command(
        "to .safetensors, .onnx, .npz (PyTorch), .html (a page), or a SavedModel directory",
        [
            _noise("fixed", "random", "none", "input"),
            flag("weights", CHOICE, "TYPE", "how .onnx and .html files store them: float32, "
                  "float16 (half of the size) or int8 (a quarter); by default float32 in .onnx, "
                  "float16 in .html",
                  enum_values=["float32", "float16", "int8"]),
            flag("directions", PATH, "FILE", "directions in w that the page shows, as of explore"),
            flag("runtime", PATH, "DIR", "the directory dist of the npm package onnxruntime-web, "
                  "instead of its download (docs/exploring.md)"),
            _out(None, "the result; its suffix says which"),
        ],
    ),
}  # fmt: skip

_EDITING = ("project", "directions", "animate")
_EXPLORING = ("explore",)

# ---------------------------------------------------------------- the command line


def _run(name: str, args: dict) -> int:
    with quiet.tensorflow_ready("a lower --memory or fewer images take less"):
        from compute.devices import silence_xla  # after --help and mistakes: they need not wait
        from editing import commands as editing
        from generation import commands as generation

        silence_xla()
        room = editing if name in _EDITING else generation
        if name in _EXPLORING:
            from explorer import commands as room  # with a server that others do not need
        elif name == "convert":
            from explorer import converting as room
        print(getattr(room, name.replace("-", "_"))(args))
    return 0


PROGRAM = Program(
    "run_generator.py", _INTRO, _EXAMPLES, _COMMANDS, options="--network=FILE [options]"
)


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    return PROGRAM.main(argv, _run)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
