"""What a metric declares of itself: names, counts, needs, the parts of its result.

Needs neither TensorFlow nor any network, like the files that declare metrics: command lines read
the names before those are loaded.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, Optional


@dataclasses.dataclass(frozen=True)
class Reals:
    """The real images that a metric compares with.

    whole: every image of the data set once, none mirrored; else as many as are generated, mirrored
    if the evaluation is told so, and, where there are fewer, again from the beginning, unless once.
    limit: how many at most; least: how few there may be. trained: those that the network was
    trained on, each once, where that was a part of the data set; mirrored means mirrored, too.
    """

    whole: bool = False
    limit: Optional[int] = None
    once: bool = False
    least: int = 1
    trained: bool = False

    def number(self, fakes: int, total: int) -> int:
        """How many, for `fakes` generated images and a data set of `total`."""
        number = total if self.whole or self.trained else min(fakes, total) if self.once else fakes
        return number if self.limit is None else min(number, self.limit)


@dataclasses.dataclass(frozen=True)
class GeneratorFacts:
    """What metrics may ask of a generator before there is one."""

    has_styles: bool  # whether its codes are w
    resolution: int
    channels: int


@dataclasses.dataclass(frozen=True, eq=False)
class Declaration:
    """A metric, or a few that differ in an option; made by the decorator `metric`.

    compute: (evaluation, metric, **options) → {part: number}; metrics/evaluation.py has what it may
    use. title: in words, for help. families: {what names begin with: options of `compute`}.
    count: of samples where a name has none; least: how few there may be. samples: what they are
    called, as in "5,000 paths".

    parts: names of the result's numbers, where there are several; {'': number} where there is one.
    A metric may leave out some of them. spelling: of the name and of the numbers' names, made of
    {family}, {count} and {part}, which is '' in the name and '_z' in that of z's number;
    standard_spelling: where the count is `count`.

    networks: feature networks that it looks through (metrics/tools.py). any_network: and one of
    these, the first that is there; "pixels" always is. classifiers: whether it
    needs those of attributes. reals: the real images it needs. settings: names of `Settings` that
    its result depends on, besides those that all depend on. method: which of several forms of the
    arithmetic it has, for the line and the record, where other programs have another.
    check: (generator, tools, **options) raises UserError when a generator cannot be measured.

    digits: after the point, at most. in_all: whether it belongs to the paper's, --metrics=all.
    """

    compute: Callable[..., dict[str, float]]
    title: str
    families: Mapping[str, Mapping[str, Any]]
    count: int
    least: int
    samples: str
    spelling: str = "{family}{part}-{count}"
    standard_spelling: str = "{family}{part}"
    parts: tuple[str, ...] = ("",)
    networks: tuple[str, ...] = ()
    any_network: tuple[str, ...] = ()
    classifiers: bool = False
    reals: Optional[Reals] = None
    settings: tuple[str, ...] = ()
    method: str = ""
    check: Optional[Callable[..., None]] = None
    digits: int = 4
    in_all: bool = False

    def standard_metrics(self) -> list[Metric]:
        """One of each family, with the standard count."""
        return [Metric(self, family, self.count) for family in self.families]

    def pattern(self, family: str) -> str:
        """A regular expression of a family's names, with or without a count (digits, 'k')."""
        spelled = self.spelling.format(family=family, part="", count="\n")
        before, _, after = spelled.partition("\n")
        return rf"{re.escape(before.removesuffix('-'))}(?:-?(\d{{1,9}})(k?))?{re.escape(after)}"


def metric(**declared: Any) -> Callable[[Callable[..., dict[str, float]]], Declaration]:
    """A decorator that makes the Declaration of a function; declared: its fields."""
    return lambda compute: Declaration(compute=compute, **declared)


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric, with the number of samples it is taken of."""

    declaration: Declaration
    family: str
    count: int

    @property
    def name(self) -> str:
        """It tells the count unless it is the standard one."""
        return self.key("")

    @property
    def options(self) -> Mapping[str, Any]:
        """Keywords of the function that computes it."""
        return self.declaration.families[self.family]

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of all its numbers, such as 'ls_z' and 'ls_w'."""
        return tuple(self.key(part) for part in self.declaration.parts)

    def key(self, part: str) -> str:
        """The name of one of its numbers."""
        declared = self.declaration
        standard = self.count == declared.count
        spelling = declared.standard_spelling if standard else declared.spelling
        amount = f"{self.count // 1000}k" if self.count % 1000 == 0 else str(self.count)
        return spelling.format(family=self.family, part=part and f"_{part}", count=amount)
