"""The base model's bytes."""

import shutil
from pathlib import Path

import pytest

from evalsuite.core.errors import StageError, UsageError
from evalsuite.core.identity import verify_manifest
from tasks.config.model import ModelParams
from tasks.paths import ArtifactPaths
from tasks.stages.fetch import run


def test_the_same_model_is_fetched_to_the_same_bytes(tmp_path: Path, tiny_model: Path) -> None:
    paths = ArtifactPaths(tmp_path)
    first = run(ModelParams(id=str(tiny_model)), paths)
    second = run(ModelParams(id=str(tiny_model)), paths)
    assert first.identity == second.identity == verify_manifest(paths.export("base"), "x").identity
    assert first.num_parameters


def test_a_model_without_a_chat_template_is_refused_and_the_old_one_stays(tmp_path: Path, tiny_model: Path) -> None:
    paths = ArtifactPaths(tmp_path)
    before = run(ModelParams(id=str(tiny_model)), paths).identity
    bare = tmp_path / "bare"
    shutil.copytree(tiny_model, bare)
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(UsageError, match=r"no chat template; name a Jinja file in model\.chat_template"):
        run(ModelParams(id=str(bare)), paths)
    assert verify_manifest(paths.export("base"), "x").identity == before


def test_a_hub_id_needs_a_pinned_revision(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"set model\.revision to a commit"):
        run(ModelParams(id="someone/model"), ArtifactPaths(tmp_path))


def test_a_folder_that_is_no_model_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk/model.safetensors").write_bytes(b"no")
    with pytest.raises(StageError, match="cannot be loaded"):
        run(ModelParams(id=str(tmp_path / "junk")), ArtifactPaths(tmp_path))
