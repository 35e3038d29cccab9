"""Configurations: frozen dataclasses ⇄ plain JSON, with checked dotted overrides.

Supported field types: bool, int, float, str, Optional and Union of those, tuple[X, ...],
dict[K, V] with K int or str, plain dict (options of whatever its user validates, values any
JSON), and nested dataclasses. JSON objects have only string keys; the types bring ints back.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import functools
import math
import typing
import warnings
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from dnnlib import json_files
from dnnlib.errors import UserError
from dnnlib.terminal import shown

Config = TypeVar("Config")


def to_dict(config: object) -> dict:
    """Returns the configuration as plain JSON values (dict, list, str, int, float, bool, None)."""
    return _plain({f.name: getattr(config, f.name) for f in dataclasses.fields(config)}, "")


def from_dict(cls: type[Config], values: object, where: str = "") -> Config:
    """Makes a `cls` from plain values, checking every key and type; inverse of `to_dict`.

    Missing keys take the field's default. `where` is the dotted prefix for messages.
    Raises UserError naming the dotted key that is unknown, missing or of the wrong type.
    """
    if not isinstance(values, dict):
        raise UserError(
            f"{where or cls.__name__}: expected a table of options, not {shown(values)}"
        )
    types = _field_types(cls)
    for key in values:
        if key not in types:
            raise UserError(_unknown(_join(where, key), key, types))
    kwargs = {key: _coerce(value, types[key], _join(where, key)) for key, value in values.items()}
    for field in dataclasses.fields(cls):
        if field.name not in kwargs and _has_no_default(field):
            raise UserError(f"{_join(where, field.name)}: missing")
    return cls(**kwargs)


def apply_overrides(config: Config, overrides: Iterable[str]) -> Config:
    """Returns `config` changed by `key.key=value` strings, in order.

    Values are Python or JSON literals; anything else is taken as a string. A whole table can be
    given as a literal too (`D_loss={"func_name": "D_wgan_gp"}`).
    Raises UserError naming an unknown key (and the nearest known one) or a wrong type.
    """
    for override in overrides:
        path, separator, text = override.partition("=")
        path = path.strip()
        if not separator or not path:
            raise UserError(f"override {override!r}: expected key=value")
        keys = path.split(".")
        if len(keys) > json_files.MOST_DEPTH:
            raise UserError(f"override {path}: tables in tables, {len(keys)} deep")
        config = _replace(config, type(config), keys, text.strip(), "")
    return config


def diff(old: object, new: object) -> list[tuple[str, Any, Any]]:
    """Returns (dotted key, old value, new value) of every difference, in field order.

    A key that one side lacks has the value `None` there.
    """
    old_flat, new_flat = dict(_flatten(to_dict(old))), dict(_flatten(to_dict(new)))
    keys = list(old_flat) + [key for key in new_flat if key not in old_flat]
    pairs = ((key, old_flat.get(key), new_flat.get(key)) for key in keys)
    # 1 and 1.0 are the same setting, 1 and True are not.
    return [(k, a, b) for k, a, b in pairs if a != b or isinstance(a, bool) != isinstance(b, bool)]


def format(config: object, indent: str = "  ") -> str:
    """Returns one `dotted.key = value` line per setting, in the form that overrides accept."""
    rows = list(_flatten(to_dict(config)))
    width = max((len(key) for key, _ in rows), default=0)
    return "\n".join(f"{indent}{key:<{width}} = {_literal(value)}" for key, value in rows)


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns " (did you mean 'x'?)" for the closest of the known names, or ""."""
    by_lower = {str(item).lower(): str(item) for item in known}  # case is the likeliest slip
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=1)
    return f" (did you mean {by_lower[close[0]]!r}?)" if close else ""


# --------------------------------------------------------------------------------------
# Overrides


def _replace(value: Any, kind: Any, path: list[str], text: str, where: str) -> Any:
    """Returns `value` (of type `kind`) with what is at `path` below it set to `text`."""
    if not path:
        return _parse(text, kind, where)
    key, rest = path[0], path[1:]
    here = _join(where, key)
    if dataclasses.is_dataclass(kind):
        types = _field_types(kind)
        if key not in types:
            raise UserError(_unknown(here, key, types))
        new = _replace(getattr(value, key), types[key], rest, text, here)
        return dataclasses.replace(value, **{key: new})
    if _is_dict(kind):
        key_type, value_type = typing.get_args(kind) or (str, Any)
        key = _coerce_key(key, key_type, here)
        return {**value, key: _replace(value.get(key, {}), value_type, rest, text, here)}
    if kind is Any and isinstance(value, dict):  # a table inside a plain dict
        return {**value, key: _replace(value.get(key, {}), Any, rest, text, here)}
    raise UserError(f"{here}: {where} has no parts to set")


