"""What training does, as data: phases, each an update of one network, and hooks between them.

A round runs the phases that are due, in order; StyleGAN's are two: D with its loss, R1 in it,
then G. A regulariser of its own is a further phase, due every `interval`-th round (lazy
regularisation, StyleGAN2 appendix B).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Callable

from training import loss_options
from training.config import TrainingConfig
from training.losses import LOSSES, Batch, Game
from training.regularizers import REGULARIZERS
from training.schedule import SchedulePoint

_STREAMS = 16  # as many phases can draw random numbers of their own


@dataclasses.dataclass(frozen=True)
class Phase:
    """One kind of update: of one network, by one optimizer, towards one objective."""

    name: str  # of its loss in reports, and of its count of steps
    network: str  # the part of the state that it trains: 'G' or 'D'; D is shown real images
    objective: Callable[[Game, Batch], tuple]  # → (loss per image, terms to report by name)
    optimizer: str  # a part of the state; phases of one network share it
    stream: int  # of its random numbers, no other phase's; less than _STREAMS
    interval: int = 1  # due in rounds 0, interval, 2·interval …; the objective counts as often
    repeats: int = 1  # steps in a row when it is due
    new_reals: bool = False  # each step fetches real images; else those of the step before
    average: bool = False  # Gs follows G after each step
    numbers: Mapping[str, float] = dataclasses.field(default_factory=dict)  # its own, at first

    def seed_words(self, seed: int, step: int) -> list[int]:
        """Two int32 words for its step number `step` that no other phase or step gets.

        Even numbers are D's and odd ones G's; other phases share the negative ones.
        """
        if self.stream < 2:
            return [seed, 2 * step + self.stream]
        return [seed, -1 - (_STREAMS * step + self.stream)]


@dataclasses.dataclass(frozen=True)
class Hook:
    """What adapts numbers of a TrainingState after every `interval`-th round.

    All that `adapt` depends on must be in the state, for a run to continue exactly, and be the
    same on all machines.
    """

    interval: int
    adapt: Callable[[Any, SchedulePoint], None]  # of the state, at a point of the schedule
    numbers: Mapping[str, float]  # its own, at first


def due(phases: Sequence[Phase], round_: int) -> list[Phase]:
    """The steps of a round (from 0), in order."""
    return [phase for phase in phases if round_ % phase.interval == 0 for _ in range(phase.repeats)]


def lazy_ratio(phases: Sequence[Phase], optimizer: str) -> float:
    """How much smaller `optimizer` must step because its phases share it.

    StyleGAN2, appendix B: k/(k+1) when a regulariser is due every k steps of the loss, the phase
    that is due most often; 1 without one.
    """
    steps = [phase.repeats / phase.interval for phase in phases if phase.optimizer == optimizer]
    return max(steps) / sum(steps) if steps else 1.0


def make_phases(
    G_loss: dict[str, Any],
    D_loss: dict[str, Any],
    *,
    G_reg: dict[str, Any] | None = None,
    D_reg: dict[str, Any] | None = None,
    D_repeats: int = 1,
) -> list[Phase]:
    """Phases from a configuration's losses and regularisers: `func_name` and keywords.

    Gs follows G after D's step, when G is the one that D's fakes came from.
    """
    return [
        Phase(
            "D",
            "D",
            _D_objective(D_loss),
            "D_opt",
            stream=0,
            repeats=D_repeats,
            new_reals=True,
            average=True,
        ),
        *_regularizer("D_reg", "D", D_reg, stream=2),
        Phase("G", "G", _G_objective(G_loss), "G_opt", stream=1),
        *_regularizer("G_reg", "G", G_reg, stream=3),
    ]


def phases_of(config: TrainingConfig) -> list[Phase]:
    """The phases of a run."""
    return make_phases(
        config.G_loss,
        config.D_loss,
        G_reg=config.G_reg,
        D_reg=config.D_reg,
        D_repeats=config.D_repeats,
    )


def hooks_of(config: TrainingConfig) -> list[Hook]:
    """The hooks of a run: nothing adapts in StyleGAN."""
    return []


def _D_objective(options: dict[str, Any]) -> Callable[[Game, Batch], tuple]:
    name, keywords = loss_options.resolve("D_loss", options)

    def objective(game: Game, batch: Batch) -> tuple:
        fakes = game.generate(batch.z, batch.labels)
        return LOSSES[name](game, batch.reals, fakes, batch.labels, **keywords)

    return objective


def _G_objective(options: dict[str, Any]) -> Callable[[Game, Batch], tuple]:
    name, keywords = loss_options.resolve("G_loss", options)

    def objective(game: Game, batch: Batch) -> tuple:
        fakes = game.generate(batch.z, batch.labels)
        loss, _ = LOSSES[name](game, fakes, batch.labels, **keywords)
        return loss, {}  # D reports the fakes' scores

    return objective


def _regularizer(key: str, network: str, options: dict | None, stream: int) -> list[Phase]:
    if not options:
        return []
    name, keywords = loss_options.resolve(key, options)
    interval = int(keywords.pop("interval"))
    regularizer = REGULARIZERS[name]
    return [
        Phase(
            key,
            network,
            partial(regularizer.penalty, **keywords),
            f"{network}_opt",
            stream=stream,
            interval=interval,
            numbers=regularizer.numbers,
        )
    ]
