"""StyleGAN2's operations against the reference's numbers, and what its networks refuse.

Whole networks are in test_golden_networks.py and in tests/training/test_golden_stylegan2.py.
Tolerance: 2e-6 of the largest magnitude; two computations in float32 differ by 5e-7 of it.
"""

import math
import re

import numpy as np
import pytest
import tensorflow as tf

import networks
from networks import fast
from networks.sampling import generator_function
from networks.stylegan2.activations import bias_act
from networks.stylegan2.ada import AdaDiscriminator, AdaGenerator
from networks.stylegan2.discriminator import Discriminator
from networks.stylegan2.generator import MainGenerator
from networks.stylegan2.layers import ModulatedConv2D
from tests import golden
from tests.networks.common import error, nchw, nhwc, normal, randomize

pytestmark = pytest.mark.conformance

TOLERANCE = 2e-6
TINY = dict(resolution=16, fmap_base=64, fmap_max=8, latent_size=8, dlatent_size=8, mapping_fmaps=8)


def test_bias_and_activation():
    data = dict(golden.load("stylegan2/misc2/bias_act.npz"))
    x, bias, dy = (tf.constant(v) for v in (nhwc(data["x"]), data["b"], nhwc(data["dy"])))
    cases = sorted({key.split("/")[0] for key in data if key.endswith("/dx")})
    assert len(cases) == 19
    for case in cases:
        act, *options = case.split("_")
        keywords = {o.rstrip("0123456789."): float(o.lstrip("abcdefghijklmnop")) for o in options}
        with tf.GradientTape() as tape:
            tape.watch([x, bias])
            y = bias_act(x, bias, act, **keywords)
        dx, db = tape.gradient(y, [x, bias], dy)
        assert error(nchw(y), data[f"{case}/y"]) < TOLERANCE, case
        assert error(nchw(dx), data[f"{case}/dx"]) < TOLERANCE, case
        assert error(db, data[f"{case}/db"]) < TOLERANCE, case
    assert error(bias_act(data["x2"], bias, "lrelu"), data["dense_lrelu/y"]) < TOLERANCE
    assert error(nchw(bias_act(x, None, "lrelu")), data["nobias_lrelu/y"]) < TOLERANCE


@pytest.mark.parametrize("plan", [fast.PLAIN, fast.CPU], ids=["plain", "fast"])
def test_modulated_convolution_and_its_two_derivatives(plan):
    data = dict(golden.load("stylegan2/misc2/modconv.npz"))
    with fast.using(plan):
        for case in data["cases"]:
            check_modulated(data, str(case))


def check_modulated(data, case):
    size, demodulate, form, *nearest = case.split("_")
    kernel = int(size[1:])
    weight = data[f"weight{kernel}"]
    layer = ModulatedConv2D(
        "layer",
        0,
        weight.shape[2],
        weight.shape[3],
        data["w_latent"].shape[1],
        kernel,
        demodulate=demodulate == "demod",
        resample=None if form == "same" else form,
        taps=None if nearest else (1, 3, 3, 1),
    )
    for name, value in (("weight", weight), ("mod_weight", data["mod_weight"])):
        layer.named[name].assign(value)
    layer.named["mod_bias"].assign(data["mod_bias"])
    x, w = tf.constant(nhwc(data["x"])), tf.constant(data["w_latent"])
    arguments = {"x": x, "w_latent": w, **layer.named}
    with tf.GradientTape() as outer:
        outer.watch([x, w])
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = layer(x, w)
        dy = tf.constant(nhwc(data[f"dy_{y.shape[1]}"]))
        first = dict(zip(arguments, tape.gradient(y, list(arguments.values()), dy)))
        total = tf.reduce_sum(tf.square(first["w_latent"]))
    second = dict(zip(arguments, outer.gradient(total, list(arguments.values()))))
    assert error(nchw(y), data[f"{case}/y"]) < TOLERANCE, case
    for kind, gradients in (("d", first), ("h", second)):
        for name, value in gradients.items():
            expected = data[f"{case}/{kind}{name}"]
            if value is None:
                assert not expected.any()
                continue
            value = nchw(value) if name == "x" else value
            assert error(value, expected) < 5 * TOLERANCE, (case, kind, name)


