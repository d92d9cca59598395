"""params.yaml read from its file: by the whole file, or by the sections of one stage."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.core.wrong_values import explain
from evalsuite.core.yaml_file import read_yaml
from tasks.config.section import Section

P = TypeVar("P", bound=Section)


def read_sections(path: Path) -> dict[str, Any]:
    """The sections of params.yaml as they are written, unchecked.

    Raises:
        UsageError: The file is not YAML, or not a mapping.
        MissingArtifactError: There is no such file.
    """
    try:
        data = read_yaml(path)
    except FileNotFoundError:
        raise MissingArtifactError(
            f"no {path} here; run from the project's root, or bring it back with `git checkout params.yaml`"
        ) from None
    if not isinstance(data, dict):
        found = {"NoneType": "nothing", "list": "a list", "str": "text"}.get(type(data).__name__, "one value")
        raise UsageError(f"{path} holds {found}, expected sections such as `model: {{id: ...}}`")
    return data


def parsed(data: dict[str, Any], sections: type[P], where: str) -> P:
    """Check a mapping against the sections that somebody reads.

    Raises:
        UsageError: A wrong key (with the nearest right one) or a wrong value (with its dotted path).
    """
    try:
        return sections.model_validate(data)
    except ValidationError as error:
        raise UsageError(f"{where}: {explain(error, sections)}") from None


def read_params(path: Path, sections: type[P]) -> P:
    """The sections of params.yaml that a stage reads; raises like ``read_sections`` and ``parsed``."""
    return parsed(read_sections(path), sections, str(path))
