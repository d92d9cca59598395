"""Arrows point down only: flows -> tasks -> evalsuite."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "evalsuite": {"flows", "tasks", "prefect", "dvc", "trl", "demo"},
    "tasks": {"flows", "prefect", "demo"},
    "flows": {"demo"},
}
ALLOWED = {"tasks/prefect_tasks.py": {"prefect"}}
GATE_IMPORTS = {"numpy", "scipy", "pydantic", "evalsuite"}


def imported_packages(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


SOURCES = sorted(path for layer in FORBIDDEN for path in (ROOT / layer).rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_layer_imports_only_what_lies_below_it(path: Path) -> None:
    relative = path.relative_to(ROOT).as_posix()
    forbidden = FORBIDDEN[relative.split("/")[0]] - ALLOWED.get(relative, set())
    assert not imported_packages(path) & forbidden


def test_no_source_is_a_drawer() -> None:
    drawers = {"utils.py", "helpers.py", "common.py", "manager.py"}
    assert not [path for path in SOURCES if path.name in drawers]


@pytest.mark.parametrize("path", sorted((ROOT / "evalsuite/gate").glob("*.py")), ids=lambda path: path.name)
def test_the_gate_needs_nothing_but_numbers(path: Path) -> None:
    import sys

    others = {name for name in imported_packages(path) if name not in sys.stdlib_module_names}
    assert others <= GATE_IMPORTS
