"""Command lines with subcommands: flags as tables, help, and parsing into a dictionary."""

from __future__ import annotations

import dataclasses
import math
import sys
import textwrap
from collections.abc import Callable
from typing import Any, Optional

from absl import flags

from dnnlib.errors import UserError

TEXT, NUMBER, WHOLE = flags.DEFINE_string, flags.DEFINE_float, flags.DEFINE_integer
SWITCH, CHOICE = flags.DEFINE_boolean, flags.DEFINE_enum
_INDENT = 27


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag. define: absl's function, with these `limits`; shown: what help shows for the
    value."""

    name: str
    define: Callable
    shown: str
    text: str
    default: Any
    limits: dict


@dataclasses.dataclass(frozen=True)
class Command:
    """One subcommand: what it does, and its flags."""

    summary: str
    flags: list


def flag(name: str, define: Callable, shown: str, text: str, default=None, **limits) -> Flag:
    """A flag; limits are those of absl's definition, as lower_bound and enum_values."""
    return Flag(name, define, shown, text, default, limits)


HELP = flag("help", SWITCH, "", "print this", False, short_name="h")


def command_list(commands: dict[str, Command]) -> list[str]:
    """Lines with name and summary of each."""
    width = max(map(len, commands)) + 2
    return [f"  {name:<{width}}{command.summary}" for name, command in commands.items()]


def flag_list(table: list[Flag]) -> list[str]:
    """Lines that explain flags."""
    lines = []
    for item in table:
        left = f"  --{item.name}" + ("=" if item.shown else "") + item.shown
        unset = item.default is None or item.default is False
        given = "" if unset else f" (default: {item.default})"
        first, *more = textwrap.wrap(item.text + given, 93 - _INDENT)
        fits = len(left) < _INDENT
        lines.append(f"{left:<{_INDENT}}{first}" if fits else f"{left}\n{'':{_INDENT}}{first}")
        lines += [" " * _INDENT + line for line in more]
    return lines


def parse(argv: list[str], table: list[Flag], program: Optional[str] = None) -> dict[str, Any]:
    """{flag: value} of a command's arguments, argv[0] being its name.

    Raises UserError for an unknown flag, an impossible value, or anything that is no flag.
    """
    program = program or sys.argv[0]
    fv = flags.FlagValues()
    for item in table:
        item.define(
            name=item.name, default=item.default, help=item.text, flag_values=fv, **item.limits
        )
    try:
        rest = fv(argv)[1:]
    except flags.Error as error:
        raise UserError(f"{error} ({program} --help lists all flags)") from error
    if rest:
        raise UserError(f"unexpected argument {rest[0]!r}")
    values = {item.name: fv[item.name].value for item in table}
    for name, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"--{name}={value}: expected a number")
    return values
