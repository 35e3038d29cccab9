"""What a network's options are: typed data, declared beside the classes that take them.

Plain data, importable without TensorFlow, so that a command line can refuse a wrong option
before it starts anything heavy. Pickles, `networks.build` and training configurations all speak
the original's names. Each family's tables are in its folder (networks/stylegan/options.py).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from dnnlib.terminal import shown

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


class Own(enum.Enum):
    """Stands, in a call, for what the network was built with."""

    OWN = "own"


OWN = Own.OWN

# ---------------------------------------------------------------- rules for one value


@dataclass(frozen=True)
class Rule:
    """Which values an option takes. expected: the same in words, for messages. plain: brings a
    value that files and scripts have, as a list or a number of NumPy, to Python's own."""

    accepts: Callable[[Any], bool]
    expected: str
    plain: Callable[[Any], Any] = lambda value: value.item() if hasattr(value, "item") else value


def is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def whole(least: int, expected: str, most: float = math.inf) -> Rule:
    return Rule(lambda value: type(value) is int and least <= value <= most, expected)


def or_none(rule: Rule) -> Rule:
    expected = f"{rule.expected}, or None"
    return Rule(lambda value: value is None or rule.accepts(value), expected, rule.plain)


def one_of(*choices: Any) -> Rule:
    # `1 == True`, so compare types as well.
    return Rule(
        lambda value: any(value == c and type(value) is type(c) for c in choices),
        "one of " + ", ".join(map(repr, choices)),
    )


# Limits of what no variable has the size of, so that no array can contradict the option: it would
# show as memory, at the first use.
MAX_TAPS = 64  # a blur is their square
MAX_COPIES = 1024  # of w: layers of a generator; 18 at 1024x1024
MAX_WIDTH = 1 << 16  # of latents and labels


def _is_filter(value: Any) -> bool:
    numbers = type(value) is tuple and len(value) <= MAX_TAPS and all(map(is_number, value))
    return numbers and sum(value) != 0


SWITCH = one_of(True, False)
DTYPE = one_of("float32", "float16", "bfloat16")
POSITIVE = Rule(lambda value: is_number(value) and value > 0, "a positive number")
NUMBER = Rule(is_number, "a number")
PROBABILITY = Rule(
    lambda value: value is None or (is_number(value) and 0 <= value <= 1),
    "a probability, 0 to 1, or None",
)
COUNT = whole(1, "a positive whole number")
COPIES = or_none(whole(1, f"1 to {MAX_COPIES}", most=MAX_COPIES))
COUNT_OR_0 = whole(0, "0 or a positive whole number")
RESOLUTION = Rule(
    lambda value: type(value) is int and value >= 4 and value & (value - 1) == 0,
    "a power of two, 4 or more",
)
FILTER = Rule(
    lambda value: value is None or _is_filter(value),
    f"a list of up to {MAX_TAPS} numbers, their sum not 0, or None",
    lambda value: (tuple(value) or None) if isinstance(value, (list, tuple)) else value,
)

# ---------------------------------------------------------------- options, functions, families


@dataclass(frozen=True)
class Option:
    """One keyword option: its default, the rule for its values, and what it means."""

    default: Any
    rule: Rule
    doc: str = ""


