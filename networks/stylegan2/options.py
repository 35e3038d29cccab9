"""The options of StyleGAN2's networks: the reference's names and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from networks import options as o
from networks.options import Function, Option

ACTIVATIONS = (
    "linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish",
)  # fmt: skip


def _plain_taps(value: Any) -> Any:
    """A list, or a list of rows, as tuples; what is neither as it is."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, (list, tuple)):
        return tuple(map(_plain_taps, value)) or None
    return value


def _are_taps(value: Any) -> bool:
    if value is None:
        return True
    if type(value) is not tuple or len(value) > o.MAX_TAPS:
        return False
    rows = value if all(type(row) is tuple for row in value) else (value,)
    if len({len(row) for row in rows}) != 1 or len(rows[0]) > o.MAX_TAPS:
        return False
    numbers = [number for row in rows for number in row]
    return all(map(o.is_number, numbers)) and sum(numbers) != 0


_TAPS = o.Rule(
    _are_taps,
    f"a list of up to {o.MAX_TAPS} numbers, or of rows of them, their sum not 0, or None",
    _plain_taps,
)
_NONLINEARITY = o.one_of(*ACTIVATIONS)
_ARCHITECTURE = o.one_of("orig", "skip", "resnet")
_STRUCTURE = Option(
    "auto",
    o.one_of("auto", "fixed", "linear", "recursive"),
    "'fixed' has only the full resolution's ToRGB or FromRGB; the others are one here",
)
_DTYPE = Option("float32", o.DTYPE, "compute precision; variables are always float32")
_IMAGES = {
    "num_channels": Option(3, o.COUNT),
    "resolution": Option(1024, o.RESOLUTION, "pixels"),
}
_FMAPS = {
    "fmap_base": Option(16384, o.COUNT, "feature maps of stage 0, halved at each"),
    "fmap_decay": Option(1.0, o.NUMBER, "log2 of how much fewer they are from stage to stage"),
    "fmap_min": Option(1, o.COUNT, "feature maps at least"),
    "fmap_max": Option(512, o.COUNT, "feature maps at most"),
}
_LAYERS = {
    "nonlinearity": Option("lrelu", _NONLINEARITY),
    "resample_kernel": Option(
        (1, 3, 3, 1), _TAPS, "taps of ×2 and ÷2, also [rows][columns]; None: nearest and means"
    ),
    "dtype": _DTYPE,
}

G_MAPPING = {
    "latent_size": Option(512, o.COUNT, "width of z"),
    "label_size": Option(0, o.COUNT_OR_0, "width of the labels; 0: unconditional"),
    "dlatent_size": Option(512, o.COUNT, "width of w"),
    "dlatent_broadcast": Option(
        None, o.COPIES, "copies of w, one for each layer; None: [N, dlatent_size]"
    ),
    "mapping_layers": Option(8, o.whole(0, "0 to 64", most=64)),
    "mapping_fmaps": Option(512, o.COUNT, "width of the hidden layers"),
    "mapping_lrmul": Option(0.01, o.POSITIVE, "learning rate, as a share of the others'"),
    "mapping_nonlinearity": Option("lrelu", _NONLINEARITY),
    "normalize_latents": Option(True, o.SWITCH),
    "dtype": _DTYPE,
}

_SYNTHESIS = {
    "dlatent_size": G_MAPPING["dlatent_size"],
    **_IMAGES,
    **_FMAPS,
    "randomize_noise": Option(True, o.SWITCH, "False: calls default to the noise variables"),
    **_LAYERS,
}
G_SYNTHESIS = {
    **_SYNTHESIS,
    "architecture": Option("skip", _ARCHITECTURE, "how the layers' colours come together"),
}
G_SYNTHESIS_REVISED = {**_SYNTHESIS, "structure": _STRUCTURE}

