"""What `run_generator.py convert` does: a page here, other formats in generation/convert.py."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dnnlib.errors import UserError
from explorer import single_page
from generation import commands

_OF_PAGES = ("runtime", "directions")


def convert(args: dict[str, Any]) -> str:
    """By the suffix of --out; returns a line for the user. Raises UserError before any work where
    flags do not go together, and where something of that name is there."""
    out = args["out"]
    if out and Path(out).suffix.lower() in single_page.SUFFIXES:
        if os.path.lexists(out):
            raise UserError(f"--out={out}: it is there already")
        return single_page.write(args)
    for name in _OF_PAGES:
        if args.get(name) is not None:
            raise UserError(f"--{name}={args[name]}: it is for --out=FILE.html; leave it out")
    return commands.convert({**args, "weights": args["weights"] or "float32"})
