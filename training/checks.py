"""Verdicts of a run about itself: from numbers of its ticks to plain sentences.

Pure functions of what `stats.jsonl` holds, so that a run that was stopped comes to the verdicts of
one that was not, and old runs can be judged again. Evidence is gathered in training/evidence.py;
the checks are in training/check_list.py.

A check measures one number over the newest ticks. It speaks when that has been beyond a threshold
for some ticks in a row, and falls silent when it has been on the good side of a milder one for as
many. Nothing is said before there is enough evidence: the beginning of a run, and of a resolution,
does not count.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable, NamedTuple, Optional

from dnnlib import json_files

Tick = Mapping[str, Any]  # a record of stats.jsonl

WARM_UP_KIMG = 10.0  # of a resolution that do not count
WINDOW = 8  # ticks that a measure sees at most
PATIENCE = 2  # ticks in a row beyond a threshold


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a configuration says that decides which checks make sense."""

    loss: str = "logistic"  # or 'hinge', 'wgan'
    r1_gamma: float = 0.0  # weight of R1; 0: none
    penalised: bool = True  # whether anything bounds D's gradients
    loss_scaling: bool = False
    augmented: bool = False


@dataclasses.dataclass(frozen=True)
class Check:
    """What is measured, when it is too much, and what to do then.

    measure: of the newest ticks, oldest first, and the facts → the number, None where there is not
    enough evidence. begin, end: thresholds; a number beyond `begin` is bad, one short of `end` is
    good. `begin` is above `end` where large numbers are bad, else below. sentence: with {value} and
    {threshold}.
    """

    name: str
    measure: Callable[[Sequence[Tick], Facts], Optional[float]]
    begin: float
    end: float
    sentence: str
    remedy: str
    applies: Callable[[Facts], bool] = lambda facts: True
    patience: int = PATIENCE
    warm_up: bool = True  # whether the beginning does not count

    def beyond(self, value: float) -> bool:
        return value >= self.begin if self.begin >= self.end else value <= self.begin

    def well(self, value: float) -> bool:
        return value <= self.end if self.begin >= self.end else value >= self.end


class Verdict(NamedTuple):
    """A check that speaks, or has just fallen silent."""

    check: Check
    value: float
    threshold: float

    def sentence(self) -> str:
        """One line: what it is, the number, the threshold, and what to change."""
        said = self.check.sentence.format(value=self.value, threshold=self.threshold)
        return f"{said}; {self.check.remedy}"

    def all_clear(self) -> str:
        """One line, of a check that has fallen silent."""
        return f"{self.check.name}: no longer so, {self.value:.3g} (good: {self.threshold:.3g})"

    def short(self) -> str:
        return f"{self.check.name} {self.value:.3g}"

    def record(self) -> dict[str, Any]:
        return {"check": self.check.name, "value": self.value, "threshold": self.threshold}


class Opinion(NamedTuple):
    """What all checks say at one tick."""

    begun: list[Verdict]
    ended: list[Verdict]
    active: list[Verdict]  # those begun included

    def sentences(self) -> list[str]:
        """What to tell now: of what has begun, and of what has ended."""
        begun = [verdict.sentence() for verdict in self.begun]
        return begun + [verdict.all_clear() for verdict in self.ended]

    def curves(self) -> dict[str, float]:
        """{tag: 1 while a check speaks, 0 when it ends}, for TensorBoard."""
        ended = {f"Verdicts/{verdict.check.name}": 0.0 for verdict in self.ended}
        return {**ended, **{f"Verdicts/{verdict.check.name}": 1.0 for verdict in self.active}}


NOTHING = Opinion([], [], [])


class Checks:
    """Follows a run tick by tick. checks: those of training/check_list.py, or others."""

    def __init__(self, facts: Facts, checks: Iterable[Check]):
        self._facts = facts
        self.checks = [check for check in checks if check.applies(facts)]
        self._ticks: list[Tick] = []  # of this resolution
        self._start = 0.0  # kimg at which it began
        self._streaks = dict.fromkeys((check.name for check in self.checks), 0)
        self._active: dict[str, Verdict] = {}

    def add(self, tick: Tick) -> Opinion:
        """Takes the next tick's record."""
        kimg = tick["cur_nimg"] / 1000
        if not self._ticks or self._ticks[-1].get(_SIZE) != tick.get(_SIZE):
            # A tick is the end of what it tells of.
            self._start = self._ticks[-1]["cur_nimg"] / 1000 if self._ticks else 0.0
            self._ticks = []
            self._streaks = dict.fromkeys(self._streaks, 0)
        self._ticks = [*self._ticks[-4 * WINDOW :], tick]
        opinion = Opinion([], [], [])
        for check in self.checks:
            self._judge(check, kimg, opinion)
        opinion.active.extend(self._active.values())
        return opinion

    def _judge(self, check: Check, kimg: float, opinion: Opinion) -> None:
        first = self._start + WARM_UP_KIMG if check.warm_up else 0.0
        counted = [tick for tick in self._ticks if tick["cur_nimg"] / 1000 >= first]
        value = check.measure(counted, self._facts) if counted else None
        if value is None or not math.isfinite(value):
            return
        name, active = check.name, self._active.get(check.name)
        if active is None:
            self._streaks[name] = self._streaks[name] + 1 if check.beyond(value) else 0
            if self._streaks[name] >= check.patience:
                self._streaks[name] = 0
                self._active[name] = Verdict(check, value, check.begin)
                opinion.begun.append(self._active[name])
            return
        self._streaks[name] = self._streaks[name] + 1 if check.well(value) else 0
        if self._streaks[name] >= check.patience:
            self._streaks[name] = 0
            del self._active[name]
            opinion.ended.append(Verdict(check, value, check.end))
        else:
            self._active[name] = Verdict(check, value, check.begin)


_SIZE = "Progress/resolution"


def numbers_of(line: str) -> dict[str, float]:
    """The numbers of a line of `stats.jsonl`, in which texts and lists may be, too."""
    values = json_files.parse(line).items()
    return {name: value for name, value in values if type(value) in (int, float)}


def judge(ticks: Iterable[Tick], facts: Facts, checks: Iterable[Check]) -> list[Opinion]:
    """What a whole run said: an opinion for each tick."""
    checks_ = Checks(facts, checks)
    return [checks_.add(tick) for tick in ticks]
