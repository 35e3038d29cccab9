"""ONNX models of generators make the images that the generators make, in ONNX Runtime."""

import json
import math

import numpy as np
import onnx
import pytest

import networks
from dnnlib.errors import UserError
from generation.onnx import build, export
from networks import registry
from tests import golden, toy_family
from tests.networks import common
from tests.networks.common import G_TINY, labels_for, normal, randomize
from tests.networks.test_golden_networks import TAGS, Case

pytestmark = pytest.mark.conformance

TOLERANCE = 1e-4  # of the range, which the format's verification promises; measured: 2e-6
SMALL = 1e-5  # of small networks
PAPER = dict(resolution=16, num_channels=3, fmap_base=64, fmap_max=8)
NONLINEARITIES = "linear relu tanh sigmoid elu selu softplus swish".split()
OF = {
    "G_style": (G_TINY, common.GENERATORS),
    "G_paper": (
        PAPER,
        {
            "default": {},
            "labels": dict(label_size=2, num_channels=1),
            "unfused": dict(fused_scale=False, use_leakyrelu=False),
            "no_pixelnorm": dict(use_pixelnorm=False, use_wscale=False),
            "norms": dict(normalize_latents=False, pixelnorm_epsilon=0.1),
        },
    ),
    "G_main": (
        G_TINY,
        {
            "default": {},
            "labels": dict(label_size=3, latent_size=6, dlatent_size=10),
            "resnet": dict(architecture="resnet"),
            "orig": dict(architecture="orig"),
            "no_mapping": dict(mapping_layers=0, normalize_latents=False),
            "cutoff": dict(truncation_cutoff=3),
            "nearest": dict(resample_kernel=None),
            "one_tap": dict(resample_kernel=[1.0]),
            "odd_taps": dict(resample_kernel=[1, 2, 1], num_channels=1),
            "many_taps": dict(resample_kernel=[1, 2, 3, 4, 5, 6], architecture="resnet"),
            "rows": dict(resample_kernel=[[1, 2, 1], [0, 1, 3]], architecture="resnet"),
            "smallest": dict(resolution=4),
            "revised": dict(synthesis_func="G_synthesis_stylegan_revised"),
            **{name: dict(nonlinearity=name, mapping_nonlinearity=name) for name in NONLINEARITIES},
        },
    ),
    "G_ada": (
        G_TINY,
        {
            "default": {},
            "labels": dict(label_size=3, label_fmaps=5, mapping_fmaps=None),
            "no_noise": dict(use_noise=False),
            "clamp": dict(conv_clamp=0.5, architecture="resnet"),
            "const": dict(fmap_const=5, architecture="orig"),
        },
    ),
}
CASES = [(name, case) for name, (_, cases) in OF.items() for case in cases]


def made(func_name, case="default", **options):
    base, cases = OF[func_name]
    return randomize(networks.build(func_name, seed=1, **{**base, **cases[case], **options}))


def session(network, part="generator", **options):
    model = build(network, part, **options)
    onnx.checker.check_model(model, full_check=True)
    return export.session_of(model.SerializeToString())


def difference(actual, expected):
    """The largest, as a share of the range."""
    assert actual.shape == expected.shape
    return np.abs(actual - np.asarray(expected)).max() / np.ptp(expected)


def inputs(network, count=3):
    feeds = {"z": normal(count, network.latent_size)}
    if network.label_size:
        feeds["labels"] = labels_for(network, count)
    return feeds


# ---------------------------------------------------------------- every family and option


@pytest.mark.parametrize(("func_name", "case"), CASES)
def test_whole_generators(func_name, case):
    network = made(func_name, case)
    feeds, truncation = inputs(network), {}
    if network.has_styles:
        feeds["psi"] = np.float32([0.6])
        truncation = dict(truncation_psi=0.6)
        if func_name == "G_main" and case == "cutoff":
            truncation["truncation_cutoff"] = 3
    images = session(network).run(["images"], feeds)[0]
    expected = network(feeds["z"], feeds.get("labels"), noise="fixed", **truncation)
    assert difference(images, expected) < SMALL


@pytest.mark.parametrize("func_name", OF)
def test_halves(func_name):
    """mapping, then synthesis with given noise, of one image or of each."""
    network = made(func_name, "labels")
    feeds = inputs(network)
    mapping, synthesis = session(network, "mapping"), session(network, "synthesis", noise="input")
    w = mapping.run(["w"], feeds)[0]
    codes = network.codes(feeds["z"], feeds["labels"], truncation_psi=None)
    assert difference(w, codes) < SMALL
    noise = [
        normal(3 if index % 2 else 1, *shape, 1, seed=index)
        for index, shape in enumerate(network.noise_shapes())
    ]
    given = {f"noise{index}": image for index, image in enumerate(noise)}
    assert [value.name for value in synthesis.get_inputs()] == ["w", *given]
    images = synthesis.run(["images"], {"w": w, **given})[0]
    assert difference(images, network.render(codes, noise=noise or None)) < SMALL
    if network.has_styles:
        np.testing.assert_array_equal(mapping.run(["w_avg"], feeds)[0], network.dlatent_avg)


