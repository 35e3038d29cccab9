"""Share of functions whose parameters and result are all annotated, for each top-level folder.

    python scripts/annotated.py                 # the table
    python scripts/annotated.py networks=90     # status 1 if networks/ has less than 90 %

Functions inside functions are left out: mypy sees through them.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """Functions of the module and methods of its classes."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield node
        else:
            yield from functions_of(node)


def is_annotated(function: ast.FunctionDef) -> bool:
    """As mypy's disallow_untyped_defs: __init__ needs no result if it has a parameter's type."""
    arguments = function.args
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    parameters += [p for p in (arguments.vararg, arguments.kwarg) if p]
    if parameters and parameters[0].arg in ("self", "cls", "mcs"):
        del parameters[0]
    has_result = function.returns is not None or (function.name == "__init__" and parameters)
    return bool(has_result) and all(p.annotation for p in parameters)


def shares() -> dict[str, tuple[int, int]]:
    """{folder: (annotated functions, functions)}."""
    counts = {}
    for folder in sorted(ROOT.iterdir()):
        if (folder / "__init__.py").exists() and folder.name != "tests":
            trees = [ast.parse(file.read_text(encoding="utf-8")) for file in folder.rglob("*.py")]
            functions = [function for tree in trees for function in functions_of(tree)]
            counts[folder.name] = (sum(map(is_annotated, functions)), len(functions))
    return counts


def main(wanted: list[str]) -> int:
    counts = shares()
    for folder, (annotated, count) in counts.items():
        share = annotated / count
        print(f"{folder:12} {annotated:4} of {count:4} functions annotated {share:5.0%}")
    low = []
    for folder, _, percent in (word.partition("=") for word in wanted):
        annotated, count = counts[folder]
        if 100 * annotated < float(percent) * count:
            low.append(f"{folder}/ has fewer than {percent} % of its functions annotated")
    print(*low, sep="\n", end="\n" if low else "", file=sys.stderr)
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
