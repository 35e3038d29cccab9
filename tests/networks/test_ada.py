"""StyleGAN2-ADA's networks against the numbers of the TensorFlow version, and against NumPy.

Tolerances as the golden README states them: images and w 2e-5 of the largest magnitude, scores
5e-6.
"""

import dataclasses
import re

import numpy as np
import pytest

import networks
from dnnlib.pickles import tf_networks
from networks import fast, legacy, registry
from tests import golden
from tests.networks import numpy_ada
from tests.networks.common import error, images_for, labels_for, nchw, nhwc, normal, randomize

pytestmark = pytest.mark.conformance

IMAGES, SCORES = 2e-5, 5e-6
PLANS = {"plain": fast.PLAIN, "fast": fast.CPU}


@pytest.fixture(scope="module")
def va():
    return networks.load(golden.path("ada/ada_tf_pickles/va.pkl"))


def test_a_tensorflow_pickle_has_the_recorded_variables(va):
    meta = golden.load("ada/ada_tf_pickles/va_meta.json")
    for role, network in zip(legacy.ROLES, va):
        rows = meta[role[0]]["vars"]
        assert list(network.named) == [row["name"] for row in rows]
        assert list(network.trainable()) == [row["name"] for row in rows if row["trainable"]]
        for row in rows:
            wanted = golden.recipe("va", role, row["name"], row["shape"])
            np.testing.assert_array_equal(network.named[row["name"]], wanted)


@pytest.mark.parametrize("plan", PLANS)
def test_a_tensorflow_pickle_computes_what_is_recorded(plan, va):
    G, D, Gs = va
    data = dict(golden.load("ada/ada_tf_pickles/net_va.npz"))
    z, labels = data["z"], data["labels"]
    with fast.using(PLANS[plan]):
        made = {
            "G/dlatents": (G.mapping(z, labels), IMAGES),
            "Gs/dlatents": (Gs.mapping(z, labels), IMAGES),
            "G/dlatent_avg": (G.named["dlatent_avg"], 0),
            "Gs/dlatent_avg": (Gs.named["dlatent_avg"], 0),
            "images_lod0": (nchw(Gs.synthesis(data["Gs/dlatents"], noise="fixed")), IMAGES),
        }
        for key in data:
            if key.startswith("images_run_"):
                network, options = _of_a_run(key, G, Gs)
                images = network.run(z, labels, randomize_noise=False, **options)
                made[key] = images, IMAGES
            if key.startswith("scores_"):
                count = int(key.partition("first")[2] or len(data["d_images"]))
                images, of = data["d_images"][:count], data["d_labels"][:count]
                made[key] = D(nhwc(images), of), SCORES
    assert set(data) - set(made) == {"z", "labels", "d_images", "d_labels"}
    errors = {key: error(value, data[key]) for key, (value, _) in made.items()}
    print({key: f"{value:.1e}" for key, value in errors.items()})
    assert not {key: value for key, value in errors.items() if not value <= made[key][1]}


def _of_a_run(key, G, Gs):
    """The network and the keywords of an array 'images_run_psi0.7_cut8'."""
    options = {}
    for kind, value in re.findall(r"(psi|cut)([-0-9.]+|None)", key):
        name = {"psi": "truncation_psi", "cut": "truncation_cutoff"}[kind]
        options[name] = None if value == "None" else float(value)
    if key.endswith("validation"):
        options["is_validation"] = True
    return (G if "_G_" in key else Gs), options


def test_the_converted_file_computes_the_same():
    """By the original's own converter to PyTorch; w + 1 - 1 rounds the biases of styles."""
    _, D, Gs = networks.load(golden.path("ada/torch_pickles/va_converted.pkl"))
    data = golden.load("ada/ada_tf_pickles/net_va.npz")
    z, labels = data["z"], data["labels"]
    images = nchw(Gs(z, labels, noise="fixed"))
    assert error(images, data["images_run_psi1"]) <= IMAGES
    images = Gs.run(z, labels, randomize_noise=False, truncation_psi=0.5, truncation_cutoff=3)
    assert error(images, data["images_run_psi0.5_cut3"]) <= IMAGES
    assert error(D(nhwc(data["d_images"]), data["d_labels"]), data["scores_lod0"]) <= SCORES


