"""dvc.yaml of a project that runs with the installed package: this repository's, with hashes where sources stand."""

import io
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_json
from evalsuite.core.yaml_file import read_yaml
from evalsuite.core.yaml_mistakes import printable
from tasks.installed.code import INPUTS, SHIPPED, is_code, shipped_stages, watched_stages
from tasks.paths import ArtifactPaths

PACKAGE = "ratchet-ft"
START = "python -m tasks.stage"
SAFE_START = "python -P -m tasks.stage"
"""Without the current folder among the places of modules, so that no `tasks` or `flows` of the user hides ours."""
UPGRADE = "`ratchet init --upgrade` writes the pipeline anew and leaves your own stages as they are"
HEADER = """\
# The pipeline. `ratchet init` wrote it from Ratchet's own, and `ratchet init --upgrade` writes it anew after an upgrade
# that brings another one; stages of your own stay, and `vars`, plots and the like too.
# Sources of Ratchet are not here: .ratchet/code/STAGE.json is the hash of the installed code that a stage runs, so that
# `pip install -U` runs again what it can change and nothing else.
"""


def installed_version() -> str:
    """The version of this package.

    Raises:
        UsageError: It is not installed, but lies on the path.
    """
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        raise UsageError(f"the package {PACKAGE} is not installed here; install it with pip") from None


@cache
def pipeline_sha256() -> str:
    """Hash of the pipeline that comes with the package, comments left out."""
    return sha256_json(_own_stages(YAML(typ="safe")))


def pipeline_text(before: str = "") -> str:
    """dvc.yaml for the installed package.

    Args:
        before: The one that is there; what is not Ratchet's in it stays.
    """
    document = _yaml().load(before) if before.strip() else None
    if not isinstance(document, dict):
        document = {"stages": {}}
    own = _own_stages(_yaml())
    own[INPUTS]["meta"] = {"ratchet": {"version": installed_version(), "pipeline": pipeline_sha256()}}
    others = {name: body for name, body in (document.get("stages") or {}).items() if name not in own}
    document["stages"] = own | others
    between = re.compile(rf"\n+(  (?:{'|'.join(name for name in own if name != INPUTS)}):\n)")
    text = between.sub(r"\n\n\1", _dumped(document))
    return text if text.startswith("#") else HEADER + text


def starts_safely(paths: ArtifactPaths) -> bool:
    """Whether the project's dvc.yaml is one of ``ratchet init``: its stages look for no module in the project."""
    try:
        return SAFE_START in paths.pipeline.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def check_pipeline(paths: ArtifactPaths) -> None:
    """Refuse a dvc.yaml of another version's pipeline, and one that watches no code any more or runs other commands.

    Raises:
        UsageError: Names both versions, or the stage with what it watches or runs, and the command that helps.
    """
    if not starts_safely(paths):
        return
    stages = read_yaml(paths.pipeline).get("stages") or {}
    body = stages.get(INPUTS)
    meta = body.get("meta") if isinstance(body, dict) else None
    made = meta.get("ratchet") if isinstance(meta, dict) else None
    if not isinstance(made, dict) or made.get("pipeline") != pipeline_sha256():
        by = f"Ratchet {made['version']}" if isinstance(made, dict) and "version" in made else "another Ratchet"
        raise UsageError(
            f"dvc.yaml was written by {by}, and the installed {installed_version()} has another pipeline; {UPGRADE}"
        )
    watched = watched_stages(paths)
    lost = [name for name in shipped_stages() if name != INPUTS and not (name in watched and _reads(stages, name))]
    if lost:
        raise UsageError(
            f"dvc.yaml: {', '.join(lost)} no longer depends on the hash in {_code_file(lost[0])} that stage {INPUTS} "
            f"writes, so that results of other code would pass as current; {UPGRADE}"
        )
    for name, command in _commands(_own_stages(YAML(typ="safe"))).items():
        given = _commands(stages).get(name)
        if given != command:
            shown = printable(str(given))[:200]
            raise UsageError(
                f"dvc.yaml: stage {name} runs {shown!r} and not {command!r}, so that what another program wrote would "
                f"pass as Ratchet's own; put that into a stage of your own. {UPGRADE}"
            )


def _commands(stages: Any) -> dict[str, Any]:
    """Stage -> what it runs; of a loop, what it repeats."""
    bodies = {name: body.get("do", body) for name, body in stages.items() if isinstance(body, dict)}
    return {name: body.get("cmd") for name, body in bodies.items() if isinstance(body, dict)}


def _reads(stages: Any, name: str) -> bool:
    """Whether a stage depends on the hash of its code."""
    body = stages.get(name)
    body = body.get("do", body) if isinstance(body, dict) else None
    return isinstance(body, dict) and _code_file(name) in (body.get("deps") or ())


def _own_stages(yaml: YAML) -> dict[str, Any]:
    """This repository's stages with the safe start, and with a hash in place of each stage's sources.

    Args:
        yaml: The parser: one for plain values, or one that keeps the layout.
    """
    text = re.sub(r"^\s*(#.*)?\n", "", SHIPPED.read_text(encoding="utf-8"), flags=re.MULTILINE)
    stages: dict[str, Any] = yaml.load(text)["stages"]
    watched = []
    for name, stage in stages.items():
        body = stage.get("do", stage)
        body["cmd"] = body["cmd"].replace(START, SAFE_START)
        kept = [dependency for dependency in body["deps"] if not is_code(dependency)]
        if name != INPUTS:
            watched.append(name)
            kept.insert(0, _code_file(name))
        body["deps"] = kept
    settings = yaml.load("{cache: false, persist: true}")
    stages[INPUTS]["outs"] += [{_code_file(name): settings} for name in watched]
    del stages[INPUTS]["deps"]
    return stages


def _code_file(stage: str) -> str:
    return ArtifactPaths(Path()).code(stage).as_posix()


def _yaml() -> YAML:
    """Keeps the layout and the order of what it reads."""
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.ignore_aliases = lambda _: True
    return yaml


def _dumped(value: Any) -> str:
    stream = io.StringIO()
    _yaml().dump(value, stream)
    return stream.getvalue()
