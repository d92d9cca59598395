"""Which files a module can run."""

import subprocess
import sys
from pathlib import Path

import pytest

from evalsuite.core.imports import ROOT, sources_of, sources_sha256


def write(root: Path, **texts: str) -> None:
    for name, text in texts.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def reached(root: Path, *modules: str) -> list[str]:
    return [path.relative_to(root).as_posix() for path in sources_of(*modules, root=root)]


def test_imports_of_imports_and_those_inside_functions_count_and_those_for_type_checkers_do_not(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__one="from a import two\ndef f():\n    import b.three as t\n    from b.four import x\n",
        a__two="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a.typed\nelse:\n    import a.run\n",
        a__typed="",
        a__run="import json, numpy\n",
        b__three="",
        b__four="x = 1\n",
        b__unread="",
    )
    (tmp_path / "a/__init__.py").write_text('"""What a is."""')
    (tmp_path / "b/__init__.py").write_text("import os\n")
    assert reached(tmp_path, "a.one") == [
        "a/one.py",
        "a/run.py",
        "a/two.py",
        "b/__init__.py",
        "b/four.py",
        "b/three.py",
    ]


def test_a_cycle_ends(tmp_path: Path) -> None:
    write(tmp_path, a="import b\n", b="import a\n")
    assert reached(tmp_path, "a") == ["a.py", "b.py"]


def test_a_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"no module a\.b below"):
        sources_of("a.b", root=tmp_path)


def test_the_hash_is_of_names_and_texts_and_not_of_line_ends(tmp_path: Path) -> None:
    for folder, text in (("x", b"a = 1\n"), ("y", b"a = 1\r\n"), ("z", b"a = 2\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "m.py").write_bytes(text)
    same, other_ends, other = (sources_sha256("m", root=tmp_path / folder) for folder in "xyz")
    assert same == other_ends
    assert same != other


@pytest.mark.parametrize("module", ["evalsuite.gate.decide", "evalsuite.report.build", "tasks.config.params"])
def test_whatever_python_loads_for_a_module_is_found(module: str) -> None:
    """Python itself is the truth: what it has loaded after the import is a part of what is found."""
    program = (
        f"import sys, {module}\n"
        "files = [m.__file__ for n, m in sys.modules.items() if n.split('.')[0] in ('evalsuite', 'tasks', 'flows')]\n"
        "print(*filter(None, files), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {Path(line) for line in done.stdout.splitlines()}
    assert {path for path in loaded if path.name != "__init__.py"} <= set(sources_of(module))
