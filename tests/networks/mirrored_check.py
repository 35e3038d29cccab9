"""Networks under MirroredStrategy on two logical CPU devices; run as a program of its own."""

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

import networks
from tests.networks.common import discriminator, error, generator, normal, randomize


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == 2
    with strategy.scope():
        G, D = randomize(generator(seed=1)), randomize(discriminator(seed=2))
    alone = randomize(generator(seed=1)), randomize(discriminator(seed=2))
    for network, single in zip((G, D), alone):
        check_arrays(network.arrays(), single.arrays())
        copies = strategy.experimental_local_results(network.named["lod"])
        assert len(copies) == 2

    z = normal(8, 8)
    per_replica = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(z[4 * context.replica_id_in_sync_group :][:4])
    )

    @tf.function
    def step(z):
        images = G(z, training=True, noise="fixed", lod=0.5)
        return D(images, lod=0.5), G.synthesis(G.mapping(z) * 0, noise="random")

    before = np.float64(G.arrays()["dlatent_avg"])
    mean = np.float64(alone[0].mapping(z))[:, 0].mean(axis=0)
    scores, noisy = strategy.run(step, args=(per_replica,))
    # The average moves by the mean over all replicas, in every copy alike.
    for copy in strategy.experimental_local_results(G.named["dlatent_avg"]):
        assert error(copy.numpy(), mean + (before - mean) * 0.995) < 1e-6
    assert error(G.arrays()["dlatent_avg"], mean + (before - mean) * 0.995) < 1e-6
    assert all(np.isfinite(s).all() for s in strategy.experimental_local_results(scores))
    first, second = strategy.experimental_local_results(noisy)
    assert not np.array_equal(first, second)  # without a seed, replicas draw noise of their own

    inference = tf.function(lambda z: G(z, noise="fixed"))
    images = strategy.experimental_local_results(strategy.run(inference, args=(per_replica,)))
    alone[0].set_arrays(G.arrays())
    assert error(np.concatenate(images), alone[0](z, noise="fixed")) < 1e-5
    # Also outside of `run`, as a snapshot or a grid of images needs it.
    assert error(G(z, noise="fixed"), alone[0](z, noise="fixed")) < 1e-5

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "net.safetensors"
        networks.save(path, G=G, D=D)
        with strategy.scope():
            loaded = networks.load(path)
        for network, other in zip(loaded, (G, D)):
            check_arrays(network.arrays(), other.arrays())
            assert len(strategy.experimental_local_results(network.named["lod"])) == 2
    print("replicas agree")


def check_arrays(arrays, others):
    assert list(arrays) == list(others)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, others[name])


if __name__ == "__main__":
    main()
