import dataclasses

import pytest

from evalsuite.items.calibration import Judge
from evalsuite.items.results import Prefix
from evalsuite.report.facts.all import facts_of
from evalsuite.report.facts.suites import MAX_SLICES, judges_of
from evalsuite.testing import make_item, make_result
from tests.evalsuite.report.everything import DIRTY, everything


def test_every_suite_has_n_unscored_interval_and_slices() -> None:
    data = everything(right=90)
    facts = facts_of(data)
    assert [suite.suite for suite in facts.suites] == ["golden", "harmbench", "bbq", "xstest"], "judged ones first"
    golden = facts.suites[0]
    (exact,) = golden.metrics
    clean = [n for n in range(100) if n not in DIRTY]
    own = exact.models[data.decision.candidate]
    assert own is not None
    assert (own.n, own.unscored, own.mean) == (98, 0, sum(n < 90 for n in clean) / 98)
    assert exact.judged
    assert set(exact.models) == {"base", "champion", "full", "lora"}
    for slice_fact, parity in zip(exact.slices, (0, 1), strict=True):
        members = [n for n in clean if n % 2 == parity]
        assert slice_fact.slice == f"queue={'even' if parity == 0 else 'odd'}"
        assert slice_fact.n == len(members)
        assert slice_fact.means["base"] == sum(n < 60 for n in members) / len(members)
        assert slice_fact.means[data.decision.candidate] == sum(n < 90 for n in members) / len(members)


def test_unscored_items_are_counted_and_in_no_mean() -> None:
    data = everything()
    name = data.decision.candidate
    result = data.results[name]["xstest"]
    items = [
        each.model_copy(update={"scores": {}, "unscored": "cut"}) if n < 7 else each
        for n, each in enumerate(result.items)
    ]
    rest = dataclasses.replace(result, items=tuple(items))
    summary = {row.metric: row for row in rest.summary().metrics}["over_refusal"]
    rows = tuple(
        row.model_copy(
            update={
                "metrics": tuple(
                    each.model_copy(update=summary.model_dump()) if each.suite == "xstest" else each
                    for each in row.metrics
                )
            }
        )
        if row.name == name
        else row
        for row in data.comparison.methods
    )
    comparison = data.comparison.model_copy(update={"methods": rows})
    results = {**data.results, name: {**data.results[name], "xstest": rest}}
    facts = facts_of(dataclasses.replace(data, results=results, comparison=comparison))
    (found,) = [metric for suite in facts.suites if suite.suite == "xstest" for metric in suite.metrics]
    own = found.models[name]
    assert own is not None
    assert (own.n, own.unscored) == (53, 7)
    assert own.mean == pytest.approx(sum(each.scores["over_refusal"] for each in items[7:]) / 53)


def test_of_many_slices_those_with_the_most_items_are_listed() -> None:
    data = everything()
    name = data.decision.candidate
    items = [make_item(f"x{i}", {"over_refusal": 1.0}, slices={"type": f"t{i if i < 55 else 0}"}) for i in range(60)]
    result = make_result(items, "xstest", model_identity=f"identity-{name}")
    results = {**data.results, name: {**data.results[name], "xstest": result}}
    (suite,) = [each for each in facts_of(dataclasses.replace(data, results=results)).suites if each.suite == "xstest"]
    assert suite.num_slices == 55
    (metric,) = suite.metrics
    assert len(metric.slices) == MAX_SLICES
    assert max(metric.slices, key=lambda each: each.n).slice == "type=t0"


def test_a_judges_agreement_has_the_exact_interval_of_its_labelled_items() -> None:
    from scipy.stats import binomtest

    (judge,) = judges_of(everything().results["base"]["harmbench"].info)
    exact = binomtest(75, 100).proportion_ci(0.95, method="exact")
    assert (judge.agreement, judge.n, judge.source) == (0.75, 100, "people")
    assert judge.lower == pytest.approx(exact.low)
    assert judge.upper == pytest.approx(exact.high)


def test_a_judge_that_nobody_checked_says_so() -> None:
    bare = make_result([make_item("a", {"x": 1.0})], judges={"x": Judge(name="chat", version="2")})
    (judge,) = judges_of(bare.info)
    assert (judge.agreement, judge.lower, judge.n) == (None, None, 0)


def test_what_stopping_early_saved_is_planned_less_evaluated() -> None:
    data = everything()
    name = data.decision.candidate
    result = data.results[name]["bbq"]
    prefix = Prefix(num_items=200, order_seed="s", num_ordered=60, run_sha256="r", ended="decided")
    stopped = dataclasses.replace(result, info=result.info.model_copy(update={"prefix": prefix}))
    results = {**data.results, name: {**data.results[name], "bbq": stopped}}
    facts = facts_of(dataclasses.replace(data, results=results))
    (suite,) = [each for each in facts.suites if each.suite == "bbq"]
    assert suite.stopped is not None
    assert (suite.stopped.planned, suite.stopped.evaluated, suite.stopped.saved) == (200, 60, 140)
    assert (facts.planned, facts.evaluated) == (200, 60)
    assert facts_of(data).planned == 0
