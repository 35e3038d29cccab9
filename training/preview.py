"""What a start says and refuses once the networks are there, told before: for `--dry_run`.

By names and shapes in the files' headers: no variable is made, and nothing is written.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from networks import layers
from training import checkpoint, phases
from training.config import TrainingConfig
from training.runs import ResolvedRun
from training.state import TrainingState, create_state
from training.transfer import check_freezing, transfer


def check(run: ResolvedRun) -> list[str]:
    """The lines in which the start will say what it takes of a snapshot, and what it cannot.

    Raises UserError where no checkpoint of the run can be used, or nothing of the snapshot fits; a
    checkpoint that is passed over is named on stderr, as at the start.
    """
    config = run.config
    state = planned_state(config, run.parts.G, run.parts.D)
    with layers.planned():
        check_freezing(state.D, config.freeze_d)
        if run.run_dir is not None and checkpoint.check(run.run_dir, state.variables()):
            return []
        if run.source is None:
            return []
        if run.transfer_from is None:
            return [f"note: {run.source.given} is not looked at: the start downloads it first"]
        return transfer(state, run.transfer_from)


def planned_state(config: TrainingConfig, G: dict[str, Any], D: dict[str, Any]) -> TrainingState:
    """Names and shapes of a run's state; G, D: all options of the networks."""
    # In a graph, Keras's own counters do not start TensorFlow's devices, which the start sets up.
    with tf.Graph().as_default(), layers.planned():
        return create_state(
            G,
            D,
            dataclasses.asdict(config.G_opt),
            dataclasses.asdict(config.D_opt),
            phases=phases.phases_of(config),
            hooks=phases.hooks_of(config),
        )
