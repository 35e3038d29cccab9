"""Messages from the page, checked: JSON of few kinds, with whole numbers in bounds."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional, Union

from dnnlib import json_files
from dnnlib.errors import UserError
from explorer import recipe as recipes
from explorer.recipe import Recipe

PICTURE, INSIDE, NOISE_MAP, RUN, RELOAD = "picture", "inside", "noise_map", "run", "reload"
_MOST_NUMBER = 2**53 - 1  # of JavaScript's whole numbers
_FIELDS = {
    PICTURE: {"request", "network", "preview", "recipe"},
    INSIDE: {"request", "network", "recipe", "layer"},
    NOISE_MAP: {"request", "network", "recipe"},
    RUN: {"request", "since", "epoch"},
    RELOAD: {"request"},
}


@dataclasses.dataclass(frozen=True)
class Request:
    """A message. number: the page's, which comes back; network: its index."""

    kind: str
    number: Optional[int]
    network: int = 0
    recipe: Recipe = dataclasses.field(default_factory=Recipe)
    preview: bool = False
    layer: int = 0
    since: float = -1.0
    epoch: Optional[int] = None


class BadMessage(UserError):
    """A message that is none. number: of the request, where that can be read."""

    def __init__(self, text: str, number: Optional[int] = None) -> None:
        super().__init__(text)
        self.number = number


def parse(text: Union[str, bytes], networks: int) -> Request:
    """A request of a message's text, of a page with so many networks. Raises BadMessage."""
    value = _object(text)
    number = value.get("request")
    number = number if type(number) is int and 0 <= number <= _MOST_NUMBER else None
    try:
        return _request(value, number, networks)
    except UserError as error:
        raise BadMessage(str(error), number) from error


def recipe_of(text: Union[str, bytes], networks: int) -> tuple[int, Recipe]:
    """(network, recipe) of the body of a request for a file. Raises BadMessage."""
    value = _object(text)
    _known(value, {"network", "recipe"})
    return _index(value, "network", networks), recipes.parse(value.get("recipe", {}))


def _object(text: Union[str, bytes]) -> dict[str, Any]:
    try:
        value = json_files.parse(text)
    except ValueError as error:
        raise BadMessage(f"the message {error}") from error
    if not isinstance(value, dict):
        raise BadMessage("the message is no object")
    return value


def _request(value: dict[str, Any], number: Optional[int], networks: int) -> Request:
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise UserError(f"type: expected one of {', '.join(_FIELDS)}")
    _known(value, {"type", *_FIELDS[kind]})
    if kind == RELOAD:
        return Request(kind, number)
    if kind == RUN:
        since, epoch = value.get("since", -1), value.get("epoch")
        if type(since) not in (int, float) or not abs(since) <= _MOST_NUMBER:
            raise UserError("since: expected the number of a tick")
        if epoch is not None:
            epoch = _index(value, "epoch", _MOST_NUMBER)
        return Request(kind, number, since=since, epoch=epoch)
    if number is None:
        raise UserError("request: expected a whole number from 0")
    preview = value.get("preview", False)
    if type(preview) is not bool:
        raise UserError("preview: expected true or false")
    return Request(
        kind,
        number,
        _index(value, "network", networks),
        recipes.parse(value.get("recipe", {})),
        preview,
        _index(value, "layer", 10_000),
    )


def _known(value: dict[str, Any], names: set[str]) -> None:
    for name in value:
        if name not in names:
            raise BadMessage(f"unknown field {name[:40]!r}; known: {', '.join(sorted(names))}")


def _index(value: dict[str, Any], name: str, count: int) -> int:
    number = value.get(name, 0)
    if type(number) is not int or not 0 <= number < count:
        raise UserError(f"{name}: expected a whole number below {count}")
    return number
