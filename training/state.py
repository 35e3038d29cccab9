"""What a run changes, all of it by name: networks, optimizers, single numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

import tensorflow as tf

import networks
from networks import layers
from training.optimizer import Adam
from training.phases import Hook, Phase, lazy_ratio


class Part(Protocol):
    """A network, an optimizer, or whatever else has variables by name."""

    named: dict[str, tf.Variable]


@dataclasses.dataclass
class TrainingState:
    """Parts and numbers; whatever is in it is in the checkpoints.

    parts: G, its moving average Gs, D, their optimizers G_opt and D_opt, and any others.
    numbers: {name: float32 scalar} that phases and hooks keep.
    """

    parts: dict[str, Any]
    numbers: dict[str, tf.Variable] = dataclasses.field(default_factory=dict)

    @property
    def G(self):
        return self.parts["G"]

    @property
    def D(self):
        return self.parts["D"]

    @property
    def Gs(self):
        return self.parts["Gs"]

    def variables(self) -> dict[str, tf.Variable]:
        """{name: tf.Variable} of everything that training changes."""
        named = {
            f"{part}/{name}": variable
            for part, owner in self.parts.items()
            for name, variable in owner.named.items()
        }
        return {**named, **self.numbers}

    def reset_optimizers(self) -> None:
        for part in self.parts.values():
            if isinstance(part, Adam):
                part.reset()

    def set_lod(self, lod: float) -> None:
        """Records the level of detail in the networks, for snapshots."""
        for network in (self.G, self.Gs, self.D):
            network.set_lod(lod)


def create_state(
    G_options: dict[str, Any],
    D_options: dict[str, Any],
    G_adam: dict[str, float],
    D_adam: dict[str, float],
    *,
    phases: Sequence[Phase] = (),
    hooks: Sequence[Hook] = (),
    loss_scaling: bool = False,
    replace_bad_gradients: bool = False,
    seed: int = 0,
) -> TrainingState:
    """Makes networks, optimizers and numbers; call it inside `strategy.scope()`.

    G_options, D_options: keyword options with `func_name`. G_adam, D_adam: beta1, beta2 and
    epsilon; replace_bad_gradients: their `replace`. phases, hooks: their numbers, and how phases
    share the optimizers. Gs starts as a copy of G. Under `layers.planned` it is a plan of all
    that: names and shapes.
    """
    parts: dict[str, Any] = {
        "G": networks.build(seed=seed, **G_options),
        "D": networks.build(seed=seed + 1, **D_options),
        "Gs": networks.build(seed=seed, **G_options),
    }
    for network, adam in (("G", G_adam), ("D", D_adam)):
        optimizer = f"{network}_opt"
        parts[optimizer] = Adam(
            parts[network].trainable(),
            loss_scaling=loss_scaling,
            lazy_ratio=lazy_ratio(phases, optimizer),
            replace=replace_bad_gradients,
            **adam,
        )
    numbers: dict[str, tf.Variable] = {}
    owners: list[Any] = [*phases, *hooks]
    for owner in owners:
        for name, initial in owner.numbers.items():
            if name in numbers:
                raise ValueError(f"two phases or hooks keep a number of the name {name!r}")
            numbers[name] = layers.number(initial)
    return TrainingState(parts, numbers)
