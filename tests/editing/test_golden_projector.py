"""The projector against the reference implementations, with their stand-in distances."""

import numpy as np
import pytest
import tensorflow as tf

import networks
from editing import projection
from editing.projection import Projector, Start
from tests import golden

pytestmark = pytest.mark.conformance


class MeanSquares:
    """The mean squared difference of images in 0…255, divided."""

    name = "mean squares"

    def __init__(self, divisor=1.0):
        self.divisor = divisor

    def embed(self, images):
        return [images]

    def between(self, first, second):
        squares = tf.math.squared_difference(first[0], second[0])
        return tf.reduce_mean(squares, axis=[1, 2, 3]) / self.divisor


@pytest.fixture(scope="module")
def recorded():
    return dict(golden.load("stylegan2/misc2/projector.npz"))


@pytest.fixture(scope="module")
def G():
    meta = golden.load("stylegan2/train2/train_s2_base_meta.json")
    G = networks.build(**dict(meta["G"], dtype="float32"))
    G.set_arrays(golden.recipe_arrays("train_s2_base", "G", meta["G_vars"]))
    return G


def close(actual, expected, of_max=2e-5, atol=0.0):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    error = np.abs(actual - expected).max()
    assert error <= max(of_max * np.abs(expected).max(), atol), error


def nhwc(image):
    return np.transpose(image, [0, 2, 3, 1])


@pytest.mark.parametrize("steps", [10, 50, 100, 1000])
def test_the_schedule_is_the_reference_s(recorded, steps):
    for step, rate, strength in recorded[f"ramps{steps}"]:
        t = step / steps
        assert projection.learning_rate(t) == pytest.approx(rate, rel=1e-6, abs=1e-12)
        assert projection.noise_strength(t) == pytest.approx(strength, rel=1e-6, abs=1e-12)


def test_noise_images_are_measured_and_normalised_alike(recorded):
    for index in range(6):
        image = nhwc(recorded[f"reg/noise{index}"])
        value = projection.regularity(tf.constant(image)).numpy()
        close(value, recorded[f"reg/noise{index}_value_float64"][None], 1e-5, 1e-9)
        expected = nhwc(recorded[f"normalize/noise{index}"])
        close(projection.normalized(tf.constant(image)), expected, 2e-6)


@pytest.mark.parametrize("count", [100, 10_000])
def test_statistics_of_w(recorded, G, count):
    average, deviation = projection.w_statistics(G, count=count)
    close(average, recorded[f"stats{count}/dlatent_avg"][0, 0], 2e-5)
    assert deviation == pytest.approx(float(recorded[f"stats{count}/dlatent_std"]), rel=1e-5)


def start_of(recorded, count=10_000):
    return Start(
        w=recorded[f"stats{count}/dlatent_avg"][0],
        deviations=recorded[f"stats{count}/dlatent_std"].reshape(1),
        noise=[nhwc(recorded[f"noise_init/{index}"]) for index in range(5)],
    )


def test_stylegan2_s_projector_step_by_step(recorded, G):
    projector = Projector(G, MeanSquares())
    projector.start(start_of(recorded), nhwc(recorded["target"]) * 127.5 + 127.5)
    for step, (row, drawn) in enumerate(zip(recorded["steps"], recorded["w_noise"]), 1):
        distances, losses = projector.step(row[1], drawn)
        close([distances[0], losses[0]], row[4:], 2e-5)
        if f"after{step}/dlatents" in recorded:
            close(projector.w.numpy(), recorded[f"after{step}/dlatents"], 2e-5)
            for index, image in enumerate(projector.noise):
                close(image.numpy(), nhwc(recorded[f"after{step}/noise{index}"]), 2e-5)
    w = projector.found_w()
    close(w, recorded["final/dlatents"])
    images = G.render(w, noise=[tf.constant(image) for image in projector.noise])
    close(images, nhwc(recorded["final/images"]), 5e-5)


def test_ada_s_projector_step_by_step():
    data = dict(golden.load("ada/projector3/projector_ta.npz"))
    G = networks.load(golden.path("ada/torch_pickles/ta.pkl"))[2]
    steps, count = data["params"]
    average, deviation = projection.w_statistics(G, count=count)
    noise = [data[key][None, :, :, None] for key in data if key.startswith("noise_init/")]
    projector = Projector(G, MeanSquares(4096.0))
    projector.start(
        Start(average[None], np.float32([deviation]), noise),
        np.transpose(data["target_u8"], [1, 2, 0])[None],
    )
    for step in range(steps):
        shown = projector.step(step / steps, data["w_noise"][step][None, None])
        np.testing.assert_allclose(
            [value[0] for value in shown], data["dist_loss"][step], rtol=2e-5, atol=0.006
        )
        close(projector.w.numpy()[0, 0], data["w"][step], 2e-5)


def test_pictures_do_not_depend_on_their_company(recorded, G):
    targets = np.random.RandomState(0).randint(0, 256, [3, 16, 16, 3]).astype(np.uint8)
    options = dict(steps=3, progress=False)
    alone = projection.project(G, targets[:1], MeanSquares(), **options)
    together = projection.project(G, targets, MeanSquares(), minibatch=2, **options)
    assert together.w.shape == (3, *G.w_shape)
    assert together.path.shape == (3, 1, 20)
    close(together.w[:1], alone.w, 1e-5)
    close(together.noise[4][:1], alone.noise[4], 1e-4)


def test_w_plus_moves_each_layer(G):
    target = np.random.RandomState(0).randint(0, 256, [1, 16, 16, 3]).astype(np.uint8)
    found = projection.project(G, target, MeanSquares(), steps=3, space="w+", progress=False)
    assert found.w.shape == (1, *G.w_shape)
    assert np.ptp(found.w[0], axis=0).min() > 0


def test_a_growing_network_is_searched_at_its_own_lod_and_in_float32():
    """A bfloat16 network of which the last resolution is still fading in."""
    from tests.networks.common import generator, randomize

    G = generator(dtype="bfloat16", num_channels=1)
    randomize(G, seed=5)
    G.set_lod(1.4)
    w = G.codes(np.random.RandomState(0).randn(1, G.latent_size), truncation_psi=None)
    exact = G.copy(dtype="float32")
    target = exact.render(w, 1, 0.4, noise="none").numpy().repeat(2, axis=1).repeat(2, axis=2)
    pixels = (np.clip(target, -1, 1) * 127.5 + 127.5).round().astype(np.uint8)
    found = projection.project(G, pixels, MeanSquares(), steps=60, progress=False)
    assert found.distances[-1, 0] < found.distances[0, 0] / 3
