"""Networks of every option against an independent float64 NumPy version (numpy_networks.py).

Needs no golden data, so a fresh clone checks its networks too. Tolerance: 5e-5 of an array's
largest magnitude, float32 against float64. Instance norm over 4×4 values divides by small
deviations and enlarges rounding: measured 1.3e-5 at the worst.
"""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import networks
from networks import fast, ops
from networks.style_based import mix_styles
from tests.networks import numpy_networks as expected
from tests.networks.common import (
    DISCRIMINATORS,
    GENERATORS,
    discriminator,
    error,
    generator,
    images_for,
    labels_for,
    nchw,
    normal,
    randomize,
)

TOLERANCE = 5e-5
LODS = [0, 0.3, 1, 1.6, 2]

pytestmark = pytest.mark.conformance


def lods_of(network):
    if network.options["structure"] == "fixed":
        return [0]
    return [lod for lod in LODS if lod <= network.resolution_log2 - 2]


# ---------------------------------------------------------------- whole networks


@pytest.mark.parametrize("options", GENERATORS.values(), ids=GENERATORS)
def test_generator(options):
    network = randomize(generator(**options))
    arrays, opt = network.arrays(), network.options
    z, labels = normal(3, opt["latent_size"]), labels_for(network, 3)
    for lod in lods_of(network):
        images = network(z, labels, truncation_psi=None, noise="fixed", lod=lod)
        wanted = expected.generate(arrays, opt, z, labels, lod)
        found = error(nchw(images), wanted)
        print(f"error {found:.1e} at lod {lod}")
        assert found < TOLERANCE, lod


@pytest.mark.parametrize("options", DISCRIMINATORS.values(), ids=DISCRIMINATORS)
def test_discriminator(options):
    network = randomize(discriminator(**options))
    images, labels = images_for(network, 6), labels_for(network, 6)
    minibatches = [6, 1] if network.options["mbstd_group_size"] in (2, 3) else [4, 3, 1]
    for lod, count in itertools.product(lods_of(network), minibatches):
        scores = network(images[:count], labels[:count], lod=lod)
        wanted = expected.scores(
            network.arrays(), network.options, nchw(images[:count]), labels[:count], lod
        )
        found = error(scores, wanted)
        print(f"error {found:.1e} at lod {lod}")
        assert found < TOLERANCE, (lod, count)


@pytest.mark.parametrize("layers", [0, 1, 3, 8])
@pytest.mark.parametrize("label_size", [0, 3])
def test_mapping(layers, label_size):
    network = networks.build(
        "G_mapping",
        seed=1,
        latent_size=6,
        dlatent_size=5,
        mapping_fmaps=7,
        mapping_layers=layers,
        label_size=label_size,
    )
    randomize(network)
    z, labels = normal(4, 6), labels_for(network)
    w = expected.mapping(network.arrays(), network.options, z, labels, prefix="")
    assert error(network(z, labels), w) < TOLERANCE


def test_labels_none_are_zeros():
    for network, x in (
        (randomize(generator(label_size=3)).mapping, normal(4, 8)),
        (randomize(discriminator(label_size=3)), normal(4, 16, 16, 3)),
    ):
        np.testing.assert_array_equal(network(x), network(x, np.zeros([4, 3], np.float32)))


def test_default_lod_is_the_networks_own():
    for network in (randomize(generator()).synthesis, randomize(discriminator())):
        shape = [4, 6, 8] if network.func_name == "G_synthesis" else [4, 16, 16, 3]
        options = {"noise": "fixed"} if network.func_name == "G_synthesis" else {}
        x = normal(*shape)
        network.lod.assign(1.3)  # in float32, not quite 1.3
        np.testing.assert_array_equal(network(x, **options), network(x, lod=1.3, **options))
        network.set_arrays({**network.arrays(), "lod": np.float32(0)})
        np.testing.assert_array_equal(network(x, **options), network(x, lod=0, **options))


# ---------------------------------------------------------------- truncation, mixing


@pytest.fixture(scope="module")
def default_generator():
    return randomize(generator())


@pytest.mark.parametrize("psi", [0.7, -0.5, 0, 1, None])
@pytest.mark.parametrize("cutoff", [0, 3, 100, -1, None])
def test_truncation(default_generator, psi, cutoff):
    network = default_generator
    z = normal(3, 8)
    w = network.mapping(z).numpy()
    wanted = expected.truncate(network.arrays(), np.float64(w), psi, cutoff)
    assert error(network.truncate(w, psi, cutoff), wanted) < 1e-6
    images = network(z, truncation_psi=psi, truncation_cutoff=cutoff, noise="fixed")
    wanted = expected.synthesis(network.arrays(), network.options, wanted)
    assert error(nchw(images), wanted) < TOLERANCE


