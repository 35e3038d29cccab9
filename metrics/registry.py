"""The metrics by name. Needs neither TensorFlow nor any network."""

from __future__ import annotations

import dataclasses
import re
from typing import Optional

from dnnlib.config import nearest
from dnnlib.errors import UserError


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric, with the number of samples it is taken of.

    kind: 'fid', 'ppl' or 'ls'; count: images, paths, or samples; options: keywords of the
    function of the kind's name.
    """

    name: str
    kind: str
    count: int
    options: tuple[tuple[str, str], ...] = ()

    def key(self, part: str) -> str:
        """The name of one of its numbers: its own name, or 'ls_z' and 'ls_w'."""
        if not part:
            return self.name
        return self.name.replace("ls", f"ls_{part}", 1)


MOST = 10_000_000  # samples
_STANDARD = {"fid": 50_000, "ppl": 100_000, "ls": 200_000}
_FAMILIES = {
    "fid": ("fid", ()),
    **{
        f"ppl_{space}{sampling}": ("ppl", (("space", space), ("sampling", sampling)))
        for sampling in ("full", "end")
        for space in "zw"
    },
    "ls": ("ls", ()),
}
# The paper's seven numbers; ls is two of them.
STANDARD = ("fid50k", "ppl_zfull", "ppl_wfull", "ppl_zend", "ppl_wend", "ls")
_NAME = re.compile(rf"({'|'.join(_FAMILIES)})(?:-?(\d{{1,9}})(k?))?")


def parse(name: str, count: Optional[int] = None) -> Metric:
    """The metric `name`: one of STANDARD, or with a count of its own, 'fid5k', 'ppl_wend-10k'.

    count: where the name has none. The result's name tells the count unless it is the paper's.
    Raises UserError for an unknown name or a count that is too small.
    """
    match = _NAME.fullmatch(name)
    if not match:
        hint = nearest(name, STANDARD)
        raise UserError(
            f"unknown metric {name!r}{hint}; known: {', '.join(STANDARD)}, and with another number "
            "of samples: fid5k, ppl_wend-10k, ls-20k"
        )
    kind, options = _FAMILIES[match[1]]
    given = int(match[2]) * (1000 if match[3] else 1) if match[2] else None
    if name == "fid50k":
        given = None
    chosen = _first(given, count, _STANDARD[kind])
    least = {"fid": 2, "ppl": 3, "ls": 8}[kind]
    if not least <= chosen <= MOST:
        raise UserError(f"metric {name}: {chosen:,} samples; expected {least} to {MOST:,}")
    return Metric(_named(match[1], chosen, chosen == _STANDARD[kind]), kind, chosen, options)


def parse_list(text: str, count: Optional[int] = None) -> list[Metric]:
    """'fid50k,ppl_wend' → metrics, each once; 'all' is the paper's numbers."""
    names = STANDARD if text.strip() == "all" else [part.strip() for part in text.split(",")]
    found = list(dict.fromkeys(parse(name, count) for name in names if name))
    if not found:
        raise UserError(f"no metric is named; known: {', '.join(STANDARD)}")
    return found


def _first(*values):
    return next(value for value in values if value is not None)


def _named(family, count, standard):
    amount = f"{count // 1000}k" if count % 1000 == 0 else str(count)
    if family == "fid":
        return f"fid{amount}"
    return family if standard else f"{family}-{amount}"
