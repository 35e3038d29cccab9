"""Programs with commands, with a default one, and without any."""

import pytest

from dnnlib.command_line import (
    CHOICE,
    HELP,
    NUMBER,
    PATH,
    REPEATED,
    SWITCH,
    TEXT,
    WHOLE,
    Command,
    Program,
    flag,
)
from dnnlib.errors import UserError

MAKE = Command(
    "make one",
    [
        flag("out", PATH, "FILE", "where to", needed=True),
        flag("count", WHOLE, "N", "how many", 3, lower_bound=1),
        flag("kind", CHOICE, "KIND", "which", "a", enum_values=["a", "b"]),
        flag("fast", SWITCH, "", "no waiting", None),
        flag("rate", NUMBER, "X", "how fast"),
        HELP,
    ],
)
LOOK = Command("look at one", [flag("name", TEXT, "NAME", "its name", "x"), HELP])
HEADED = Command(
    "", {"First": [flag("set", REPEATED, "K=V", "one")], "Then": [flag("n", WHOLE, "N", "b"), HELP]}
)
SEVERAL = Program("tool.py", "usage: tool\n", "examples:\n", {"make": MAKE, "look": LOOK})
DEFAULT = Program("tool.py", "usage: tool\n", "", {"make": MAKE, "look": LOOK}, default="look")
ALONE = Program("tool.py", "usage: tool\n", "", {"go": HEADED}, default="go", stray=" (use --set)")


def run(program, *args):
    """(command, values) that the work is given."""
    calls = []

    def work(name, values):
        calls.append((name, {key: value for key, value in values.items() if key != "help"}))
        return 7

    assert program.run(["tool.py", *args], work) == 7
    return calls[0]


@pytest.mark.parametrize(
    ("args", "changed"),
    [
        ([], {}),
        (["--count=5", "--kind", "b"], {"count": 5, "kind": "b"}),
        (["--fast"], {"fast": True}),
        (["--nofast"], {"fast": False}),
        (["--fast=false", "-rate", "2"], {"fast": False, "rate": 2.0}),
    ],
)
def test_flags_of_a_command(args, changed):
    defaults = {"out": "x", "count": 3, "kind": "a", "fast": None, "rate": None}
    assert run(SEVERAL, "make", "--out=x", *args) == ("make", {**defaults, **changed})


def test_a_default_command_and_none_at_all():
    assert run(DEFAULT, "--name=y") == ("look", {"name": "y"})
    assert run(DEFAULT, "look") == ("look", {"name": "x"})
    assert run(ALONE) == ("go", {"set": None, "n": None})
    expected = {"set": ["a=1", "b=2"], "n": 4}
    assert run(ALONE, "--set", "a=1", "--set=b=2", "--n=4") == ("go", expected)


@pytest.mark.parametrize(
    ("program", "args", "message"),
    [
        (SEVERAL, ["--out=x"], "'--out=x' is no command; first comes one of make, look (--help)"),
        (DEFAULT, ["see"], "'see' is no command; known: make, look (--help)"),
        (SEVERAL, ["make"], "make: --out=FILE is needed (--help tells more)"),
        (SEVERAL, ["make", "--out="], "make: --out=FILE is needed (--help tells more)"),
        (SEVERAL, ["make", "--out=x", "--nmae=y"], "(tool.py make --help lists all flags)"),
        (SEVERAL, ["make", "--out=x", "--count=0"], "--count=0"),
        (SEVERAL, ["make", "--out=x", "--kind=c"], "--kind=c"),
        (SEVERAL, ["make", "--out=x", "--rate=nan"], "--rate=nan: expected a number"),
        (SEVERAL, ["make", "--out=x", "more"], "unexpected argument 'more'"),
        (ALONE, ["go"], "unexpected argument 'go' (use --set)"),
        (ALONE, ["--m=3"], "(tool.py --help lists all flags)"),
    ],
)
def test_mistakes(program, args, message):
    with pytest.raises(UserError) as caught:
        program.run(["tool.py", *args], None)
    assert message in str(caught.value)


@pytest.mark.parametrize("asked", ["--help", "-h", "help"])
def test_help_of_programs(asked, capsys):
    assert SEVERAL.run(["tool.py", asked], None) == 0
    assert capsys.readouterr().out == (
        "usage: tool\n\ncommands:\n  make  make one\n  look  look at one\n\n"
        "python tool.py COMMAND --help lists a command's options.\n\nexamples:\n"
    )
    assert DEFAULT.run(["tool.py", asked], None) == 0
    shown = capsys.readouterr().out
    assert "\noptions:\n  --name=NAME              its name (default: x)\n  --help  " in shown
    assert ALONE.run(["tool.py", asked], None) == 0
    assert capsys.readouterr().out == (
        "usage: tool\n\nFirst:\n  --set K=V  one\n\n"
        "Then:\n  --n=N      b\n  --help     print this\n\n"
    )


def test_help_comes_before_mistakes_and_of_a_command(capsys):
    assert SEVERAL.run(["tool.py"], None) == 2
    assert "commands:" in capsys.readouterr().out
    assert SEVERAL.run(["tool.py", "make", "--rate=nan", "--help", "more"], None) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(
        "usage: python tool.py make [options]\n\nmake: make one\n\n  --out=FILE"
    )
    assert DEFAULT.run(["tool.py", "make", "-h"], None) == 0
    assert capsys.readouterr().out == shown


def test_a_mistake_is_one_line_and_exit_code_2(capsys):
    assert SEVERAL.main(["tool.py", "make"], None) == 2
    assert capsys.readouterr().err == (
        "tool.py: error: make: --out=FILE is needed (--help tells more)\n"
    )
