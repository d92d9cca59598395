import dataclasses
from collections.abc import Callable

from evalsuite.report import ReportData
from evalsuite.report.evidence import changed_since

Make = Callable[..., ReportData]


def test_the_results_that_were_judged_are_found_again_in_any_order(make: Make) -> None:
    data = make(champion=300)
    assert changed_since(data) == ()
    reversed_items = {
        model: {suite: dataclasses.replace(result, items=result.items[::-1]) for suite, result in suites.items()}
        for model, suites in data.results.items()
    }
    assert changed_since(dataclasses.replace(data, results=reversed_items)) == ()


def test_one_changed_score_of_either_side_is_named(make: Make) -> None:
    data, other = make(champion=300), make(right=359, champion=299)
    for model in ("qlora", "champion"):
        results = {**data.results, model: other.results[model]}
        assert changed_since(dataclasses.replace(data, results=results)) == (f"{model}/golden",)


def test_suites_of_which_items_were_left_out_are_not_called_changed(make: Make) -> None:
    data, other = make(), make(right=359)
    decision = data.decision.model_copy(update={"excluded": {"golden": 1}})
    assert changed_since(dataclasses.replace(data, decision=decision, results=other.results)) == ()
