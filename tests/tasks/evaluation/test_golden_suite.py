"""The golden suites that params.yaml names."""

import json
from pathlib import Path

import pytest

from evalsuite.core.errors import UsageError
from evalsuite.suites.bertscore import bertscore_suite
from evalsuite.suites.entry import SuiteContext
from evalsuite.suites.golden_set.check import new_set
from evalsuite.suites.golden_set.suite import golden_suite
from evalsuite.testing import FakeEngine
from tasks.config.evaluation import EvaluationParams


def make_params(folder: Path, model: Path, metrics: list[str]) -> EvaluationParams:
    """A golden set of example items, and free answers scored by ``metrics``."""
    new_set(folder / "own")
    turn = [{"role": "user", "content": "Why is the sea salty?"}]
    row = {"id": "sea", "messages": turn, "references": ["Rivers carry salt into it."], "metrics": metrics}
    (folder / "free").mkdir()
    (folder / "free/test.jsonl").write_text(json.dumps(row) + "\n")
    new_set(folder / "free")
    golden = {"path": str(folder / "own"), "bertscore_model": str(model), "bertscore_layer": 1}
    return EvaluationParams.model_validate({"golden": golden, "bertscore": {"path": str(folder / "free")}})


def test_free_answers_are_a_suite_of_their_own_scored_by_the_golden_set_s_model(
    tmp_path: Path, tiny_model: Path
) -> None:
    params = make_params(tmp_path, tiny_model, ["bertscore_f1"])
    assert params.bertscore is not None
    suite = bertscore_suite(params.bertscore, SuiteContext("bertscore", params.golden))
    assert suite.scorers.bert is golden_suite(params.golden, "test").scorers.bert
    result = suite.run(FakeEngine(lambda _: "Rivers carry salt into it."))
    assert result.info.suite == "bertscore"
    assert result.items[0].scores["bertscore_f1"] == pytest.approx(1.0, abs=1e-5)


def test_free_answers_take_no_other_metric(tmp_path: Path, tiny_model: Path) -> None:
    params = make_params(tmp_path, tiny_model, ["bertscore_f1", "contains"])
    assert params.bertscore is not None
    with pytest.raises(UsageError, match="item 'sea' is scored by 'contains'; the suite bertscore takes bertscore_f1"):
        bertscore_suite(params.bertscore, SuiteContext("bertscore", params.golden))
