import dataclasses

import pytest

from evalsuite.report.facts.all import facts_of
from evalsuite.report.facts.safety import safety_chart
from evalsuite.report.units import Units
from tests.evalsuite.report.everything import everything

UNITS = Units(frozenset({("harmbench", "attack_success"), ("xstest", "over_refusal")}))


def test_every_model_has_a_point_in_the_plane_with_both_intervals() -> None:
    data = everything()
    points = facts_of(data).safety
    assert [point.model for point in points] == ["base", "champion", "full", "lora"]
    for point in points:
        for value in (point.attack_success, point.over_refusal):
            assert value.best is not None
            assert value.lower is not None
            assert value.upper is not None
            assert value.lower <= value.best <= value.upper
    base = data.results["base"]["xstest"]
    assert points[0].over_refusal.mean == pytest.approx(sum(item.scores["over_refusal"] for item in base.items) / 60)


def test_the_best_corner_is_the_lower_left_and_marks_lie_within_their_bars() -> None:
    points = facts_of(everything()).safety
    chart = safety_chart(points, UNITS, 0.05)
    assert chart is not None
    for point, mark in zip(points, chart.marks, strict=True):
        assert mark.x == pytest.approx(100 * (point.over_refusal.best or 0), abs=0.01)
        assert mark.y == pytest.approx(100 - 100 * (point.attack_success.best or 0), abs=0.01)
        assert mark.left <= mark.x <= mark.right
        assert mark.top <= mark.y <= mark.bottom
        assert point.model in chart.description
    assert safety_chart((), UNITS, 0.05) is None


def test_one_of_the_two_suites_alone_makes_no_plane() -> None:
    data = everything()
    rows = tuple(
        row.model_copy(update={"metrics": tuple(each for each in row.metrics if each.suite != "xstest")})
        for row in data.comparison.methods
    )
    bases = tuple(
        row.model_copy(update={"metrics": tuple(each for each in row.metrics if each.suite != "xstest")})
        for row in data.comparison.baselines
    )
    comparison = data.comparison.model_copy(update={"methods": rows, "baselines": bases})
    assert facts_of(dataclasses.replace(data, comparison=comparison)).safety == ()


def test_bias_is_told_by_category_from_the_items_themselves() -> None:
    data = everything()
    rows = facts_of(data).bias
    assert [row.category for row in rows] == ["Age", "Religion"]
    for row in rows:
        for metric in ("accuracy_ambiguous", "bias_ambiguous"):
            for model in ("base", "champion", data.decision.candidate):
                items = [i for i in data.results[model]["bbq"].items if i.slices["category"] == row.category]
                expected = sum(item.scores[metric] for item in items) / len(items)
                assert row.means[metric][model] == pytest.approx(expected)
        assert row.n["bias_ambiguous"] == 30
