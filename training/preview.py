"""What a start says and refuses once the networks are there, told before: for `--dry_run`.

By names and shapes in the files' headers: no variable is made, and nothing is written.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from networks import layers
from training import checkpoint, phases
from training.runs import ResolvedRun
from training.state import create_state
from training.transfer import check_freezing, transfer


def check(run: ResolvedRun) -> list[str]:
    """The lines in which the start will say what it takes of a snapshot, and what it cannot.

    Raises UserError where no checkpoint of the run can be used, or nothing of the snapshot fits; a
    checkpoint that is passed over is named on stderr, as at the start.
    """
    config = run.config
    # In a graph, Keras's own counters do not start TensorFlow's devices, which the start sets up.
    with tf.Graph().as_default(), layers.planned():
        state = create_state(
            run.parts.G,
            run.parts.D,
            dataclasses.asdict(config.G_opt),
            dataclasses.asdict(config.D_opt),
            phases=phases.phases_of(config),
            hooks=phases.hooks_of(config),
        )
        check_freezing(state.D, config.freeze_d)
        if run.run_dir is not None and checkpoint.check(run.run_dir, state.variables()):
            return []
        if run.source is None:
            return []
        if run.transfer_from is None:
            return [f"note: {run.source.given} is not looked at: the start downloads it first"]
        return transfer(state, run.transfer_from)
