"""Notices that a run has diverged: every update is skipped because its gradients are not finite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from dnnlib.errors import UserError
from training import checkpoint
from training.phases import Phase
from training.report import OVERFLOW


class DivergedError(UserError):
    """No step has changed the networks for too long; the last good checkpoint is kept."""


class Watch:
    """Counts the ticks without one usable step of a network.

    parts: of the training state. patience: so many such ticks in a row end the run. The numbers
    of steps are means over all machines, so that all of them come to the same conclusion.
    """

    def __init__(self, phases: Sequence[Phase], parts: Mapping[str, Any], patience: int) -> None:
        self._phases, self._parts, self._patience = phases, parts, patience
        self._steps: list[dict] = []  # values of the newest iteration's
        self._ticks = 0

    def start_iteration(self) -> None:
        self._steps = []

    def add(self, values: dict) -> dict:
        """Takes the values of one step, and returns them."""
        self._steps.append(values)
        return values

    def stalled(self) -> bool:
        """Whether a network had no usable step in the newest iteration: nothing worth saving."""
        skipped: dict[str, list[float]] = {}
        for values in self._steps:
            for name, value in values.items():
                if name.endswith(OVERFLOW):
                    skipped.setdefault(name, []).append(float(value))
        return bool(self._without_step({name: min(shares) for name, shares in skipped.items()}))

    def finish_tick(self, means: Mapping[str, float], done: bool, run_dir: Path) -> None:
        """Raises DivergedError after too many ticks, or at the end of a run, without a step.

        means: of the tick. done: whether this was the run's last one.
        """
        networks = self._without_step(means)
        self._ticks = self._ticks + 1 if networks else 0
        if self._ticks >= self._patience or (networks and done):
            raise DivergedError(_message(networks, self._ticks, run_dir))

    def _without_step(self, skipped: Mapping[str, float]) -> list[str]:
        """Networks of whose steps all were skipped; skipped: the share of each phase, by name."""
        networks = []
        for network in ("D", "G"):
            phases = [phase for phase in self._phases if phase.network == network]
            shares = [skipped.get(phase.name + OVERFLOW) for phase in phases]
            shares = [share for share in shares if share is not None]
            if shares and min(shares) >= 1 and not self._searches(phases[0].optimizer):
                networks.append(network)
        return networks

    def _searches(self, optimizer: str) -> bool:
        """Whether loss scaling, which begins with overflows, can still lower its scale."""
        chosen = self._parts[optimizer]
        return chosen.loss_scaling and float(tf.convert_to_tensor(chosen.log2_scale)) > 0


def _message(networks: list[str], ticks: int, run_dir: Path) -> str:
    saved = checkpoint.paths(run_dir)
    kept = f"the last good checkpoint is {saved[-1]}" if saved else "it has no checkpoint"
    return (
        f"the run in {run_dir} has diverged: no usable step of {' and '.join(networks)} in {ticks} "
        f"tick(s), all gradients were infinite or NaN; {kept}. Start a new run with lower "
        "schedule.G_lrate_base and D_lrate_base, or another loss (--resume_from takes over the "
        "weights of a snapshot)"
    )
