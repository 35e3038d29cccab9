"""The keyword options of every network: the reference's names and defaults.

Plain data, importable without TensorFlow, so that a command line can refuse a wrong
option before it starts anything heavy. Pickles, `networks.build` and training configs
all speak these names.
"""

from __future__ import annotations

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
    "dlatent_size": 512,  # width of w
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
    "truncation_psi_val": None,  # carried by pickles, used by no one
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
    "mbstd_group_size": 4,  # 0 or 1: no minibatch standard deviation
    "mbstd_num_features": 1,
    "dtype": "float32",
    "fused_scale": "auto",
    "blur_filter": (1, 2, 1),
    "structure": "auto",
}

OPTIONS = {
    "G_mapping": G_MAPPING,
    "G_synthesis": G_SYNTHESIS,
    "G_style": G_STYLE,
    "D_basic": D_BASIC,
}

_CHOICES = {
    "nonlinearity": ("lrelu", "relu"),
    "mapping_nonlinearity": ("lrelu", "relu"),
    "dtype": ("float32", "float16", "bfloat16"),
    "fused_scale": (True, False, "auto"),
    "structure": ("auto", "fixed", "linear", "recursive"),
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
        if key in INERT:
            continue
        if key not in options:
            known = ", ".join(sorted(options))
            raise ValueError(f"{name} has no option {key!r}; it has: {known}")
        options[key] = value
    _check(name, options)
    return options


def _check(name: str, options: dict) -> None:
    def fail(key, expected):
        raise ValueError(f"{name}: {key}={options[key]!r}, expected {expected}")

    for key, choices in _CHOICES.items():
        # `1 == True`, so compare types as well.
        if key in options and not any(
            options[key] == choice and type(options[key]) is type(choice) for choice in choices
        ):
            fail(key, "one of " + ", ".join(repr(choice) for choice in choices))
    for key in ("latent_size", "dlatent_size", "num_channels", "fmap_base", "fmap_max"):
        if key in options and (not isinstance(options[key], int) or options[key] < 1):
            fail(key, "a positive whole number")
    for key in ("label_size", "mbstd_group_size"):
        if key in options and (not isinstance(options[key], int) or options[key] < 0):
            fail(key, "0 or a positive whole number")
    if "resolution" in options:
        resolution = options["resolution"]
        if not isinstance(resolution, int) or resolution < 4 or resolution & (resolution - 1):
            fail("resolution", "a power of two, 4 or more")
    if "mapping_layers" in options and options["mapping_layers"] not in range(9):
        fail("mapping_layers", "0 to 8")
    if "blur_filter" in options:
        taps = options["blur_filter"]
        if taps is not None and not all(isinstance(tap, (int, float)) for tap in taps):
            fail("blur_filter", "a list of numbers, or None")
        options["blur_filter"] = tuple(taps) if taps else None
    if name == "G_style" and options["style_mixing_prob"]:
        if not options["use_styles"]:
            fail("style_mixing_prob", "None or 0 with use_styles=False (there is one w to mix)")
        if not 0 <= options["style_mixing_prob"] <= 1:
            fail("style_mixing_prob", "a probability, 0 to 1")
