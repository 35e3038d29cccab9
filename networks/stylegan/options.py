"""The options of StyleGAN's networks: the reference's names and defaults."""

from __future__ import annotations

from networks import options as o
from networks.options import Family, Function, Option

_NONLINEARITY = o.one_of("lrelu", "relu")
_STRUCTURE = Option(
    "auto",
    o.one_of("auto", "fixed", "linear", "recursive"),
    "'fixed' has only the full resolution's ToRGB or FromRGB; the others are one here",
)
_FUSED_SCALE = Option(
    "auto", o.one_of(True, False, "auto"), "form of the weights of ×2 and ÷2; auto: from 128 on"
)
_BLUR = Option((1, 2, 1), o.FILTER, "taps; None or empty: no blur")
_DTYPE = Option("float32", o.DTYPE, "compute precision; variables are always float32")
_USE_WSCALE = Option(True, o.SWITCH, "equalised learning rate (ProGAN §4.1)")
_FMAPS = {
    "fmap_base": Option(8192, o.COUNT, "feature maps of stage 0, halved at each"),
    "fmap_decay": Option(1.0, o.NUMBER, "log2 of how much fewer they are from stage to stage"),
    "fmap_max": Option(512, o.COUNT, "feature maps at most"),
}

G_MAPPING = {
    "latent_size": Option(512, o.COUNT, "width of z"),
    "label_size": Option(0, o.COUNT_OR_0, "width of the labels; 0: unconditional"),
    "dlatent_size": Option(
        512, o.or_none(o.COUNT), "width of w; None: as wide as what the mapping network takes"
    ),
    "dlatent_broadcast": Option(
        None, o.COPIES, "copies of w, one for each layer; None: [N, dlatent_size]"
    ),
    "mapping_layers": Option(8, o.whole(0, "0 to 8", most=8)),
    "mapping_fmaps": Option(512, o.COUNT, "width of the hidden layers"),
    "mapping_lrmul": Option(0.01, o.POSITIVE, "learning rate, as a share of the others'"),
    "mapping_nonlinearity": Option("lrelu", _NONLINEARITY),
    "use_wscale": _USE_WSCALE,
    "normalize_latents": Option(True, o.SWITCH),
    "dtype": _DTYPE,
}

G_SYNTHESIS = {
    "dlatent_size": Option(512, o.COUNT, "width of w"),
    "num_channels": Option(3, o.COUNT),
    "resolution": Option(1024, o.RESOLUTION, "pixels"),
    **_FMAPS,
    "use_styles": Option(True, o.SWITCH),
    "const_input_layer": Option(True, o.SWITCH),
    "use_noise": Option(True, o.SWITCH),
    "randomize_noise": Option(True, o.SWITCH, "False: calls default to the noise variables"),
    "nonlinearity": Option("lrelu", _NONLINEARITY),
    "use_wscale": _USE_WSCALE,
    "use_pixel_norm": Option(False, o.SWITCH),
    "use_instance_norm": Option(True, o.SWITCH),
    "dtype": _DTYPE,
    "fused_scale": _FUSED_SCALE,
    "blur_filter": _BLUR,
    "structure": _STRUCTURE,
}

_CUTOFF = "layers below it are truncated; None: never truncate"
G_STYLE = {
    **G_MAPPING,
    **G_SYNTHESIS,
    "dlatent_size": G_MAPPING["dlatent_size"],
    "truncation_psi": Option(0.7, o.or_none(o.NUMBER), "None: never truncate"),
    "truncation_cutoff": Option(8, o.or_none(o.NUMBER), _CUTOFF),
    "truncation_psi_val": Option(None, o.or_none(o.NUMBER), "of runs with is_validation=True"),
    "truncation_cutoff_val": Option(None, o.or_none(o.NUMBER)),
    "dlatent_avg_beta": Option(
        0.995, o.or_none(o.NUMBER), "decay of the moving average of w; None: no tracking"
    ),
    "style_mixing_prob": Option(0.9, o.PROBABILITY, "None or 0: no style mixing"),
}

D_BASIC = {
    "num_channels": Option(1, o.COUNT),
    "resolution": Option(32, o.RESOLUTION, "pixels"),
    "label_size": Option(0, o.COUNT_OR_0),
    **_FMAPS,
    "nonlinearity": Option("lrelu", _NONLINEARITY),
    "activate_from_rgb": Option(
        True, o.SWITCH, "False: FromRGB is linear, as in some PyTorch ports"
    ),
    "use_wscale": _USE_WSCALE,
    "spectral_norm": Option(False, o.SWITCH, "every kernel divided by its largest singular value"),
    "mbstd_group_size": Option(4, o.COUNT_OR_0, "0 or 1: no minibatch standard deviation"),
    "mbstd_num_features": Option(1, o.COUNT),
    "dtype": _DTYPE,
    "fused_scale": _FUSED_SCALE,
    "blur_filter": _BLUR,
    "structure": _STRUCTURE,
}


def _mapping_input(options: dict) -> int:
    """Width of what the mapping network takes: z, and as much for the labels."""
    return options["latent_size"] * (2 if options["label_size"] else 1)


def _complete_width(options: dict) -> None:
    if options["dlatent_size"] is None:
        options["dlatent_size"] = _mapping_input(options)


def _check_mapping(name: str, options: dict) -> None:
    if not options["mapping_layers"] and not options["label_size"]:  # w is z, as wide as it says
        o.check_width(name, options, "latent_size")


def _check_synthesis(name: str, options: dict) -> None:
    o.check_feature_maps(name, options)
    if not options["use_styles"] and options["const_input_layer"]:  # it looks at no w
        o.check_width(name, options, "dlatent_size")


def _check_generator(name: str, options: dict) -> None:
    o.check_feature_maps(name, options)
    width, dlatent_size = _mapping_input(options), options["dlatent_size"]
    if not options["mapping_layers"] and dlatent_size not in (None, width):
        expected = f"{width}: without mapping layers, w is z and labels"
        o.fail(name, "dlatent_size", dlatent_size, expected)
    if options["style_mixing_prob"] and not options["use_styles"]:
        expected = "None or 0 with use_styles=False (there is one w to mix)"
        o.fail(name, "style_mixing_prob", options["style_mixing_prob"], expected)


def _check_discriminator(name: str, options: dict) -> None:
    o.check_feature_maps(name, options)
    o.check_minibatch_stddev(name, options)


FAMILY = Family(
    "stylegan",
    modules=("networks_stylegan",),
    functions=(
        Function(
            "G_mapping",
            role="part",
            options=G_MAPPING,
            target="networks.stylegan.mapping.MappingNetwork",
            check=_check_mapping,
            complete=_complete_width,
        ),
        Function(
            "G_synthesis",
            role="part",
            options=G_SYNTHESIS,
            target="networks.stylegan.synthesis.SynthesisNetwork",
            check=_check_synthesis,
            grows=o.has_every_resolution,
        ),
        Function(
            "G_style",
            role="G",
            options=G_STYLE,
            target="networks.stylegan.generator.StyleGenerator",
            has_styles=True,
            check=_check_generator,
            complete=_complete_width,
            grows=o.has_every_resolution,
        ),
        Function(
            "D_basic",
            role="D",
            options=D_BASIC,
            target="networks.stylegan.discriminator.Discriminator",
            check=_check_discriminator,
            grows=o.has_every_resolution,
        ),
    ),
)
