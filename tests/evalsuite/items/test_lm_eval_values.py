import math
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.core.direction import Direction
from evalsuite.items.lm_eval_values import (
    FRACTIONS,
    HIGHER,
    LOWER,
    OVER_ALL,
    Aggregation,
    ItemScore,
    NoScore,
    NotApplicable,
    aggregation_of,
    direction_of,
    logged_value,
    scored_value,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("mcc", [0, 1]),
        ("f1", [1, 1]),
        ("bleu", ["a reference", "an answer"]),
        ("perplexity", -3.25),
        ("word_perplexity", [-120.5, 40]),
        ("brier_score", [2, [0.1, 0.9]]),
        ("brier_score", 0.2),
        ("acc", -1),
        ("acc", 7),
        ("acc", math.nan),
        ("acc", "0.5"),
        ("acc", None),
        ("acc_norm", [1, 0]),
        ("acc_norm", [True, 0]),
        ("exact_match", []),
        ("consistency", {"final_answer": "A"}),
        ("amb_bias_score_Age", -1.0),
        ("4096", -0.5),
    ],
)
def test_a_value_that_is_no_mean_s_item_is_no_score_and_says_why(metric: str, value: object) -> None:
    found = logged_value(metric, value)
    assert isinstance(found, NoScore)
    assert metric in found.reason


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        ("acc", 1, ItemScore(1.0)),
        ("acc", True, ItemScore(1.0)),
        ("acc", "False", ItemScore(0.0)),
        ("f1", 0.4, ItemScore(0.4)),
        ("wer", 1.7, ItemScore(1.7)),
        ("inst_level_strict_acc", [True, False, True], ItemScore(2.0, 3.0)),
        ("4096", 0.25, ItemScore(0.25)),
        ("4096", -1.0, NotApplicable()),
        ("my_own", 3, ItemScore(3.0)),
    ],
)
def test_numbers_truths_and_checks_are_scores_and_minus_one_of_a_length_does_not_apply(
    metric: str, value: object, expected: object
) -> None:
    assert logged_value(metric, value) == expected
    assert type(logged_value(metric, value)) is type(expected)


@given(st.sampled_from(sorted({*FRACTIONS, *HIGHER, *LOWER, *OVER_ALL, "4096", "mine"})), JSON)
def test_whatever_is_logged_only_a_finite_number_or_truths_become_a_score(metric: str, value: Any) -> None:
    found = logged_value(metric, value)
    if isinstance(found, ItemScore):
        assert metric not in OVER_ALL
        assert math.isfinite(found.score)
        truths = isinstance(value, list) and value and all(isinstance(each, bool) for each in value)
        assert truths or isinstance(value, int | float) or value in ("True", "False")
        assert found.denominator == (float(len(value)) if truths else None)
        if not truths and metric in FRACTIONS:
            assert 0.0 <= found.score <= 1.0
    elif isinstance(found, NotApplicable):
        assert (metric, value) == ("4096", -1)


def test_metrics_that_lm_eval_registers_are_known_with_its_aggregation_and_direction() -> None:
    import lm_eval.api.metrics  # noqa: F401  fills the registries
    from lm_eval.api.registry import HIGHER_IS_BETTER_REGISTRY, METRIC_AGGREGATION_REGISTRY

    for metric, higher in HIGHER_IS_BETTER_REGISTRY.items():
        assert direction_of(metric) is (Direction.HIGHER if higher else Direction.LOWER), metric
    for metric, aggregate in METRIC_AGGREGATION_REGISTRY.items():
        is_mean = aggregation_of(aggregate).is_mean
        # Of f1 and bleu some tasks average item scores; the registry's take pairs, which are no scores in any case.
        # likelihood is a mean in the registry, and in its one task a difference over all items.
        assert is_mean == (metric in FRACTIONS or metric == "likelihood"), metric
        assert is_mean or metric in OVER_ALL or metric in ("f1", "bleu"), metric


def test_an_aggregation_is_found_to_be_a_mean_by_trial() -> None:
    from lm_eval.api.metrics import matthews_corrcoef, mean, median, nanmean, perplexity
    from lm_eval.tasks.ifeval.utils import agg_inst_level_acc
    from lm_eval.tasks.ruler.common_utils import aggregate_metrics

    assert aggregation_of(mean) == Aggregation(True, "mean")
    assert aggregation_of(nanmean) == Aggregation(True, "nanmean", ignores_nan=True)
    assert aggregation_of(aggregate_metrics) == Aggregation(True, "aggregate_metrics", ignores_minus_one=True)
    assert aggregation_of(agg_inst_level_acc) == Aggregation(False, "agg_inst_level_acc", counts_checks=True)
    for other in (median, perplexity, matthews_corrcoef, max, sum, partial(mean, [0.0])):
        assert not aggregation_of(other).is_mean


def test_own_values_follow_the_task_s_own_aggregation() -> None:
    ruler = Aggregation(True, "aggregate_metrics", ignores_minus_one=True)
    assert scored_value("4096", -1, ruler) == NotApplicable()
    assert scored_value("4096", 0.5, ruler) == ItemScore(0.5)
    assert scored_value("acc", math.nan, Aggregation(True, "nanmean", ignores_nan=True)) == NotApplicable()
    assert isinstance(scored_value("acc", math.nan, Aggregation(True, "mean")), NoScore)
    correlation = scored_value("mcc", (0, 1), Aggregation(False, "matthews_corrcoef"))
    assert isinstance(correlation, NoScore)
    assert "matthews_corrcoef" in correlation.reason
    assert isinstance(scored_value("perplexity", -3.0, Aggregation(False, "perplexity")), NoScore)
    counted = Aggregation(False, "agg_inst_level_acc", counts_checks=True)
    assert scored_value("inst", [True, False], counted) == ItemScore(1.0, 2.0)
    assert isinstance(scored_value("mcc", (True, False), Aggregation(False, "matthews_corrcoef")), NoScore)
