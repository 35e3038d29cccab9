"""The networks and losses of a configuration, held against the tables of what there is.

One place for every kind of run. Needs no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dnnlib.config import nearest
from dnnlib.errors import UserError
from networks import registry
from networks.options import INERT
from training import loss_options

# Options of the networks that are settled elsewhere in the configuration.
SETTLED = {
    "resolution": "dataset.resolution",
    "num_channels": "the data set",
    "label_size": "dataset.max_label_size",
    "dtype": "precision",
    "dlatent_broadcast": "the number of synthesis layers",
}


@dataclass(frozen=True)
class Parts:
    """Networks and losses of a run: `func_name` and every option, defaults filled in."""

    G: dict[str, Any]
    D: dict[str, Any]
    losses: dict[str, dict[str, Any]]  # 'G_loss', 'D_loss', and regularisers

    @property
    def networks(self) -> dict[str, dict[str, Any]]:
        return {"G": self.G, "D": self.D}


def network(key: str, chosen: Mapping[str, Any], settled: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `func_name` and every option of a network: keyword arguments of `networks.build`.

    key: 'G' or 'D'. chosen: that part of a configuration. settled: values of `SETTLED`.
    Raises UserError naming an unknown network or option, or an impossible value.
    """
    func_name = chosen.get("func_name")
    known = registry.names(key)
    try:
        name = registry.locate(str(func_name or ""))[1].name  # also by the original's module
    except ValueError:
        name = ""
    if name not in known:
        raise UserError(
            f"{key}.func_name={func_name!r}: unknown network; known: {', '.join(known)}"
        )
    table = defaults(name)
    for option in chosen:
        if option in SETTLED:
            raise UserError(f"{key}.{option}: is set by {SETTLED[option]}, not here")
        if option not in table and option not in INERT:
            hint = nearest(option, table) or f"; it has: {', '.join(sorted(table))}"
            raise UserError(f"{key}.{option}: {name} has no such option{hint}")
    kwargs = {**chosen, **settled, "func_name": name}
    try:
        return {"func_name": name, **registry.resolve(**kwargs)}
    except (TypeError, ValueError) as error:  # TypeError: a list where a number belongs
        raise UserError(f"{key}: {error}") from error


def loss(key: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `func_name` and every option of a loss or regulariser; key: 'G_loss', 'D_reg', ….

    Raises UserError naming an unknown loss or option, or an impossible value.
    """
    name, options = loss_options.resolve(key, dict(chosen))
    return {"func_name": name, **options}


def defaults(func_name: str) -> dict[str, Any]:
    """The options of a network, loss or regulariser that exists, at their defaults."""
    for table in loss_options.TABLES.values():
        if func_name in table:
            return dict(table[func_name])
    return registry.defaults(func_name)
