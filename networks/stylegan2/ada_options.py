"""The options of StyleGAN2-ADA's networks: the reference's names and defaults (TensorFlow's).

They are StyleGAN2's networks with labels embedded otherwise, and bounds on what convolutions
return. The reference calls them G_main and D_main; here G_ada and D_ada, because StyleGAN2's
generator has the one name already.
"""

from __future__ import annotations

from networks import options as o
from networks.options import Function, Option
from networks.stylegan2 import options as stylegan2

_WIDTH = o.or_none(o.whole(1, f"1 to {o.MAX_WIDTH:,}", most=o.MAX_WIDTH))
_CLAMP = Option(
    None, o.or_none(o.POSITIVE), "bounds, ±, of what convolutions and ToRGB return; None: none"
)

G_MAPPING = {
    **stylegan2.G_MAPPING,
    "mapping_fmaps": Option(None, _WIDTH, "width of the hidden layers; None: dlatent_size"),
    "label_fmaps": Option(None, _WIDTH, "width of the embedded labels; None: latent_size"),
}
G_SYNTHESIS = {
    **stylegan2.G_SYNTHESIS,
    "fmap_const": Option(None, o.or_none(o.COUNT), "of the constant input; None: as at 4x4"),
    "use_noise": Option(True, o.SWITCH, "False: no noise inputs, nor their strengths"),
    "conv_clamp": _CLAMP,
}
G_ADA = {
    **G_MAPPING,
    **G_SYNTHESIS,
    **o.subset(
        stylegan2.G_MAIN,
        (
            "truncation_psi",
            "truncation_cutoff",
            "truncation_psi_val",
            "truncation_cutoff_val",
            "dlatent_avg_beta",
            "style_mixing_prob",
        ),
    ),
}
_NONLINEARITY = stylegan2.G_MAPPING["mapping_nonlinearity"].rule
D_ADA = {
    **stylegan2.D_STYLEGAN2,
    "mbstd_group_size": Option(None, o.or_none(o.COUNT), "None: the whole minibatch"),
    "mbstd_num_features": Option(1, o.COUNT_OR_0, "0: no minibatch standard deviation"),
    "conv_clamp": _CLAMP,
    "clamp_last_from_rgb": Option(
        True, o.SWITCH, "False: no bounds for 4x4/FromRGB, as in the PyTorch version"
    ),
    "mapping_layers": Option(
        0, stylegan2.G_MAPPING["mapping_layers"].rule, "between embedded labels and scores"
    ),
    "mapping_fmaps": Option(
        None, _WIDTH, "width of those layers; None: as many as feature maps at 1x1"
    ),
    "mapping_lrmul": Option(0.1, o.POSITIVE, "their learning rate, as a share of the others'"),
    "mapping_nonlinearity": Option("lrelu", _NONLINEARITY),
    "label_fmaps": Option(None, _WIDTH, "width of the embedded labels; None: mapping_fmaps"),
    "cmap_dim": Option(
        None,
        o.or_none(o.whole(0, f"0 to {o.MAX_WIDTH:,}", most=o.MAX_WIDTH)),
        "outputs, weighted by mapped labels; 0: one score, whatever the labels; None: as "
        "mapping_fmaps",
    ),
    "dense_fmaps": Option(
        None, o.or_none(o.COUNT), "units of 4x4/Dense0; None: as many as feature maps at 1x1"
    ),
    "final_nonlinearity": Option(
        None, o.or_none(_NONLINEARITY), "of the layers at 4x4; None: nonlinearity"
    ),
}


def _check_mapping(name: str, options: dict) -> None:
    o.check_width(name, options, "label_size")
    if options["mapping_layers"]:
        return
    width = options["latent_size"]
    if options["label_size"]:
        width += options["label_fmaps"] or options["latent_size"]
    else:  # w is z, as wide as it says
        o.check_width(name, options, "latent_size")
    if options["dlatent_size"] != width:
        expected = f"{width}: without mapping layers, w is z and labels"
        o.fail(name, "dlatent_size", options["dlatent_size"], expected)


def _check_generator(name: str, options: dict) -> None:
    _check_mapping(name, options)
    o.check_feature_maps(name, options)


def cmap_width(options: dict) -> int:
    """Outputs that a discriminator weighs by its mapped labels; 0: it does not."""
    if not options["label_size"] or options["cmap_dim"] == 0:
        return 0
    return options["cmap_dim"] or mapping_width(options)


def mapping_width(options: dict) -> int:
    """Width of the layers that labels go through in a discriminator."""
    return options["mapping_fmaps"] or o.feature_maps(options, 0)


def label_width(options: dict) -> int:
    """Width of a discriminator's embedded labels."""
    return options["label_fmaps"] or mapping_width(options)


def _check_discriminator(name: str, options: dict) -> None:
    o.check_feature_maps(name, options)
    if not cmap_width(options):
        o.check_width(name, options, "label_size")
    fmaps, features = o.feature_maps(options, 1), options["mbstd_num_features"]
    if features and fmaps % features:
        expected = f"a divisor of the {fmaps} feature maps at 4x4, or 0"
        o.fail(name, "mbstd_num_features", features, expected)
    outputs = cmap_width(options)
    if outputs and not options["mapping_layers"] and label_width(options) != outputs:
        expected = f"{label_width(options)}: without mapping layers, as wide as the labels"
        o.fail(name, "cmap_dim", options["cmap_dim"], expected)


_PACKAGE = "networks.stylegan2.ada"
_ADA = 5  # the version that its pickles have, and StyleGAN2's have not
_MODULE = "networks"  # StyleGAN2's was networks_stylegan2
# Two forms of one function; a call's own output; half precision, which is computed in full here.
_IGNORED = frozenset({"fused_modconv", "return_dlatents", "num_fp16_res"})
_NO = (False, None, 0, 0.0)
_PARTS = {"mapping_func": ("G_mapping",), "synthesis_func": ("G_synthesis",)}

FUNCTIONS = (
    Function(
        "G_mapping_ada",
        role="part",
        options=G_MAPPING,
        target=f"{_PACKAGE}.AdaMapping",
        check=_check_mapping,
        pickled=("G_mapping", _ADA),
        pickled_from=_MODULE,
    ),
    Function(
        "G_synthesis_ada",
        role="part",
        options=G_SYNTHESIS,
        target=f"{_PACKAGE}.AdaSynthesis",
        check=o.check_feature_maps,
        ignored=_IGNORED,
        grows=lambda options: False,
        pickled=("G_synthesis", _ADA),
        pickled_from=_MODULE,
    ),
    Function(
        "G_ada",
        role="G",
        options=G_ADA,
        target=f"{_PACKAGE}.AdaGenerator",
        title="a StyleGAN2-ADA (G_ada)",
        has_styles=True,
        check=_check_generator,
        ignored=_IGNORED,
        off=_PARTS,
        grows=lambda options: False,
        pickled=("G_main", _ADA),
        pickled_from=_MODULE,
    ),
    Function(
        "D_ada",
        role="D",
        options=D_ADA,
        target=f"{_PACKAGE}.AdaDiscriminator",
        check=_check_discriminator,
        # freeze_layers is about training; pagan_… say how use_pagan works.
        ignored=_IGNORED | {"freeze_layers", "pagan_num", "pagan_fade"},
        # Methods that the paper compares with.
        off={
            "augment_strength": _NO,
            "use_pagan": _NO,
            "use_spectral_norm": _NO,
            "adaptive_dropout": _NO,
            "score_max": _NO,
        },
        grows=lambda options: False,
        pickled=("D_main", _ADA),
        pickled_from=_MODULE,
    ),
)