# ---------------------------------------------------------------- options, against NumPy

COMMON = dict(resolution=16, fmap_base=64, fmap_max=8)
TINY_W = dict(latent_size=8, dlatent_size=8, mapping_layers=2)
GENERATORS = {
    "as usual": dict(),
    "gray, plain": dict(num_channels=1, architecture="orig", conv_clamp=0.7),
    "widths": dict(label_size=3, label_fmaps=5, mapping_fmaps=7, fmap_const=6, fmap_base=40),
    "one label": dict(label_size=1, mapping_layers=0, dlatent_size=16),
    "residual": dict(architecture="resnet", conv_clamp=0.5, nonlinearity="relu", use_noise=False),
    "odd filter": dict(resample_kernel=[1, 2, 4], mapping_lrmul=0.02, mapping_nonlinearity="relu"),
    "long filter": dict(resample_kernel=[1, 2, 3, 5, 1, 2], architecture="resnet"),
    "short filter": dict(resample_kernel=[1, 3], fmap_min=3, fmap_decay=1.5),
    "smallest": dict(resolution=4, architecture="resnet"),
}
DISCRIMINATORS = {
    "as usual": dict(),
    "gray, skip": dict(architecture="skip", num_channels=1, conv_clamp=0.6),
    "PyTorch's clamp": dict(architecture="skip", conv_clamp=0.3, clamp_last_from_rgb=False),
    "labels": dict(label_size=3, mbstd_group_size=2, mbstd_num_features=2),
    "mapping": dict(
        label_size=3,
        mapping_layers=3,
        mapping_fmaps=5,
        label_fmaps=6,
        cmap_dim=9,
        mapping_lrmul=0.5,
    ),
    "one layer": dict(label_size=2, mapping_layers=1, mapping_nonlinearity="relu"),
    "no projection": dict(label_size=3, cmap_dim=0),
    "plain": dict(architecture="orig", final_nonlinearity="relu", dense_fmaps=11, conv_clamp=1.0),
    "odd filter": dict(resample_kernel=[1, 2, 4], nonlinearity="relu", mbstd_num_features=0),
    "long filter": dict(resample_kernel=[1, 2, 3, 5, 1, 2], mbstd_group_size=1),
    "short filter": dict(resample_kernel=[1, 3], final_nonlinearity="lrelu", nonlinearity="relu"),
}


@pytest.mark.parametrize("case", GENERATORS)
def test_generators_are_as_specified(case):
    options = {**COMMON, **TINY_W, **GENERATORS[case]}
    G = randomize(networks.build("G_ada", seed=1, **options))
    z, labels = normal(3, 8), labels_for(G, 3)
    arrays = G.arrays()
    w = G.mapping(z, labels)
    assert error(w[:, 0], numpy_ada.mapping(arrays, G.options, z, labels)) <= IMAGES
    mixed = normal(3, *w.shape[1:], seed=8)
    images = nchw(G.synthesis(mixed, noise="fixed"))
    assert error(images, numpy_ada.synthesis(arrays, G.options, np.float64(mixed))) <= IMAGES
    clamp = G.options["conv_clamp"]
    if clamp is not None:  # that it is one that acts
        assert np.abs(images).max() <= clamp + 1e-6


@pytest.mark.parametrize("case", DISCRIMINATORS)
def test_discriminators_are_as_specified(case):
    D = randomize(networks.build("D_ada", seed=1, **{**COMMON, **DISCRIMINATORS[case]}))
    images, labels = images_for(D, 6), labels_for(D, 6)
    expected = numpy_ada.discriminator(D.arrays(), D.options, nchw(images), labels)
    assert error(D(images, labels), expected) <= IMAGES


# ---------------------------------------------------------------- files


