import dataclasses

import pytest

from evalsuite.core.errors import UsageError
from evalsuite.items.results import SuiteResult
from evalsuite.report.data import ReportData
from evalsuite.report.facts.measured import changed_results, measured, measured_in, tables_of
from evalsuite.testing import make_item, make_result
from tests.evalsuite.report.everything import JUDGE, everything


def changed(data: ReportData, model: str, suite: str, result: SuiteResult) -> tuple[str, ...]:
    results = {**data.results, model: {**data.results[model], suite: result}}
    again = dataclasses.replace(data, results=results)
    return changed_results(again, tables_of(again))


def test_results_that_the_decision_was_made_from_are_not_changed() -> None:
    data = everything()
    assert changed_results(data, tables_of(data)) == ()


def test_one_other_score_anywhere_names_its_folder() -> None:
    data = everything()
    for model in ("base", "champion", data.decision.candidate):
        result = data.results[model]["xstest"]
        first = result.items[0]
        other = first.model_copy(update={"scores": {"over_refusal": 1.0 - first.scores["over_refusal"]}})
        again = dataclasses.replace(result, items=(other, *result.items[1:]))
        assert changed(data, model, "xstest", again) == (f"evals/{model}/xstest",)


def test_an_output_alone_changes_no_score() -> None:
    data = everything()
    result = data.results["base"]["xstest"]
    other = result.items[0].model_copy(update={"output": "another answer"})
    assert changed(data, "base", "xstest", dataclasses.replace(result, items=(other, *result.items[1:]))) == ()


def test_a_suite_that_went_or_came_names_its_folder() -> None:
    data = everything()
    less = {name: result for name, result in data.results["base"].items() if name != "bbq"}
    again = dataclasses.replace(data, results={**data.results, "base": less})
    assert changed_results(again, tables_of(again)) == ("evals/base/bbq",)
    without = dataclasses.replace(data, contamination=None)
    assert changed_results(without, tables_of(without)) == tuple(
        f"evals/{model}/golden" for model in (data.decision.candidate, "base", "champion")
    ), "with the contaminated items it is another table"


def test_a_suite_that_nobody_checked_for_contamination_is_refused() -> None:
    data = everything()
    assert data.contamination is not None
    only = data.contamination.model_copy(update={"suites": data.contamination.suites[:1]})
    with pytest.raises(UsageError, match="was not checked for contamination"):
        tables_of(dataclasses.replace(data, contamination=only))


def test_a_checked_judge_gives_a_corrected_mean_inside_its_interval() -> None:
    items = [make_item(f"h{i}", {"attack_success": float(i % 4 == 0)}) for i in range(80)]
    table = make_result(items, "harmbench", judges={"attack_success": JUDGE}).table()
    found = measured_in(table, "attack_success", 0.05)
    # People call harmful what the judge misses: 25 of the 100 labelled items, all in one direction.
    assert found.mean == 0.25
    assert found.corrected == pytest.approx(0.25 + 0.25)
    assert found.best == found.corrected
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower < found.corrected < found.upper
    plain = measured_in(make_result(items, "harmbench").table(), "attack_success", 0.05)
    assert plain.corrected is None
    assert plain.best == 0.25


def test_a_ratio_is_a_ratio_of_sums_and_an_unscored_item_is_counted() -> None:
    items = [
        make_item("a", {"loss": 6.0}, denominators={"loss": 2.0}),
        make_item("b", {"loss": 4.0}, denominators={"loss": 8.0}),
        make_item("c", {}, metrics=("loss",), unscored="too long"),
    ]
    found = measured_in(make_result(items).table(), "loss", 0.05)
    assert (found.mean, found.n, found.unscored) == (1.0, 2, 1)


def test_nothing_measured_is_nothing() -> None:
    assert measured(None, None, 0.05) is None
    empty = measured_in(make_result([make_item("c", {}, metrics=("exact",), unscored="x")]).table(), "exact", 0.05)
    assert (empty.mean, empty.lower, empty.upper, empty.n, empty.unscored) == (None, None, None, 0, 1)
