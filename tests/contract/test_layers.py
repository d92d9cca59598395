"""Arrows point down only: flows -> tasks -> evalsuite."""

import ast
from pathlib import Path

import pytest

from evalsuite.core.imports import imported_by

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


def test_no_module_imports_itself_through_others() -> None:
    """A cycle of files cannot be read, tested or moved one by one; imports inside functions count."""
    import networkx

    graph = networkx.DiGraph()
    for path in SOURCES:
        if path.name == "__init__.py":
            continue
        for other in imported_by(path, ROOT):
            if other != path and other.name != "__init__.py":
                graph.add_edge(path.relative_to(ROOT).as_posix(), other.relative_to(ROOT).as_posix())
    assert [sorted(group) for group in networkx.strongly_connected_components(graph) if len(group) > 1] == []


def test_no_room_needs_itself_through_others() -> None:
    """A room is a folder of a layer with its own folders, or a module beside them; imports in functions count."""
    import networkx

    def room(path: Path) -> str:
        return "/".join(path.relative_to(ROOT).parts[:2])

    graph = networkx.DiGraph()
    for path in SOURCES:
        if path.name != "__init__.py":
            graph.add_edges_from(
                (room(path), room(other)) for other in imported_by(path, ROOT) if other.suffix == ".py"
            )
    graph.remove_edges_from([(one, one) for one in graph])
    assert [sorted(group) for group in networkx.strongly_connected_components(graph) if len(group) > 1] == []


def test_a_folder_has_few_enough_modules_to_be_read_at_once() -> None:
    folders: dict[str, int] = {}
    for path in SOURCES:
        if path.name != "__init__.py":
            folder = path.parent.relative_to(ROOT).as_posix()
            folders[folder] = folders.get(folder, 0) + 1
    # One module a section of params.yaml: a list, not a drawer.
    assert {folder: count for folder, count in folders.items() if count > 15} == {
        "tasks/config": folders["tasks/config"]
    }