def _parse(text: str, kind: Any, where: str) -> Any:
    # A text field takes `1024` as it stands; only quotes make it a literal.
    plain_text = kind is str and text[:1] not in ("'", '"')
    candidates = [text] if plain_text else [*_literals(text), text]
    error = None
    for candidate in candidates:
        try:
            return _coerce(candidate, kind, where)
        except UserError as failure:
            # The literal's message says more than the raw text's.
            error = error or failure
    raise error


def _literals(text: str) -> Iterator[Any]:
    # Neither of the two can run code.
    for parse in (ast.literal_eval, json_files.parse):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Python's, about text that is hardly code: 3or
                value = parse(text)
            json_files.check(value, finite=False)  # whose messages name the key
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        yield value
        return
    if text.lower() in ("true", "false", "none"):
        yield {"true": True, "false": False, "none": None}[text.lower()]


# --------------------------------------------------------------------------------------
# Types


def _coerce(value: Any, kind: Any, where: str) -> Any:
    """Returns `value` as `kind`; exact except that int → float and list → tuple are fine."""
    if dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else from_dict(kind, value, where)
    if kind is Any:
        return _plain(value, where)
    if typing.get_origin(kind) is typing.Union:
        return _coerce_union(value, kind, where)
    if _is_dict(kind) and isinstance(value, dict):
        key_type, value_type = typing.get_args(kind) or (str, Any)
        return {
            _coerce_key(k, key_type, _join(where, k)): _coerce(v, value_type, _join(where, k))
            for k, v in value.items()
        }
    if typing.get_origin(kind) is tuple and isinstance(value, (list, tuple)):
        return tuple(_coerce(item, typing.get_args(kind)[0], where) for item in value)
    if kind is type(None) and value is None:
        return None
    if kind in (bool, str) and isinstance(value, kind):
        return value
    if kind in (int, float) and not isinstance(value, bool):
        if isinstance(value, int) and abs(value) < json_files.MOST_WHOLE:
            return kind(value)
        if kind is float and isinstance(value, float) and math.isfinite(value):
            return value
    raise UserError(f"{where}={shown(value)}: expected {_describe(kind)}")


def _coerce_union(value: Any, kind: Any, where: str) -> Any:
    for member in typing.get_args(kind):
        try:
            return _coerce(value, member, where)
        except UserError:
            pass
    raise UserError(f"{where}={shown(value)}: expected {_describe(kind)}")


def _coerce_key(key: Any, kind: type, where: str) -> Any:
    if kind is int:
        if isinstance(key, str) and key.lstrip("-").isdecimal():
            return int(key)
        if not isinstance(key, int) or isinstance(key, bool):
            raise UserError(f"{where}: expected a whole number in place of {key!r}")
    elif not isinstance(key, str):
        raise UserError(f"{where}: expected a name in place of {key!r}")
    return key


def _plain(value: Any, where: str) -> Any:
    """Copies `value` into JSON types (tuples become lists, int keys strings)."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int) and abs(value) < json_files.MOST_WHOLE:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item, where) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name), where) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item, _join(where, key)) for key, item in value.items()}
    raise UserError(f"{where}={shown(value)}: expected a number, text, list or table")


def _describe(kind: Any) -> str:
    names = {
        bool: "True or False",
        int: "a whole number",
        float: "a number",
        str: "text",
        type(None): "None",
    }
    if typing.get_origin(kind) is typing.Union:
        return " or ".join(_describe(member) for member in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return f"a list, each item {_describe(typing.get_args(kind)[0])}"
    return names.get(kind, "a table like {key: value}")


def _is_dict(kind: Any) -> bool:
    return kind is dict or typing.get_origin(kind) is dict


@functools.cache
def _field_types(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _has_no_default(field: dataclasses.Field) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


# --------------------------------------------------------------------------------------
# Text


def _join(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def _unknown(here: str, key: Any, known: Iterable[str]) -> str:
    known = list(known)
    hint = nearest(key, known) or f" (known: {', '.join(known)})"
    return f"unknown key {here!r}{hint}"


def _flatten(values: dict, where: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flatten(value, _join(where, key))
        else:
            yield _join(where, key), value


def _literal(value: Any) -> str:
    # Quotes only where an override would otherwise read something else than text.
    bare = isinstance(value, str) and value and not list(_literals(value))
    return value if bare else repr(value)