@pytest.mark.parametrize(
    ("own", "call", "used"),
    [
        ({}, {}, (0.7, 8)),
        (dict(truncation_psi=0.4, truncation_cutoff=2), {}, (0.4, 2)),
        (dict(truncation_psi=0.4, truncation_cutoff=2), dict(truncation_psi=0.9), (0.9, 2)),
        (dict(truncation_psi=0.4, truncation_cutoff=2), dict(truncation_cutoff=4), (0.4, 4)),
        (dict(truncation_psi=None), {}, (None, 8)),
        (dict(truncation_psi=None), dict(truncation_psi=0.5), (0.5, 8)),
        (dict(truncation_cutoff=None), dict(truncation_psi=0.5), (0.5, None)),
    ],
)
def test_a_calls_truncation_overrides_the_networks_own(own, call, used):
    network = randomize(generator(**own))
    z = normal(2, 8)
    w = expected.truncate(network.arrays(), np.float64(network.mapping(z)), *used)
    wanted = expected.synthesis(network.arrays(), network.options, w)
    assert error(nchw(network(z, noise="fixed", **call)), wanted) < TOLERANCE


@pytest.mark.parametrize("cutoff", [0, 1, 3, 6])
def test_mix_styles(cutoff):
    w, w2 = normal(3, 6, 4), normal(3, 6, 4, seed=1)
    wanted = w.copy()
    wanted[:, cutoff:] = w2[:, cutoff:]
    np.testing.assert_array_equal(mix_styles(w, w2, cutoff), wanted)
    np.testing.assert_array_equal(mix_styles(w, w2, tf.constant(cutoff)), wanted)


# ---------------------------------------------------------------- operations


@pytest.mark.parametrize("plan", [fast.PLAIN, fast.CPU], ids=["plain", "cpu"])
@pytest.mark.parametrize("fused", [True, False])
def test_scaling_convolutions(fused, plan):
    x, w = normal(2, 6, 6, 3), normal(3, 3, 3, 5)
    form = dict(fused=fused, fast=plan.fuse_scaling)
    up = ops.upscale_conv2d(tf.constant(x), ops.upscale_kernel(w, **form))
    down = ops.conv2d_downscale(tf.constant(x), ops.downscale_kernel(w, **form))
    x, w = np.float64(nchw(x)), np.float64(w)
    if fused:
        wanted = expected.transposed_conv(x, expected.kernel4(w))
        other = expected.conv(expected.upscale(x), w[::-1, ::-1])
        wanted_down = expected.conv(x, expected.kernel4(w) / 4, stride=2)
    else:
        wanted = expected.conv(expected.upscale(x), w)
        other = expected.transposed_conv(x, expected.kernel4(w[::-1, ::-1]))
        wanted_down = expected.downscale(expected.conv(x, w))
    assert error(other, wanted) < 1e-12  # fused(w) = unfused(mirrored w)
    assert error(nchw(up), wanted) < 1e-6
    assert error(nchw(down), wanted_down) < 1e-6


def test_auto_fuses_at_128_and_above():
    network = networks.build(
        "D_basic", resolution=256, fmap_base=256, fmap_max=2, mbstd_group_size=1
    )
    assert [network.fused(2**res) for res in range(3, 9)] == [False] * 4 + [True] * 2


@pytest.mark.parametrize(
    "taps", [[1], [1, 1], [1, 2, 1], [1, 3, 3, 1], [1, 4, 6, 4, 1], [1, 2, 4], [2, 0.5]]
)
def test_blur(taps):
    x = normal(2, 6, 6, 3)
    assert error(nchw(ops.blur2d(x, taps)), expected.blur(np.float64(nchw(x)), taps)) < 1e-6


def test_blur_darkens_edges_and_keeps_the_mean_inside():
    y = ops.blur2d(np.ones([1, 5, 5, 1], np.float32), [1, 2, 1])[0, :, :, 0].numpy()
    np.testing.assert_allclose(y[1:-1, 1:-1], 1, rtol=1e-6)
    np.testing.assert_allclose(y[0, 1:-1], 0.75, rtol=1e-6)
    np.testing.assert_allclose(y[0, 0], 0.5625, rtol=1e-6)


@pytest.mark.parametrize("no_taps", [None, [], ()])
def test_no_blur(no_taps):
    x = normal(1, 4, 4, 2)
    np.testing.assert_array_equal(ops.blur2d(x, no_taps), x)


@pytest.mark.parametrize("factor", [1, 2, 8])
def test_resampling(factor):
    x = normal(2, 8, 8, 3)
    up, down = ops.upscale2d(x, factor), ops.downscale2d(x, factor)
    np.testing.assert_array_equal(nchw(up), expected.upscale(nchw(x), factor))
    assert error(nchw(down), expected.downscale(np.float64(nchw(x)), factor)) < 1e-6
    assert error(ops.downscale2d(up, factor), x) < 1e-6


