"""Run by test_classifiers.py in a process of its own: two logical CPU devices, MirroredStrategy.

A minibatch divided over two replicas must give what one replica makes of the whole of it.
"""

import numpy as np
import tensorflow as tf

from compute.devices import Replicas
from datasets.format.reader import open_dataset
from training.classifiers import config as classifier_config
from training.classifiers.config import ClassifierConfig, DatasetConfig
from training.classifiers.trainer import Trainer

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
CONFIG = ClassifierConfig(
    dataset=DatasetConfig(resolution=8, max_label_size="full", mirror_augment=True),
    D=dict(func_name="D_basic", fmap_base=32, fmap_max=8),
)
COLUMNS = (0, 6, 8, 9)


def trained(strategy):
    """Losses, the last gradients (with β₁ = 0, Adam's m), accuracy."""
    with open_dataset(classifier_config.inspect_dataset(CONFIG)) as dataset:
        trainer = Trainer(CONFIG, dataset, Replicas(strategy))
        losses = []
        for number, batch in enumerate(trainer.batches(COLUMNS, 80)):
            if number == 1:
                gradients = {name: m.numpy() for name, m in trainer.optimizer.m.items()}
            losses.append(float(trainer.step(*batch, tf.constant(0.001))))
        for name, variable in trainer.D.named.items():
            copies = [copy.numpy() for copy in strategy.experimental_local_results(variable)]
            assert copies[0].tobytes() == copies[-1].tobytes(), f"replicas differ: {name}"
        return losses, gradients, trainer.accuracy(COLUMNS)


def main():
    mirrored = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    assert mirrored.num_replicas_in_sync == 2
    losses, gradients, accuracy = trained(mirrored)
    expected = trained(tf.distribute.OneDeviceStrategy("/cpu:0"))
    np.testing.assert_allclose(losses, expected[0], rtol=1e-4)
    for name, gradient in expected[1].items():
        error = np.abs(gradients[name] - gradient).max()
        assert error < 1e-5 * np.abs(gradient).max() + 1e-8, name
    assert accuracy == expected[2]
    print("classifier check passed")


main()
