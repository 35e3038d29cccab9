"""Training with made-up phases: what StyleGAN2's regularisers and adaptive augmentation need.

Run by test_resume.py as a process of its own, which kills itself in the middle of an iteration.
"""

import os
import signal
import sys

import tensorflow as tf

from tests.training.small import small_config
from training import loss_options, phases, regularizers
from training.loop import train

# Two rounds an iteration, ten iterations at one stage, and a checkpoint after each.
CONFIG = small_config(
    "dataset.resolution=4",
    "checkpoint_minutes=1e-9",
    G_reg={"func_name": "G_energy", "weight": 3.0},
    D_reg={"func_name": "D_r1"},
)
KILLED_IN = 9  # this round, after the checkpoint of 8
STEP = 0.125


def energy(game, batch, weight):
    """Keeps the images' energy near its running mean, as path length regularisation does."""
    images = game.generate(batch.z, batch.labels)
    images += 0.1 * game.normal(images.shape)
    energies = tf.reduce_mean(tf.square(images), axis=[1, 2, 3])[:, None]
    mean = tf.convert_to_tensor(game.numbers["energy"])
    mean += 0.1 * (tf.reduce_mean(energies) - mean)
    regularizers.assign_mean(game.numbers["energy"], mean)
    strength = weight * tf.convert_to_tensor(game.numbers["p"])  # 0 until the hook has run
    return strength * tf.square(energies - mean), {"energy": energies}


def adapt(state, point):
    """Moves p by the sign of a measure, as augmentation does."""
    p = state.numbers["p"]
    p.assign(p + STEP * tf.sign(state.numbers["energy"]))


def install(set_attribute=setattr, set_item=dict.__setitem__):
    """Adds the regulariser and the hook to what there is."""
    # Where a new regulariser goes: an options table and training/regularizers.py.
    set_item(loss_options.G_REGULARIZERS, "G_energy", {"interval": 4, "weight": 1.0})
    penalty = regularizers.Regularizer(energy, numbers={"energy": 0.0})
    set_item(regularizers.REGULARIZERS, "G_energy", penalty)
    hook = phases.Hook(3, adapt, numbers={"p": 0.0})
    set_attribute(phases, "hooks_of", lambda config: [hook])


def main():
    install()
    calls = []

    def adapt_or_die(state, point):
        adapt(state, point)
        calls.append(point)
        if 3 * len(calls) == KILLED_IN:
            os.kill(os.getpid(), signal.SIGKILL)

    hook = phases.Hook(3, adapt_or_die, numbers={"p": 0.0})
    phases.hooks_of = lambda config: [hook]
    train(CONFIG, sys.argv[1])


if __name__ == "__main__":
    main()
