"""Imports point one way: each folder takes only from those before it, and no files form a circle.

Every import counts, also one inside a function: an arrow that is followed late is an arrow.
"""

from __future__ import annotations

import ast
import fnmatch
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# From the ground up. Folders of one row take nothing of each other.
ORDER = [
    ["dnnlib"],
    ["compute"],
    ["networks"],
    ["datasets"],
    ["training"],
    ["metrics"],
    ["generation"],
    ["editing"],
    ["explorer"],
    ["run_training", "run_generator", "run_metrics", "dataset_tool", "benchmarks"],
]
RANK = {folder: rank for rank, row in enumerate(ORDER) for folder in row}
# Arrows that the order would allow, and nobody needs.
UNWANTED = {("datasets", "networks"), ("generation", "metrics")}

# Start without TensorFlow, which takes seconds: the command lines, until there is work to do; what
# they resolve a configuration with; and what worker processes import.
WITHOUT_TENSORFLOW = """
    compute.cluster datasets.* dnnlib.* explorer.guard explorer.messages explorer.recipe
    explorer.run_view explorer.worker metrics.frechet metrics.registry metrics.results networks
    networks.options training.ablations training.choices training.classifiers.config
    training.classifiers.runs training.commands training.config training.loss_options
    training.presets training.request training.resolved training.runs training.saved_config
    training.schedule dataset_tool run_generator run_metrics run_training
""".split()


def module_files() -> dict[str, Path]:
    """Every module outside the tests: {dotted name: file}; a package is named as its folder."""
    files = [*ROOT.glob("*.py")]
    for folder in ROOT.iterdir():
        if (folder / "__init__.py").exists() and folder.name != "tests":
            files += folder.rglob("*.py")
    return {name_of(file.relative_to(ROOT)): file for file in files}


def name_of(file: Path) -> str:
    return ".".join(file.with_suffix("").parts).removesuffix(".__init__")


def imported(tree: ast.AST) -> Iterator[tuple[str, ...]]:
    """What each import may name, best first: "from a import b" is the module a.b, or else a."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name,) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from ((f"{node.module}.{alias.name}", node.module) for alias in node.names)


def arrows_of(files: dict[str, Path]) -> dict[str, set[str]]:
    """{module: modules of ours that it imports}."""
    arrows = {}
    for module, file in files.items():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        targets = {next((n for n in names if n in files), None) for names in imported(tree)}
        arrows[module] = targets - {None, module}
    return arrows


def circles_of(arrows: dict[str, set[str]]) -> list[set[str]]:
    """Groups of modules that reach each other: strongly connected components of two or more."""
    reach = {module: reachable(arrows, module) for module in arrows}
    groups = []
    for module in sorted(arrows):
        group = {other for other in reach[module] if module in reach[other]}
        if group and group not in groups:
            groups.append(group)
    return groups


def reachable(arrows: dict[str, set[str]], start: str) -> set[str]:
    reached, waiting = set(), [start]
    while waiting:
        for target in arrows[waiting.pop()] - reached:
            reached.add(target)
            waiting.append(target)
    return reached


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
    return arrows_of(module_files())


def folder_of(module: str) -> str:
    return module.partition(".")[0]


def test_every_folder_has_its_place(arrows):
    assert {folder_of(module) for module in arrows} <= RANK.keys()


def test_no_arrow_points_up(arrows):
    wrong = []
    for module, targets in arrows.items():
        for target in targets:
            one, other = folder_of(module), folder_of(target)
            if one != other and (RANK[other] >= RANK[one] or (one, other) in UNWANTED):
                wrong.append(f"{module} → {target}")
    assert not wrong, sorted(wrong)


def test_no_circle(arrows):
    assert circles_of(arrows) == []


def test_circles_are_seen():
    arrows = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"a"}}
    assert circles_of(arrows) == [{"b", "c"}]


def test_late_and_nested_imports_are_seen():
    source = "import a.b\ndef f():\n    from c import d, e\n"
    assert list(imported(ast.parse(source))) == [("a.b",), ("c.d", "c"), ("c.e", "c")]


def test_what_starts_without_tensorflow(arrows):
    """In one interpreter of its own: the tests here have imported TensorFlow already."""
    modules = []
    for name in WITHOUT_TENSORFLOW:
        matches = fnmatch.filter(sorted(arrows), name)
        assert matches, f"no module {name}"
        modules += matches
    code = "import sys\n"
    for module in modules:
        code += f"import {module}\n"
        code += f"assert not {{'tensorflow', 'keras'}} & set(sys.modules), {module!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
