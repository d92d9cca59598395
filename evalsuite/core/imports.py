"""Which source files a module can run: its imports, and theirs, those inside functions included.

What decides a verdict, what makes a stage's output and what a checkpoint depends on is found this way, so that no list
kept by hand goes stale.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""Where the packages lie."""


@lru_cache(maxsize=64)
def sources_of(*modules: str, root: Path = ROOT) -> tuple[Path, ...]:
    """Files of the packages below ``root`` that these modules reach, themselves included, sorted.

    Imports for type checkers alone do not count. Importing a module runs the packages that it lies in, so their
    ``__init__.py`` counts, but for one that is a docstring alone: it runs nothing.

    Args:
        modules: Dotted names.
        root: Folder of the packages.

    Raises:
        ModuleNotFoundError: No file below ``root`` is one of ``modules``.
    """
    found: set[Path] = set()
    waiting = []
    for module in modules:
        path = _file(module, root)
        if path is None:
            raise ModuleNotFoundError(f"no module {module} below {root}")
        waiting += [path, *_packages(path, root)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += imported_by(path, root)
    return tuple(sorted(path for path in found if path.name != "__init__.py" or _runs_something(path)))


def sources_sha256(*modules: str, root: Path = ROOT) -> str:
    """Hash of the names and texts of ``sources_of``, the same whatever the line ends."""
    digest = hashlib.sha256()
    for path in sources_of(*modules, root=root):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


@lru_cache(maxsize=1024)
def imported_by(path: Path, root: Path) -> tuple[Path, ...]:
    """Files below ``root`` that a file imports itself, with the packages that they lie in."""
    found: set[Path] = set()
    for node in _run_nodes(ast.parse(path.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            file = _file(name, root)
            if file is not None:
                found.update((file, *_packages(file, root)))
    return tuple(found)


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those under ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            yield from (node for other in child.orelse for node in (other, *_run_nodes(other)))
            continue
        yield child
        yield from _run_nodes(child)


def _runs_something(path: Path) -> bool:
    return any(not isinstance(node, ast.Expr) for node in ast.parse(path.read_bytes()).body)


def _file(module: str, root: Path) -> Path | None:
    path = root.joinpath(*module.split("."))
    for file in (path / "__init__.py", path.with_suffix(".py")):
        if file.is_file():
            return file
    return None


def _packages(path: Path, root: Path) -> list[Path]:
    """The ``__init__.py`` of the packages around a file."""
    folders = [folder for folder in path.parents if root in folder.parents]
    return [folder / "__init__.py" for folder in folders if (folder / "__init__.py").is_file()]
