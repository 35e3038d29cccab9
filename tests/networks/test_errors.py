"""What a wrong option or argument is answered with: an error that names it."""

import re

import numpy as np
import pytest
import tensorflow as tf

import networks
from networks import registry
from tests.networks.common import D_TINY, G_TINY, discriminator, generator, normal

pytestmark = pytest.mark.conformance

BASE = {"G_style": G_TINY, "D_basic": D_TINY, "G_mapping": {}, "G_synthesis": dict(resolution=8)}
BASE.update(G_paper={}, D_paper={})

FUNCTIONS = [name for role in ("G", "D", "part") for name in registry.names(role)]


# ---------------------------------------------------------------- building


@pytest.mark.parametrize("func_name", FUNCTIONS)
def test_unknown_keyword(func_name):
    with pytest.raises(ValueError, match=f"{func_name}.*'fmap_maxx'.*dtype"):
        networks.build(func_name, fmap_maxx=8)


@pytest.mark.parametrize("func_name", ["G_styles", "", "os.system", "training.loss.D_wgan", None])
def test_unknown_network(func_name):
    with pytest.raises(ValueError, match=f"unknown network {func_name!r}.*G_style"):
        networks.build(func_name)


def test_names_with_a_module_are_the_references():
    network = networks.build("training.networks_stylegan.D_basic", **D_TINY)
    assert network.func_name == "D_basic"


@pytest.mark.parametrize(
    ("func_name", "option", "value"),
    [
        ("G_style", "resolution", 48),
        ("G_style", "resolution", 2),
        ("D_basic", "resolution", 64.0),
        ("D_basic", "resolution", "64"),
        ("G_synthesis", "resolution", True),
        ("G_style", "num_channels", 0),
        ("G_style", "latent_size", -1),
        ("G_style", "latent_size", None),
        ("G_synthesis", "dlatent_size", None),
        ("G_paper", "latent_size", 0),
        ("G_paper", "fused_scale", "auto"),
        ("G_paper", "use_pixelnorm", None),
        ("G_paper", "pixelnorm_epsilon", 0),
        ("D_paper", "mbstd_num_features", 3),
        ("D_basic", "spectral_norm", 1),
        ("G_mapping", "dlatent_size", 0),
        ("G_mapping", "mapping_fmaps", 0),
        ("G_mapping", "mapping_layers", 9),
        ("G_mapping", "mapping_layers", -1),
        ("G_mapping", "mapping_layers", 2.0),
        ("G_mapping", "mapping_lrmul", 0.0),
        ("G_mapping", "mapping_lrmul", float("nan")),
        ("G_mapping", "dlatent_broadcast", 0),
        ("G_mapping", "mapping_nonlinearity", "tanh"),
        ("G_style", "nonlinearity", None),
        ("G_style", "label_size", -1),
        ("D_basic", "label_size", 1.5),
        ("D_basic", "mbstd_group_size", -4),
        ("D_basic", "mbstd_num_features", 0),
        ("D_basic", "mbstd_num_features", 3),  # does not divide 8 feature maps
        ("D_basic", "fmap_base", 4),  # nothing left at 8×8
        ("D_basic", "fmap_base", 0),
        ("D_basic", "fmap_max", 0),
        ("G_style", "fmap_decay", "1"),
        ("G_style", "fmap_decay", float("inf")),
        ("G_style", "fused_scale", "yes"),
        ("G_style", "fused_scale", 1),
        ("G_style", "use_styles", "False"),
        ("G_style", "use_noise", 1),
        ("D_basic", "use_wscale", None),
        ("G_style", "blur_filter", (1, "2", 1)),
        ("G_style", "blur_filter", (1, -2, 1)),
        ("G_style", "blur_filter", 3),
        ("G_style", "structure", "growing"),
        ("G_style", "dtype", "float8"),
        ("G_style", "style_mixing_prob", 1.5),
        ("G_style", "style_mixing_prob", -0.1),
        ("G_style", "style_mixing_prob", "often"),
        ("G_style", "truncation_psi", "0.7"),
        ("G_style", "truncation_cutoff", "all"),
        ("G_style", "dlatent_avg_beta", "slow"),
    ],
)
def test_impossible_value(func_name, option, value):
    with pytest.raises(ValueError, match=rf"{func_name}.*{option}={re.escape(repr(value))}"):
        networks.build(func_name, **{**BASE[func_name], option: value})


def test_style_mixing_without_styles():
    with pytest.raises(ValueError, match=r"style_mixing_prob=0.9.*use_styles"):
        generator(use_styles=False)
    for probability in (0, None):
        generator(use_styles=False, style_mixing_prob=probability)