@dataclass(frozen=True)
class Function:
    """One of the original's build functions: a kind of network.

    name: the function's name, 'G_style'. role: 'G' and 'D' for whole networks, 'part' for parts of
    them. options: {keyword: Option}. target: where its class is, 'package.module.Class', imported
    when one is built. title: how messages call one, 'a G_style'. has_styles: whether a generator's
    codes are w. check: raises ValueError for values that do not go together; complete: fills in
    what follows from other options. ignored: further keywords that are accepted and change nothing;
    off: those that are accepted at some values, which mean what the network does anyway. pickled:
    (name, version) where pickles from that version of their state on, and `pickled_from`, their
    module, call it otherwise.
    grows: of all options, whether the network has layers for lower resolutions; None: always.
    """

    name: str
    role: str
    options: Mapping[str, Option]
    target: str
    title: str = ""
    has_styles: bool = False
    check: Optional[Callable[[str, dict], None]] = None
    complete: Optional[Callable[[dict], None]] = None
    ignored: frozenset = frozenset()
    off: Mapping[str, tuple] = field(default_factory=dict)
    pickled: tuple[str, int] = ("", 0)
    pickled_from: str = ""
    grows: Optional[Callable[[Mapping[str, Any]], bool]] = None

    def defaults(self) -> dict[str, Any]:
        """{option: its default}."""
        return {key: option.default for key, option in self.options.items()}

    def resolve(self, **kwargs: Any) -> dict[str, Any]:
        """Returns every option: the defaults, overridden by `kwargs`.

        Raises ValueError naming an unknown keyword or an impossible value.
        """
        options = self.defaults()
        for key, value in kwargs.items():
            if key in INERT or key in self.ignored:
                continue
            if key in self.off:
                if not one_of(*self.off[key]).accepts(value):
                    fail(self.name, key, value, f"{self.off[key][0]!r}: nothing else is supported")
                continue
            if key not in options:
                known = ", ".join(sorted(options))
                raise ValueError(f"{self.name} has no option {key!r}; it has: {known}")
            options[key] = self.options[key].rule.plain(value)
        for key, value in options.items():
            rule = self.options[key].rule
            if not rule.accepts(value):
                fail(self.name, key, value, rule.expected)
        if self.check:
            self.check(self.name, options)
        if self.complete:
            self.complete(options)
        return options


@dataclass(frozen=True)
class Family:
    """Networks that belong together.

    name: 'stylegan'. modules: the last parts of the names of the original's modules that had its
    functions, by which pickles tell functions of one name apart.
    """

    name: str
    modules: tuple[str, ...]
    functions: tuple[Function, ...]


def fail(name: str, key: str, value: Any, expected: str) -> None:
    """Raises the ValueError of an impossible option."""
    raise ValueError(f"{name}: {key}={shown(value)}, expected {expected}")


# ---------------------------------------------------------------- formulas that families share


def feature_maps(options: Mapping[str, Any], stage: int) -> int:
    """nf(s): the feature maps of stage s, of images of 2^(s+1) pixels (ProGAN, table 2)."""
    most = options["fmap_max"]
    try:
        fmaps = options["fmap_base"] / 2.0 ** (stage * options["fmap_decay"])
    except OverflowError:  # decays of thousands leave nothing, or everything
        return options.get("fmap_min", 0)
    except ZeroDivisionError:
        return most
    return most if fmaps >= most else max(int(fmaps), options.get("fmap_min", 0))


def is_fused(fused_scale: Any, resolution: int) -> bool:
    """Whether the weights of a ×2 or ÷2 whose larger side is `resolution` are fused ones."""
    return resolution >= 128 if fused_scale == "auto" else fused_scale


def check_feature_maps(name: str, options: Mapping[str, Any]) -> None:
    """Raises ValueError where some resolution has no feature map left."""
    last = options["resolution"].bit_length() - 2  # the stage of the full resolution
    if min(feature_maps(options, stage) for stage in (0, last)) < 1:
        expected = "more: some resolution has no feature map left"
        fail(name, "fmap_base", options["fmap_base"], expected)


def check_minibatch_stddev(name: str, options: Mapping[str, Any]) -> None:
    """Raises ValueError where the features of the statistic do not divide the feature maps."""
    fmaps, features = feature_maps(options, 1), options["mbstd_num_features"]
    if options["mbstd_group_size"] > 1 and fmaps % features:
        expected = f"a divisor of the {fmaps} feature maps at 4x4"
        fail(name, "mbstd_num_features", features, expected)


def has_every_resolution(options: Mapping[str, Any]) -> bool:
    """Whether the option structure leaves a network its layers for lower resolutions."""
    return options["structure"] != "fixed"


def check_width(name: str, options: Mapping[str, Any], key: str) -> None:
    """Raises ValueError for a width far beyond any network's, where no variable has it."""
    if options[key] is not None and options[key] > MAX_WIDTH:
        fail(name, key, options[key], f"{MAX_WIDTH:,} at most where no variable has that width")


def subset(table: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Those entries of a table that `keys` names, in their order."""
    return {key: table[key] for key in keys}