G_MAIN = {
    **G_MAPPING,
    **G_SYNTHESIS,
    **G_SYNTHESIS_REVISED,
    "mapping_func": Option("G_mapping", o.one_of("G_mapping")),
    "synthesis_func": Option(
        "G_synthesis_stylegan2",
        o.one_of("G_synthesis_stylegan2", "G_synthesis_stylegan_revised"),
        "the latter grows, and knows no architecture; structure is its own",
    ),
    "truncation_psi": Option(0.5, o.or_none(o.NUMBER), "None: never truncate"),
    "truncation_cutoff": Option(
        None, o.or_none(o.NUMBER), "layers below it are truncated; None: all are"
    ),
    "truncation_psi_val": Option(None, o.or_none(o.NUMBER), "of runs with is_validation=True"),
    "truncation_cutoff_val": Option(None, o.or_none(o.NUMBER)),
    "dlatent_avg_beta": Option(
        0.995, o.or_none(o.NUMBER), "decay of the moving average of w; None: no tracking"
    ),
    "style_mixing_prob": Option(0.9, o.PROBABILITY, "None or 0: no style mixing"),
}

_DISCRIMINATOR = {
    **_IMAGES,
    "label_size": Option(0, o.COUNT_OR_0),
    **_FMAPS,
    **_LAYERS,
    "mbstd_group_size": Option(4, o.COUNT_OR_0, "0 or 1: no minibatch standard deviation"),
    "mbstd_num_features": Option(1, o.COUNT),
}
D_STYLEGAN2 = {
    **_DISCRIMINATOR,
    "architecture": Option("resnet", _ARCHITECTURE, "how images come in beside the layers"),
}
D_STYLEGAN = {**_DISCRIMINATOR, "structure": _STRUCTURE}


def _check_no_mapping(name: str, options: dict) -> None:
    if not options["mapping_layers"] and not options["label_size"]:  # w is z, as wide as it says
        o.check_width(name, options, "latent_size")
    width = options["latent_size"] * (2 if options["label_size"] else 1)
    if not options["mapping_layers"] and options["dlatent_size"] != width:
        expected = f"{width}: without mapping layers, w is z and labels"
        o.fail(name, "dlatent_size", options["dlatent_size"], expected)


def _check_synthesis(name: str, options: dict) -> None:
    o.check_feature_maps(name, options)
    architecture = options.get("architecture")
    of_stylegan2 = options.get("synthesis_func", "G_synthesis_stylegan2").endswith("stylegan2")
    if options["resolution"] == 4 and of_stylegan2 and architecture not in ("skip", None):
        expected = "'skip' at a resolution of 4, or there would be no image"
        o.fail(name, "architecture", architecture, expected)


def _check_generator(name: str, options: dict) -> None:
    _check_no_mapping(name, options)
    _check_synthesis(name, options)


def _grows(options: Mapping[str, Any]) -> bool:
    revised = options["synthesis_func"] == "G_synthesis_stylegan_revised"
    return revised and o.has_every_resolution(options)


def _check_discriminator(name: str, options: dict) -> None:
    o.check_feature_maps(name, options)
    o.check_minibatch_stddev(name, options)


_PACKAGE = "networks.stylegan2"
# Two forms of one function; a call's own output.
_IGNORED = frozenset({"fused_modconv", "return_dlatents"})

FUNCTIONS = (
    Function(
        "G_mapping",
        role="part",
        options=G_MAPPING,
        target=f"{_PACKAGE}.mapping.MappingNetwork",
        check=_check_no_mapping,
    ),
    Function(
        "G_synthesis_stylegan2",
        role="part",
        options=G_SYNTHESIS,
        target=f"{_PACKAGE}.synthesis.SynthesisNetwork",
        check=_check_synthesis,
        ignored=_IGNORED,
        grows=lambda options: False,
    ),
    Function(
        "G_synthesis_stylegan_revised",
        role="part",
        options=G_SYNTHESIS_REVISED,
        target=f"{_PACKAGE}.growing.RevisedSynthesis",
        check=_check_synthesis,
        ignored=_IGNORED,
        grows=o.has_every_resolution,
    ),
    Function(
        "G_main",
        role="G",
        options=G_MAIN,
        target=f"{_PACKAGE}.generator.MainGenerator",
        title="a StyleGAN2 (G_main)",
        has_styles=True,
        check=_check_generator,
        ignored=_IGNORED,
        grows=_grows,
    ),
    Function(
        "D_stylegan2",
        role="D",
        options=D_STYLEGAN2,
        target=f"{_PACKAGE}.discriminator.Discriminator",
        check=_check_discriminator,
        grows=lambda options: False,
    ),
    Function(
        "D_stylegan",
        role="D",
        options=D_STYLEGAN,
        target=f"{_PACKAGE}.growing.RevisedDiscriminator",
        check=_check_discriminator,
        grows=o.has_every_resolution,
    ),
)