@pytest.mark.parametrize("count", [1, 2, 4, 8, 12])
@pytest.mark.parametrize(("group", "features"), [(4, 1), (2, 2), (4, 2), (100, 4)])
def test_minibatch_stddev(count, group, features):
    x = normal(count, 4, 4, 8)
    y = ops.minibatch_stddev(x, group, features)
    wanted = expected.minibatch_stddev(np.float64(nchw(x)), group, features)
    assert error(nchw(y), wanted) < 1e-6
    unknown = tf.TensorSpec([None, 4, 4, 8])
    traced = tf.function(lambda x: ops.minibatch_stddev(x, group, features), [unknown])
    np.testing.assert_allclose(traced(x), y, rtol=1e-6)


def test_norms():
    x = normal(2, 6, 6, 3) * 1e-3 + 5
    assert error(nchw(ops.instance_norm(x)), expected.instance_norm(np.float64(nchw(x)))) < 2e-3
    assert error(nchw(ops.pixel_norm(x)), expected.pixel_norm(np.float64(nchw(x)))) < 1e-6
    # The epsilon is inside the root: constant or zero features give zeros.
    zeros = np.zeros([1, 4, 4, 2], np.float32)
    np.testing.assert_array_equal(ops.instance_norm(zeros + 3), zeros)
    np.testing.assert_array_equal(ops.pixel_norm(zeros), zeros)
    small = np.full([1, 1], 1e-4, np.float32)
    np.testing.assert_allclose(ops.pixel_norm(small), np.sqrt(0.5), rtol=1e-5)


# ---------------------------------------------------------------- sizes and start values


def test_feature_maps():
    network = networks.build(
        "G_synthesis", resolution=64, fmap_base=100, fmap_decay=0.5, fmap_max=40
    )
    assert [network.fmaps(stage) for stage in range(1, 7)] == [40, 40, 35, 25, 17, 12]


def test_start_values():
    """Equalised learning rate stores N(0, 1/lrmul²) and scales at run time; without it, He's."""
    wide = dict(resolution=8, fmap_base=1024, fmap_max=64, latent_size=64, dlatent_size=64)
    for use_wscale in (True, False):
        network = generator(**wide, mapping_fmaps=64, use_wscale=use_wscale, label_size=40)
        for name, array in network.arrays().items():
            if name.endswith(("Noise/weight", "bias", "lod", "dlatent_avg")):
                assert not array.any()
            elif name.endswith("const"):
                assert (array == 1).all()
            else:
                gain = 1 if "StyleMod" in name or "ToRGB" in name else np.sqrt(2)
                he = gain / np.sqrt(np.prod(array.shape[:-1]))
                std = (1 if use_wscale else he) / (0.01 if "Dense" in name else 1)
                if "noise" in name or "LabelConcat" in name:
                    std = 1
                # Five standard errors of the deviation of that many draws.
                assert abs(array.std() / std - 1) < 5 / np.sqrt(2 * array.size), name


def test_seed_decides_the_start():
    first, again, other = generator(seed=5), generator(seed=5), generator(seed=6)
    name = "G_synthesis/8x8/Conv1/weight"
    for key, value in first.arrays().items():
        np.testing.assert_array_equal(value, again.arrays()[key])
    assert not np.array_equal(first.arrays()[name], other.arrays()[name])
    assert not np.array_equal(
        generator(seed=None).arrays()[name], generator(seed=None).arrays()[name]
    )
    # Equal shapes do not mean equal values.
    assert not np.array_equal(first.arrays()[name], first.arrays()["G_synthesis/4x4/Conv/weight"])


@pytest.mark.parametrize(
    ("resolution", "generator_size", "discriminator_size", "noise_size"),
    [
        (1024, 26_219_627, 23_087_249, 2_796_192),
        (512, 26_179_768, 23_080_225, 2_796_192 - 2 * 1024**2),
        (256, 26_086_229, 23_052_353, 2_796_192 - 2 * 1024**2 - 2 * 512**2),
    ],
)
def test_parameter_counts(resolution, generator_size, discriminator_size, noise_size, monkeypatch):
    """The published sizes, at all defaults."""
    # Only shapes count: no need to draw 75 million random numbers.
    monkeypatch.setattr(
        "networks.layers.Initial.__call__", lambda self, shape, dtype=None, **_: tf.zeros(shape)
    )

    def size(variables):
        return sum(int(np.prod(variable.shape)) for variable in variables)

    network = networks.build("G_style", num_channels=3, resolution=resolution)
    assert size(network.trainable().values()) == generator_size
    assert size(network.mapping.trainable().values()) == 2_101_248
    assert size(v for name, v in network.named.items() if "/noise" in name) == noise_size
    network = networks.build("D_basic", num_channels=3, resolution=resolution)
    assert size(network.trainable().values()) == discriminator_size
