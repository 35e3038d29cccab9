"""JSON that others wrote: files, metadata, environment variables. One guard for all of it."""

from __future__ import annotations

import json
import math
import os
from typing import Any, Union

from dnnlib import paths

MOST_DEPTH = 64  # tables and lists inside each other; ours are not deeper than 6
MOST_WHOLE = 1 << 64  # no number of ours is larger, and floats beyond 1e308 do not exist


class JsonError(ValueError):
    """Text that is no JSON, or none that can be used; the message goes on after a file's name."""


def parse(text: Union[str, bytes], *, finite: bool = True) -> Any:
    """The value of a JSON text.

    Raises JsonError for anything that is no JSON, for lists nested deeper than MOST_DEPTH, whole
    numbers from MOST_WHOLE on, NaN, Infinity, and numbers too large for a float. With
    finite=False such numbers pass, the largest of them as infinity.
    """
    try:
        if finite:
            value = json.loads(text, parse_int=_whole, parse_constant=_refuse)
        else:
            value = json.loads(text, parse_int=_whole_or_infinite)
    except JsonError:
        raise
    except RecursionError:
        raise JsonError(f"is nested more than {MOST_DEPTH} deep") from None
    except ValueError as error:
        raise JsonError(f"is not valid JSON: {error}") from error
    check(value, finite=finite)
    return value


def read(path: Union[str, os.PathLike], most_bytes: int = 64 << 20) -> Any:
    """The value of a JSON file.

    Raises JsonError as `parse` does and for more than `most_bytes`, FileNotFoundError, and
    UserError for what is no file or may not be read.
    """
    with paths.open_input(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise JsonError(f"has more than {most_bytes:,} bytes")
    return parse(data)


def read_text(path: Union[str, os.PathLike]) -> str:
    """A text file of ours as it is; what is no UTF-8 in it becomes �. Raises as `read` does."""
    with paths.open_input(path) as file:
        return file.read().decode("utf-8", "replace")


def check(value: Any, *, finite: bool = True) -> None:
    """Raises JsonError for depth and numbers as `parse` does; other values pass."""
    level, depth = [value], 0
    while level:
        if depth > MOST_DEPTH:
            raise JsonError(f"is nested more than {MOST_DEPTH} deep")
        below: list = []
        for item in level:
            if isinstance(item, dict):
                below += item.keys()
                below += item.values()
            elif isinstance(item, (list, tuple, set)):
                below += item
            elif finite and isinstance(item, int) and abs(item) >= MOST_WHOLE:
                raise JsonError(f"has a number of about {int(item.bit_length() * 0.30103)} digits")
            elif finite and isinstance(item, float) and not math.isfinite(item):
                raise JsonError("has a number that is infinite, too large, or none (NaN)")
        level, depth = below, depth + 1


def _whole(digits: str) -> int:
    if len(digits) > 40:  # Python refuses thousands, or takes long for millions
        raise JsonError(f"has a number of {len(digits)} digits")
    return int(digits)


def _whole_or_infinite(digits: str) -> Union[int, float]:
    return float(digits) if 40 < len(digits) < 1000 else _whole(digits)


def _refuse(name: str) -> Any:
    raise JsonError(f"has {name}, which is no number")
