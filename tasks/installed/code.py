"""Which of the installed code a stage runs, as one hash, so that an upgrade runs again what it can change.

This repository's dvc.yaml names for each stage the folders and files that it can run (design/023-rooms.md). A project
that ``ratchet init`` made has none of them: there the stage ``inputs`` writes the hash of those same files, and each
stage depends on its own (design/028-own-projects.md).
"""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from evalsuite.core.files import read_json, write_json
from evalsuite.core.imports import ROOT
from evalsuite.core.yaml_file import read_yaml
from tasks.paths import ArtifactPaths

SHIPPED = Path(__file__).with_name("pipeline.yaml")
"""The pipeline of this repository; a link to it here, a file in the wheel."""
PACKAGES = ("tasks", "evalsuite")
INPUTS = "inputs"


@cache
def shipped_stages() -> dict[str, Any]:
    """Stage -> its body in this repository's dvc.yaml; of a loop, what it repeats."""
    stages: dict[str, Any] = read_yaml(SHIPPED)["stages"]
    return {name: body.get("do", body) for name, body in stages.items()}


def is_code(dependency: str) -> bool:
    """Whether a dependency of dvc.yaml is code of ours."""
    return dependency.split("/")[0] in PACKAGES


@cache
def code_sha256(stage: str, root: Path = ROOT) -> str:
    """Hash of the names and bytes of all files that a stage depends on as code, the same whatever the line ends.

    Args:
        stage: One of dvc.yaml, such as ``train``.
        root: Where the packages lie.
    """
    named = [root / dependency for dependency in shipped_stages()[stage]["deps"] if is_code(dependency)]
    digest = hashlib.sha256()
    for path in sorted({file for each in named for file in _files(each)}):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for file in path.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file


def watched_stages(paths: ArtifactPaths) -> tuple[str, ...]:
    """Stages whose code the project's dvc.yaml watches by its hash; none in this repository."""
    try:
        pipeline = read_yaml(paths.pipeline)
    except FileNotFoundError:
        return ()
    stages = pipeline.get("stages") if isinstance(pipeline, dict) else None
    inputs = stages.get(INPUTS) if isinstance(stages, dict) else None
    outs = (inputs.get("outs") or ()) if isinstance(inputs, dict) else ()
    made = {str(next(iter(out), "")) if isinstance(out, dict) else str(out) for out in outs}
    return tuple(name for name in shipped_stages() if paths.relative(paths.code(name)) in made)


def write_code(paths: ArtifactPaths) -> None:
    """Write the hash of each watched stage's code, where it is not what stands there."""
    for stage in watched_stages(paths):
        if _written(paths, stage) != code_sha256(stage):
            write_json(paths.code(stage), {"schema_version": 1, "sha256": code_sha256(stage)})


def changed_code(paths: ArtifactPaths) -> dict[str, str]:
    """Files that ``write_code`` would write anew, from the root -> why; writes nothing."""
    return {
        paths.relative(paths.code(stage)): "the installed Ratchet has other code for it"
        if paths.code(stage).is_file()
        else f"{paths.code(stage).name} was not made yet"
        for stage in watched_stages(paths)
        if _written(paths, stage) != code_sha256(stage)
    }


def _written(paths: ArtifactPaths, stage: str) -> str | None:
    if not paths.code(stage).is_file():
        return None
    said = read_json(paths.code(stage), "ratchet stage inputs")
    return said.get("sha256") if isinstance(said, dict) else None
