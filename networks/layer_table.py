"""A network's layers as rows of a table."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Optional


@dataclasses.dataclass(frozen=True)
class Row:
    """One layer: trained numbers, shapes; a variable that nothing trains is a row without weight.

    output is without the minibatch, [C, H, W] as the original's table has it.
    """

    name: str
    parameters: int
    output: tuple[int, ...]
    weight: Optional[tuple[int, ...]]


def rows(network: Any) -> list[Row]:
    """The layers of a network, in the order of its variables."""
    trained = network.trainable()
    table: dict[str, Row] = {}
    for name, variable in network.named.items():
        place, shape = network.place_of(name), tuple(variable.shape)
        if place is None:  # lod, an average, a noise image: a row of its own
            table[name] = Row(name, 0, shape, None)
            continue
        row = table.get(place.scope) or Row(place.scope, 0, place.output, None)
        if name in trained:
            row = dataclasses.replace(row, parameters=row.parameters + math.prod(shape))
        if name in (f"{place.scope}/weight", f"{place.scope}/const"):
            row = dataclasses.replace(row, weight=shape)
        table[place.scope] = row
    return list(table.values())
