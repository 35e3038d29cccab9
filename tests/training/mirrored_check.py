"""Run by test_distributed.py in a process of its own: two logical CPU devices, MirroredStrategy.

Two replicas with the same images and latents must give the single replica's update; with
different ones, the update that the average of the two gradients gives.
"""

import dataclasses
import tempfile

import numpy as np
import tensorflow as tf

from tests.training import lazy_check
from training.loop import train
from training.losses import Batch
from training.phases import make_phases
from training.schedule import Stage
from training.state import create_state
from training.steps import StageSteps, StepSettings

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
ADAM = dict(beta1=0.0, beta2=0.99, epsilon=1e-8)
COMMON = dict(num_channels=3, resolution=16, fmap_base=32, fmap_max=8)
G = dict(func_name="G_style", latent_size=8, dlatent_size=8, mapping_fmaps=8, **COMMON)
D = dict(func_name="D_basic", **COMMON)
STAGE = Stage(0, True)
RNG = np.random.RandomState(3)
REALS = RNG.uniform(-1, 1, [2, 8, 16, 16, 3]).astype(np.float32)
Z = RNG.randn(2, 2, 8, 8).astype(np.float32)
SCALARS = {"alpha": 0.4, "learning_rate": 0.002, "ema_beta": 0.9}
PHASES = D_PHASE, G_PHASE = make_phases(
    {"func_name": "G_logistic_nonsaturating"}, {"func_name": "D_logistic_simplegp"}
)
SETTINGS = StepSettings(noise="fixed", mixing=None)


def iterations(strategy, *runs):
    """For each run D step then G step from the same start, traced once.

    Replica r gets the images and latents number run[r]. Yields the state and the losses.
    """
    with strategy.scope():
        state = create_state(G, D, ADAM, ADAM, seed=1)
    start = arrays(state)
    steps = StageSteps(state, STAGE, PHASES, SETTINGS, strategy)
    constants = {name: tf.constant(value) for name, value in SCALARS.items()}

    def replica(reals, z_d, z_g):
        seed, labels = tf.constant([1, 2]), tf.zeros([8, 0])
        losses = steps.update(D_PHASE, Batch(labels, z_d, reals), constants, seed)
        return losses, steps.update(G_PHASE, Batch(labels, z_g), constants, seed)

    @tf.function(autograph=False)  # a third of the time to trace
    def step(*args):
        return strategy.run(replica, args)

    for shares in runs:
        for name, variable in state.variables().items():
            variable.assign(start[name])
        per_replica = step(*(distribute(strategy, array, shares) for array in (REALS, *Z)))
        losses = [{**d, **g} for d, g in strategy.experimental_local_results(per_replica)]
        yield state, {name: [float(x[name]) for x in losses] for name in losses[0]}


def distribute(strategy, array, shares):
    return strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(array[shares[context.replica_id_in_sync_group]])
    )


def arrays(state):
    return {name: variable.numpy() for name, variable in state.variables().items()}


def slots(arrays):
    """The gradients: with β₁ = 0, Adam's m is the last one."""
    return {name: array for name, array in arrays.items() if "_opt/m/" in name}


def main():
    single = tf.distribute.OneDeviceStrategy("/cpu:0")
    mirrored = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    assert mirrored.num_replicas_in_sync == 2
    alone = [(arrays(state), means) for state, means in iterations(single, [0], [1])]
    of_mirrored = iterations(mirrored, [0, 0], [0, 1])
    same = arrays(next(of_mirrored)[0])
    both, losses = next(of_mirrored)

    for name, array in alone[0][0].items():
        if "4x4/Const/bias" not in name:
            np.testing.assert_allclose(same[name], array, rtol=1e-5, atol=1e-5, err_msg=name)
    # D's gradients are taken at the same weights in all three runs; G's are not, because D has
    # moved differently by then.
    first, second, together = slots(alone[0][0]), slots(alone[1][0]), slots(arrays(both))
    for name in together:
        if name.startswith("D_opt"):
            gradient = (first[name] + second[name]) / 2
            error = np.abs(together[name] - gradient).max()
            assert error < 1e-5 * np.abs(gradient).max() + 1e-8, name
    for name in ("D", "r1_penalty", "scores/real"):
        expected = np.mean([alone[0][1][name][0], alone[1][1][name][0]])
        assert np.allclose(losses[name], expected, rtol=1e-5), name
    for name, variable in both.variables().items():
        copies = [copy.numpy() for copy in mirrored.experimental_local_results(variable)]
        assert len(copies) == 2
        assert copies[0].tobytes() == copies[1].tobytes(), f"replicas differ: {name}"
    with tempfile.TemporaryDirectory() as run_dir:
        lazy_check.install()
        config = dataclasses.replace(lazy_check.CONFIG, total_kimg=0.03)
        assert train(config, run_dir, strategy=mirrored) == 0
    print("mirrored check passed")


main()
