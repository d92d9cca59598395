"""Rows that the model cannot read whole are refused before anything is spent."""

import json
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import UsageError
from tasks.base_model.context import check_fits, context_tokens
from tasks.config.params import parse_params
from tasks.paths import ArtifactPaths
from tasks.preflight.checks import problems
from tests.tasks.preflight.test_checks import shipped


def folder_with(folder: Path, config: dict[str, Any], tokenizer: dict[str, Any] | None = None) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer or {}))
    return folder


@pytest.mark.parametrize(
    ("config", "tokenizer", "tokens"),
    [
        ({"model_type": "llama", "max_position_embeddings": 512}, {"model_max_length": 9}, 512),
        ({"model_type": "gpt2", "n_positions": 1024}, {}, 1024),
        ({"model_type": "mpt", "max_seq_len": 2048}, {}, 2048),
        ({"max_position_embeddings": 77, "text_config": {"max_position_embeddings": 4096}}, {}, 4096),
        ({"model_type": "gemma3", "text_config": {"hidden_size": 64}}, {}, 131072),  # transformers' own default
        ({"model_type": "mamba"}, {"model_max_length": 1e30}, None),
        ({"model_type": "mamba"}, {"model_max_length": 4096}, 4096),
        ({"model_type": "nobody-knows"}, {}, None),
    ],
)
def test_the_context_is_what_the_config_of_the_text_model_says(
    tmp_path: Path, config: dict[str, Any], tokenizer: dict[str, Any], tokens: int | None
) -> None:
    assert context_tokens(folder_with(tmp_path, config, tokenizer)) == tokens


def test_no_folder_has_no_known_context(tmp_path: Path) -> None:
    assert context_tokens(tmp_path / "none") is None
    check_fits("train.max_length_tokens", 10**9, None)


def test_a_length_beyond_the_context_names_both_numbers() -> None:
    check_fits("train.max_length_tokens", 512, 512)
    with pytest.raises(UsageError, match=r"train\.max_length_tokens = 513 is more than the model's context of 512"):
        check_fits("train.max_length_tokens", 513, 512)


def test_lengths_beyond_the_context_are_problems_of_the_project(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = shipped()
    data["model"] = {"id": str(tiny_model)}
    data["prepare"]["max_length_tokens"] = 1025
    data["train"]["max_length_tokens"] = 1024
    found = [text for text in problems(parse_params(data), ArtifactPaths(tmp_path)) if "context" in text]
    assert len(found) == 1
    assert found[0].startswith("prepare.max_length_tokens = 1025 is more than the model's context of 1024 tokens")
    data["prepare"]["objective"] = "text"  # documents are cut by the other setting alone
    assert not [text for text in problems(parse_params(data), ArtifactPaths(tmp_path)) if "context" in text]
