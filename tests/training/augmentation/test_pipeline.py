"""The augmentation pipeline against recorded results of the original, and against itself."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tests import golden
from tests.training.augmentation.percentile import at_percentile, channels_last
from training.augmentation import bands, draws, pipeline
from training.augmentation.transforms import ALL, SETS, Transforms

pytestmark = pytest.mark.conformance
CASES = {
    name: f"ada/augment/{name}.npz"
    for name in ("debug_rgb16", "debug_gray16", "debug_rgb32", "debug_gray32", "grad_rgb16")
}


def close(found, expected):
    """Within 2e-5 of the maximum."""
    scale = max(np.abs(expected).max(), 1.0)
    np.testing.assert_allclose(found, channels_last(expected), rtol=0, atol=2e-5 * scale)


def transforms_named(name, **options):
    if name in SETS:
        return Transforms.of(name, **options)
    return Transforms(**{name: 1.0}, **options)


@pytest.mark.parametrize("case", CASES)
def test_every_transform_and_set(case):
    data = golden.load(CASES[case])
    images = channels_last(data["images"])
    keys = [key for key in data if "/p" in key and not key.startswith("grad/")]
    assert len(keys) >= 8
    for key in keys:
        name, q = key.rsplit("/p", 1)
        transforms = transforms_named(name)
        parameters = at_percentile(transforms, float(q), images, data["noise_field"])
        x = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = pipeline.apply(x, transforms, parameters)
            total = tf.reduce_sum(result * channels_last(data["grad_weights"]))
        close(result, data[key])
        if f"grad/{key}" in data:
            close(tape.gradient(total, x), data[f"grad/{key}"])


def test_other_ranges():
    data = golden.load("ada/augment/options.npz")
    for key in data:
        if "/p" not in key:
            continue
        name, q = key.rsplit("/p", 1)
        option, text = re.fullmatch(r"(\w+_(?:max|std|size|bands))([\d.]+)", name).groups()
        value = tuple(map(float, text)) if option == "imgfilter_bands" else float(text)
        transform = option.rsplit("_", 1)[0]
        images = data["images32" if transform == "imgfilter" else "images"]
        transforms = Transforms(**{transform: 1.0, option: value})
        images = channels_last(images)
        parameters = at_percentile(transforms, float(q), images, None)
        close(pipeline.apply(tf.constant(images), transforms, parameters), data[key])


class Recorded:
    """Draws of the original, in its order."""

    def __init__(self, data, tag, kinds):
        self.arrays = [data[f"{tag}/draw{k:02d}"] for k in range(len(kinds))]
        self.kinds = [kind for kind, *_ in kinds]
        self.next = 0

    def _take(self, kind, shape):
        array = self.arrays[self.next]
        assert self.kinds[self.next] == kind
        self.next += 1
        if len(shape) == 3:  # the noise field
            return tf.constant(channels_last(array))
        return tf.constant(array.reshape([len(array), *shape]))

    def uniform(self, shape):
        return self._take("uniform", shape)

    def normal(self, shape):
        return self._take("normal", shape)


def test_recorded_draws():
    data = golden.load("ada/augment/draws.npz")
    for tag, kinds in golden.load("ada/augment/draws.json").items():
        _, name, p = tag.split("_")
        images = channels_last(data[f"{tag}/images"])
        source, transforms = Recorded(data, tag, kinds), Transforms.of(name)
        parameters = draws.draw(transforms, float(p[1:]), source, images.shape[1:])
        assert source.next == len(kinds)
        close(pipeline.apply(tf.constant(images), transforms, parameters), data[f"{tag}/out"])


def test_the_filters():
    filters = golden.load("ada/augment/filters.npz")
    np.testing.assert_allclose(bands.filter_bank(), filters["Hz_fbank"], atol=1e-7)


def test_set_up():
    assert SETS["bgcfnc"] == ALL
    on = {name for name in ALL if getattr(Transforms.of("bgc"), name)}
    assert on == set(ALL) - {"imgfilter", "noise", "cutout"}


def test_p_is_a_probability():
    transforms = Transforms.of("bgcfnc")

    def drawn(p):
        seed = tf.constant([3, 1])
        return draws.draw(transforms, p, draws.SeededSource(seed, 2000), (2, 2, 3))

    neutral = {"scale": 1, "aniso": 1, "contrast": 1, "saturation": 1, "imgfilter": 1}
    for p, low, high in ((0.0, 0, 0), (0.3, 0.26, 0.34), (1.5, 1, 1)):
        values = drawn(p)
        changed = {
            name: np.asarray(value) != neutral.get(name, 0)
            for name, value in values.items()
            if name not in ("cutout_center", "noise_field")
        }
        either = changed.pop("rotate_before") | changed.pop("rotate_after")
        changed["rotate"] = either
        for name, share in changed.items():
            choices = {"xflip": 2, "lumaflip": 2, "rotate90": 4}.get(name, 1)
            possible = 1 - 1 / choices if choices > 1 else 1
            assert low * possible - 0.02 <= share.mean() <= high * possible + 0.02, name
    again = drawn(0.3)
    np.testing.assert_array_equal(again["hue"], drawn(0.3)["hue"])


def test_identity_and_adjoint():
    """With nothing to do the geometry returns its input; else it is linear, exactly adjoint."""
    rng = np.random.RandomState(1)
    x, y = (tf.constant(rng.randn(2, 16, 24, 3), tf.float32) for _ in range(2))
    transforms = Transforms.of("bg")
    still = draws.draw(transforms, 0.0, draws.SeededSource(tf.constant([1, 2]), 2), (16, 24, 3))
    np.testing.assert_allclose(pipeline.apply(x, transforms, still), x, atol=2e-6)
    moved = draws.draw(transforms, 2.0, draws.SeededSource(tf.constant([1, 2]), 2), (16, 24, 3))
    with tf.GradientTape() as outer:
        outer.watch(y)
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(pipeline.apply(x, transforms, moved) * y)
        adjoint = tape.gradient(total, x)
        second = tf.reduce_sum(adjoint * x)
    np.testing.assert_allclose(total, second, rtol=1e-5)  # <Ax, y> = <x, Aᵀy>
    np.testing.assert_allclose(
        outer.gradient(second, y), pipeline.apply(x, transforms, moved), atol=1e-5
    )


def test_in_a_graph_of_any_minibatch():
    transforms = Transforms.of("bgcfnc")

    @tf.function(input_signature=[tf.TensorSpec([None, 24, 24, 1]), tf.TensorSpec([])])
    def graph(images, p):
        return pipeline.augment(images, transforms, p, tf.constant([1, 2]))

    assert graph(tf.zeros([3, 24, 24, 1]), 1.0).shape == [3, 24, 24, 1]
    image = tf.random.stateless_normal([1, 24, 24, 1], [1, 2])
    np.testing.assert_allclose(graph(image, 0.0), image, atol=1e-5)
