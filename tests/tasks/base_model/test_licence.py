from pathlib import Path

import pytest

from tasks.base_model.licence import base_licence
from tasks.config.model import ModelParams


def folder(root: Path, readme: str) -> ModelParams:
    (root / "README.md").write_text(readme, encoding="utf-8")
    return ModelParams(id=str(root))


def test_the_front_matter_of_a_model_folder_states_its_licence(tmp_path: Path) -> None:
    model = folder(tmp_path, "---\nlicense: apache-2.0\ntags: [a]\n---\n# Model\n")
    assert base_licence(model) == ("apache-2.0", f"README.md of {tmp_path}")


@pytest.mark.parametrize(
    "readme", ["# No front matter", "---\ntags: [a]\n---\n", "---\n{bad: [yaml\n---\n", "---\nlicense: [a]\n---\n"]
)
def test_a_readme_that_states_none_gives_none(tmp_path: Path, readme: str) -> None:
    assert base_licence(folder(tmp_path, readme)) == (None, "")


def test_params_come_before_the_models_own_files(tmp_path: Path) -> None:
    model = folder(tmp_path, "---\nlicense: mit\n---\n").model_copy(update={"licence": "CC-BY-4.0"})
    assert base_licence(model) == ("CC-BY-4.0", "model.licence in params.yaml")


def test_an_installed_package_states_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "my_model-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-model\nVersion: 1.0\nLicense: Apache-2.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert base_licence(ModelParams(id="package:my_model")) == ("Apache-2.0", "package my_model")


def test_a_whole_licence_text_and_an_absent_package_are_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "long_model-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: long-model\nVersion: 1.0\nLicense: Line one\n        line two\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert base_licence(ModelParams(id="package:long_model")) == (None, "")
    assert base_licence(ModelParams(id="package:no_such_model")) == (None, "")


def test_a_hub_model_that_is_not_in_the_cache_states_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert base_licence(ModelParams(id="owner/absent-model", revision="0" * 40)) == (None, "")
