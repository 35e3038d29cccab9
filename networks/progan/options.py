"""The options of Progressive GAN's networks: the reference's names and defaults."""

from __future__ import annotations

from networks import options as o
from networks.options import Family, Function, Option
from networks.stylegan.options import D_BASIC, G_MAPPING

_FUSED_SCALE = Option(True, o.one_of(True, False), "form of ×2 and ÷2, at every resolution")
_IMAGES = o.subset(D_BASIC, ("num_channels", "resolution", "label_size"))
_FMAPS = o.subset(D_BASIC, ("fmap_base", "fmap_decay", "fmap_max"))

G_PAPER = {
    **_IMAGES,
    **_FMAPS,
    "latent_size": Option(
        None, o.or_none(o.COUNT), "width of z; None: as many as feature maps at 1x1"
    ),
    "normalize_latents": G_MAPPING["normalize_latents"],
    "use_wscale": D_BASIC["use_wscale"],
    "use_pixelnorm": Option(True, o.SWITCH),
    "pixelnorm_epsilon": Option(1e-8, o.POSITIVE),
    "use_leakyrelu": Option(True, o.SWITCH, "False: ReLU"),
    "dtype": D_BASIC["dtype"],
    "fused_scale": _FUSED_SCALE,
}

D_PAPER = {
    **_IMAGES,  # labels are accepted and ignored
    "label_outputs": Option(
        False, o.SWITCH, "one more output for each label, which nothing here reads"
    ),
    **_FMAPS,
    **o.subset(
        D_BASIC,
        ("use_wscale", "spectral_norm", "mbstd_group_size", "mbstd_num_features", "dtype"),
    ),
    "fused_scale": _FUSED_SCALE,
}


def _complete_latent_size(options: dict) -> None:
    if options["latent_size"] is None:
        options["latent_size"] = min(int(options["fmap_base"]), options["fmap_max"])


def _check_discriminator(name: str, options: dict) -> None:
    o.check_feature_maps(name, options)
    o.check_minibatch_stddev(name, options)
    if not options["label_outputs"]:
        o.check_width(name, options, "label_size")


_STRUCTURE = frozenset({"structure"})  # its forms of one function are one here

FAMILY = Family(
    "progan",
    modules=("networks_progan", "networks"),
    functions=(
        Function(
            "G_paper",
            role="G",
            options=G_PAPER,
            target="networks.progan.generator.PaperGenerator",
            title="a Progressive GAN (G_paper)",
            check=o.check_feature_maps,
            complete=_complete_latent_size,
            ignored=_STRUCTURE,
        ),
        Function(
            "D_paper",
            role="D",
            options=D_PAPER,
            target="networks.progan.discriminator.PaperDiscriminator",
            check=_check_discriminator,
            ignored=_STRUCTURE,
        ),
    ),
)
