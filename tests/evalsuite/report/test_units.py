import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.items.results import SuiteResult
from evalsuite.report.text import MINUS
from evalsuite.report.units import Units, level, point_metrics, points
from evalsuite.testing import make_item, make_result

UNITS = Units(frozenset({("golden", "exact"), ("costs", "share")}))


def suite(metric: str, *scores: float) -> SuiteResult:
    return make_result(make_item(f"i{i}", {metric: score}) for i, score in enumerate(scores))


def test_points_are_for_scores_that_lie_within_one_on_every_item_of_every_model() -> None:
    assert point_metrics({"a": {"golden": suite("exact", 0.0, 1.0)}}) == {("golden", "exact")}
    assert point_metrics({"a": {"golden": suite("bias", -1.0, 0.5)}}) == {("golden", "bias")}
    assert not point_metrics({"a": {"golden": suite("rating", 0.5)}, "b": {"golden": suite("rating", 4.0)}})


def test_a_metric_that_is_unbounded_by_name_is_never_in_points() -> None:
    assert not point_metrics({"a": {"golden": suite("perplexity", 0.5)}})


def test_a_score_a_change_and_an_interval_share_one_unit() -> None:
    assert UNITS.value("golden", "exact", 0.783) == "78.3"
    assert UNITS.change("golden", "exact", -0.026) == f"{MINUS}2.6"
    assert UNITS.interval("golden", "exact", -0.0841, 0.031) == f"{MINUS}8.4 to +3.1"
    assert UNITS.amount("golden", "exact", -0.05) == "5.0 points"


def test_other_metrics_keep_their_unit() -> None:
    assert UNITS.value("golden", "perplexity", 7.5) == "7.500"
    assert UNITS.value("costs", "num_bytes", 2048.0) == "2.0 KiB"
    assert UNITS.amount("costs", "share", 0.5) == "0.500"


def test_small_changes_keep_two_digits_and_their_sign() -> None:
    assert points(0.00012) == "0.012"
    assert UNITS.change("golden", "exact", 0.0) == "0.0"
    assert UNITS.change("golden", "exact", None) == UNITS.value("golden", "exact", None)


@given(st.floats(-1.0, 1.0))
def test_points_are_a_hundred_times_the_score(share: float) -> None:
    shown = float(points(share).replace(MINUS, "-"))
    assert shown == pytest.approx(100.0 * share, abs=0.051)
    assert (shown > 0.0) == (round(100.0 * share, 6) > 0.0)


@pytest.mark.parametrize(("alpha", "words"), [(0.05, "90%"), (0.025, "95%"), (0.0125, "97.5%"), (None, "")])
def test_the_level_is_what_both_errors_leave(alpha: float | None, words: str) -> None:
    assert level(alpha) == words
