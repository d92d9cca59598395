import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from evalsuite.report.facts.measured import tables_of
from evalsuite.report.facts.tradeoff import pareto_front, tradeoff_chart, tradeoff_of
from evalsuite.report.units import Units
from tests.evalsuite.report.everything import everything

UNITS = Units(frozenset({("golden", "exact")}))
POINTS = st.lists(st.tuples(st.integers(0, 6).map(float), st.integers(0, 6).map(float)), max_size=9)


@given(POINTS, st.booleans())
def test_the_front_is_what_no_other_point_dominates(points: list[tuple[float, float]], higher: bool) -> None:
    def dominated(cost: float, quality: float) -> bool:
        return any(
            other_cost <= cost
            and (other >= quality if higher else other <= quality)
            and (other_cost < cost or other != quality)
            for other_cost, other in points
        )

    expected = {place for place, point in enumerate(points) if not dominated(*point)}
    assert pareto_front(points, higher) == expected


def test_every_method_has_its_quality_with_an_interval_and_its_cost() -> None:
    from scipy.stats import binomtest

    data = everything(right=90)
    found = tradeoff_of(data, tables_of(data))
    assert found is not None
    assert {point.method: point.cost for point in found.points} == {"full": 60.0, "lora": 10.0}
    assert found.cost_unit == "seconds"
    # Items 3 and 4 are in the training rows and count in no mean: 88 of 98; alpha 0.05 on each side.
    exact = binomtest(88, 98).proportion_ci(0.9)
    for point in found.points:
        assert point.quality.mean == 88 / 98
        assert (round(point.quality.lower or 0, 9), round(point.quality.upper or 0, 9)) == (
            round(exact.low, 9),
            round(exact.high, 9),
        )
    assert [point.method for point in found.points if point.on_front] == ["lora"], "as good, and cheaper"


def test_a_price_is_shown_where_every_method_has_one() -> None:
    data = everything()
    rows = tuple(
        row.model_copy(update={"cost": cost, "currency": "EUR"})
        for row, cost in zip(data.comparison.methods, (3.0, 1.0), strict=True)
    )
    priced = dataclasses.replace(data, comparison=data.comparison.model_copy(update={"methods": rows}))
    found = tradeoff_of(priced, tables_of(priced))
    assert found is not None
    assert (found.cost_unit, [point.cost for point in found.points]) == ("EUR", [3.0, 1.0])
    chart = tradeoff_chart(found, UNITS)
    assert chart is not None
    assert "1.00 EUR, on the front" in chart.description


def test_no_cost_means_no_plot() -> None:
    data = everything()
    rows = tuple(row.model_copy(update={"train_seconds": None}) for row in data.comparison.methods)
    bare = dataclasses.replace(data, comparison=data.comparison.model_copy(update={"methods": rows}))
    assert tradeoff_of(bare, tables_of(bare)) is None
    assert tradeoff_chart(None, UNITS) is None


def test_dearer_lies_to_the_right_better_above_and_everything_inside_the_plot() -> None:
    data = everything(right=80)
    found = tradeoff_of(data, tables_of(data))
    assert found is not None
    better = found.points[0].quality.model_copy(update={"mean": 0.95, "lower": 0.9, "upper": 0.99})
    moved = found.model_copy(
        update={"points": (found.points[0].model_copy(update={"quality": better}), *found.points[1:])}
    )
    chart = tradeoff_chart(moved, UNITS)
    assert chart is not None
    full, lora = chart.marks
    assert (full.method, lora.method) == ("full", "lora")
    assert full.x > lora.x
    assert full.y < lora.y
    for mark in chart.marks:
        assert 0.0 <= mark.x <= 100.0
        assert 0.0 <= mark.top <= mark.y <= mark.bottom <= 100.0
    assert full.label == "end", "a name at the right edge ends at its mark"
