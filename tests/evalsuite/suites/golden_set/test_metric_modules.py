"""Metrics as evaluate sees them."""

from typing import Any

import pytest

from evalsuite.core.errors import UsageError
from evalsuite.suites.golden_set.metric_modules import load_metric
from evalsuite.suites.golden_set.metrics import TEXT_METRICS, MetricContext, score_text

PARAMS: dict[str, dict[str, Any]] = {
    "contains_all": {"values": ["cat"]},
    "contains_any": {"values": ["cat", "dog"]},
    "regex": {"pattern": "c.t"},
    "choice": {"options": ["the cat", "a dog"]},
}
OUTPUTS = ["the cat", "a dog 3", ""]
REFERENCES = [["the cat", "cats"], ["a dog 4"], ["A"]]


@pytest.mark.parametrize("name", TEXT_METRICS)
def test_every_text_metric_is_an_evaluate_metric_that_needs_no_hub(name: str) -> None:
    import evaluate

    metric = load_metric(name, PARAMS.get(name))
    assert isinstance(metric, evaluate.Metric)
    found = metric.compute(predictions=OUTPUTS, references=REFERENCES)
    params = TEXT_METRICS[name].params.model_validate(PARAMS.get(name, {}))
    pairs = zip(OUTPUTS, REFERENCES, strict=True)
    expected = [score_text(name, output, wanted, MetricContext({}), params) for output, wanted in pairs]
    assert found["scores"] == expected
    assert found[name] == pytest.approx(sum(expected) / 3)


def test_batches_add_up() -> None:
    metric = load_metric("exact_match")
    metric.add_batch(predictions=["a"], references=[["a"]])
    metric.add_batch(predictions=["b"], references=[["c"]])
    assert metric.compute()["exact_match"] == 0.5


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'token_f1'"):
        load_metric("token_f2")


def test_wrong_parameters_are_named() -> None:
    with pytest.raises(UsageError, match="metric 'regex': pattern: "):
        load_metric("regex", {"pattern": "("})
