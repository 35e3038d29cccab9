#!/usr/bin/env python3
"""Makes images with a trained generator. `python run_generator.py --help` tells how."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from absl import flags

from dnnlib.errors import UserError, exit_code

_HELP = """\
usage: python run_generator.py --network=FILE [options]

Makes images with the Gs of a snapshot (.safetensors) and saves them as PNG.

  --network=FILE       a snapshot that run_training.py wrote
  --seeds=LIST         one image for each: 7, or 0-99, or 1,5,20-29 (default: 0-63)
  --out=DIR            where the files go (default: images)
  --grid               one picture grid.png instead of one file for each seed
  --truncation_psi=X   closer to the average image and cleaner below 1; the network's own
                       by default, 1 turns it off
  --class=N            the label's index, for a network that was trained with labels;
                       by default each seed takes the next class
  --help               print this

examples:
  python run_generator.py --network=results/00000-demo/network-final.safetensors --grid
  python run_generator.py --network=network-final.safetensors --seeds=0-999 --out=faces
"""


def _define_flags() -> flags.FlagValues:
    fv = flags.FlagValues()
    flags.DEFINE_string("network", None, "", flag_values=fv)
    flags.DEFINE_string("seeds", "0-63", "", flag_values=fv)
    flags.DEFINE_string("out", "images", "", flag_values=fv)
    flags.DEFINE_boolean("grid", False, "", flag_values=fv)
    flags.DEFINE_float("truncation_psi", None, "", flag_values=fv)
    flags.DEFINE_integer("class", None, "", flag_values=fv)
    flags.DEFINE_boolean("help", False, "", short_name="h", flag_values=fv)
    return fv


def parse_seeds(text: str) -> list[int]:
    """'1,5,20-29' → the numbers; UserError for anything else."""
    seeds = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,10})(?:-(\d{1,10}))?", part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first or last >= 2**32 or len(seeds) + last - first >= 1_000_000:
            raise UserError(f"--seeds={text}: expected numbers and ranges, like 1,5,20-29")
        seeds.extend(range(first, last + 1))
    return seeds


def _run(argv: list[str]) -> int:
    fv = _define_flags()
    try:
        rest = fv(argv)[1:]
    except flags.Error as error:
        raise UserError(f"{error} (--help lists all flags)") from error
    if fv["help"].value:
        print(_HELP, end="")
        return 0
    if rest:
        raise UserError(f"unexpected argument {rest[0]!r}")
    if not fv["network"].value:
        raise UserError("--network=FILE is needed (--help tells more)")
    seeds = parse_seeds(fv["seeds"].value)
    if not Path(fv["network"].value).is_file():
        raise UserError(f"no snapshot at {fv['network'].value}")

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from training import pictures

    paths = pictures.generate_files(
        fv["network"].value, seeds, fv["out"].value, grid=fv["grid"].value,
        truncation_psi=fv["truncation_psi"].value, label=fv["class"].value,
    )  # fmt: skip
    print(f"Wrote {len(paths)} file(s): {paths[0]}" + (" …" if len(paths) > 1 else ""))
    return 0


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit code."""
    return exit_code(_run, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