def test_without_mapping_layers_the_widths_must_agree():
    with pytest.raises(ValueError, match="dlatent_size=9, expected 8"):
        generator(mapping_layers=0, dlatent_size=9)
    with pytest.raises(ValueError, match="dlatent_size=8, expected 16"):
        generator(mapping_layers=0, label_size=2)
    for width in (16, None):
        network = generator(mapping_layers=0, label_size=2, dlatent_size=width)
        assert network.options["dlatent_size"] == 16


def test_values_of_numpy_will_do():
    network = discriminator(resolution=np.int64(8), fmap_decay=np.float32(0.5), blur_filter=[])
    assert network.resolution == 8
    assert type(network.options["resolution"]) is int


@pytest.mark.parametrize("func_name", FUNCTIONS)
def test_defaults_are_the_references(func_name):
    """The reference's signatures, where they are not None; D's own size defaults included."""
    both = dict(fmap_base=8192, fmap_decay=1.0, fmap_max=512, nonlinearity="lrelu", use_wscale=True)
    both.update(dtype="float32", fused_scale="auto", blur_filter=(1, 2, 1))
    mapping = dict(latent_size=512, label_size=0, dlatent_size=512, dlatent_broadcast=None)
    mapping.update(mapping_layers=8, mapping_fmaps=512, mapping_lrmul=0.01)
    mapping.update(mapping_nonlinearity="lrelu", use_wscale=True, normalize_latents=True)
    synthesis = dict(both, dlatent_size=512, num_channels=3, resolution=1024, use_styles=True)
    synthesis.update(const_input_layer=True, use_noise=True, randomize_noise=True)
    synthesis.update(use_pixel_norm=False, use_instance_norm=True)
    style = dict(mapping, **{k: v for k, v in synthesis.items() if k not in mapping})
    style.update(truncation_psi=0.7, truncation_cutoff=8, dlatent_avg_beta=0.995)
    style.update(style_mixing_prob=0.9)
    basic = dict(both, num_channels=1, resolution=32, label_size=0, mbstd_group_size=4)
    basic.update(mbstd_num_features=1)
    paper = dict(num_channels=1, resolution=32, label_size=0, fmap_base=8192, fmap_decay=1.0)
    paper.update(fmap_max=512, use_wscale=True, dtype="float32", fused_scale=True)
    G_paper = dict(paper, latent_size=512, normalize_latents=True, use_pixelnorm=True)
    G_paper.update(pixelnorm_epsilon=1e-8, use_leakyrelu=True)
    D_paper = dict(paper, mbstd_group_size=4)
    wanted = dict(G_mapping=mapping, G_synthesis=synthesis, G_style=style, D_basic=basic)
    wanted.update(G_paper=G_paper, D_paper=D_paper, **stylegan2_defaults())
    found = registry.resolve(func_name)
    assert {key: found[key] for key in wanted[func_name]} == wanted[func_name]


def stylegan2_defaults():
    both = dict(num_channels=3, resolution=1024, fmap_base=16384, fmap_decay=1.0, fmap_min=1)
    both.update(fmap_max=512, nonlinearity="lrelu", resample_kernel=(1, 3, 3, 1), dtype="float32")
    synthesis = dict(both, dlatent_size=512, randomize_noise=True)
    main = dict(synthesis, architecture="skip", latent_size=512, label_size=0, mapping_layers=8)
    main.update(mapping_fmaps=512, mapping_lrmul=0.01, mapping_nonlinearity="lrelu")
    main.update(normalize_latents=True, truncation_psi=0.5, truncation_cutoff=None)
    main.update(truncation_psi_val=None, truncation_cutoff_val=None, dlatent_avg_beta=0.995)
    main.update(style_mixing_prob=0.9, mapping_func="G_mapping")
    main.update(synthesis_func="G_synthesis_stylegan2")
    discriminator = dict(both, label_size=0, mbstd_group_size=4, mbstd_num_features=1)
    return {
        "G_main": main,
        "G_synthesis_stylegan2": dict(synthesis, architecture="skip"),
        "G_synthesis_stylegan_revised": dict(synthesis, structure="auto"),
        "D_stylegan2": dict(discriminator, architecture="resnet"),
        "D_stylegan": dict(discriminator, structure="auto"),
        **ada_defaults(main, dict(synthesis, architecture="skip"), discriminator),
    }


def ada_defaults(main, synthesis, discriminator):
    """Of the TensorFlow version; what it shares with StyleGAN2 is StyleGAN2's."""
    more = dict(fmap_const=None, use_noise=True, conv_clamp=None)
    embedded = dict(mapping_fmaps=None, label_fmaps=None)
    main = {k: v for k, v in main.items() if not k.endswith("_func")}
    mapping = {k: v for k, v in main.items() if k.startswith("mapping_")}
    mapping.update(latent_size=512, label_size=0, dlatent_size=512, normalize_latents=True)
    D = dict(discriminator, architecture="resnet", mbstd_group_size=None, conv_clamp=None)
    D.update(mapping_layers=0, mapping_fmaps=None, mapping_lrmul=0.1)
    return {
        "G_ada": {**main, **more, **embedded},
        "G_mapping_ada": {**mapping, **embedded},
        "G_synthesis_ada": {**synthesis, **more},
        "D_ada": D,
    }


