"""Command lines: flags as tables, help, and parsing into a dictionary; with or without commands."""

from __future__ import annotations

import dataclasses
import math
import textwrap
from collections.abc import Callable
from typing import Any, Optional, Union

from absl import flags

from dnnlib import paths
from dnnlib.errors import UserError, exit_code

TEXT, NUMBER, WHOLE = flags.DEFINE_string, flags.DEFINE_float, flags.DEFINE_integer
SWITCH, CHOICE, REPEATED = flags.DEFINE_boolean, flags.DEFINE_enum, flags.DEFINE_multi_string
_WIDTH, _INDENT = 93, 27


class _Path(flags.ArgumentParser):
    def parse(self, argument: str) -> str:
        return paths.expand(argument)


class _PathList(flags.ArgumentParser):
    def parse(self, argument: str) -> str:
        return ",".join(paths.expand(part.strip()) for part in argument.split(","))


def PATH(name: str, default: Optional[str], help: str, flag_values: flags.FlagValues) -> None:
    """A flag whose value is, or may be, a path: `~` is expanded, and only there."""
    flags.DEFINE(_Path(), name, default, help, flag_values)


def PATHS(name: str, default: Optional[str], help: str, flag_values: flags.FlagValues) -> None:
    """Paths with commas between, each as that of PATH; the value is one text, too."""
    flags.DEFINE(_PathList(), name, default, help, flag_values)


def REPEATED_PATH(
    name: str, default: Optional[list[str]], help: str, flag_values: flags.FlagValues
) -> None:
    """A flag that may be given several times, each as that of PATH; the value is a list."""
    parser, serializer = _Path(), flags.ArgumentSerializer()
    flags.DEFINE_multi(parser, serializer, name, default, help, flag_values)


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag. define: absl's function, with these `limits`; shown: what help shows for the
    value; needed: whether the command refuses to run without it."""

    name: str
    define: Callable
    shown: str
    text: str
    default: Any
    needed: bool
    limits: dict

    def usage(self) -> str:
        """'--out=FILE', '--set KEY=VALUE' or '--help'."""
        between = " " if self.define is REPEATED else "="
        return f"--{self.name}" + (between + self.shown if self.shown else "")


Flags = Union[list[Flag], dict[str, list[Flag]]]  # a table; a long one has headings


@dataclasses.dataclass(frozen=True)
class Command:
    """One subcommand: what it does, and all its flags, `HELP` among them."""

    summary: str
    table: Flags

    @property
    def flags(self) -> list[Flag]:
        """All flags, in the order of help."""
        if isinstance(self.table, list):
            return self.table
        return [item for section in self.table.values() for item in section]

    def help(self) -> list[str]:
        """Lines that explain the flags."""
        if isinstance(self.table, list):
            return flag_list(self.table)
        width = max(len(f"  {item.usage()}") for item in self.flags) + 2
        lines = []
        for heading, section in self.table.items():
            lines += ["", f"{heading}:", *flag_list(section, min(width, _INDENT))]
        return lines[1:]


def flag(
    name: str,
    define: Callable,
    shown: str,
    text: str,
    default: Any = None,
    *,
    needed: bool = False,
    **limits: Any,
) -> Flag:
    """A flag; limits are those of absl's definition, as lower_bound and enum_values."""
    return Flag(name, define, shown, text, default, needed, limits)


HELP = flag("help", SWITCH, "", "print this", False, short_name="h")


def flag_list(table: list[Flag], indent: int = _INDENT) -> list[str]:
    """Lines that explain flags, the texts `indent` characters from the left."""
    lines = []
    for item in table:
        left = f"  {item.usage()}"
        unset = item.default is None or item.default is False
        given = "" if unset else f" (default: {item.default})"
        first, *more = textwrap.wrap(item.text + given, _WIDTH - indent)
        beside = len(left) < indent
        lines.append(f"{left:<{indent}}{first}" if beside else f"{left}\n{'':{indent}}{first}")
        lines += [" " * indent + line for line in more]
    return lines


def parse(argv: list[str], table: list[Flag], program: str, stray: str = "") -> dict[str, Any]:
    """{flag: value} of a command's arguments, argv[0] being its name.

    program: as messages call it; stray: what to say of an argument that is no flag. With --help
    nothing else is checked. Raises UserError for an unknown flag, an impossible value, or anything
    that is no flag.
    """
    # A set of our own: absl's global one has many more that mean nothing here.
    fv = flags.FlagValues()
    for item in table:
        item.define(
            name=item.name, default=item.default, help=item.text, flag_values=fv, **item.limits
        )
    try:
        rest = fv(argv)[1:]
    except flags.Error as error:
        raise UserError(f"{error} ({program} --help lists all flags)") from error
    values = {item.name: fv[item.name].value for item in table}
    if values.get("help"):
        return values
    if rest:
        raise UserError(f"unexpected argument {rest[0]!r}{stray}")
    for name, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"--{name}={value}: expected a number")
    return values


@dataclasses.dataclass(frozen=True)
class Program:
    """The command line `python FILE [COMMAND] [--flag=value …]`.

    options: what the usage of a command shows. default: the command that need not be named. With
    it, the program's help tells its flags; where it is the only command, there is no word for it.
    stray: what to say of an argument that is no flag.
    """

    file: str
    intro: str
    examples: str
    commands: dict[str, Command]
    options: str = "[options]"
    default: Optional[str] = None
    stray: str = ""

    def help(self, name: Optional[str] = None) -> str:
        """Of a command, or of the program."""
        if name is not None:
            lines = [f"usage: python {self.file} {name} {self.options}", ""]
            lines += [f"{name}: {self.commands[name].summary}", "", *self.commands[name].help()]
            return "\n".join(lines) + "\n"
        lines = [self.intro]
        if len(self.commands) > 1:
            width = max(map(len, self.commands)) + 2
            lines.append("commands:")
            lines += [f"  {key:<{width}}{item.summary}" for key, item in self.commands.items()]
            lines.append("")
        if self.default is None:
            lines += [f"python {self.file} COMMAND --help lists a command's options.", ""]
        else:
            headed = isinstance(self.commands[self.default].table, dict)
            lines += [*([] if headed else ["options:"]), *self.commands[self.default].help(), ""]
        return "\n".join([*lines, self.examples])

    def main(self, argv: list[str], action: Callable[[str, dict], int]) -> int:
        """As `run`, but a mistake of the user's is one line on stderr and exit code 2."""
        return exit_code(lambda argv: self.run(argv, action), argv)

    def run(self, argv: list[str], action: Callable[[str, dict], int]) -> int:
        """Prints help, or calls action(command, {flag: value}); returns the exit code.

        Raises UserError for a mistake in the command line.
        """
        several = len(self.commands) > 1
        first = argv[1] if len(argv) > 1 else None
        if first in ("--help", "-h", "-help", "help") or (several and first is None):
            print(self.help(), end="")
            return 0 if first else 2
        named = several and (self.default is None or not first.startswith("-"))
        name = first if named else self.default
        if name not in self.commands:
            known = "; first comes one of " if self.default is None else "; known: "
            raise UserError(f"{name!r} is no command{known}{', '.join(self.commands)} (--help)")
        command = self.commands[name]
        program = f"{self.file} {name}" if named else self.file
        args = parse(argv[1:] if named else argv, command.flags, program, self.stray)
        if args["help"]:
            print(self.help(name if named else None), end="")
            return 0
        for item in command.flags:
            if item.needed and args[item.name] in (None, ""):
                raise UserError(f"{name}: {item.usage()} is needed (--help tells more)")
        return action(name, args)
