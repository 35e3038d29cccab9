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


@dataclasses.dataclass(frozen=True)
class Program:
    """The command line `python FILE COMMAND [--flag=value …]`.

    flags_of: a command's name → all its flags, `HELP` among them; options: what its usage shows.
    """

    file: str
    intro: str
    examples: str
    commands: dict[str, Command]
    flags_of: Callable[[str], list[Flag]]
    options: str = "[options]"

    def help(self, name: Optional[str] = None) -> str:
        """Of a command, or of the program."""
        if name is None:
            lines = [self.intro, "commands:", *command_list(self.commands), ""]
            lines += [f"python {self.file} COMMAND --help lists a command's options.", ""]
            return "\n".join([*lines, self.examples])
        lines = [f"usage: python {self.file} {name} {self.options}\n"]
        lines += [f"{name}: {self.commands[name].summary}\n", *flag_list(self.flags_of(name))]
        return "\n".join(lines) + "\n"

    def run(self, argv: list[str], work: Callable[[str, dict], int]) -> int:
        """Prints help, or calls work(command, {flag: value}); returns the exit code.

        Raises UserError for a mistake in the command line.
        """
        if len(argv) < 2 or argv[1] in ("--help", "-h", "-help", "help"):
            print(self.help(), end="")
            return 0 if len(argv) > 1 else 2
        name = argv[1]
        if name not in self.commands:
            known = ", ".join(self.commands)
            raise UserError(f"{name!r} is no command; first comes one of {known} (--help)")
        args = parse(argv[1:], self.flags_of(name), f"{self.file} {name}")
        if args["help"]:
            print(self.help(name), end="")
            return 0
        return work(name, args)
