"""Every file and program that documents, docstrings, comments and strings cite is there."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GIT = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
LISTED: list[str] = []
if shutil.which("git"):
    LISTED = subprocess.run(
        GIT, cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
FILES = {name for name in LISTED if (ROOT / name).is_file()}
FOLDERS = {str(folder) for name in FILES for folder in Path(name).parents}
NAMES = {Path(name).name for name in FILES}
# What our programs write elsewhere, or a user has there.
ELSEWHERE = "ablation.md enum.py multiprocessing.py script.py spread.py tool.py".split()

TOPS = "|".join(sorted({name.split("/")[0] for name in FILES if re.match(r"\w+/", name)}))
PATH = re.compile(rf"(?<![\w/.*<-])(?:{TOPS})/[\w./-]*\w")
NAME = re.compile(r"(?<![\w/.*<>}{-])[\w-]+\.(?:py|md)\b(?![/*])")
PROGRAM = re.compile(rf"python -m ((?:{TOPS})\b[\w.]*\w)")
SELF = Path("tests/test_documents.py")

pytestmark = pytest.mark.skipif(not FILES, reason="not a git checkout")


def missing(text):
    """What a text cites that is not there."""
    programs = {name.replace(".", "/") for name in PROGRAM.findall(text)}
    return {
        *(set(PATH.findall(text)) - FILES - FOLDERS),
        *(set(NAME.findall(text)) - NAMES - set(ELSEWHERE)),
        *(name for name in programs if not FILES & {f"{name}.py", f"{name}/__main__.py"}),
    }


@pytest.mark.parametrize("suffix", [".md", ".py", "Makefile"])
def test_what_is_cited_exists(suffix):
    names = [name for name in FILES if name.endswith(suffix) and Path(name) != SELF]
    assert names
    absent = {name: missing((ROOT / name).read_text(encoding="utf-8")) for name in names}
    assert not {name: cited for name, cited in absent.items() if cited}


def test_what_is_missing_is_named():
    text = "docs/speed.md, networks.md §1, `tests/nowhere.py`; python -m benchmarks and metrics/."
    assert missing(text) == {"networks.md", "tests/nowhere.py"}
    assert missing("run `python -m benchmarks.nothing --count 3`") == {"benchmarks/nothing"}
