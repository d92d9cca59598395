"""The licence of the base model's weights, as params.yaml, the model's README or its package states it."""

import importlib.metadata
import re
from pathlib import Path
from typing import NamedTuple

from evalsuite.core.errors import UsageError
from evalsuite.core.yaml_file import parse_yaml
from evalsuite.network.model_source import PACKAGE_PREFIX
from tasks.config.model import ModelParams

FRONT_MATTER = re.compile(r"\A---\r?\n(.*?)\r?\n---\r?\n", re.DOTALL)
MAX_README_BYTES = 2**20


class Licence(NamedTuple):
    """A licence, and where it is stated."""

    name: str | None
    """SPDX id, or the licence as its owner names it; None where nobody states one."""
    stated_by: str


def base_licence(model: ModelParams) -> Licence:
    """Look at ``model.licence``, then at the package's metadata or the README of the model; nothing is fetched."""
    if model.licence is not None:
        return Licence(model.licence, "model.licence in params.yaml")
    if model.id.startswith(PACKAGE_PREFIX):
        return _of_package(model.id.removeprefix(PACKAGE_PREFIX))
    folder = Path(model.id).expanduser()
    readme = folder / "README.md" if folder.is_dir() else _cached_readme(model)
    found = _of_readme(readme) if readme is not None and readme.is_file() else None
    return Licence(found, f"README.md of {model.id}" if found else "")


def _of_package(name: str) -> Licence:
    try:
        metadata = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return Licence(None, "")
    for field in ("License-Expression", "License"):
        text = (metadata[field] or "").strip() if field in metadata else ""
        # Some packages put the whole text of the licence there.
        if text and "\n" not in text:
            return Licence(text, f"package {name}")
    return Licence(None, "")


def _cached_readme(model: ModelParams) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model.id, "README.md", revision=model.revision)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def _of_readme(path: Path) -> str | None:
    with path.open("rb") as file:
        head = FRONT_MATTER.match(file.read(MAX_README_BYTES).decode("utf-8", errors="replace"))
    if head is None:
        return None
    try:
        fields = parse_yaml(head[1], path)
    except UsageError:
        return None
    stated = fields.get("license") if isinstance(fields, dict) else None
    return stated if isinstance(stated, str) and stated and "\n" not in stated else None
