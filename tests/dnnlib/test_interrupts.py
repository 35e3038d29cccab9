"""Ctrl-C during the imports of a program is one line, 130 and no traceback."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = ["run_training.py", "run_generator.py", "run_metrics.py", "dataset_tool.py"]

INTERRUPTED = """
import os, signal, sys
from dnnlib import interrupts
sys.argv = ["a/tool.py"]
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` ignores it for us
interrupts.end_at_once()
if sys.platform:
    os.kill(os.getpid(), signal.SIGINT)
print("not reached")
"""


def test_one_line_and_130():
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "tool.py: interrupted\n"


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_asks_for_it_before_its_other_imports(program):
    text = (ROOT / program).read_text()
    first, second, *_ = re.findall(r"^(?: *)(?:import|from) (?!__future__).*", text, re.MULTILINE)
    assert first == "    from dnnlib import interrupts"
    assert text.index("interrupts.end_at_once()") < text.index(second)
