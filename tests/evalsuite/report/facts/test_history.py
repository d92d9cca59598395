import dataclasses

import pytest

from evalsuite.report.data import Past
from evalsuite.report.facts.all import facts_of
from evalsuite.report.facts.history import MAX_CHARTS, time_charts
from evalsuite.report.units import Units
from tests.evalsuite.report.everything import everything

UNITS = Units(frozenset({("golden", "exact")}))


def test_champions_and_the_candidate_stand_in_the_order_of_time() -> None:
    data = everything(right=90)
    (line,) = facts_of(data).timelines
    assert (line.suite, line.metric) == ("golden", "exact")
    assert [(point.when, point.mean) for point in line.points] == [
        ("2026-01-11", 0.5),
        ("2026-02-11", 0.5),
        ("this run", 88 / 98),
    ]
    assert [point.same_items for point in line.points] == [False, False, True], "the first has other items"


def test_a_line_joins_only_points_on_the_same_items() -> None:
    (chart,) = time_charts(facts_of(everything()).timelines, UNITS)
    (joined,) = chart.lines
    assert len(joined.split()) == 2
    assert [mark.is_candidate for mark in chart.marks] == [False, False, True]
    assert [mark.x for mark in chart.marks] == sorted(mark.x for mark in chart.marks)
    assert chart.marks[2].y < chart.marks[1].y, "better lies above"
    assert [tick.text for tick in chart.x_ticks] == ["2026-01-11", "2026-02-11", "this run"]
    for mark in chart.marks:
        assert 0.0 <= mark.top <= mark.y <= mark.bottom <= 100.0
    assert "2026-02-11 lora 22222222: 50.0 (n = 98), on other items" in chart.description


def test_a_first_run_has_no_plot_and_few_plots_are_drawn_of_many() -> None:
    data = everything()
    assert facts_of(dataclasses.replace(data, past=Past())).timelines == ()
    (line,) = facts_of(data).timelines
    assert len(time_charts([line] * 40, UNITS)) == MAX_CHARTS
    (crowded,) = time_charts([line.model_copy(update={"points": line.points * 4})], UNITS)
    assert [tick.text for tick in crowded.x_ticks] == ["2026-01-11", "this run"], "dates that fit side by side"


def test_the_candidates_own_earlier_promotion_is_one_point() -> None:
    data = everything()
    champions = data.past.champions
    own = champions[1].model_copy(update={"identity": data.decision.candidate_identity})
    (line,) = facts_of(dataclasses.replace(data, past=Past(champions=(champions[0], own)))).timelines
    assert [point.when for point in line.points] == ["2026-01-11", "this run"]
    assert line.points[-1].mean == pytest.approx(88 / 98)
