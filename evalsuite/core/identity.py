"""A model's identity: the hash of every byte that ships."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.core.files import read_model, sha256_file, sha256_json, undo_private, write_json

MANIFEST_NAME = "manifest.json"


class ModelManifest(BaseModel):
    """What a model folder holds; written last, so a folder without one does not exist."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    identity: str
    """sha256 over the sorted (path, sha256) pairs of ``files``."""
    files: dict[str, str]
    """Path relative to the folder -> sha256 of its bytes."""
    num_bytes: int
    """Total size of ``files`` in bytes."""
    num_parameters: int | None = None
    source: str
    """Where the weights came from: a hub id with revision, a folder, or a training run."""


def hash_files(folder: Path) -> dict[str, str]:
    """sha256 of every file in ``folder`` but the manifest, by relative POSIX path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST_NAME)
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in paths}


def identity_of(files: dict[str, str]) -> str:
    """sha256 over the sorted (path, sha256) pairs."""
    return sha256_json(sorted(files.items()))


def write_manifest(folder: Path, source: str, num_parameters: int | None = None) -> ModelManifest:
    """Hash a complete model folder and write its manifest, last."""
    undo_private(folder)
    files = hash_files(folder)
    manifest = ModelManifest(
        identity=identity_of(files),
        files=files,
        num_bytes=sum((folder / name).stat().st_size for name in files),
        num_parameters=num_parameters,
        source=source,
    )
    write_json(folder / MANIFEST_NAME, manifest)
    return manifest


def read_manifest(folder: Path, made_by: str) -> ModelManifest:
    """Read a model folder's manifest without hashing the weights again.

    Raises:
        MissingArtifactError: The folder has no manifest, so it does not count as a model.
    """
    return read_model(folder / MANIFEST_NAME, ModelManifest, made_by)


def verify_manifest(folder: Path, made_by: str) -> ModelManifest:
    """Read the manifest and prove that the folder still holds exactly those bytes.

    Raises:
        MissingArtifactError: The manifest or one of its files is absent.
        UsageError: A file was added, or its bytes differ; the message names it.
    """
    manifest = read_manifest(folder, made_by)
    present = hash_files(folder)
    for name, digest in manifest.files.items():
        if name not in present:
            raise MissingArtifactError(f"{folder / name} is named in the manifest and absent; run `{made_by}`")
        if present[name] != digest:
            raise UsageError(f"{folder / name} has sha256 {present[name]}, the manifest says {digest}; run `{made_by}`")
    extra = sorted(set(present) - set(manifest.files))
    if extra:
        raise UsageError(f"{folder / extra[0]} is not in the manifest; run `{made_by}`")
    if identity_of(manifest.files) != manifest.identity:
        raise UsageError(f"{folder / MANIFEST_NAME}: identity does not match its file list; run `{made_by}`")
    return manifest
