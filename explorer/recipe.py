"""What a picture is made from, as a browser asks for it: plain data, checked before it is used.

Here is checked what can be without a network; explorer/scene.py holds a recipe against one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NoReturn, Optional, Union

from dnnlib.errors import UserError
from generation.directions import MAX_AMOUNT

NOISES = ("fixed", "random", "none")
NETWORKS = ("Gs", "G")
MAX_SEED = 2**32 - 1
MAX_SEEDS = 8  # that are blended: halfway between two blends of four
MAX_LAYERS = 64  # more than networks of any size have
MAX_CLASSES = 1000  # that are mixed
MAX_WEIGHT = 1e6
MAX_PSI = 1000.0  # as of --truncation_psi
MAX_CUTOFF = 100
MAX_LOD = 16.0
MAX_NAME = 200  # characters
_SHOWN = 40  # characters of a wrong value


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One picture; None: the network's own, or the usual.

    which: 'Gs' or 'G'. seeds: (seed, weight), whose z are blended; no weight is 0. labels: (class,
    weight), weights of sum 1; None: the seeds' numbers give the classes, in the shares of their
    weights. noise: of all layers, or of each. noise_seed: of random noise; None: the first seed.
    mixing: (layer, seed whose w it takes). edits: (direction, units). projected: a projected
    picture in place of seeds.
    """

    which: Optional[str] = None
    seeds: tuple[tuple[int, float], ...] = ((0, 1.0),)
    labels: Optional[tuple[tuple[int, float], ...]] = None
    psi: Optional[float] = None
    cutoff: Optional[int] = None
    noise: Union[str, tuple[str, ...]] = "fixed"
    noise_seed: Optional[int] = None
    mixing: tuple[tuple[int, int], ...] = ()
    edits: tuple[tuple[str, float], ...] = ()
    projected: Optional[str] = None
    lod: Optional[float] = None

    @property
    def seed(self) -> int:
        """The first seed, whose number gives the noise."""
        return self.seeds[0][0]

    @property
    def drawn_from(self) -> int:
        """The seed of random noise."""
        return self.seed if self.noise_seed is None else self.noise_seed


def parse(value: Any) -> Recipe:
    """A recipe of what JSON held; every field may be absent, or null.

    Raises UserError, one sentence that names the field, for anything that is no recipe.
    """
    if not isinstance(value, dict):
        _refuse("recipe", "an object", value)
    for name in value:
        if name not in _FIELDS:
            raise UserError(f"recipe: unknown field {_shown(name)}; known: {', '.join(_FIELDS)}")
    given = {name: held for name, held in value.items() if held is not None}
    return Recipe(**{name: _FIELDS[name](name, held) for name, held in given.items()})


# ---------------------------------------------------------------- fields


def _which(name: str, value: Any) -> str:
    if _text_of(value) not in NETWORKS:
        _refuse(name, " or ".join(NETWORKS), value)
    return value


def _seeds(name: str, value: Any) -> tuple[tuple[int, float], ...]:
    pairs = _pairs(name, value, MAX_SEEDS, _seed, _weight)
    kept = tuple(pair for pair in pairs if pair[1])
    if not kept or math.hypot(*(weight for _, weight in kept)) < 1e-6:
        _refuse(name, f"1 to {MAX_SEEDS} pairs [seed, weight], not all of weight 0", value)
    return kept


def _labels(name: str, value: Any) -> tuple[tuple[int, float], ...]:
    pairs = _pairs(name, value, MAX_CLASSES, _index, _weight)
    total = sum(weight for _, weight in pairs)
    if min((weight for _, weight in pairs), default=-1.0) < 0 or total < 1e-6:
        _refuse(name, "pairs [class, weight] with weights from 0, not all 0", value)
    return tuple((index, weight / total) for index, weight in pairs if weight)


def _noise(name: str, value: Any) -> Union[str, tuple[str, ...]]:
    every = value if isinstance(value, list) else [value]
    if not 0 < len(every) <= MAX_LAYERS or not all(one in NOISES for one in map(_text_of, every)):
        _refuse(name, f"{', '.join(NOISES)}, or a list of these for the layers", value)
    return tuple(value) if isinstance(value, list) else value


def _mixing(name: str, value: Any) -> tuple[tuple[int, int], ...]:
    pairs = _pairs(name, value, MAX_LAYERS, _index, _seed)
    if len(dict(pairs)) < len(pairs):
        _refuse(name, "each layer once", value)
    return pairs


def _edits(name: str, value: Any) -> tuple[tuple[str, float], ...]:
    if not isinstance(value, dict) or len(value) > MAX_CLASSES:
        _refuse(name, "an object {direction: units}", value)
    return tuple(
        (_name(name, key), amount)
        for key, held in value.items()
        if (amount := _number(name, held, MAX_AMOUNT))
    )


# ---------------------------------------------------------------- values


def _pairs(
    name: str,
    value: Any,
    most: int,
    first: Callable[[str, Any], Any],
    second: Callable[[str, Any], Any],
) -> tuple:
    if not isinstance(value, list) or len(value) > most:
        _refuse(name, f"a list of at most {most} pairs", value)
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2:
            _refuse(name, "pairs", pair)
    return tuple((first(name, one), second(name, other)) for one, other in value)


def _whole(name: str, value: Any, most: int) -> int:
    # What a slider gives may be 3.0; a bool is no number here.
    whole = type(value) is int or (type(value) is float and value.is_integer())
    if not whole or not 0 <= value <= most:
        _refuse(name, f"a whole number from 0 to {most}", value)
    return int(value)


def _number(name: str, value: Any, most: float) -> float:
    if type(value) not in (int, float) or not abs(value) <= most:
        _refuse(name, f"a number from {-most:g} to {most:g}", value)
    return float(value)


def _name(name: str, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        _refuse(name, f"a name of at most {MAX_NAME} characters", value)
    return value


def _seed(name: str, value: Any) -> int:
    return _whole(name, value, MAX_SEED)


def _index(name: str, value: Any) -> int:
    return _whole(name, value, 1_000_000)


def _weight(name: str, value: Any) -> float:
    return _number(name, value, MAX_WEIGHT)


def _psi(name: str, value: Any) -> float:
    return _number(name, value, MAX_PSI)


def _cutoff(name: str, value: Any) -> int:
    return _whole(name, value, MAX_CUTOFF)


def _lod(name: str, value: Any) -> float:
    if _number(name, value, MAX_LOD) < 0:
        _refuse(name, f"a number from 0 to {MAX_LOD:g}", value)
    return float(value)


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _shown(value: Any) -> str:
    # Not all of a long list is made a text to show its beginning.
    text = repr(value[:_SHOWN] if isinstance(value, (str, list)) else value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + " …"


def _refuse(name: str, expected: str, value: Any) -> NoReturn:
    raise UserError(f"{name}: expected {expected}, got {_shown(value)}")


_FIELDS: dict[str, Callable[[str, Any], Any]] = {
    "which": _which,
    "seeds": _seeds,
    "labels": _labels,
    "psi": _psi,
    "cutoff": _cutoff,
    "noise": _noise,
    "noise_seed": _seed,
    "mixing": _mixing,
    "edits": _edits,
    "projected": _name,
    "lod": _lod,
}