def test_a_w_for_each_layer():
    network = made("G_main")
    w = normal(2, *network.w_shape)
    images = session(network, "synthesis", noise="none").run(["images"], {"w": w})[0]
    assert difference(images, network.render(w, noise="none")) < SMALL


@pytest.mark.parametrize("lod", [0.25, 1.0, 1.5, 2.0])
@pytest.mark.parametrize(
    ("func_name", "case"), [("G_style", "default"), ("G_paper", "default"), ("G_main", "revised")]
)
def test_growing_networks_at_their_level_of_detail(func_name, case, lod):
    network = made(func_name, case)
    network.set_lod(lod)
    feeds = inputs(network)
    expected = network(feeds["z"], noise="fixed", truncation_psi=None)
    if network.has_styles:
        feeds["psi"] = np.float32([1])
    images = session(network).run(["images"], feeds)[0]
    assert images.shape == (3, 16, 16, 3)
    assert difference(images, expected) < SMALL


def test_psi_is_one_for_all_or_one_for_each():
    network = made("G_style", "default", truncation_cutoff=3, resolution=32)
    whole, feeds = session(network), inputs(network, 2)

    def images(psi):
        return whole.run(["images"], {**feeds, "psi": np.float32(psi)})[0]

    for psi in (0.7, -0.5):
        expected = network(feeds["z"], noise="fixed", truncation_psi=psi, truncation_cutoff=3)
        assert difference(images([psi]), expected) < SMALL
    np.testing.assert_allclose(images([0.7, 0.2])[:1], images([0.7])[:1], atol=1e-5)
    assert difference(images([0.7, 0.2])[1:], images([0.7])[1:]) > 0.01


def test_a_cutoff_of_no_layer():
    network = made("G_style", "default", truncation_cutoff=0)
    feeds = {**inputs(network), "psi": np.float32([0.1])}
    images = session(network).run(["images"], feeds)[0]
    assert difference(images, network(feeds["z"], noise="fixed", truncation_psi=None)) < SMALL


# ---------------------------------------------------------------- golden networks


@pytest.mark.parametrize("tag", TAGS)
def test_golden_networks(tag):
    """The reference's own images of w (or z), at every lod that is recorded."""
    case = Case(tag)
    network = case.network("Gs")
    recorded = [key for key in case.data if key.startswith("images_lod")]
    for key in recorded if len(recorded) < 4 else [*recorded[:2], recorded[-1]]:
        lod, _, part = key.removeprefix("images_lod").partition("_")
        if part:  # of a large one
            continue
        network.set_lod(float(lod))
        feeds = {"w": case.data.get("Gs/dlatents")}
        if not network.has_styles:
            feeds = {"w": network.codes(case.data["z"], case.data["labels"]).numpy()}
        images = session(network, "synthesis").run(["images"], feeds)[0]
        assert difference(common.nchw(images), case.data[key]) <= TOLERANCE
    network.set_lod(0)
    cases = ((1, 0.7),) if tag in golden.LARGE else ((1, 1.0), (2, -0.5))
    largest, _ = export.Check(network, "fixed", cases).differences(session(network))
    print(f"{tag}: {largest:.1e}")
    assert largest <= TOLERANCE


@pytest.mark.parametrize("name", ["va", "ta", "tb", "te", "ts"])
def test_golden_networks_of_stylegan2_ada(name):
    """TensorFlow's and PyTorch's."""
    folder = "ada/ada_tf_pickles" if name == "va" else "ada/torch_pickles"
    data = dict(golden.load(f"{folder}/net_{name}.npz"))
    whole = session(networks.load(golden.path(f"{folder}/{name}.pkl"))[2])
    psi, key = (
        (-0.7, "images_run_psi-0.7_cutNone") if name == "va" else (0.7, "images_psi0.7_cutNone")
    )
    feeds = {"z": np.float32(data["z"]), "psi": np.float32([psi])}
    if data["labels"].size:
        feeds["labels"] = np.float32(data["labels"])
    assert difference(common.nchw(whole.run(["images"], feeds)[0]), data[key]) <= TOLERANCE


# ---------------------------------------------------------------- noise


@pytest.mark.parametrize("noise", ["none", "input", "random"])
def test_every_kind_of_noise(noise):
    for func_name in OF:
        network = made(func_name)
        check = export.Check(network, noise)
        assert check.differences(session(network, noise=noise))[0] < SMALL


def test_drawn_noise_is_each_images_own():
    network = made("G_style")
    drawn = session(network, "synthesis", noise="random")
    w = np.repeat(normal(1, *network.w_shape), 3, axis=0)

    def images(*seeds):
        return drawn.run(["images"], {"w": w[: len(seeds)], "seed": np.int64(seeds)})[0]

    three = images(5, 2**40, -3)
    np.testing.assert_allclose(three[1:2], images(2**40), atol=1e-5)
    np.testing.assert_array_equal(three, images(5, 2**40, -3))
    assert min(np.abs(three[0] - three[1]).max(), np.abs(three[1] - three[2]).max()) > 0.01


