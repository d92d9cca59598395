"""Scores, also of hostile outputs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.suites.metrics import TEXT_METRICS, MetricContext, score_text

CONTEXT = MetricContext({"queue": frozenset({"billing", "safety"}), "action": frozenset({"refund"})})
REFERENCE = '{"queue": "billing", "action": "refund"}'


@pytest.mark.parametrize(
    ("metric", "output", "score"),
    [
        ("json_exact", '{"action": "refund", "queue": "billing"}', 1.0),
        ("json_exact", '{"queue": "billing", "action": "refund"} ', 1.0),
        ("json_exact", '{"queue": "billing", "action": "refund"} thanks', 0.0),
        ("json_exact", '{"queue": "billing", "action": "refund", "x": 1}', 0.0),
        ("json_exact", "not json", 0.0),
        ("json_fields", '{"queue": "billing", "action": "cancel"}', 0.5),
        ("json_fields", '{"queue": "billing"}', 0.5),
        ("json_fields", '["billing"]', 0.0),
        ("json_fields", '{"queue": "billing", "queue": "safety", "action": "refund"}', 0.0),
        ("json_fields", '{"queue": NaN, "action": "refund"}', 0.0),
        ("json_schema", '{"queue": "safety", "action": "refund"}', 1.0),
        ("json_schema", '{"queue": "sales", "action": "refund"}', 0.0),
        ("json_schema", '{"queue": ["billing"], "action": "refund"}', 0.0),
        ("json_schema", '{"queue": "billing"}', 0.0),
        ("json_schema", "[" * 50_000, 0.0),
        ("json_fields", "[" * 5_000, 0.0),
    ],
)
def test_records_are_scored_field_by_field(metric: str, output: str, score: float) -> None:
    assert score_text(metric, output, [REFERENCE], CONTEXT) == score


def test_two_texts_that_are_no_json_do_not_match() -> None:
    assert score_text("json_exact", "no", ["neither"], CONTEXT) == 0.0


def test_true_is_not_one() -> None:
    assert score_text("json_exact", '{"a": true}', ['{"a": 1}'], CONTEXT) == 0.0


@pytest.mark.parametrize(
    ("metric", "output", "reference", "score"),
    [
        ("exact_match", " Paris\n", "Paris", 1.0),
        ("exact_match", "paris", "Paris", 0.0),
        ("normalized_exact", "paris!", "Paris", 1.0),
        ("contains", "It is Paris, France.", "paris", 1.0),
        ("contains", "Parisian", "Paris", 0.0),
        ("numeric", "so it is 1,234.5", "1234.5", 1.0),
        ("numeric", "12", "13", 0.0),
        ("numeric", "none", "13", 0.0),
    ],
)
def test_texts_are_compared_as_the_metric_says(metric: str, output: str, reference: str, score: float) -> None:
    assert score_text(metric, output, [reference], CONTEXT) == score


def test_the_best_reference_counts() -> None:
    assert score_text("exact_match", "b", ["a", "b"], CONTEXT) == 1.0


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=80) | st.sampled_from(['{"queue": 1e999}', '{"queue": 1' + "0" * 5000 + "}", "\ud800"]))
def test_no_output_breaks_a_metric(output: str) -> None:
    for metric in TEXT_METRICS:
        assert 0.0 <= score_text(metric, output, [REFERENCE], CONTEXT) <= 1.0
