"""A model is its bytes."""

from pathlib import Path

import pytest

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.core.identity import verify_manifest, write_manifest


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "sub" / "config.json").write_text("{}")
    write_manifest(tmp_path, source="test")
    return tmp_path


def test_an_untouched_folder_verifies(model: Path) -> None:
    assert verify_manifest(model, "x").num_bytes == len(b"weights") + 2


def test_one_changed_byte_is_named(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"Weights")
    with pytest.raises(UsageError, match=r"model\.safetensors has sha256"):
        verify_manifest(model, "x")


def test_an_added_file_is_named(model: Path) -> None:
    (model / "extra.py").write_text("")
    with pytest.raises(UsageError, match=r"extra\.py is not in the manifest"):
        verify_manifest(model, "x")


def test_a_missing_file_is_named(model: Path) -> None:
    (model / "sub" / "config.json").unlink()
    with pytest.raises(MissingArtifactError, match=r"config\.json"):
        verify_manifest(model, "x")


def test_a_renamed_file_is_another_model(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("same")
    first = write_manifest(tmp_path, source="test").identity
    (tmp_path / "a").rename(tmp_path / "b")
    assert write_manifest(tmp_path, source="test").identity != first


def test_the_identity_does_not_depend_on_where_the_folder_lies(tmp_path: Path) -> None:
    identities = set()
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "w").write_text("same")
        identities.add(write_manifest(tmp_path / name, source=name).identity)
    assert len(identities) == 1


def test_a_folder_without_a_manifest_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(MissingArtifactError, match="make it with `ratchet run`"):
        verify_manifest(tmp_path, "ratchet run")


def test_an_unknown_schema_version_is_refused_with_both_numbers(model: Path) -> None:
    text = (model / "manifest.json").read_text()
    (model / "manifest.json").write_text(text.replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(UsageError, match="schema_version 2, this version reads 1"):
        verify_manifest(model, "x")