@pytest.fixture(scope="module")
def noise():
    """Of seeds 0 to 3, and of two large ones: {name: [6, H, W]}."""
    shapes = session(networks.build("G_style", seed=1, **{**G_TINY, "resolution": 64}), "noise")
    names = [value.name for value in shapes.get_outputs()]
    seeds = np.int64([0, 1, 2, 3, 2**31 - 1, 2**62])
    images = shapes.run(names, {"seed": seeds})
    return {name: image[..., 0] for name, image in zip(names, images)}


def test_drawn_noise_is_standard_normal(noise):
    values = np.concatenate([image.ravel() for image in noise.values()]).astype(np.float64)
    count = len(values)
    assert count == 2 * 6 * sum(4**log2 for log2 in range(2, 7))
    # Each within five of its standard errors.
    assert abs(values.mean()) < 5 / count**0.5
    assert abs(values.var() - 1) < 5 * (2 / count) ** 0.5
    assert abs((values**3).mean()) < 5 * (15 / count) ** 0.5
    assert abs((values**4).mean() - 3) < 5 * (96 / count) ** 0.5
    steps = np.sort(values)[:: count // 1000]
    ideal = (np.arange(len(steps)) * (count // 1000) + 0.5) / count
    erf = np.vectorize(math.erf)
    assert np.abs((1 + erf(steps / 2**0.5)) / 2 - ideal).max() < 1.95 / count**0.5


def test_drawn_noise_is_independent_of_seed_layer_and_pixel(noise):
    rows = np.concatenate([noise["noise8"], noise["noise9"]]).reshape(12, -1)
    for of in (rows, rows**2, np.abs(rows)):
        others = np.corrcoef(of) - np.eye(12)
        assert np.abs(others).max() < 4.5 / rows.shape[1] ** 0.5
    images = np.concatenate([noise["noise8"], noise["noise9"]]).astype(np.float64)
    spectrum = np.abs(np.fft.fft2(images)) ** 2 / 64**2
    assert spectrum.max() < 2.5 * np.log(spectrum.size)  # no period, no row or column
    for of in (images, images**2 - 1):
        for shift in ((0, 1), (1, 0), (1, 1), (0, 32), (32, 0)):
            moved = np.roll(of, shift, axis=(1, 2))
            assert abs((of * moved).mean()) < 4.5 * of.var() / of.size**0.5
    assert len(np.unique(images)) > 0.999 * images.size


# ---------------------------------------------------------------- how weights are stored


@pytest.mark.parametrize(("weights", "share"), [("float16", 0.5), ("int8", 0.25)])
def test_smaller_weights(weights, share):
    """They take their share of the file, and images stay near; arithmetic is float32."""
    options = dict(fmap_base=1024, fmap_max=64, dlatent_size=64, mapping_fmaps=64, latent_size=64)
    for func_name in ("G_style", "G_main"):
        network = made(func_name, "default", **options)
        full, small = (build(network, weights=kind, noise="none") for kind in ("float32", weights))
        size = [len(model.SerializeToString()) for model in (full, small)]
        assert size[1] < share * size[0] + 45_000  # nodes, biases, scales
        check = export.Check(network, "none")
        largest, usual = check.differences(export.session_of(small.SerializeToString()))
        assert usual < {"float16": 3e-4, "int8": 0.02}[weights]
        assert SMALL < largest < {"float16": 3e-3, "int8": 0.2}[weights]
        kinds = {value.type.tensor_type.elem_type for value in small.graph.input}
        assert kinds == {onnx.TensorProto.FLOAT}


def test_weights_beyond_half_precision_stay_as_they_are():
    network = made("G_paper")
    arrays = network.arrays()
    arrays["ToRGB_lod0/bias"] *= 0
    arrays["4x4/Dense/weight"] *= 1e7
    network.set_arrays(arrays)
    check = export.Check(network, "none")
    assert check.differences(session(network, weights="float16"))[0] < 3e-3


# ---------------------------------------------------------------- what a file says of itself


def test_metadata():
    network = made("G_style", "labels")
    model = build(network, weights="int8", noise="none", metadata={"licence": "CC0"})
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert (said["family"], said["func_name"]) == ("stylegan", "G_style")
    assert [said[key] for key in ("part", "weights", "noise")] == ["generator", "int8", "none"]
    assert json.loads(said["options"]) == json.loads(json.dumps(dict(network.options)))
    assert (said["truncation_cutoff"], said["licence"]) == ("6", "CC0")
    assert (model.opset_import[0].version, model.ir_version) == (17, 8)


def test_a_family_without_an_onnx_form():
    registry.register(toy_family.FAMILY)
    try:
        network = networks.build("G_toy", seed=3)
        with pytest.raises(
            UserError, match=r"ONNX: no form for a toy \(G_toy\); expected a network"
        ):
            build(network)
    finally:
        registry.unregister("toy")


def test_what_build_does_not_take():
    network = made("G_style")
    for name in ("part", "weights", "noise"):
        with pytest.raises(ValueError, match=f"{name}='x': expected one of "):
            build(network, **{name: "x"})
