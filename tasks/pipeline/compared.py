"""What a run with nothing to do has compared: the hashes of everything from which the last outputs were made."""

from pathlib import Path
from typing import Any

from evalsuite.core.files import read_json, sha256_json
from evalsuite.core.yaml_file import read_yaml

CODE = ("flows", "tasks", "evalsuite")
SHOWN = 8
"""Characters of a hash."""


def compared_inputs(root: Path) -> str:
    """What was compared, with the first characters of each hash, in one sentence.

    dvc.lock has the hash of every file and folder that a stage read; those that no stage makes are inputs. Inputs from
    outside the project, such as the model, are in plans/inputs.
    """
    lock = read_yaml(root / "dvc.lock") if (root / "dvc.lock").is_file() else None
    stages = (lock or {}).get("stages", {}).values()
    made = {out["path"] for stage in stages for out in stage.get("outs", ())}
    code: dict[str, Any] = {}
    data: dict[str, Any] = {}
    for dep in (dep for stage in stages for dep in stage.get("deps", ())):
        path = Path(dep["path"])
        if not any(path == Path(out) or path in Path(out).parents or Path(out) in path.parents for out in made):
            (code if path.parts[0] in CODE else data)[path.as_posix()] = dep.get("md5")
    sections = {
        name: value for stage in stages for name, value in stage.get("params", {}).get("params.yaml", {}).items()
    }
    parts = [f"{path} {_short(found)}" for path, found in sorted(data.items())]
    parts += [f"{key} {_short(found)}" for key, found in sorted(_outside(root).items())]
    parts.append(f"{len(sections)} sections of params.yaml {_short(sha256_json(sections))}")
    parts.append(f"{len(code)} files and folders of code {_short(sha256_json(code))}")
    return f"compared {', '.join(parts)}"


def _outside(root: Path) -> dict[str, str]:
    """Key of params.yaml -> content of what it names outside the project."""
    found: dict[str, str] = {}
    for path in sorted((root / "plans/inputs").glob("*.json")):
        found |= read_json(path, "ratchet stage inputs")["inputs"]
    return found


def _short(content: Any) -> str:
    return str(content).removeprefix("sha256 ")[:SHOWN]
