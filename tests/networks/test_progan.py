"""G_paper and D_paper of every option against an independent float64 NumPy version.

Tolerance: 5e-5 of an array's largest magnitude, float32 against float64.
"""

import numpy as np
import pytest
import tensorflow as tf

import networks
from networks import fast, ops, registry
from networks.sampling import generator_function
from tests.networks import numpy_progan as expected
from tests.networks.common import error, images_for, labels_for, nchw, normal, randomize

TOLERANCE = 5e-5
LODS = [0, 0.3, 1, 1.6, 2]
SMALL = dict(num_channels=3, resolution=16, fmap_base=64, fmap_max=8)
GENERATORS = {
    "default": {},
    "labels": dict(label_size=3, latent_size=5),
    "unfused": dict(fused_scale=False),
    "relu": dict(use_leakyrelu=False, num_channels=1),
    "no_norms": dict(use_pixelnorm=False, normalize_latents=False),
    "epsilon": dict(pixelnorm_epsilon=0.1),
    "no_wscale": dict(use_wscale=False),
    "narrow": dict(fmap_base=40, fmap_decay=0.7, fmap_max=12),
    "smallest": dict(resolution=4),
}
DISCRIMINATORS = {
    "default": {},
    "labels": dict(label_size=3),
    "unfused": dict(fused_scale=False),
    "no_wscale": dict(use_wscale=False, num_channels=1),
    "no_stddev": dict(mbstd_group_size=0),
    "features": dict(mbstd_group_size=2, mbstd_num_features=2),
    "narrow": dict(fmap_base=40, fmap_decay=0.7, fmap_max=12),
    "smallest": dict(resolution=4),
}

pytestmark = pytest.mark.conformance


def make(func_name, **options):
    return randomize(networks.build(func_name, seed=1, **{**SMALL, **options}))


def lods_of(network):
    return [lod for lod in LODS if lod <= network.resolution_log2 - 2]


@pytest.mark.parametrize("plan", [fast.PLAIN, fast.CPU], ids=["plain", "cpu"])
@pytest.mark.parametrize("options", GENERATORS.values(), ids=GENERATORS)
def test_generator(options, plan):
    network = make("G_paper", **options)
    z, labels = normal(3, network.options["latent_size"]), labels_for(network, 3)
    with fast.using(plan):
        for lod in lods_of(network):
            images = nchw(network(z, labels, lod=lod))
            wanted = expected.generate(network.arrays(), network.options, z, labels, lod)
            assert error(images, wanted) < TOLERANCE, lod


@pytest.mark.parametrize("plan", [fast.PLAIN, fast.CPU], ids=["plain", "cpu"])
@pytest.mark.parametrize("options", DISCRIMINATORS.values(), ids=DISCRIMINATORS)
def test_discriminator(options, plan):
    network = make("D_paper", **options)
    images = images_for(network, 4)
    with fast.using(plan):
        for lod in lods_of(network):
            scores = network(images, labels_for(network, 4), lod=lod)
            wanted = expected.scores(network.arrays(), network.options, nchw(images), lod)
            assert error(scores, wanted) < TOLERANCE, lod


def test_labels_move_the_generator_and_not_the_discriminator():
    G, D = make("G_paper", label_size=3), make("D_paper", label_size=3)
    z, images = normal(4, 8), images_for(D)
    labels = np.eye(4, 3, dtype=np.float32)
    assert not np.allclose(G(z, labels), G(z))
    np.testing.assert_array_equal(G(z), G(z, 0 * labels))
    np.testing.assert_array_equal(D(images, labels), D(images))
    with pytest.raises(ValueError, match=r"G_paper: labels has shape \(4, 2\), expected \[N, 3\]"):
        G(z, labels[:, :2])
    with pytest.raises(ValueError, match=r"G_paper: z has shape \(4, 7\), expected \[N, 8\]"):
        G(z[:, :7])
    with pytest.raises(ValueError, match="D_paper: a minibatch of 6 does not divide"):
        D(normal(6, 16, 16, 3))


def test_latents_are_as_wide_as_the_innermost_features():
    for base, maximum, width in ((64, 8, 8), (6, 512, 6), (8192, 512, 512)):
        options = registry.resolve("G_paper", fmap_base=base, fmap_max=maximum, resolution=4)
        assert options["latent_size"] == width


def test_what_style_generators_know_is_without_effect():
    G = make("G_paper")
    z = normal(2, 8)
    wanted = G(z)
    found = G(z, training=True, truncation_psi=0.3, truncation_cutoff=2, noise="random", seed=3)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(make("G_paper", structure="recursive", num_gpus=4)(z), wanted)


@pytest.mark.parametrize("option", [dict(fused_scale="auto"), dict(use_noise=True)])
def test_what_it_does_not_have_is_an_error(option):
    with pytest.raises(ValueError, match=f"G_paper.*{next(iter(option))}"):
        networks.build("G_paper", **SMALL, **option)


def test_stages_and_full_size_calls_agree():
    """What training does: at the current resolution, in one trace for all of a fade."""
    G, D = make("G_paper"), make("D_paper")
    z = tf.constant(normal(4, 8))
    traces = []

    @tf.function(autograph=False)
    def score(z, alpha):
        traces.append(1)
        images = G.training_stage(z, None, 1, alpha, seed=[0, 0])
        assert images.shape[1:] == [8, 8, 3]
        return D.stage(images, None, 1, alpha)

    for alpha in (0.0, 0.25, 0.999):
        wanted = D(G(z, lod=1 + alpha), lod=1 + alpha)
        np.testing.assert_allclose(score(z, tf.constant(alpha)), wanted, rtol=1e-4, atol=1e-5)
    assert len(traces) == 1
    stage = set(G.trainable(1, True)) | set(D.trainable(1, True))
    assert {"ToRGB_lod1/bias", "ToRGB_lod2/bias", "FromRGB_lod1/bias", "8x8/Conv0/bias"} <= stage
    assert not any("lod0" in name or "16x16" in name for name in stage)


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.15), ("float16", 0.05)])
def test_low_precision(dtype, tolerance):
    for name in ("G_paper", "D_paper"):
        network, low = make(name), make(name, dtype=dtype)
        x = normal(4, 8) if name == "G_paper" else images_for(network)
        found = low(x, lod=0.5)
        assert found.dtype == tf.float32
        assert error(found, network(x, lod=0.5)) < tolerance


def test_generator_function():
    G = make("G_paper", label_size=2)
    z, labels = normal(3, 8), labels_for(G, 3)
    found = generator_function(G, lod=0.5, truncation_psi=None)(z, labels)
    assert error(found, G(z, labels, lod=0.5)) < 1e-5


def test_snapshots(tmp_path):
    G, D = make("G_paper", fused_scale=False), make("D_paper", fused_scale=False)
    networks.save(tmp_path / "n.safetensors", G=G, D=D)
    loaded = networks.load(tmp_path / "n.safetensors")
    for network, other in zip((G, D), loaded):
        assert other.func_name == network.func_name
        assert other.options == network.options
        for name, array in network.arrays().items():
            np.testing.assert_array_equal(other.arrays()[name], array)


def test_leaky_relu_has_slope_one_fifth_at_zero():
    """StyleGAN's, ops.leaky_relu, has slope 1 there."""
    x = tf.constant([-1.0, 0.0, 1.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ops.ACTIVATIONS["lrelu_progan"](x)
    np.testing.assert_allclose(y, [-0.2, 0, 1])
    np.testing.assert_allclose(tape.gradient(y, x), [0.2, 0.2, 1])
