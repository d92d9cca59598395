"""What a rule's figures and words are, at the edges where one item more or less changes them."""

import math
from typing import Any

import numpy as np
import pytest

from evalsuite.gate.decide import decide
from evalsuite.gate.decision import Reason, Verdict
from evalsuite.gate.judging import value_interval
from evalsuite.gate.rules import Outcome
from evalsuite.gate.sequential.prefixes import as_fixed
from evalsuite.stats.paired import paired_interval
from evalsuite.stats.ratio import Ratio, ratio_interval
from tests.evalsuite.gate.finite_sets import first, make_items, pair, policy_of, report_of, result_of
from tests.evalsuite.gate.test_decide import GUARD, TARGET, binary, by_id, policy, report
from tests.evalsuite.gate.test_ratio_rules import report as ratio_report


def _lost(lost: int, n: int = 100) -> list[float]:
    return [0.0] * lost + [1.0] * (n - lost)


def _fails_at(alpha: float, margin: float, n: int = 100) -> int:
    """Fewest lost items of n that prove a loss beyond the margin."""
    return next(k for k in range(n) if paired_interval(_lost(k, n), [1.0] * n, None, alpha).upper < -margin)


def _slices(*lost: int) -> tuple[Verdict, dict[str, Reason]]:
    queue = [f"q{i}" for i in range(len(lost)) for _ in range(100)]
    candidate = [score for count in lost for score in _lost(count)]
    rule = {**GUARD, "margin": 0.5, "slices": "queue", "slice_margin": 0.1}
    base = {"base": report({"exact": [1.0] * len(queue)}, queue=queue)}
    decision = decide(report({"exact": candidate}, queue=queue), base, policy(rule))
    return decision.verdict, {each.slice or "": each for each in decision.reasons}


def test_each_of_holms_steps_is_tried_at_alpha_over_the_slices_that_are_left() -> None:
    alone, of_two, of_three = (_fails_at(0.05 / k, 0.1) for k in (1, 2, 3))
    assert alone < of_two <= of_three
    verdict, found = _slices(of_three, of_two, alone)
    assert verdict is Verdict.REJECT
    assert [found[f"queue=q{i}"].outcome for i in range(3)] == [Outcome.FAIL] * 3
    assert [found[f"queue=q{i}"].alpha for i in range(3)] == pytest.approx([0.05 / 3, 0.05 / 2, 0.05])


def test_holm_stops_at_the_first_step_that_proves_nothing() -> None:
    alone, of_two, of_three = (_fails_at(0.05 / k, 0.1) for k in (1, 2, 3))
    verdict, found = _slices(of_three, of_two - 1, alone)
    assert verdict is Verdict.REJECT
    assert [found[f"queue=q{i}"].outcome for i in range(3)] == [Outcome.FAIL, Outcome.UNDECIDED, Outcome.UNDECIDED]
    assert [found[f"queue=q{i}"].alpha for i in range(3)] == pytest.approx([0.05 / 3, 0.05 / 2, 0.05 / 2])
    assert _slices(of_three - 1, of_two - 1, alone)[0] is Verdict.PROMOTE


@pytest.mark.parametrize(("lost", "more"), [((50, 60, 70, 0), 2), ((50, 0, 0, 0), 0), ((21, 22, 0, 0), 1)])
def test_a_headline_counts_the_other_whole_suite_rules_that_decide(lost: tuple[int, ...], more: int) -> None:
    columns = {m: _lost(count) for m, count in zip("abcd", lost, strict=True)}
    queue = ["x", "y"] * 50
    base = {"base": report({m: [1.0] * 100 for m in "abcd"}, queue=queue)}
    rules = [{**GUARD, "metric": m, "margin": 0.2, "slices": "queue", "slice_margin": 0.3} for m in "abcd"]
    decision = decide(report(columns, queue=queue), base, policy(*rules))
    assert decision.verdict is (Verdict.INCONCLUSIVE if lost[0] == 21 else Verdict.REJECT)
    assert decision.headline.endswith(f" (and {more} more)") is (more > 0)
    assert "(and" not in decision.headline.removesuffix(f" (and {more} more)")


def test_a_promotions_headline_counts_the_whole_suite_checks_that_are_proven() -> None:
    queue = ["x"] * 100 + ["y"] * 100
    own = report(binary(150), queue=queue, must_pass={0: ("exact",)})
    rules = policy({**GUARD, "slices": "queue", "slice_margin": 0.4}, {**GUARD, "margin": 0.2})
    decision = decide(own, {"base": own}, rules)
    assert len(decision.reasons) == 5
    assert decision.headline.startswith("PROMOTE: 3 whole-suite checks are proven; ")


