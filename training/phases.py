"""What training does, as data: phases, each an update of one network, and hooks between them.

A round runs the phases that are due, in order; StyleGAN's are two: D with its loss, R1 in it,
then G; StyleGAN2's are G, its path length, D, its R1. A regulariser of its own is a further phase,
due every `interval`-th round (lazy regularisation, StyleGAN2 appendix B).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Callable

import tensorflow as tf

from training import loss_options
from training.augmentation import adaptive
from training.augmentation.transforms import transforms_of
from training.config import TrainingConfig
from training.loss_options import Objective
from training.losses import LOSSES, Batch, Game
from training.regularizers import REGULARIZERS
from training.schedule import SchedulePoint

_STREAMS = 16  # as many phases can draw random numbers of their own


@dataclasses.dataclass(frozen=True)
class Phase:
    """One kind of update: of one network, by one optimizer, towards one objective."""

    name: str  # of its loss in reports, and of its count of steps
    network: str  # the part of the state that it trains: 'G' or 'D'; D is shown real images
    # → (loss per image, terms to report by name); None: never due, and counted in `lazy_ratio`.
    objective: Callable[[Game, Batch], tuple] | None
    optimizer: str  # a part of the state; phases of one network share it
    stream: int  # of its random numbers, no other phase's; less than _STREAMS
    interval: int = 1  # due in rounds 0, interval, 2·interval …; the objective counts as often
    repeats: int = 1  # steps in a row when it is due
    new_reals: bool = False  # each step fetches real images; else those of the step before
    average: str = ""  # Gs follows G: 'before' each step, or 'after' it
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
    return [
        phase
        for phase in phases
        if phase.objective and round_ % phase.interval == 0
        for _ in range(phase.repeats)
    ]


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
    G_first: bool = False,
) -> list[Phase]:
    """Phases from a configuration's losses and regularisers: `func_name` and keywords.

    G_first: StyleGAN2's order, in which Gs follows the G of this round. Else it follows G after
    D's step, when G is the one that D's fakes came from.
    """
    G, G_reg_phases = _of_network(loss_options.objective("G", G_loss, G_reg), _G_objective, 1)
    D, D_reg_phases = _of_network(loss_options.objective("D", D_loss, D_reg), _D_objective, 0)
    average = "before" if G_first else "after"
    D = dataclasses.replace(D, repeats=D_repeats, new_reals=True, average=average)
    of_G, of_D = [G, *G_reg_phases], [D, *D_reg_phases]
    return [*of_G, *of_D] if G_first else [*of_D, *of_G]


def phases_of(config: TrainingConfig) -> list[Phase]:
    """The phases of a run."""
    return make_phases(
        config.G_loss,
        config.D_loss,
        G_reg=config.G_reg,
        D_reg=config.D_reg,
        D_repeats=config.D_repeats,
        G_first=config.G_first,
    )


def hooks_of(config: TrainingConfig) -> list[Hook]:
    """The hooks of a run: the strength of augmentation adapts, and nothing else."""
    augment = config.augment
    if transforms_of(augment.transforms, augment.options) is None or augment.p is not None:
        return []
    # A network that is tuned to other data is at their edge sooner.
    kimg = augment.kimg or (100 if config.resume_from else 500)

    def adapt(state: Any, point: SchedulePoint) -> None:
        images = point.minibatch * config.D_repeats * augment.interval
        adaptive.adapt(state.numbers, target=augment.target, kimg=kimg, images=images)

    return [Hook(augment.interval, adapt, adaptive.NUMBERS)]


def _of_network(
    chosen: Objective, make: Callable[..., Callable], stream: int
) -> tuple[Phase, list[Phase]]:
    """The phase of a network's loss, and that of its regulariser where this has steps of its own.

    A regulariser without a penalty, as StyleGAN2's configuration C has one, is a phase that is
    never due: it counts for Adam's rate alone.
    """
    network = "DG"[stream]
    loss = make(LOSSES[chosen.loss], chosen.keywords)
    regularizer = REGULARIZERS[chosen.regularizer] if chosen.regularizer else None
    penalty = partial(regularizer.penalty, **chosen.reg_keywords) if regularizer else None
    numbers = regularizer.numbers if regularizer else {}
    main = Phase(network, network, loss, f"{network}_opt", stream)
    if not chosen.interval:
        objective = loss if penalty is None else _with_penalty(loss, penalty)
        return dataclasses.replace(main, objective=objective, numbers=numbers), []
    reg = Phase(
        f"{network}_reg",
        network,
        penalty,
        f"{network}_opt",
        stream=stream + 2,
        interval=chosen.interval,
        numbers=numbers,
    )
    return main, [reg]


def _D_objective(loss: Callable, keywords: dict[str, float]) -> Callable[[Game, Batch], tuple]:
    def objective(game: Game, batch: Batch) -> tuple:
        fakes = game.generate(batch.z, batch.labels)
        return loss(game, batch.reals, fakes, batch.labels, **keywords)

    return objective


def _G_objective(loss: Callable, keywords: dict[str, float]) -> Callable[[Game, Batch], tuple]:
    def objective(game: Game, batch: Batch) -> tuple:
        fakes = game.generate(batch.z, batch.labels)
        return loss(game, fakes, batch.labels, **keywords)[0], {}  # D reports the fakes' scores

    return objective


def _with_penalty(loss: Callable, penalty: Callable) -> Callable[[Game, Batch], tuple]:
    """Both in one step; a penalty may be of fewer images."""

    def objective(game: Game, batch: Batch) -> tuple:
        values, terms = loss(game, batch)
        more, terms_of_penalty = penalty(game, batch)
        return values + tf.reduce_mean(more), {**terms, **terms_of_penalty}

    return objective
