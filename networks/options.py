"""The keyword options of every network: the reference's names and defaults.

Plain data, importable without TensorFlow, so that a command line can refuse a wrong
option before it starts anything heavy. Pickles, `networks.build` and training configs
all speak these names.
"""

from __future__ import annotations

import math

# Keywords that the reference accepts, that files and scripts carry, and that change
# nothing here: they steered its graph building.
INERT = frozenset(
    {
        "is_template_graph",
        "is_training",
        "is_validation",
        "force_clean_graph",
        "components",
        "num_gpus",
        "func_name",
        "name",
    }
)

G_MAPPING = {
    "latent_size": 512,  # width of z
    "label_size": 0,  # width of the labels; 0: unconditional
    "dlatent_size": 512,  # width of w; None: as wide as what the mapping network takes
    "dlatent_broadcast": None,  # copies of w, one per synthesis layer; None: [N, dlatent_size]
    "mapping_layers": 8,  # 0-8
    "mapping_fmaps": 512,  # width of the hidden layers
    "mapping_lrmul": 0.01,
    "mapping_nonlinearity": "lrelu",  # 'lrelu' or 'relu'
    "use_wscale": True,
    "normalize_latents": True,
    "dtype": "float32",  # compute precision; variables are always float32
}

G_SYNTHESIS = {
    "dlatent_size": 512,
    "num_channels": 3,
    "resolution": 1024,
    "fmap_base": 8192,
    "fmap_decay": 1.0,
    "fmap_max": 512,
    "use_styles": True,
    "const_input_layer": True,
    "use_noise": True,
    "randomize_noise": True,  # False: calls default to the fixed noise variables
    "nonlinearity": "lrelu",
    "use_wscale": True,
    "use_pixel_norm": False,
    "use_instance_norm": True,
    "dtype": "float32",
    "fused_scale": "auto",  # True, False or 'auto' (at 128 and above)
    "blur_filter": (1, 2, 1),  # None or empty: no blur
    "structure": "auto",  # 'fixed' has only the full resolution's ToRGB; the others are one here
}

G_STYLE = {
    **G_MAPPING,
    **G_SYNTHESIS,
    "truncation_psi": 0.7,  # None: never truncate
    "truncation_cutoff": 8,  # layers below it are truncated; None: never truncate
    "truncation_psi_val": None,  # of runs with is_validation=True
    "truncation_cutoff_val": None,
    "dlatent_avg_beta": 0.995,  # decay of the moving average of w; None: no tracking
    "style_mixing_prob": 0.9,  # None or 0: no style mixing
}

D_BASIC = {
    "num_channels": 1,
    "resolution": 32,
    "label_size": 0,
    "fmap_base": 8192,
    "fmap_decay": 1.0,
    "fmap_max": 512,
    "nonlinearity": "lrelu",
    "use_wscale": True,
    "spectral_norm": False,  # every kernel divided by its largest singular value
    "mbstd_group_size": 4,  # 0 or 1: no minibatch standard deviation
    "mbstd_num_features": 1,
    "dtype": "float32",
    "fused_scale": "auto",
    "blur_filter": (1, 2, 1),
    "structure": "auto",
}

G_PAPER = {
    "num_channels": 1,
    "resolution": 32,
    "label_size": 0,
    "fmap_base": 8192,
    "fmap_decay": 1.0,
    "fmap_max": 512,
    "latent_size": None,  # width of z; None: as many as there are feature maps at 1x1
    "normalize_latents": True,
    "use_wscale": True,
    "use_pixelnorm": True,
    "pixelnorm_epsilon": 1e-8,
    "use_leakyrelu": True,  # False: ReLU
    "dtype": "float32",
    "fused_scale": True,  # True or False, at every resolution
}

D_PAPER = {
    "num_channels": 1,
    "resolution": 32,
    "label_size": 0,  # labels are accepted and ignored
    "label_outputs": False,  # one more output for each label, which nothing here reads
    "fmap_base": 8192,
    "fmap_decay": 1.0,
    "fmap_max": 512,
    "use_wscale": True,
    "spectral_norm": False,
    "mbstd_group_size": 4,
    "mbstd_num_features": 1,
    "dtype": "float32",
    "fused_scale": True,
}

OPTIONS = {
    "G_mapping": G_MAPPING,
    "G_synthesis": G_SYNTHESIS,
    "G_style": G_STYLE,
    "D_basic": D_BASIC,
    "G_paper": G_PAPER,
    "D_paper": D_PAPER,
}

_PROGRESSIVE = ("G_paper", "D_paper")

_CHOICES = {
    "nonlinearity": ("lrelu", "relu"),
    "mapping_nonlinearity": ("lrelu", "relu"),
    "dtype": ("float32", "float16", "bfloat16"),
    "fused_scale": (True, False, "auto"),
    "structure": ("auto", "fixed", "linear", "recursive"),
    **{
        key: (True, False)
        for key in ("use_wscale", "normalize_latents", "use_styles", "const_input_layer")
        + ("use_noise", "randomize_noise", "use_pixel_norm", "use_instance_norm")
        + ("use_pixelnorm", "use_leakyrelu", "spectral_norm", "label_outputs")
    },
}