def test_keywords_that_change_nothing():
    keywords = dict(num_gpus=8, is_template_graph=False, components={}, structure="linear")
    network = discriminator(seed=1, **keywords)
    images = normal(4, 16, 16, 3)
    np.testing.assert_array_equal(network(images), discriminator(seed=1)(images))


# ---------------------------------------------------------------- calling


def zeros(*shape):
    return np.zeros(shape, np.float32)


CALLS = {
    "z width": (lambda G, D: G(zeros(2, 7)), r"z has shape \(2, 7\), expected \[N, 8\]"),
    "z rank": (lambda G, D: G(zeros(8)), r"z has shape \(8,\)"),
    "mapping z": (lambda G, D: G.mapping(zeros(2, 9)), r"z has shape \(2, 9\)"),
    "label width": (lambda G, D: G(zeros(2, 8), zeros(2, 4)), r"labels .*\(2, 4\).*\[N, 3\]"),
    "label rank": (lambda G, D: G(zeros(2, 8), zeros(2)), r"labels .*\(2,\).*\[N, 3\]"),
    "label count": (lambda G, D: G(zeros(2, 8), zeros(3, 3)), "3 labels for 2 inputs"),
    "D label width": (lambda G, D: D(zeros(4, 16, 16, 3), zeros(4, 2)), r"labels .*\(4, 2\)"),
    "D label count": (lambda G, D: D(zeros(4, 16, 16, 3), zeros(3, 3)), "3 labels for 4"),
    "resolution": (lambda G, D: D(zeros(4, 8, 8, 3)), r"images .*\(4, 8, 8, 3\).*\[N, 16, 16, 3\]"),
    "channels": (lambda G, D: D(zeros(4, 16, 16, 1)), r"images .*\(4, 16, 16, 1\)"),
    "channels first": (lambda G, D: D(zeros(4, 3, 16, 16)), r"images .*\(4, 3, 16, 16\)"),
    "image rank": (lambda G, D: D(zeros(16, 16, 3)), r"images .*\(16, 16, 3\)"),
    "minibatch": (lambda G, D: D(zeros(6, 16, 16, 3)), "minibatch of 6.*groups of 4"),
    "w layers": (lambda G, D: G.synthesis(zeros(2, 5, 8)), r"w .*\(2, 5, 8\).*\[N, 6, 8\]"),
    "w width": (lambda G, D: G.synthesis(zeros(2, 6, 7)), r"w .*\(2, 6, 7\)"),
    "w rank": (lambda G, D: G.synthesis(zeros(2, 8)), r"w .*\(2, 8\)"),
    "lod above": (lambda G, D: G(zeros(2, 8), lod=2.5), "lod=2.5, expected 0 to 2"),
    "lod below": (lambda G, D: G.synthesis(zeros(2, 6, 8), lod=-0.1), "lod=-0.1"),
    "lod nan": (lambda G, D: G(zeros(2, 8), lod=float("nan")), "lod=nan"),
    "D lod": (lambda G, D: D(zeros(4, 16, 16, 3), lod=3), "lod=3"),
    "noise": (lambda G, D: G(zeros(2, 8), noise="loud"), "noise='loud'.*'random'.*'fixed'.*'none'"),
    "synthesis noise": (lambda G, D: G.synthesis(zeros(2, 6, 8), noise=True), "noise=True"),
    "seed": (lambda G, D: G(zeros(2, 8), seed=np.array([1, 2, 3])), r"seed has shape \(3,\)"),
}


@pytest.fixture(scope="module")
def pair():
    return generator(label_size=3), discriminator(label_size=3)


@pytest.mark.parametrize(("call", "message"), CALLS.values(), ids=CALLS)
def test_wrong_argument(pair, call, message):
    with pytest.raises(ValueError, match=message):
        call(*pair)


@pytest.mark.parametrize(("call", "message"), CALLS.values(), ids=CALLS)
def test_wrong_argument_while_traced(pair, call, message):
    with pytest.raises(ValueError, match=message):
        tf.function(lambda: call(*pair))()


def test_fixed_structure_has_one_lod():
    for network, x in ((generator, zeros(2, 8)), (discriminator, zeros(4, 16, 16, 3))):
        with pytest.raises(ValueError, match=r"lod=1\.0, expected 0 to 0"):
            network(structure="fixed")(x, lod=1)


def test_unknown_argument():
    with pytest.raises(TypeError):
        generator()(zeros(2, 8), truncation_psy=0.5)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
def test_minibatches_that_fit(pair, count):
    assert pair[1](zeros(count, 16, 16, 3)).shape == [count, 1]
