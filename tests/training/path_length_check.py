"""Run by test_stylegan2_training.py in a process of its own: two logical CPU devices.

Path length regularisation of 8 latents on one device, and of 4 on each of two, is the same step:
the same running mean, the same gradient, also through that mean.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from training.losses import Batch
from training.phases import make_phases
from training.schedule import Stage
from training.state import create_state
from training.steps import StageSteps, StepSettings

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
ADAM = dict(beta1=0.0, beta2=0.99, epsilon=1e-8)
COMMON = dict(num_channels=3, resolution=8, fmap_base=32, fmap_max=8)
G = dict(func_name="G_main", latent_size=8, dlatent_size=8, mapping_fmaps=8, **COMMON)
D = dict(func_name="D_stylegan2", **COMMON)
LOSS = {"func_name": "G_logistic_ns_pathreg", "pl_minibatch_shrink": 1, "pl_decay": 0.5}
PHASES = make_phases(LOSS, {"func_name": "D_logistic_r1"}, G_first=True)
Z = np.random.RandomState(3).randn(2, 4, 8).astype(np.float32)


class Steps(StageSteps):
    """Lengths along one image, which is the same for all latents."""

    def game(self, *args):
        image = tf.random.stateless_normal([1, 8, 8, 3], [4, 5])
        normal = lambda shape: tf.broadcast_to(image, shape)  # noqa: E731
        return dataclasses.replace(super().game(*args), normal=normal)


def run(strategy, shares):
    """The state after one step of path lengths, replica r with the latents shares[r]."""
    with strategy.scope():
        state = create_state(G, D, ADAM, ADAM, phases=PHASES, seed=1)
    steps = Steps(
        state, Stage(0, False), PHASES, StepSettings(noise="fixed", mixing=None), strategy
    )
    scalars = {"alpha": tf.constant(0.0), "learning_rate": tf.constant(0.002)}
    phase = next(phase for phase in PHASES if phase.name == "G_reg")

    def replica(z):
        labels = tf.zeros([z.shape[0], 0])
        return steps.update(phase, Batch(labels, z), scalars, tf.constant([1, 2]))

    z = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(shares[context.replica_id_in_sync_group])
    )
    tf.function(lambda z: strategy.run(replica, (z,)), autograph=False)(z)
    return strategy, state


def main():
    single = tf.distribute.OneDeviceStrategy("/cpu:0")
    mirrored = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    _, alone = run(single, [Z.reshape(8, 8)])
    _, both = run(mirrored, Z)
    expected = {name: variable.numpy() for name, variable in alone.variables().items()}
    assert expected["pl_mean"] > 0
    for name, variable in both.variables().items():
        copies = [copy.numpy() for copy in mirrored.experimental_local_results(variable)]
        assert copies[0].tobytes() == copies[1].tobytes(), f"replicas differ: {name}"
        bound = 1e-5 * np.abs(expected[name]).max() + 1e-9
        if "/m/" in name or name == "pl_mean":  # with β₁ = 0, m is the gradient
            assert np.abs(copies[0] - expected[name]).max() < bound, name
    assert np.abs(expected["G_opt/m/G_mapping/Dense0/weight"]).max() > 0
    print("path length check passed")


main()