def test_what_cannot_make_an_image_is_refused():
    for options, message in (
        (dict(resolution=4, architecture="resnet"), "architecture='resnet', expected 'skip'"),
        (dict(architecture="dense"), "one of 'orig', 'skip', 'resnet'"),
        (dict(resample_kernel=[1, -1]), "their sum not 0"),
        (dict(resample_kernel=[[1, 2], [3]]), "or of rows of them"),
        (dict(mapping_layers=0), "dlatent_size=512, expected 6"),
    ):
        with pytest.raises(ValueError, match=message):
            networks.build("G_main", latent_size=6, **options)


def test_initial_values():
    """The constant is noise, not ones; styles start at 1, since the +1 is not in the variable."""
    G = networks.build("G_main", seed=1, **TINY)
    arrays = G.arrays()
    assert 0.7 < arrays["G_synthesis/4x4/Const/const"].std() < 1.3
    assert abs(arrays["G_synthesis/4x4/Const/const"].mean()) < 0.3
    for name, value in arrays.items():
        if name.rpartition("/")[2] in ("bias", "mod_bias", "noise_strength", "lod", "dlatent_avg"):
            assert not np.any(value), name
    assert arrays["G_mapping/Dense0/weight"].std() > 50  # 1 / lrmul


@pytest.mark.parametrize(
    ("network", "options", "trained"),
    [
        (MainGenerator, {}, 30_370_060),
        (MainGenerator, dict(fmap_base=8192), 24_900_764),
        (MainGenerator, dict(fmap_base=8192, resolution=256), 24_767_458),
        (MainGenerator, dict(architecture="orig"), 28_817_908),
        (MainGenerator, dict(architecture="resnet"), 30_040_564),
        (MainGenerator, dict(synthesis_func="G_synthesis_stylegan_revised"), 30_370_060),
        (Discriminator, {}, 29_012_513),
        (Discriminator, dict(fmap_base=8192, resolution=256), 24_001_089),
        (Discriminator, dict(architecture="orig"), 27_789_857),
        (Discriminator, dict(architecture="skip"), 27_801_889),
        (AdaGenerator, {}, 30_370_060),
        (AdaDiscriminator, {}, 29_012_513),
    ],
)
def test_parameters_of_the_published_networks(network, options, trained):
    shapes = network.shapes(**options)
    fixed = re.compile(r"(G_synthesis/)?lod|dlatent_avg|G_synthesis/noise\d+")
    sizes = {name: math.prod(shape) for name, shape in shapes.items() if not fixed.fullmatch(name)}
    assert sum(sizes.values()) == trained


@pytest.mark.parametrize(
    "options",
    [
        dict(architecture="resnet", label_size=3),
        dict(synthesis_func="G_synthesis_stylegan_revised"),
        dict(resample_kernel=None, nonlinearity="swish", dtype="bfloat16"),
    ],
)
def test_snapshots_and_frozen_weights(options, tmp_path):
    """The file tells the family; frozen weights and a snapshot's make the same images."""
    G = randomize(networks.build("G_main", seed=1, **{**TINY, **options}))
    networks.save(tmp_path / "net.safetensors", G=G)
    again, _, _ = networks.load(tmp_path / "net.safetensors")
    assert type(again) is MainGenerator
    assert again.options == G.options
    z, labels = normal(2, 8), np.eye(3, dtype=np.float32)[:2] if G.label_size else None
    expected = G(z, labels, noise="fixed").numpy()
    np.testing.assert_array_equal(again(z, labels, noise="fixed"), expected)
    frozen = generator_function(G, noise="fixed")(z, labels)
    assert error(frozen, expected) < (0.02 if G.options["dtype"] == "bfloat16" else 1e-5)


def test_growing_at_any_lod_is_its_stage():
    """Blocks above a stage are not evaluated, and a fade is between two stages."""
    G = randomize(
        networks.build("G_main", seed=1, synthesis_func="G_synthesis_stylegan_revised", **TINY)
    )
    D = randomize(networks.build("D_stylegan", seed=2, resolution=16, fmap_base=64, fmap_max=8))
    w = G.codes(normal(4, 8))
    whole = [G.synthesis(w, noise="none", lod=float(lod)).numpy() for lod in range(3)]
    for lod in (0.25, 1.5):
        level, alpha = int(lod), lod % 1
        mixed = whole[level] * (1 - alpha) + whole[level + 1] * alpha
        assert error(G.synthesis(w, noise="none", lod=lod), mixed) < 1e-5
    assert G.growing
    assert D.growing
    images = tf.constant(whole[2])  # of 4×4 pixels each four times as large
    np.testing.assert_allclose(D(images, lod=2.0), D.stage(images[:, ::4, ::4], None, 2), rtol=1e-5)