@pytest.mark.parametrize(("n", "outcome"), [(49, Outcome.UNDECIDED), (50, Outcome.PASS), (51, Outcome.PASS)])
def test_as_many_items_as_min_items_asks_for_are_enough(n: int, outcome: Outcome) -> None:
    own = report(binary(n, n))
    (reason,) = decide(own, {"base": own}, policy({**GUARD, "min_items": 50})).reasons
    assert reason.outcome is outcome
    assert reason.more_items == (1 if n == 49 else None)


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0005, "0.001"), (0.0006, "0.001"), (0.00049, "0.00049"), (0.0, "0.000"), (2.5, "2.500")]
)
def test_a_figure_has_three_decimals_or_two_digits_of_something_smaller(value: float, shown: str) -> None:
    own = report({"loss": [value] * 60})
    rule = {"suite": "golden", "metric": "loss", "kind": "ceiling", "limit": 9.0}
    (reason,) = decide(own, {"base": own}, policy(rule)).reasons
    assert f"golden/loss is {shown} (n=60)" in reason.text


@pytest.mark.parametrize("pair_", [(0.005, 0.005), (0.004, 0.005)])
def test_a_must_pass_item_of_a_small_denominator_is_judged(pair_: tuple[float, float]) -> None:
    rows = [(2.0, 2.0)] * 99
    own = ratio_report([pair_, *rows], must_pass=("inst",))
    rule = {"suite": "ifeval", "metric": "inst", "kind": "guard", "margin": 0.1}
    reasons = by_id(decide(own, {"base": own}, policy(rule)))
    wanted = Outcome.PASS if pair_[0] == pair_[1] else Outcome.FAIL
    assert reasons["ifeval/inst:must_pass"].outcome is wanted


def test_a_models_own_value_leaves_out_what_has_no_score_or_no_denominator() -> None:
    pairs = [(1.0, 2.0), (3.0, 3.0), (math.nan, 2.0), (0.0, math.nan)] * 20
    whole = [(1.0, 2.0), (3.0, 3.0)] * 20
    own = ratio_report(pairs).suites["ifeval"]
    numerators, denominators = np.array(whole).T
    clusters = [c for c, (a, b) in zip(own.clusters, pairs, strict=True) if not math.isnan(a + b)]
    assert value_interval(own, "inst", 0.05) == ratio_interval(Ratio(numerators, denominators), clusters, 0.05)
    mean = report({"exact": [1.0, math.nan, 0.0] * 20}).suites["golden"]
    found = value_interval(mean, "exact", 0.05)
    assert (found.difference, found.n, found.method) == (0.5, 40, "exact binomial")


@pytest.mark.parametrize("stopped", ["candidate", "base"])
def test_what_was_stopped_early_or_run_in_full_is_named(stopped: str) -> None:
    baseline, candidate = pair(400, 0.0)
    base, new = (result_of(make_items({"m": each}), name) for each, name in ((baseline, "base"), (candidate, "new")))
    mine = first(new, 200)
    theirs = first(base, 200) if stopped == "base" else base
    decision = decide(report_of(mine), {"base": report_of(theirs)}, policy_of({"kind": "guard", "margin": 0.05}))
    told = "prefix: base was evaluated sequentially"
    assert (told in decision.headline) is (stopped == "base")


def test_a_part_that_was_run_is_cut_to_what_the_baselines_with_the_suite_have() -> None:
    baseline, candidate = pair(400, 0.0)
    base, new = (result_of(make_items({"m": each}), name) for each, name in ((baseline, "base"), (candidate, "new")))
    other = report_of(result_of(make_items({"m": baseline}), "champion", "t"))
    mine, theirs, (told,) = as_fixed(report_of(first(new, 200)), {"base": report_of(base), "champion": other})
    assert "on the 200 items that were run" in told
    assert len(theirs["base"].suites["s"].item_ids) == len(mine.suites["s"].item_ids) == 200
    assert set(theirs["champion"].suites) == {"t"}


def test_a_worn_set_says_what_selection_adds_in_the_units_of_the_widest_rule() -> None:
    own = report({**binary(150), "graded": [0.1 * (i % 10) for i in range(200)]})
    rules: list[dict[str, Any]] = [GUARD, {**TARGET, "metric": "graded"}]
    decision = decide(own, {"base": own}, policy(*rules, max_verdicts_per_set=1), looks={"golden": 9})
    widths = {
        f"golden/{each.metric}": (each.upper or 0.0) - (each.lower or 0.0) for each in decision.reasons if each.alpha
    }
    # Of ten standard normals the largest is 1.53875 on average (Harter, 1961); an interval of 90% is 3.28971 wide.
    name = max(widths, key=lambda each: widths[each])
    assert f"about {1.53875 * widths[name] / 3.28971:.3f} in {name}" in decision.warnings[0]
