#!/usr/bin/env python3
"""Makes pictures with a trained generator. `python run_generator.py --help` tells how."""

from __future__ import annotations

import dataclasses
import math
import sys
import textwrap
from functools import partial

from absl import flags

from dnnlib import quiet
from dnnlib.errors import UserError, exit_code

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
  python run_generator.py convert --network=old.pkl --out=new.safetensors
"""

# ---------------------------------------------------------------- flags


def _flag(name, define, shown, text, default=None, **limits):
    """(name, its absl definition, what to show for the value, help, default)."""
    return (
        name,
        partial(define, name=name, default=default, help=text, **limits),
        shown,
        text,
        default,
    )


_TEXT, _NUMBER, _WHOLE = flags.DEFINE_string, flags.DEFINE_float, flags.DEFINE_integer
_NETWORK = _flag("network", _TEXT, "FILE", "the network: a file, an address, or a known name")
_HELP = _flag("help", flags.DEFINE_boolean, "", "print this", False, short_name="h")
_CACHE = _flag(
    "cache_dir",
    _TEXT,
    "DIR",
    "where downloads are kept (default: $STYLEGAN_CACHE_DIR, or below ~/.cache)",
)
_CLASS = _flag(
    "class", _WHOLE, "N",
    "the label's index, for a network with labels; by default the seed's number gives the class",
)  # fmt: skip
_PSI = [
    _flag(
        "truncation_psi", _NUMBER, "X",
        "closer to the average image and cleaner below 1; by default the network's own, 1 is off",
        lower_bound=-1000.0, upper_bound=1000.0,
    ),
    _flag(
        "truncation_cutoff", _WHOLE, "N", "truncate the first N layers; default: its own",
        lower_bound=0, upper_bound=100,
    ),
]  # fmt: skip
_MEMORY = _flag(
    "memory", _NUMBER, "GIB", "memory for images that are made at the same time", 2.0,
    lower_bound=0.0, upper_bound=1e6,
)  # fmt: skip
_QUALITY = partial(
    _flag, "quality", _WHOLE, "N", "of JPEG, WebP and MP4, 1 to 100", lower_bound=1,
    upper_bound=100,
)  # fmt: skip


def _out(default, text):
    return _flag("out", _TEXT, "PATH", text, default)


def _seeds(default):
    return _flag("seeds", _TEXT, "LIST", "numbers and ranges, like 7, 0-99 or 1,5,20-29", default)


def _noise(*kinds):
    text = "fixed: the network's noise images; random: by the seed; none"
    return _flag("noise", flags.DEFINE_enum, "KIND", text, "fixed", enum_values=list(kinds))


_LATENTS = _flag("latents", _TEXT, "FILE", "an .npz file with an array z or w, instead of --seeds")
_ANY_NOISE = _noise("fixed", "random", "none")
_PICTURE = "the picture: .png, .jpg or .webp"
_MAKING = [_CLASS, *_PSI, _MEMORY]


@dataclasses.dataclass(frozen=True)
class Command:
    """One subcommand: what it does, and its flags. generation/commands.py has the function."""

    summary: str
    flags: list


_COMMANDS = {
    "images": Command(
        "one file for each seed or latent; also saves the latents",
        [
            _seeds("0-9"), _LATENTS, *_MAKING, _ANY_NOISE,
            _flag("format", flags.DEFINE_enum, "KIND", "png, jpeg or webp", "png",
                  enum_values=["png", "jpeg", "webp"]),
            _QUALITY(default=95), _out("images", "the directory for the files"),
        ],
    ),
    "grid": Command(
        "all in one picture",
        [
            _seeds("0-63"), _LATENTS, *_MAKING, _ANY_NOISE,
            _flag("columns", _WHOLE, "N", "cells in a row; about square by default",
                  lower_bound=1, upper_bound=10_000),
            _QUALITY(default=95), _out("grid.png", _PICTURE),
        ],
    ),
    "uncurated": Command(
        "figures 2 and 10-12: samples in columns of decreasing size",
        [
            _flag("seed", _WHOLE, "N", "of all latents", 5, lower_bound=0,
                  upper_bound=2**32 - 1),
            _flag("rows", _WHOLE, "N", "rows of full size", 3, lower_bound=1,
                  upper_bound=10_000),
            _flag("lods", _TEXT, "LIST",
                  "columns, 2^lod times smaller each (default: 0,1,2,2,3,3 as far as cells keep "
                  "8 pixels; bedrooms and cats: 0,0,1,1,2,2,2)"),
            _flag("crop", _TEXT, "X,Y,W,H", "the part of each image that is shown (cars: "
                  "0,64,512,384)"),
            *_MAKING, _ANY_NOISE, _QUALITY(default=95), _out("uncurated.png", _PICTURE),
        ],
    ),
    "style-mixing": Command(
        "figure 3: rows of images with styles taken from columns",
        [
            _flag("columns_seeds", _TEXT, "LIST", "where styles come from", "0-4"),
            _flag("rows_seeds", _TEXT, "LIST", "what they are put into", "10-15"),
            _flag("styles", _TEXT, "LIST", "for each row: coarse, middle, fine, or layers "
                  "like 0-3", "coarse,coarse,coarse,middle,middle,fine"),
            *_MAKING, _ANY_NOISE, _QUALITY(default=95), _out("style-mixing.png", _PICTURE),
        ],
    ),
    "noise-detail": Command(
        "figure 4: what noise changes, in detail and as a deviation",
        [
            _seeds("0-1"),
            _flag("crop", _TEXT, "X,Y,SIZE", "the detail (default: a quarter, right of the "
                  "centre)"),
            _flag("count", _WHOLE, "N", "images for the deviation", 100, lower_bound=4,
                  upper_bound=10_000),
            *_MAKING, _QUALITY(default=95), _out("noise-detail.png", _PICTURE),
        ],
    ),
    "noise-components": Command(
        "figure 5: noise in all, no, fine and coarse layers",
        [
            _seeds("0-1"), *_MAKING, _noise("fixed", "random"), _QUALITY(default=95),
            _out("noise-components.png", _PICTURE),
        ],
    ),
    "truncation": Command(
        "figure 8: from the average image to its opposites",
        [
            _seeds("0-1"),
            _flag("psis", _TEXT, "LIST", "the columns", "1,0.7,0.5,0,-0.5,-1"),
            _CLASS, _MEMORY, _ANY_NOISE, _QUALITY(default=95), _out("truncation.png", _PICTURE),
        ],
    ),
    "interpolate": Command(
        "a loop through all seeds as a video",
        [
            _seeds("0-5"),
            _flag("space", flags.DEFINE_enum, "z|w", "great circles in z, or lines in w", "z",
                  enum_values=["z", "w"]),
            _flag("seconds", _NUMBER, "S", "from one seed to the next", 2.0, lower_bound=0.0,
                  upper_bound=3600.0),
            _flag("fps", _WHOLE, "N", "frames per second", 30, lower_bound=1, upper_bound=240),
            *_MAKING, _noise("fixed", "none"), _QUALITY(default=85),
            _out("interpolation.mp4", "the video: .mp4, .gif or .webp"),
        ],
    ),
    "info": Command(
        "layers, parameters, options, where a network comes from, its licence",
        [
            _flag("all", flags.DEFINE_boolean, "", "options that are as usual, too", False),
            _flag("json", flags.DEFINE_boolean, "", "as JSON", False),
        ],
    ),
    "convert": Command(
        "to a snapshot (.safetensors), to ONNX (.onnx), to a SavedModel (a directory)",
        [_noise("fixed", "random", "none"), _out(None, "the result; its suffix says which")],
    ),
}  # fmt: skip

# ---------------------------------------------------------------- the command line


def _help(name: str | None = None) -> str:
    if name is None:
        width = max(map(len, _COMMANDS)) + 4
        lines = [_INTRO, "commands:"]
        lines += [f"  {name:<{width - 2}}{command.summary}" for name, command in _COMMANDS.items()]
        lines += ["", "python run_generator.py COMMAND --help lists a command's options.", ""]
        return "\n".join([*lines, _EXAMPLES])
    command = _COMMANDS[name]
    lines = [f"usage: python run_generator.py {name} --network=FILE [options]\n"]
    lines += [f"{name}: {command.summary}\n"]
    for flag, _, shown, text, default in _flags_of(name):
        left = f"  --{flag}" + ("=" if shown else "") + shown
        given = "" if default in (None, False) else f" (default: {default})"
        first, *more = textwrap.wrap(text + given, 66)
        lines.append(f"{left:<27}{first}" if len(left) < 27 else f"{left}\n{'':27}{first}")
        lines += [" " * 27 + line for line in more]
    return "\n".join(lines) + "\n"


def _flags_of(name: str) -> list:
    return [_NETWORK, *_COMMANDS[name].flags, _CACHE, _HELP]


def _parse(argv: list[str]) -> tuple[str, dict]:
    """(command, {flag: value})."""
    name = argv[1]
    fv = flags.FlagValues()
    for _, define, *_ in _flags_of(name):
        define(flag_values=fv)
    try:
        rest = fv(argv[1:])[1:]
    except flags.Error as error:
        raise UserError(f"{error} (run_generator.py {name} --help lists all flags)") from error
    if rest:
        raise UserError(f"unexpected argument {rest[0]!r}")
    values = {flag: fv[flag].value for flag, *_ in _flags_of(name)}
    for flag, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"--{flag}={value}: expected a number")
    return name, values


def _run(argv: list[str]) -> int:
    if len(argv) < 2 or argv[1] in ("--help", "-h", "-help", "help"):
        print(_help(), end="")
        return 0 if len(argv) > 1 else 2
    if argv[1] not in _COMMANDS:
        raise UserError(
            f"{argv[1]!r} is no command; first comes one of {', '.join(_COMMANDS)} (--help)"
        )
    name, args = _parse(argv)
    if args["help"]:
        print(_help(name), end="")
        return 0
    if not args["network"]:
        raise UserError(f"{name}: --network=FILE is needed (--help tells more)")
    tensorflow = quiet.import_tensorflow()
    from generation import commands  # after --help and mistakes: they need not wait for it
    from training.devices import silence_xla

    silence_xla()
    try:
        print(getattr(commands, name.replace("-", "_"))(args))
    except tensorflow.errors.ResourceExhaustedError as error:
        raise UserError("out of memory: a lower --memory or fewer images take less") from error
    return 0


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    return exit_code(_run, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
