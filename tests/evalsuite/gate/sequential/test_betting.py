"""Bets on one rule, against the test that they are made of and against plain arithmetic."""

import math

import numpy as np
import pytest

from evalsuite.gate.decide import decide
from evalsuite.gate.rules import Outcome
from evalsuite.gate.sequential.betting import Bet
from evalsuite.gate.sequential.gate import SequentialGate, Status
from evalsuite.items.results import SuiteResult
from evalsuite.stats.sequential import Hypothesis, Order, SequentialTest
from tests.evalsuite.gate.finite_sets import first, make_items, pair, policy_of, report_of, result_of


def test_a_targets_bets_are_sharpest_at_the_gain_that_it_asks_for() -> None:
    baseline, candidate = pair(800, -0.1)
    base, new = result_of(make_items({"m": baseline}, slices=0), "base"), result_of(make_items({"m": candidate}), "new")
    gate = SequentialGate({"base": report_of(base)}, policy_of({"kind": "target", "min_gain": 0.05}))
    order = gate.order("s")
    items = {item.item_id: item for item in new.items}
    gate.advance("s", [items[each] for each in order[:300]])
    at = np.array([int(each[1:]) for each in order])
    test = SequentialTest(baseline[at], Order(np.arange(800), 1), [Hypothesis(0.05, False, 0.05)])
    test.advance(candidate[at][:300])
    (question,) = gate._suite("s").bets
    assert question.bet is not None
    assert question.bet.log_evidence("pass") == pytest.approx(float(test.log_evidence[0]), abs=1e-6)


@pytest.mark.parametrize("must_exceed", [True, False])
def test_when_all_items_were_run_an_unscored_one_is_worth_nothing_and_everything(must_exceed: bool) -> None:
    baseline = np.array([1.0, 0.0, 1.0, math.nan])
    bet = Bet(baseline, 1, 0.0, must_exceed, 0.1)
    bet.advance([1.0, math.nan, 0.0, 1.0])
    least, most = (1.0 - 1.0 + 0.0 - 0.0 + 0.0 - 1.0 + 1.0 - 1.0) / 4, (0.0 + 1.0 - 1.0 + 1.0 - 0.0) / 4
    assert {bet.exact("pass"), bet.exact("fail")} == {least, most}
    assert (bet.exact("pass") == least) is must_exceed


def _with_gap(result: SuiteResult, gaps: int) -> SuiteResult:
    lost = [item.model_copy(update={"scores": {}, "unscored": "x"}) for item in result.items[:gaps]]
    return SuiteResult(result.info, (*lost, *result.items[gaps:]), 1.0)


@pytest.mark.parametrize(
    ("loss", "gaps", "outcome", "told"),
    [
        (0.0, 1, Outcome.PASS, "exact since all items were run: it holds"),
        (0.2, 1, Outcome.FAIL, "exact since all items were run: it does not hold"),
        (0.05, 2, Outcome.UNDECIDED, "undecided, since it depends on the unscored items"),
        (0.05, 0, Outcome.UNDECIDED, "exact since all items were run: exactly there"),
    ],
)
def test_a_whole_set_says_whether_its_unscored_items_decide(
    loss: float, gaps: int, outcome: Outcome, told: str
) -> None:
    baseline, candidate = pair(400, loss)
    base, new = (result_of(make_items({"m": each}), name) for each, name in ((baseline, "base"), (candidate, "new")))
    whole = _with_gap(first(new, 400), gaps)
    rules = policy_of({"kind": "guard", "margin": 0.05}, max_unscored_fraction=0.1)
    (reason,) = decide(report_of(whole), {"base": report_of(base)}, rules).reasons
    assert reason.outcome is outcome
    assert told in reason.text


@pytest.mark.parametrize("num_candidates", [1, 4])
def test_the_gate_divides_alpha_by_the_candidates_while_it_runs_as_decide_does(num_candidates: int) -> None:
    baseline, candidate = pair(2000, 0.0)
    base, new = (result_of(make_items({"m": each}), name) for each, name in ((baseline, "base"), (candidate, "new")))
    rules = policy_of({"kind": "guard", "margin": 0.05})
    gate = SequentialGate({"base": report_of(base)}, rules, num_candidates)
    items = {item.item_id: item for item in new.items}
    order = gate.order("s")
    proven = None
    for done in range(0, 2000, 20):
        (state,) = gate.advance("s", [items[each] for each in order[done : done + 20]])
        if state.status is Status.PROMOTABLE:
            proven = done + 20
            break
    assert proven is not None
    before, after = (
        decide(report_of(first(new, n)), {"base": report_of(base)}, rules, num_candidates=num_candidates).reasons[0]
        for n in (proven - 20, proven)
    )
    assert (before.outcome, after.outcome) == (Outcome.UNDECIDED, Outcome.PASS)


def test_a_suite_that_was_run_in_full_and_breaks_a_rule_is_a_violation() -> None:
    for loss, violations in ((0.2, ["s/m:guard:base"]), (0.0, [])):
        baseline, candidate = pair(600, loss)
        base = result_of(make_items({"m": baseline}), "base")
        gate = SequentialGate({"base": report_of(base)}, policy_of({"kind": "guard", "margin": 0.05}))
        gate.settle(result_of(make_items({"m": candidate}), "new"))
        assert gate.violations == violations


def test_a_met_target_spares_the_other_targets_and_no_guard() -> None:
    baseline, candidate = pair(2000, -0.2)
    other = pair(2000, 0.0, seed=1)
    base = result_of(make_items({"m": baseline, "k": other[0]}), "base")
    new = result_of(make_items({"m": candidate, "k": other[1]}), "new")
    targets = [{"kind": "target", "min_gain": 0.05}, {"kind": "target", "min_gain": 0.001, "metric": "k"}]
    guard = {"kind": "guard", "margin": 0.001, "metric": "k"}
    items = {item.item_id: item for item in new.items}
    for rules, decided in ((targets, True), ([*targets, guard], False)):
        gate = SequentialGate({"base": report_of(base)}, policy_of(*rules, targets="any"))
        states = {s.rule: s.status for s in gate.advance("s", [items[each] for each in gate.order("s")[:600]])}
        assert states["s/m:target:base"] is Status.PROMOTABLE
        assert states["s/k:target:base"] is Status.CONTINUE
        assert gate.decided("s") is decided
