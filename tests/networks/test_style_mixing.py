"""What training adds to a generator's call: the average of w, and style mixing."""

import re

import numpy as np
import pytest
import tensorflow as tf

import networks
from networks.style_based import mix_styles
from tests import golden
from tests.networks.common import TRADITIONAL, error, generator, labels_for, nchw, normal, randomize

pytestmark = pytest.mark.conformance


# ---------------------------------------------------------------- golden data


def test_golden_forward_passes():
    """Recorded calls with fixed draws: u (mix if below 0.9) and the cutoff."""
    data = dict(golden.load("train/train_base.npz"))
    data = {key[9:]: value for key, value in data.items() if key.startswith("stylemix/")}
    network = networks.build(
        "G_style",
        num_channels=3,
        resolution=16,
        fmap_base=256,
        fmap_max=32,
        latent_size=32,
        dlatent_size=32,
        mapping_fmaps=32,
    )
    variables = [(name, v.shape, v.trainable) for name, v in network.named.items()]
    arrays = golden.recipe_arrays("train_base", "G", variables)
    np.testing.assert_array_equal(arrays["dlatent_avg"], data["dlatent_avg_before"])
    cases = sorted({key.split("/")[0] for key in data if "/" in key})
    assert len(cases) == 6
    for case in cases:
        network.set_arrays(arrays)
        lod, u, cutoff = map(float, re.fullmatch(r"lod(.+)_u(.+)_cutoff(.+)", case).groups())
        layers = network.num_layers - 2 * int(lod)
        assert layers == data[f"{case}/cur_layers"]
        w, w2 = network.mapping(data["z"]), network.mapping(data["z2"])
        network.track_average(w)
        w = mix_styles(w, w2, int(cutoff) if u < 0.9 else layers)
        images = network.synthesis(w, noise="fixed", lod=lod)
        assert error(nchw(images), data[f"{case}/images"]) < 2e-5
        average = network.arrays()["dlatent_avg"]
        assert error(average, data[f"{case}/dlatent_avg_after"]) < 1e-6


# ---------------------------------------------------------------- the cutoff


def cutoffs(network, level, count, **options):
    """The cutoffs of `count` draws: the first mixed layer, current layers without mixing."""
    z = tf.constant(normal(2, 8))
    own = network.mapping(z).numpy()

    @tf.function
    def draw(seed):
        return network.training_codes(z, None, level, seed, **options)

    found = []
    for seed in range(count):
        mixed = (draw(tf.constant([seed, 5])).numpy() != own).any(axis=2)  # [N, layers]
        first = mixed.argmax(axis=1) if mixed.any() else [network.num_layers] * 2
        # One cutoff for the whole minibatch, and everything from it on is mixed.
        assert first[0] == first[1]
        assert (mixed == (np.arange(network.num_layers) >= first[0])).all()
        found.append(first[0])
    return np.array(found)


@pytest.mark.parametrize("probability", [0.9, 0.5])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_distribution_of_the_cutoff(level, probability):
    """Mixed with the stated probability, then uniform in [1, current layers)."""
    network, count = randomize(generator(style_mixing_prob=probability)), 600
    layers = network.num_layers - 2 * level
    found = cutoffs(network, level, count)
    assert set(found) == set(range(1, layers + 1))
    wanted = {cutoff: probability / (layers - 1) for cutoff in range(1, layers)}
    wanted[layers] = 1 - probability  # nothing that this stage uses is mixed
    for cutoff, share in wanted.items():
        margin = 4 * np.sqrt(share * (1 - share) / count)  # standard errors
        assert abs((found == cutoff).mean() - share) < margin


@pytest.mark.parametrize("probability", [None, 0, 0.0])
def test_no_mixing(probability):
    network = randomize(generator(style_mixing_prob=probability))
    assert set(cutoffs(network, 0, 30)) == {6}
    network = randomize(generator())
    assert set(cutoffs(network, 0, 30, mixing=probability)) == {6}


def test_always_mixing():
    network = randomize(generator(style_mixing_prob=1))
    assert set(cutoffs(network, 0, 60)) == {1, 2, 3, 4, 5}
    assert set(cutoffs(network, 2, 20)) == {1}
    assert set(cutoffs(randomize(generator(resolution=4)), 0, 60, mixing=1.0)) == {1}


def test_second_latents_are_normal_and_share_the_labels():
    """Without mapping layers and normalisation, w shows its latents and labels."""
    network = generator(
        mapping_layers=0,
        normalize_latents=False,
        label_size=3,
        dlatent_size=16,
        style_mixing_prob=1.0,
        dlatent_avg_beta=None,
    )
    z, labels = normal(200, 8), labels_for(network, 200)
    w = network.training_codes(z, labels, 0, tf.constant([1, 2])).numpy()
    second = w[:, -1]
    np.testing.assert_array_equal(w[:, 0, :8], z)
    np.testing.assert_array_equal(second[:, 8:], w[:, 0, 8:])
    margin = 4 / np.sqrt(second[:, :8].size)
    assert abs(second[:, :8].mean()) < margin
    assert abs(second[:, :8].std() - 1) < margin
    assert abs((second[:, :8] * z).mean()) < margin
    assert abs((second[::2, :8] * second[1::2, :8]).mean()) < margin * np.sqrt(2)


def test_a_training_call_mixes_and_repeats_by_its_seed():
    network = randomize(generator(style_mixing_prob=1))
    z = normal(2, 8)
    images = network(z, training=True, noise="fixed", seed=1)
    np.testing.assert_array_equal(images, network(z, training=True, noise="fixed", seed=1))
    others = [network(z, training=True, noise="fixed", seed=seed).numpy() for seed in (2, 3)]
    assert all(not np.array_equal(images, other) for other in others)
    # Training never truncates.
    plain = network(z, truncation_psi=None, noise="fixed")
    network = randomize(generator(style_mixing_prob=0))
    np.testing.assert_allclose(network(z, training=True, noise="fixed"), plain, atol=1e-5)


# ---------------------------------------------------------------- the average of w


@pytest.mark.parametrize("options", [{}, TRADITIONAL, dict(dlatent_avg_beta=0.9)])
def test_every_training_call_moves_the_average(options):
    network = randomize(generator(**options))
    beta = network.options["dlatent_avg_beta"]
    for seed in range(3):
        z = normal(5, 8, seed=seed)
        before = np.float64(network.arrays()["dlatent_avg"])
        mean = np.float64(network.mapping(z))[:, 0].mean(axis=0)
        network(z, training=True, lod=1)
        wanted = mean + (before - mean) * beta
        assert error(network.arrays()["dlatent_avg"], wanted) < 1e-6


def test_a_traced_training_call_moves_the_average():
    network, other = randomize(generator()), randomize(generator())
    z = normal(5, 8)
    traced = tf.function(lambda z: network(z, training=True, lod=0))
    for _ in range(2):
        traced(tf.constant(z))
        other(z, training=True)
    wanted = other.arrays()["dlatent_avg"]
    np.testing.assert_allclose(network.arrays()["dlatent_avg"], wanted, rtol=1e-5, atol=1e-7)


def test_other_calls_do_not_move_the_average():
    network = randomize(generator())
    before = network.arrays()
    z = normal(5, 8)
    network(z)
    network(z, training=False, lod=1.5)
    network.synthesis(network.mapping(z))
    for name, array in network.arrays().items():
        np.testing.assert_array_equal(array, before[name])


def test_the_average_starts_at_zero_and_can_be_off():
    network = generator(dlatent_avg_beta=None)
    network(normal(2, 8), training=True)
    assert not network.arrays()["dlatent_avg"].any()
