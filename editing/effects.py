"""What directions do: measured on many images, with random directions beside them.

A direction that raises one attribute usually drags others along; a table of all of them says how
much, and how far one can go before images fall apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Optional

import numpy as np
import tensorflow as tf

from editing.distances import Distance, shrink
from generation.directions import Direction
from metrics.features.classifiers import Classifier
from networks.sampling import Sampler

_MINIBATCH = 256  # images that a classifier sees at once
_COMPARED = 8  # images that a distance embeds at once, a layer's worth of maps each
AMOUNTS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)  # units
_SATURATED = 0.5  # of the first unit's change of the attribute


@dataclasses.dataclass(frozen=True)
class Effect:
    """Of one direction. rates: {attribute: [amounts], the share of images that have it, as its
    classifier's mean probability}; change: [amounts], the root mean square by which pixels, in
    [−1, 1], differ from those of amount 0. perceived: [amounts], the mean LPIPS from those of
    amount 0, where it was measured."""

    direction: Direction
    rates: dict[str, np.ndarray]
    change: np.ndarray
    perceived: Optional[np.ndarray] = None

    def per_unit(self, attribute: str) -> float:
        """How many points of 100 the rate rises a unit, from −1 to 1."""
        rates, middle = self.rates[attribute], AMOUNTS.index(0.0)
        return float(rates[middle + 1] - rates[middle - 1]) * 50

    def over_all(self, attribute: str) -> float:
        """How many points the rate rises from the first amount to the last."""
        return float(self.rates[attribute][-1] - self.rates[attribute][0]) * 100

    def saturates(self) -> float | None:
        """The amount, of either sign, from which another unit changes pixels by less than half as
        much as the first one did; None within those measured."""
        middle = AMOUNTS.index(0.0)
        # The smaller change of both sides, from the middle out.
        outward = np.minimum(self.change[middle:], self.change[middle::-1])
        gains = np.diff(outward)
        small = np.flatnonzero(gains < _SATURATED * gains[0])
        return float(small[0]) if len(small) else None

    def record(self) -> dict[str, Any]:
        """What JSON can hold."""
        perceived = {} if self.perceived is None else {"LPIPS": _rounded(self.perceived)}
        return {
            "name": self.direction.name,
            "kind": self.direction.kind,
            "layers": list(self.direction.layers),
            "amounts": list(AMOUNTS),
            "rates": {name: _rounded(values) for name, values in self.rates.items()},
            "points per unit": {name: round(self.per_unit(name), 2) for name in self.rates},
            "points from first to last": {
                name: round(self.over_all(name), 2) for name in self.rates
            },
            "pixel change": _rounded(self.change),
            **perceived,
            "saturates at": self.saturates(),
        }


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 5) for value in values]


class Judges:
    """Attribute classifiers, compiled. Images that do not fit are a UserError."""

    def __init__(self, classifiers: Sequence[Classifier]) -> None:
        self._graphs = {
            one.attribute: tf.function(one.__call__, autograph=False) for one in classifiers
        }

    def logits(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """{attribute: [N]} of uint8 images [N, R, R, C]; above 0 for those that have it."""
        found: dict[str, list] = {name: [] for name in self._graphs}
        for start in range(0, len(images), _MINIBATCH):
            levels = tf.constant(images[start : start + _MINIBATCH])
            part = tf.cast(levels, tf.float32) / 127.5 - 1
            for name, graph in self._graphs.items():
                found[name].append(graph(part).numpy())
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def rates(self, images: np.ndarray) -> dict[str, float]:
        """{attribute: the mean probability of uint8 images}."""
        logits = self.logits(images)
        return {name: float((1 / (1 + np.exp(-x))).mean()) for name, x in logits.items()}


def measure(
    sampler: Sampler,
    directions: Sequence[Direction],
    codes: np.ndarray,
    judges: Judges,
    distance: Optional[Distance] = None,
) -> Iterator[Effect]:
    """Yields the effect of each direction on the images of codes [N, layers, D].

    distance: by which changes are measured too, beside pixels.
    """
    compare = None if distance is None else _Comparison(distance)
    still = sampler.images(codes, title="effects")
    rates_still = judges.rates(still)
    for direction in directions:
        columns, change, perceived = [], [], []
        for amount in AMOUNTS:
            moved = still
            if amount:
                moved = sampler.images(direction.move(codes, amount), title="effects")
            columns.append(judges.rates(moved) if amount else rates_still)
            difference = (np.float32(moved) - np.float32(still)) / 127.5
            change.append(np.sqrt(np.square(difference).mean()))
            if compare is not None:
                perceived.append(compare(still, moved) if amount else 0.0)
        rates = {name: np.array([one[name] for one in columns]) for name in rates_still}
        yield Effect(direction, rates, np.array(change), np.array(perceived) if perceived else None)


class _Comparison:
    """uint8 images twice, [N, R, R, C] → the mean of a distance between them."""

    def __init__(self, distance: Distance) -> None:
        self._graph = tf.function(
            lambda first, second: distance.between(
                *(distance.embed(shrink(tf.cast(part, tf.float32))) for part in (first, second))
            ),
            autograph=False,
        )

    def __call__(self, first: np.ndarray, second: np.ndarray) -> float:
        parts = [
            self._graph(first[start : start + _COMPARED], second[start : start + _COMPARED])
            for start in range(0, len(first), _COMPARED)
        ]
        return float(np.concatenate(parts).mean())


def table(effects: Sequence[Effect]) -> str:
    """A line for each direction: what it does, what it drags along, how much it changes."""
    width = max(len(effect.direction.name) for effect in effects)
    lines = [f"Points of 100 from {AMOUNTS[0]:+g} to {AMOUNTS[-1]:+g} units:"]
    lines += [f"  {one.direction.name:<{width}}  {_summary(one)}" for one in effects]
    return "\n".join(lines)


def _summary(effect: Effect) -> str:
    """In points of 100 from the first amount to the last."""
    points = {name: effect.over_all(name) for name in effect.rates}
    by_size = sorted(points, key=lambda name: -abs(points[name]))
    own = effect.direction.name.split(",")[0]  # of a plane, without what it keeps
    parts = []
    if by_size:
        first = own if own in points else by_size[0]
        others = [f"{name} {points[name]:+.0f}" for name in by_size if name != first][:3]
        parts.append(f"{first} {points[first]:+.0f}" + "".join(f", {other}" for other in others))
    unit = AMOUNTS.index(1.0)
    parts.append(f"pixels {effect.change[unit]:.3f} a unit")
    if effect.perceived is not None:
        parts.append(f"LPIPS {effect.perceived[unit]:.3f}")
    if effect.saturates() is not None:
        parts.append(f"saturates at {effect.saturates():g}")
    return "; ".join(parts)
