"""The augmentations there are, their ranges, and the sets that people name (§2 and appendix B)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Optional

from dnnlib.config import nearest
from dnnlib.errors import UserError

BLIT = ("xflip", "rotate90", "xint")
GEOM = ("scale", "rotate", "aniso", "xfrac")
COLOR = ("brightness", "contrast", "lumaflip", "hue", "saturation")
FILTER, NOISE, CUTOUT = ("imgfilter",), ("noise",), ("cutout",)
ALL = (*BLIT, *GEOM, *COLOR, *FILTER, *NOISE, *CUTOUT)

SETS: dict[str, tuple[str, ...]] = {
    "none": (),
    "blit": BLIT,
    "geom": GEOM,
    "color": COLOR,
    "filter": FILTER,
    "noise": NOISE,
    "cutout": CUTOUT,
    "bg": (*BLIT, *GEOM),
    "bgc": (*BLIT, *GEOM, *COLOR),
    "bgcf": (*BLIT, *GEOM, *COLOR, *FILTER),
    "bgcfn": (*BLIT, *GEOM, *COLOR, *FILTER, *NOISE),
    "bgcfnc": ALL,
}
SMALLEST_FOR_FILTER = 22  # pixels: the filter's 43 taps are reflected at the border once


@dataclasses.dataclass(frozen=True)
class Transforms:
    """Multipliers, by which p becomes the probability of each transform, and ranges.

    A multiplier of 0 turns a transform off, the default. A set's are all 1 (`of`). Deviations
    (`_std`) and scales are of the logarithm to the base 2, rotations of π, shifts and cutout's size
    of an image's size; noise is in units of the images' range [−1, 1].
    """

    xflip: float = 0.0
    rotate90: float = 0.0
    xint: float = 0.0
    scale: float = 0.0
    rotate: float = 0.0
    aniso: float = 0.0
    xfrac: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    lumaflip: float = 0.0
    hue: float = 0.0
    saturation: float = 0.0
    imgfilter: float = 0.0
    noise: float = 0.0
    cutout: float = 0.0
    xint_max: float = 0.125
    scale_std: float = 0.2
    rotate_max: float = 1.0
    aniso_std: float = 0.2
    xfrac_std: float = 0.125
    brightness_std: float = 0.2
    contrast_std: float = 0.5
    hue_max: float = 1.0
    saturation_std: float = 1.0
    imgfilter_bands: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    imgfilter_std: float = 1.0
    noise_std: float = 0.1
    cutout_size: float = 0.5

    @classmethod
    def of(cls, name: str, **changes: Any) -> Transforms:
        """The set `name` of SETS, with changes; KeyError for another name."""
        return cls(**{**{transform: 1.0 for transform in SETS[name]}, **changes})

    def any_of(self, names: tuple[str, ...]) -> bool:
        """Whether one of the transforms is on."""
        return any(getattr(self, name) > 0 for name in names)


_RANGES = {field.name: field.default for field in dataclasses.fields(Transforms)}


def transforms_of(text: str, options: Mapping[str, Any]) -> Optional[Transforms]:
    """The transforms that a configuration names, None for 'none'.

    text: sets and single transforms with '+' between. options: multipliers and ranges that differ.
    Raises UserError naming augment.transforms or the option.
    """
    chosen: dict[str, Any] = {}
    for name in text.split("+"):
        if name not in SETS and name not in ALL:
            known = [*SETS, *ALL]
            hint = nearest(name, known) or f"; known: {', '.join(known)}"
            raise UserError(f"augment.transforms: unknown {name!r}{hint}")
        chosen.update({transform: 1.0 for transform in SETS.get(name, (name,))})
    for name, value in options.items():
        chosen[name] = _option(name, value)
    transforms = Transforms(**chosen)
    return transforms if transforms.any_of(ALL) else None


def _option(name: str, value: Any) -> Any:
    """A multiplier or a range as `Transforms` has it."""
    key = f"augment.options.{name}"
    if name not in _RANGES:
        hint = nearest(name, _RANGES) or f"; known: {', '.join(_RANGES)}"
        raise UserError(f"{key}: no such option{hint}")
    bands = name == "imgfilter_bands"
    values = value if bands and isinstance(value, (list, tuple)) else [value]
    good = all(
        isinstance(number, (int, float)) and not isinstance(number, bool) and 0 <= number < 1e6
        for number in values
    )
    if not good or len(values) != (4 if bands else 1):
        expected = "four numbers, 0 or more" if bands else "a number, 0 or more"
        raise UserError(f"{key}={value!r}: expected {expected}")
    return tuple(map(float, values)) if bands else float(value)
