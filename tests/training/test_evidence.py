"""What a run measures of itself, against the plainest form of the same number."""

import math
import types

import numpy as np
import pytest
import tensorflow as tf

from datasets.format.reader import inspect, open_dataset
from training import evidence
from training.evidence import Evidence
from training.optimizer import Adam
from training.schedule import SchedulePoint


def test_distances():
    images = np.array([0.0, 3.0, 4.0]).reshape(3, 1, 1, 1) * np.ones([1, 1, 2, 2])
    np.testing.assert_allclose(evidence.mean_distance(images), (3 + 4 + 1) / 3)
    np.testing.assert_allclose(evidence.nearest_distance(images), (3 + 1 + 1) / 3)
    assert evidence.nearest_distance(np.ones([4, 1, 2, 2])) == 0


def test_what_labels_explain():
    rng = np.random.RandomState(0)
    classes = np.arange(400) % 4
    apart = np.eye(4)[classes].reshape(-1, 1, 2, 2)
    assert evidence.explained(apart, classes) == pytest.approx(1)
    noise = rng.randn(400, 1, 2, 2)
    assert abs(evidence.explained(noise, classes)) < 0.02
    # Between the classes a variance of 3/16 in each pixel, within them one of 3/16: a half.
    mixed = apart + noise * math.sqrt(3 / 16)
    assert evidence.explained(mixed, classes) == pytest.approx(0.5, abs=0.05)
    # Without a bias, however few there are of a class.
    few = [evidence.explained(rng.randn(32, 1, 2, 2), np.arange(32) % 10) for _ in range(200)]
    assert abs(np.mean(few)) < 0.02
    assert math.isnan(evidence.explained(noise[:4], np.arange(4)))
    assert math.isnan(evidence.explained(np.ones([4, 1, 2, 2]), np.arange(4) % 2))


def test_copies_and_classes():
    images = np.arange(10).reshape(10, 1, 1, 1)
    assert evidence.share_of_copies(images) == 0
    assert evidence.share_of_copies(images // 2) == 0.5
    np.testing.assert_array_equal(evidence.classes_of(np.eye(3)[[2, 0, 2]]), [2, 0, 2])
    for labels in (np.zeros([5, 0]), np.ones([5, 1]), np.eye(3)[[1, 1]], np.ones([4, 2])):
        assert evidence.classes_of(labels) is None


@pytest.mark.parametrize("beta1", [0.0, 0.9])
def test_a_step_is_what_the_weights_change_by(beta1):
    rng = np.random.RandomState(0)
    variables = {
        name: tf.Variable(rng.randn(*shape).astype(np.float32))
        for name, shape in (("a", [4, 5]), ("b", [3, 3, 2, 2]), ("c", [2, 7]), ("bias", [9]))
    }
    adam = Adam(variables, beta1=beta1, beta2=0.99, epsilon=1e-8, lazy_ratio=0.8)
    assert evidence.relative_step(adam, 0.01) == 0
    names = ["a", "b", "bias"]  # the stage does not train c
    strategy = tf.distribute.get_strategy()
    for _ in range(3):
        gradients = [tf.constant(rng.randn(*variables[name].shape), tf.float32) for name in names]
        before = {name: variables[name].numpy() for name in names}
        strategy.run(adam.apply, (names, gradients, tf.constant(0.01)))

    def size(array):
        return np.sqrt(np.mean(array**2))

    changes = [
        size(variables[name].numpy() - before[name]) / size(before[name]) for name in ("a", "b")
    ]
    assert evidence.relative_step(adam, 0.01) == pytest.approx(np.mean(changes), rel=0.02)


class D:
    """Scores are the images' mean, and one more for the first label; told in minibatches of 8."""

    options = types.MappingProxyType({"mbstd_group_size": 4})

    def stage(self, images, labels, level, alpha):
        assert images.shape[0] == 8
        assert (level, alpha is None) == (1, False)
        return tf.reduce_mean(images, [1, 2, 3])[:, None] + labels[:, :1]


class Sampler:
    """The label says how bright the images are."""

    def codes(self, latents, labels):
        assert latents.shape == (len(labels), 3)
        return labels.argmax(1)

    def images(self, codes, lod):
        assert lod == 1.25
        return np.repeat(codes.astype(np.uint8) * 20, 256).reshape(-1, 16, 16, 1)


@pytest.fixture(scope="module")
def gathered():
    """Of digits at 16×16, of which 8×8 train, while 4×4 fade out."""
    adam = Adam({"w": tf.Variable([[1.0]])}, beta1=0.0, beta2=0.99, epsilon=1e-8)
    parts = {"G_opt": adam, "D_opt": adam}
    state = types.SimpleNamespace(D=D(), Gs=types.SimpleNamespace(latent_size=3), parts=parts)
    point = SchedulePoint(1.0, 1.25, 8, 32, 0.1, 0.1, 1.0, passes=2)
    with open_dataset(inspect("digits", resolution=16, subset=300)) as digits:

        def gather(tick=0, cur_nimg=5000):
            one = Evidence(state, digits, Sampler(), seed=3, replicas=2)
            try:
                return one.gather(point, tick, cur_nimg)
            finally:
                one.close()

        yield gather(), gather(), gather(1, 6000)


def test_evidence_is_a_function_of_what_was_shown(gathered):
    one, same, other = gathered
    assert one == same
    assert one["score_train"] != other["score_train"]
    assert (one["class"], other["class"]) == (0, 1)


def test_every_kind_of_evidence(gathered):
    numbers = gathered[0]
    assert numbers["labels_fakes"] == pytest.approx(1)
    assert 0.2 < numbers["labels_reals"] < 0.7
    assert numbers["class_distance_fakes"] == 0
    assert 0.2 < numbers["class_distance_reals"] < numbers["distance_reals"] < 1
    assert numbers["copies"] < 0.05
    assert 0.3 < numbers["labels_say"] < 0.6
    assert abs(numbers["score_held_out"] - numbers["score_train"]) < 0.3
    assert -1 < numbers["score_fake"] < 0
    assert numbers["step_G"] == 0
