"""What is in a pickle that a loader would have run, for `run_generator.py info`."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from typing import Any, Optional

from dnnlib import file_kinds
from dnnlib.errors import UserError
from dnnlib.paths import is_pickle, open_input
from dnnlib.pickles import scan, tf_networks, torch_file
from dnnlib.terminal import one_line

_SHOWN = 12  # names in a line; --json has them all


def of_file(path: str | os.PathLike) -> Optional[dict[str, Any]]:
    """`scan.scan` of a pickle or PyTorch file as values that JSON can hold; None for other files.

    Raises UserError naming the file when it cannot be read or is too large.
    """
    old = "pickle" in (file_kinds.describe_file(path) or "")  # protocol 0 or 1
    if not (is_pickle(path) or torch_file.is_torch(path) or old):
        return None
    with open_input(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > tf_networks.MAX_BYTES:
            most = tf_networks.MAX_BYTES
            raise UserError(f"{path}: {size:,} bytes, more than the {most:,} that are scanned")
        return scan.scan(file.read(size)).as_dict()


def lines(report: dict[str, Any]) -> Iterator[str]:
    """The report as a section of a page."""
    yield "what other loaders would have run in this file; here nothing was run"
    for key in ("imports", "calls"):
        known = [use for use in report[key] if use["known"]]
        if known:
            first, rest = f"  {key:<10}", 12 * " "
            yield from textwrap.wrap(
                _listed(known), 100, initial_indent=first, subsequent_indent=rest
            )
    unknown: dict[str, dict] = {}
    for use in (*report["imports"], *report["calls"]):
        if not use["known"]:
            unknown[use["name"]] = use  # its call, where there is one
    for use in unknown.values():
        arguments = f"({use['arguments']})" if "arguments" in use else ""
        called = "called" if "arguments" in use else "imported"
        name = one_line(use["name"] + arguments)
        yield f"  WARNING   {name}: {called} {_times(use)}, and no network needs it"
    for source in report["sources"]:
        objects = f", with {source['times']:,} objects" if source["times"] > 1 else ""
        where = one_line(source["where"])
        yield f"  source    {where} of {source['size']:,} bytes{objects}: {source['sha256']}"
    if not any(report[key] for key in ("imports", "calls", "sources")):
        yield "  nothing"
    if report["incomplete"]:
        yield f"  ended early: {one_line(report['incomplete'])}"


def _listed(uses: list[dict]) -> str:
    shown = [f"{one_line(use['name'])} ×{use['times']:,}" for use in uses[:_SHOWN]]
    more = f" and {len(uses) - _SHOWN} more" if len(uses) > _SHOWN else ""
    return ", ".join(shown) + more


def _times(use: dict) -> str:
    return "once" if use["times"] == 1 else f"{use['times']:,} times"
