"""The base model's complete bytes, from a hub, a folder or an installed package."""

from evalsuite.core.identity import ModelManifest
from tasks.base_model.export import check_model, export_model
from tasks.config.model import ModelParams
from tasks.config.section import StageSections
from tasks.paths import ArtifactPaths


def run(params: ModelParams, paths: ArtifactPaths) -> ModelManifest:
    """Write models/base/export: safetensors weights, tokenizer, chat template, and the manifest last.

    Raises:
        UsageError: The model cannot be found, has no chat template or one that cannot be used, or a hub id has no
            pinned revision.
        StageError: The disk has no room, or the hub does not answer.
    """
    check_model(params)
    return export_model(params, paths.export("base"))


class Sections(StageSections):
    """What the stage reads of params.yaml."""

    model: ModelParams


def stage(params: Sections, paths: ArtifactPaths) -> str:
    """Do the work; returns its summary."""
    manifest = run(params.model, paths)
    return f"base model {manifest.source}: {manifest.num_parameters:,} parameters, identity {manifest.identity[:16]}"