def pickled(func_name, options, **changed):
    """A network of version 5, as the reader returns it."""
    network = networks.build({"G_main": "G_ada", "D_main": "D_ada"}[func_name], seed=1, **options)
    fields = dict(
        name=func_name[0],
        version=5,
        func_name=f"training.networks.{func_name}",
        static_kwargs=options,
        variables=randomize(network).arrays(),
        components={},
        source_sha256="",
        class_name="",
        extra={},
    )
    return tf_networks.LegacyNetwork(**{**fields, **changed})


TINY_G = dict(latent_size=8, dlatent_size=8, mapping_layers=1, resolution=8, fmap_base=16)
TINY_D = dict(resolution=8, fmap_base=16)


@pytest.mark.parametrize(
    ("func_name", "keyword", "value"),
    [
        ("D_main", "use_pagan", True),
        ("D_main", "use_spectral_norm", True),
        ("D_main", "adaptive_dropout", 0.3),
        ("D_main", "augment_strength", 0.5),
        ("D_main", "score_max", 1),
        ("G_main", "synthesis_func", "G_other"),
        ("G_main", "mapping_func", "G_other"),
        ("G_main", "attention", True),
    ],
)
def test_what_is_not_supported_is_refused_by_name(func_name, keyword, value):
    found = pickled(func_name, TINY_G if func_name == "G_main" else TINY_D)
    found = dataclasses.replace(found, static_kwargs={**found.static_kwargs, keyword: value})
    with pytest.raises(ValueError, match=keyword):
        legacy.to_keras(found)


@pytest.mark.parametrize(
    ("func_name", "keywords"),
    [
        ("G_main", dict(num_fp16_res=4, fused_modconv=True, synthesis_func="G_synthesis")),
        ("D_main", dict(num_fp16_res=4, freeze_layers=10, use_pagan=False, pagan_num=6)),
        ("D_main", dict(adaptive_dropout=0, augment_strength=0.0, score_max=None)),
    ],
)
def test_what_changes_nothing_is_accepted(func_name, keywords):
    found = pickled(func_name, TINY_G if func_name == "G_main" else TINY_D)
    found = dataclasses.replace(found, static_kwargs={**found.static_kwargs, **keywords})
    arrays = legacy.to_keras(found).arrays()
    for name, array in found.variables.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_noise_images_of_a_network_without_noise_are_left_out():
    found = pickled("G_main", {**TINY_G, "use_noise": False})
    unused = {f"G_synthesis/noise{index}": np.zeros([1, 1, 4, 4]) for index in range(3)}
    with_them = dataclasses.replace(found, variables={**found.variables, **unused})
    assert list(legacy.to_keras(with_them).named) == list(found.variables)


def test_widths_that_defaults_do_not_say_are_the_files_own():
    found = pickled("G_main", {**TINY_G, "fmap_const": 3})
    without = dataclasses.replace(found, static_kwargs=TINY_G)
    assert legacy.to_keras(without).options["fmap_const"] == 3
    found = pickled("D_main", {**TINY_D, "mbstd_num_features": 0})
    without = dataclasses.replace(found, static_kwargs={**TINY_D, "mbstd_group_size": 0})
    assert legacy.to_keras(without).options["mbstd_num_features"] == 0


def test_stylegan2s_generator_stays_itself_when_it_is_saved_again():
    G = networks.build("G_main", seed=1, mapping_fmaps=8, **TINY_G)
    options = {**TINY_G, "mapping_fmaps": 8}
    found = dataclasses.replace(pickled("G_main", TINY_G), static_kwargs=options)
    found = dataclasses.replace(found, variables=G.arrays())
    assert legacy.to_keras(found).func_name == "G_main"


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("G_main", "G_main"),
        ("training.networks_stylegan2.G_main", "G_main"),
        ("training.networks.G_main", "G_ada"),
        ("training.networks.D_main", "D_ada"),
        ("training.networks.G_mapping", "G_mapping_ada"),
        ("training.networks_stylegan.G_mapping", "G_mapping"),
        ("networks.G_paper", "G_paper"),
    ],
)
def test_the_originals_module_tells_functions_of_one_name_apart(name, function):
    assert registry.locate(name)[1].name == function
