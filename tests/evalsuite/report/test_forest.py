from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.gate.decision import Reason
from evalsuite.gate.rules import Outcome
from evalsuite.report.forest import forest, has_interval, levels_of, round_values
from evalsuite.report.text import MINUS
from evalsuite.report.units import Units

UNITS = Units(frozenset({("golden", "exact")}))


def reason(**fields: Any) -> Reason:
    values: dict[str, Any] = {
        "rule": "golden/exact:guard:base",
        "suite": "golden",
        "metric": "exact",
        "kind": "guard",
        "direction": "higher",
        "against": "base",
        "outcome": Outcome.PASS,
        "candidate": 0.6,
        "baseline": 0.5,
        "difference": 0.1,
        "lower": 0.0,
        "upper": 0.2,
        "limit": -0.05,
        "alpha": 0.05,
        "n": 100,
        "unscored": 0,
        "method": "t",
        "text": "text",
    }
    return Reason.model_validate(values | fields)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.floats(-1, 1)).map(
            lambda four: reason(difference=four[0], lower=four[0] - four[1], upper=four[0] + four[2], limit=four[3])
        ),
        min_size=1,
        max_size=6,
    )
)
def test_positions_keep_the_order_of_the_numbers_and_stay_inside(reasons: list[Reason]) -> None:
    for panel in forest(reasons, UNITS):
        for row in (*panel.rows, *panel.slices):
            assert 0.0 <= row.left <= row.point <= row.right <= 100.0
            assert row.reason.limit is not None
            assert row.reason.lower is not None
            if row.reason.lower > row.reason.limit:
                assert row.left >= row.bad_width
        positions = [tick.at for tick in panel.ticks]
        assert positions == sorted(positions)
        assert all(0.0 <= at <= 100.0 for at in positions)


def test_an_infinite_end_reaches_the_edge_and_says_so() -> None:
    (panel,) = forest([reason(lower=None)], UNITS)
    assert (panel.rows[0].left, panel.rows[0].left_open, panel.rows[0].right_open) == (0.0, True, False)
    assert panel.rows[0].interval_text == f"{MINUS}∞ to +20.0"


@pytest.mark.parametrize(
    ("kind", "direction", "side"),
    [
        ("guard", "higher", "left"),
        ("guard", "lower", "right"),
        ("floor", "higher", "left"),
        ("ceiling", "higher", "right"),
    ],
)
def test_the_shaded_side_is_where_the_rule_does_not_hold(kind: str, direction: str, side: str) -> None:
    absolute = {"difference": None, "against": None} if kind in ("floor", "ceiling") else {}
    (panel,) = forest([reason(kind=kind, direction=direction, limit=0.1, **absolute)], UNITS)
    (row,) = panel.rows
    if side == "left":
        assert (row.bad_left, row.bad_width) == (0.0, row.limit)
    else:
        assert row.bad_left == row.limit
        assert row.bad_left + row.bad_width == pytest.approx(100.0)


def test_quantities_of_other_scales_get_their_own_axis() -> None:
    cost = reason(
        suite="costs", metric="num_bytes", kind="ceiling", against=None, difference=None,
        candidate=5e8, lower=5e8, upper=5e8, limit=6e8,
    )  # fmt: skip
    perplexity = reason(metric="perplexity", difference=-3.0, lower=-5.0, upper=-1.0, limit=1.0, direction="lower")
    titles = [panel.title for panel in forest([reason(), cost, perplexity], UNITS)]
    assert len(titles) == 3
    assert any("costs/num_bytes" in title for title in titles)


def test_a_slice_that_failed_stands_with_the_whole_suites() -> None:
    (panel,) = forest([reason(), reason(slice="q=a"), reason(slice="q=b", outcome=Outcome.FAIL)], UNITS)
    assert [row.reason.slice for row in panel.rows] == [None, "q=b"]
    assert [row.reason.slice for row in panel.slices] == ["q=a"]


def test_what_was_not_estimated_is_not_drawn() -> None:
    silent = reason(difference=None, candidate=None, baseline=None, lower=None, upper=None)
    must_pass = reason(kind="must_pass", difference=None, lower=None, upper=None, limit=1.0)
    assert not has_interval(silent)
    assert not has_interval(must_pass)
    assert forest([silent, must_pass], UNITS) == ()


@settings(max_examples=100, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_axis_labels_are_few_round_and_inside(low: float, width: float) -> None:
    values = round_values(low, low + width)
    assert 2 <= len(values) <= 7
    assert all(low - 1e-6 * width <= value <= low + width * (1 + 1e-6) for value in values)


def test_scores_are_in_points_on_the_axis_in_the_figures_and_in_words() -> None:
    (panel,) = forest([reason()], UNITS)
    (row,) = panel.rows
    assert "points" in panel.title
    assert (row.estimate_text, row.interval_text, row.limit_text) == ("+10.0", "0.0 to +20.0", f"> {MINUS}5.0")
    assert row.description == f"estimate +10.0 points, 90% interval 0.0 to +20.0, must lie above {MINUS}5.0"
    assert {tick.text for tick in panel.ticks} >= {"0", "+10", "+20"}


def test_each_group_of_rows_names_the_level_of_its_own_intervals() -> None:
    (panel,) = forest([reason(), reason(slice="q=a", alpha=0.005)], UNITS)
    assert (levels_of(panel.rows), levels_of(panel.slices)) == ("90%", "99%")
    (mixed,) = forest([reason(), reason(alpha=0.025)], UNITS)
    assert levels_of(mixed.rows) == "90% and 95%"


def test_a_panel_says_where_better_lies_unless_its_rules_differ() -> None:
    lower = reason(direction="lower", limit=0.05)
    assert [forest(each, UNITS)[0].better for each in ([reason()], [lower], [reason(), lower])] == ["right", "left", ""]
