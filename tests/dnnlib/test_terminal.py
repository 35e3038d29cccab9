import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import dataset_tool
import run_generator
import run_metrics
import run_training
from dnnlib import terminal
from dnnlib.errors import UserError, exit_code

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = [dataset_tool, run_generator, run_metrics, run_training]


def narrow(monkeypatch, encoding, name="stdout"):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, name, stream)
    return stream


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_help_on_any_terminal(program, encoding, monkeypatch):
    stream = narrow(monkeypatch, encoding)
    assert program.main([program.__name__, "--help"]) == 0
    stream.flush()
    assert b"usage: python" in stream.buffer.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_any_text_can_be_printed(encoding, monkeypatch):
    out, err = (narrow(monkeypatch, encoding, name) for name in ("stdout", "stderr"))

    def run(argv):
        print("→ runs/\udcff/日本")
        raise UserError("no ×\udcfe")

    assert exit_code(run, ["program"]) == 2
    for stream in (out, err):
        stream.flush()
    assert b"\\udcff" in out.buffer.getvalue()
    assert err.buffer.getvalue().startswith(b"program: error: no ")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), BrokenPipeError()])
def test_a_stdout_that_fails_decides_nothing(error, monkeypatch, capfd):
    class Failing(io.StringIO):
        def write(self, text):
            raise error

    monkeypatch.setattr(sys, "stdout", Failing())

    def run(argv):
        print("one")
        print("two", flush=True)
        return 143

    assert exit_code(run, ["program"]) == 143
    told = capfd.readouterr().err
    quiet = isinstance(error, BrokenPipeError)
    assert told == (
        "" if quiet else "warning: cannot write to standard output: No space left on device\n"
    )


@pytest.mark.parametrize("ending", [">&-", ">&- 2>&-", "> /dev/full", "| :"])
def test_of_a_process(ending, tmp_path):
    code = "import sys; from dnnlib.errors import exit_code; "
    code += "sys.exit(exit_code(lambda argv: print('→' * 9000) or 7, ['program']))"
    done = subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$0" -c "$1" {ending}', sys.executable, code],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 7
    full = "warning: cannot write to standard output: No space left on device\n"
    assert done.stderr == (full if "full" in ending else "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb\x07", "a\\x1b[2Jb\\x07"),
        ("\x9b31m\x7f", "\\x9b31m\\x7f"),
        ("exe\u202egnp", "exe\\u202egnp"),
        ("日本 é × …\tx", "日本 é × … x"),
        ("two\r\nlines", "two lines"),
    ],
)
def test_nothing_in_a_message_gives_orders(text, shown, capsys):
    def run(argv):
        print(f"warning: {text}", file=sys.stderr)
        raise UserError(text)

    assert exit_code(run, ["program"]) == 2
    printed = capsys.readouterr().err
    assert printed.endswith(f"program: error: {shown}\n")
    assert not any(mark in printed for mark in "\x1b\x07\x9b\x7f\u202e")


def test_long_values_are_cut_and_both_ends_stay():
    line = terminal.one_line(f"--seeds={'1,' * 30_000}: expected fewer")
    assert len(line) <= 1000
    assert line.startswith("--seeds=1,1,")
    assert line.endswith("1,: expected fewer")
    assert terminal.one_line("short") == "short"


def test_bars_reach_the_terminal_as_they_are(monkeypatch):
    stream = narrow(monkeypatch, "utf-8")
    with terminal.prepared():
        assert terminal.raw(sys.stdout) is stream
    assert sys.stdout is stream
