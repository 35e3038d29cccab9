"""Random inputs that depend on seed and number alone, and images made from them."""

import numpy as np
import pytest
import tensorflow as tf

from dnnlib.errors import UserError
from metrics.samples import SECOND_LATENT, Labels, Samples
from tests.metrics import small

pytestmark = pytest.mark.conformance


def made(samples, numbers, noise_numbers=None):
    noise_numbers = numbers if noise_numbers is None else noise_numbers

    @tf.function(autograph=False)
    def graph(numbers, noise_numbers):
        z = samples.latents(numbers)
        labels = tf.zeros([numbers.shape[0], samples.Gs.label_size])
        return samples.images(samples.codes(z, labels), noise_numbers)

    return graph(*(tf.constant(item, tf.int32) for item in (numbers, noise_numbers))).numpy()


@pytest.fixture(scope="module")
def samples():
    return Samples(small.generator(), seed=7)


def test_a_number_is_the_same_in_any_company(samples):
    whole = samples.latents(tf.range(10)).numpy()
    part = samples.latents(tf.constant([7, 3])).numpy()
    np.testing.assert_array_equal(part, whole[[7, 3]])
    images = made(samples, [5, 6, 7])
    np.testing.assert_allclose(made(samples, [7])[0], images[2], atol=1e-5)


def test_draws_differ_by_seed_number_and_purpose(samples):
    other = Samples(samples.Gs, seed=8)

    @tf.function(autograph=False)
    def drawn():
        numbers = tf.range(100)
        latents = samples.latents(numbers), samples.latents(numbers, SECOND_LATENT)
        return *latents, other.latents(numbers), samples.positions(tf.range(1000))

    *draws, positions = (draw.numpy() for draw in drawn())
    flat = np.stack([draw.ravel() for draw in draws] + [np.roll(draws[0], 1, axis=0).ravel()])
    correlations = np.corrcoef(flat)[np.triu_indices(4, 1)]
    assert np.abs(correlations).max() < 0.12  # 800 draws: four standard deviations are 0.14
    np.testing.assert_allclose(flat.std(axis=1), 1, atol=0.1)
    assert positions.shape == (1000, 1)
    assert 0 <= positions.min() < 0.02
    assert 0.98 < positions.max() < 1
    np.testing.assert_allclose(positions.mean(), 0.5, atol=0.04)


def test_noise_follows_its_own_numbers(samples):
    one, same, other = made(samples, [0, 0, 0], [4, 4, 5])
    np.testing.assert_allclose(one, same, atol=1e-5)
    assert np.abs(one - other).max() > 0.01


@pytest.mark.parametrize("func_name", ["G_style", "G_main"])
def test_no_truncation(func_name):
    Gs = small.generator(func_name, truncation_psi=0.5, truncation_cutoff=8)
    Gs.named["dlatent_avg"].assign(tf.fill([8], 3.0))
    samples = Samples(Gs, seed=0)
    z = samples.latents(tf.range(4))
    np.testing.assert_array_equal(samples.codes(z, tf.zeros([4, 0])), Gs.mapping(z))


def test_frozen_weights_of_stylegan2():
    Gs = small.generator("G_main")
    plain, frozen = (made(Samples(Gs, seed=0, frozen=frozen), [0, 1]) for frozen in (False, True))
    np.testing.assert_allclose(frozen, plain, atol=2e-5)
    other_noise = made(Samples(Gs, seed=0), [0, 1], [2, 3])
    assert np.abs(other_noise - plain).max() > 0.01


@pytest.mark.parametrize("func_name", ["G_style", "G_paper"])
def test_frozen_weights_and_half_grown_networks(func_name):
    Gs = small.generator(func_name)
    for lod in (0.0, 1.3):
        Gs.set_lod(lod)
        plain = made(Samples(Gs, seed=0), [0, 1])
        assert plain.shape == (2, 32, 32, 3)
        frozen = made(Samples(Gs, seed=0, frozen=True), [0, 1])
        np.testing.assert_allclose(frozen, plain, atol=2e-5)


def test_labels():
    class Data:
        class info:
            name, label_size = "digits", 3

        def random_labels(self, words, count):
            return np.full([count, 3], words[1])

    drawn = Labels(3, 5, Data())
    np.testing.assert_array_equal(drawn(np.array([2, 9])), [[2] * 3, [9] * 3])
    assert drawn.describe() == "drawn from the data set"

    uniform = Labels(4, 5)
    labels = uniform(np.arange(400))
    np.testing.assert_array_equal(labels.sum(axis=1), 1)
    assert (np.abs(labels.sum(axis=0) - 100) < 40).all()
    np.testing.assert_array_equal(uniform(np.array([17])), labels[17:18])

    assert Labels(0, 5, Data())(np.arange(3)).shape == (3, 0)
    with pytest.raises(UserError, match=r"network takes 4 labels, the data set digits has 3"):
        Labels(4, 5, Data())


def test_images_that_are_none():
    with pytest.raises(UserError, match=r"images of 2 channels; metrics need 1 or 3"):
        Samples(small.generator(num_channels=2), seed=0)


def test_fewer_classes_than_the_data_set_are_said_once(tmp_path):
    said = []
    with small.tools(tmp_path, say=said.append, dataset="synthetic-32-5") as tools:
        for label_size in (5, 0):
            tools.reals(32, 3, label_size)
        assert not said
        for _ in range(2):
            assert tools.reals(32, 3, 2).info.label_size == 2
    assert len(said) == 1
    assert "the network has 2 classes, the data set synthetic" in said[0]
    assert " 5: images of the others" in said[0]