def short_name(func_name: str) -> str:
    """'training.networks_stylegan.G_style' → 'G_style'; ValueError when unknown."""
    name = str(func_name).rsplit(".", 1)[-1]
    if name not in OPTIONS:
        raise ValueError(f"unknown network {func_name!r}; known: {', '.join(OPTIONS)}")
    return name


def resolve(func_name: str, **kwargs) -> dict:
    """Returns every option of `func_name`: the defaults, overridden by `kwargs`.

    Raises ValueError naming an unknown keyword or an impossible value.
    """
    name = short_name(func_name)
    options = dict(OPTIONS[name])
    for key, value in kwargs.items():
        if key in INERT or (key == "structure" and name in _PROGRESSIVE):
            continue
        if key not in options:
            known = ", ".join(sorted(options))
            raise ValueError(f"{name} has no option {key!r}; it has: {known}")
        options[key] = value.item() if hasattr(value, "item") else value  # of NumPy
    if isinstance(options.get("blur_filter"), (list, tuple)):
        options["blur_filter"] = tuple(options["blur_filter"]) or None
    _check(name, options)
    if "dlatent_size" in options and options["dlatent_size"] is None:
        options["dlatent_size"] = _mapping_input(options)
    if "latent_size" in options and options["latent_size"] is None:
        options["latent_size"] = min(int(options["fmap_base"]), options["fmap_max"])
    return options


def _mapping_input(options: dict) -> int:
    """Width of what the mapping network takes: z, and as much for the labels."""
    return options["latent_size"] * (2 if options.get("label_size") else 1)


def _number(value) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _whole(least: int):
    return lambda value: type(value) is int and value >= least


def _or_none(rule):
    return lambda value: value is None or rule(value)


def _taps(value) -> bool:
    return type(value) is tuple and all(map(_number, value)) and sum(value) != 0


# (options, the test of one value, what to expect); `_CHOICES` holds the others.
_RULES = (
    (
        ("mapping_fmaps", "num_channels", "fmap_base", "fmap_max", "mbstd_num_features"),
        _whole(1),
        "a positive whole number",
    ),
    (("label_size", "mbstd_group_size"), _whole(0), "0 or a positive whole number"),
    (
        ("dlatent_broadcast", "latent_size", "dlatent_size"),
        _or_none(_whole(1)),
        "a positive whole number, or None",
    ),
    (
        ("truncation_psi", "truncation_cutoff", "dlatent_avg_beta"),
        _or_none(_number),
        "a number, or None",
    ),
    (("fmap_decay",), _number, "a number"),
    (
        ("mapping_lrmul", "pixelnorm_epsilon"),
        lambda value: _number(value) and value > 0,
        "a positive number",
    ),
    (("mapping_layers",), lambda value: _whole(0)(value) and value <= 8, "0 to 8"),
    (
        ("resolution",),
        lambda value: _whole(4)(value) and value & (value - 1) == 0,
        "a power of two, 4 or more",
    ),
    (("blur_filter",), _or_none(_taps), "a list of numbers, their sum not 0, or None"),
    (
        ("style_mixing_prob",),
        _or_none(lambda value: _number(value) and 0 <= value <= 1),
        "a probability, 0 to 1, or None",
    ),
)


def is_fused(fused_scale, resolution: int) -> bool:
    """Whether the weights of a ×2 or ÷2 whose larger side is `resolution` are fused ones."""
    return resolution >= 128 if fused_scale == "auto" else fused_scale


def _check(name: str, options: dict) -> None:
    def fail(key, expected):
        raise ValueError(f"{name}: {key}={options[key]!r}, expected {expected}")

    for key, choices in _CHOICES.items():
        # `1 == True`, so compare types as well.
        if key in options and not any(
            options[key] == choice and type(options[key]) is type(choice) for choice in choices
        ):
            fail(key, "one of " + ", ".join(repr(choice) for choice in choices))
    for keys, rule, expected in _RULES:
        for key in keys:
            if key in options and not rule(options[key]):
                fail(key, expected)
    if "fmap_max" in options:
        last = options["resolution"].bit_length() - 2  # the stage of the full resolution
        if min(options["fmap_base"] / 2.0 ** (s * options["fmap_decay"]) for s in (0, last)) < 1:
            fail("fmap_base", "more: some resolution has no feature map left")
    for key, may_be_none in (
        ("latent_size", ("G_paper",)),
        ("dlatent_size", ("G_style", "G_mapping")),
    ):
        if options.get(key, 1) is None and name not in may_be_none:
            fail(key, "a positive whole number")
    if name in _PROGRESSIVE and options["fused_scale"] == "auto":
        fail("fused_scale", "True or False")
    if options.get("mbstd_group_size", 0) > 1:
        fmaps = min(int(options["fmap_base"] / 2.0 ** options["fmap_decay"]), options["fmap_max"])
        if fmaps % options["mbstd_num_features"]:
            fail("mbstd_num_features", f"a divisor of the {fmaps} feature maps at 4x4")
    if name == "G_style":
        width = _mapping_input(options)
        if not options["mapping_layers"] and options["dlatent_size"] not in (None, width):
            fail("dlatent_size", f"{width}: without mapping layers, w is z and labels")
        if options["style_mixing_prob"] and not options["use_styles"]:
            fail("style_mixing_prob", "None or 0 with use_styles=False (there is one w to mix)")
