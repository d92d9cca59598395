"""The gate while items come in, and decide on what a stopped evaluation left."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalsuite.core.errors import UsageError
from evalsuite.gate.decide import decide
from evalsuite.gate.decision import Decision, Verdict
from evalsuite.gate.replay import gate_code_sha256, read_record, replay, write_record
from evalsuite.gate.rules import Outcome
from evalsuite.gate.selftest import with_self_test
from evalsuite.gate.sequential.driver import SequentialEvaluation, saved
from evalsuite.gate.sequential.gate import SequentialGate, Status
from evalsuite.items.results import SuiteResult, read_result
from evalsuite.testing import FakeEngine
from tests.evalsuite.gate.finite_sets import (
    RecordedSuite,
    first,
    make_items,
    pair,
    policy_of,
    report_of,
    result_of,
    with_prefix,
)

GUARD = {"kind": "guard", "margin": 0.05}
ENGINE = FakeEngine(lambda _: "")


def results(num_items: int, loss: float, seed: int = 0, **fields: Any) -> tuple[SuiteResult, SuiteResult]:
    baseline, candidate = pair(num_items, loss, seed)
    return (
        result_of(make_items({"m": baseline}, **fields), "base"),
        result_of(make_items({"m": candidate}, **fields), "new"),
    )


def judged(base: SuiteResult, new: SuiteResult, *rules: dict[str, Any], **fields: Any) -> Decision:
    return decide(report_of(new), {"base": report_of(base)}, policy_of(*(rules or (GUARD,)), **fields))


def run_until_decided(base: SuiteResult, new: SuiteResult, batch: int = 50, **fields: Any) -> SuiteResult:
    gate = SequentialGate({"base": report_of(base)}, policy_of(GUARD, **fields))
    (result,) = SequentialEvaluation([RecordedSuite(new)], ENGINE, gate, {"s"}, batch).results()
    return result


@pytest.mark.parametrize(("loss", "verdict"), [(0.0, Verdict.PROMOTE), (0.2, Verdict.REJECT)])
def test_a_clear_case_is_decided_by_a_part_of_the_items(loss: float, verdict: Verdict) -> None:
    base, new = results(3000, loss)
    stopped = run_until_decided(base, new)
    assert stopped.info.prefix is not None
    assert stopped.info.prefix.num_ordered < 1500
    assert stopped.info.prefix.ended == ("decided" if verdict is Verdict.PROMOTE else "violation")
    decision = judged(base, stopped)
    assert decision.verdict is verdict
    (reason,) = decision.reasons
    assert (reason.method, reason.n) == ("sequential betting, finite set", len(stopped.items))
    assert reason.not_run == 3000 - len(stopped.items)
    assert f"{len(stopped.items):,} of 3,000 items" in reason.text
    assert "were not run, by design" in reason.text


@pytest.mark.parametrize("loss", [-0.001, 0.0, 0.049, 0.05, 0.051])
def test_when_all_items_have_been_run_the_answer_is_the_difference_over_the_set(loss: float) -> None:
    base, new = results(1000, loss, seed=3)
    (reason,) = judged(base, first(new, 1000)).reasons
    expected = Outcome.UNDECIDED if loss == 0.05 else Outcome.PASS if loss < 0.05 else Outcome.FAIL
    assert reason.outcome is expected
    assert reason.difference == pytest.approx(-loss, abs=1e-9)
    assert reason.lower == reason.upper == reason.difference
    assert "exact since all items were run" in reason.text


def test_the_state_of_a_rule_does_not_depend_on_the_size_of_the_batches() -> None:
    base, new = results(400, 0.02, seed=5)
    by_id = {item.item_id: item for item in new.items}
    seen = []
    for size in (1, 7, 64):
        gate = SequentialGate({"base": report_of(base)}, policy_of(GUARD))
        items = [by_id[item] for item in gate.order("s")]
        states = {}
        for start in range(0, len(items), size):
            (state,) = gate.advance("s", items[start : start + size])
            states[start + size] = state.status
        seen.append(states)
    for states in seen[1:]:
        assert all(seen[0][at] is status for at, status in states.items() if at in seen[0])


def test_decide_says_of_every_prefix_what_the_gate_said_while_it_ran() -> None:
    base, new = results(240, 0.0, seed=2)
    by_id = {item.item_id: item for item in new.items}
    gate = SequentialGate({"base": report_of(base)}, policy_of(GUARD))
    for done, item in enumerate(gate.order("s"), 1):
        (state,) = gate.advance("s", [by_id[item]])
        if done % 30 == 0 and done < 240:
            (reason,) = judged(base, first(new, done)).reasons
            expected = {Status.PROMOTABLE: Outcome.PASS, Status.REJECTABLE: Outcome.FAIL}
            assert reason.outcome is expected.get(state.status, Outcome.UNDECIDED)


def boundary_rates(num_items: int, trials: int) -> dict[Status, float]:
    """How often a look after every item ever says something of a candidate that is exactly at the margin."""
    found: list[set[Status]] = []
    for seed in range(trials):
        baseline, candidate = pair(num_items, 0.05, seed)
        rng = np.random.default_rng([seed, 1])
        shuffled = rng.permutation(num_items)
        base = result_of(make_items({"m": baseline[shuffled]}, slices=5), "base")
        new = result_of(make_items({"m": candidate[shuffled]}, slices=5), "new")
        gate = SequentialGate({"base": report_of(base)}, policy_of(GUARD))
        by_id = {item.item_id: item for item in new.items}
        found.append({gate.advance("s", [by_id[item]])[0].status for item in gate.order("s")[:-1]})
    return {side: sum(side in said for said in found) / trials for side in (Status.PROMOTABLE, Status.REJECTABLE)}


def test_a_look_after_every_item_errs_at_the_margin_at_most_alpha_times() -> None:
    # 120 trials of a rate of 0.05 exceed 0.117 with probability 0.001
    assert max(boundary_rates(160, 120).values()) <= 0.117


@pytest.mark.slow
def test_a_look_after_every_item_errs_at_the_margin_at_most_alpha_times_in_many_trials() -> None:
    # 400 trials of a rate of 0.05 exceed 0.0875 with probability 0.001
    rates = boundary_rates(160, 400)
    assert max(rates.values()) <= 0.0875
    assert min(rates.values()) > 0.0


def test_a_stopped_evaluation_is_replayed_from_its_stored_items(tmp_path: Path) -> None:
    base, new = results(2000, 0.0)
    stopped = run_until_decided(base, new)
    stopped.write(tmp_path / "s")
    again = read_result(tmp_path / "s")
    assert again == stopped
    reports = report_of(again), {"base": report_of(base)}
    decision = decide(*reports, policy_of(GUARD), code_sha256=gate_code_sha256())
    write_record(tmp_path / "r.json.gz", decision, *reports)
    assert replay(read_record(tmp_path / "r.json.gz")) == decision


def test_a_result_file_that_was_cut_by_hand_is_refused(tmp_path: Path) -> None:
    _, new = results(200, 0.0)
    cut = SuiteResult(new.info, new.items[:100], 1.0)
    cut.write(tmp_path / "s")
    with pytest.raises(UsageError, match="does not hold the items"):
        read_result(tmp_path / "s")
    prefix = first(new, 100)
    SuiteResult(prefix.info, prefix.items[1:], 1.0).write(tmp_path / "s")
    with pytest.raises(UsageError, match="does not hold the items"):
        read_result(tmp_path / "s")


def best_looking(base: SuiteResult, new: SuiteResult, num: int) -> SuiteResult:
    """Items that were picked because the candidate is right there."""
    picked = sorted(new.items, key=lambda item: -item.scores["m"])[:num]
    return with_prefix(new, tuple(picked), num)


@pytest.mark.parametrize(
    ("attack", "field"),
    [
        (best_looking, "item ids are not the first 300 of the order"),
        (lambda base, new, n: first(new, n, order_seed="0" * 64), r"prefix\.order_seed"),
        (lambda base, new, n: first(new, n, num_items=n), r"prefix\.num_items"),
        (lambda base, new, n: with_prefix(new, first(new, n - 1).items, n), "item ids are not the first 300"),
        (lambda base, new, n: with_prefix(new, first(new, n).items, n - 1), "item ids are not the first 299"),
    ],
)
def test_what_is_not_the_start_of_the_order_is_not_judged_and_the_field_is_named(attack: Any, field: str) -> None:
    base, new = results(1000, 0.0)
    decision = judged(base, attack(base, new, 300))
    assert decision.verdict is Verdict.INCONCLUSIVE
    with pytest.raises(AssertionError, match=field):
        raise AssertionError(decision.headline)


def test_another_item_in_the_prefix_is_not_comparable() -> None:
    base, new = results(1000, 0.0)
    stopped = first(new, 300)
    items = (stopped.items[0].model_copy(update={"item_hash": "other"}), *stopped.items[1:])
    decision = judged(base, SuiteResult(stopped.info, items, 1.0))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "item_hash of item" in decision.headline


def test_a_baseline_that_was_stopped_early_is_refused() -> None:
    base, new = results(1000, 0.0)
    decision = judged(first(base, 500), first(new, 500))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "the baselines must be evaluated in full" in decision.headline


def test_slices_keep_a_suite_running_and_block_a_promotion_of_a_part() -> None:
    base, new = results(2000, 0.0)
    sliced = {**GUARD, "slices": "part", "slice_margin": 0.1}
    gate = SequentialGate({"base": report_of(base)}, policy_of(sliced))
    assert gate.waits("s") == ["s/m:guard:base[part=*]: slices have no sequential test"]
    (result,) = SequentialEvaluation([RecordedSuite(new)], ENGINE, gate, {"s"}, 100).results()
    assert result.info.prefix is not None
    assert result.info.prefix.ended == "complete"
    decision = judged(base, result, sliced)
    assert decision.verdict is Verdict.PROMOTE
    assert len([reason for reason in decision.reasons if reason.slice]) == 4
    part = judged(base, first(new, 1500), sliced)
    assert part.verdict is Verdict.INCONCLUSIVE
    assert "judged when all 2,000 items have been run" in part.headline


@pytest.mark.parametrize(
    ("scores", "fields", "why"),
    [
        (lambda x: 10.0 * x, {}, "not known to lie within"),
        (lambda x: x, {"cluster": 4}, "share clusters"),
    ],
)
def test_what_cannot_be_bet_on_waits_for_all_items(scores: Any, fields: dict[str, Any], why: str) -> None:
    baseline, candidate = pair(600, 0.0)
    base = result_of(make_items({"m": scores(baseline)}, **fields), "base")
    new = result_of(make_items({"m": scores(candidate)}, **fields), "new")
    rule = {"kind": "guard", "margin": 3.0}
    part = judged(base, first(new, 599), rule)
    assert part.verdict is Verdict.INCONCLUSIVE
    assert why in part.headline
    whole = judged(base, first(new, 600), rule)
    assert whole.verdict is Verdict.PROMOTE
    assert whole.reasons[0].method != "sequential betting, finite set"


def test_unscored_items_count_as_the_worst_case_and_too_many_leave_the_rule_open() -> None:
    base, new = results(2000, 0.0)
    prefix = first(new, 1900)
    lost = [item.model_copy(update={"scores": {}, "unscored": "x"}) for item in prefix.items[:15]]
    damaged = SuiteResult(prefix.info, (*lost, *prefix.items[15:]), 1.0)
    (reason,) = judged(base, damaged).reasons
    assert (reason.outcome, reason.unscored) == (Outcome.PASS, 15)
    (clean,) = judged(base, prefix).reasons
    assert clean.unscored == 0
    lost = [item.model_copy(update={"scores": {}, "unscored": "x"}) for item in prefix.items[:25]]
    (open_rule,) = judged(base, SuiteResult(prefix.info, (*lost, *prefix.items[25:]), 1.0)).reasons
    assert open_rule.outcome is Outcome.UNDECIDED
    assert "max_unscored_fraction" in open_rule.text


@pytest.mark.parametrize(
    ("rule", "loss", "outcome"),
    [
        ({"kind": "target", "min_gain": 0.05}, -0.2, Outcome.PASS),
        ({"kind": "target", "min_gain": 0.05}, 0.0, Outcome.FAIL),
        ({"kind": "guard", "margin": 0.05, "direction": "lower"}, -0.2, Outcome.FAIL),
        ({"kind": "guard", "margin": 0.05, "direction": "lower"}, 0.1, Outcome.PASS),
        ({"kind": "floor", "limit": 0.3}, 0.0, Outcome.PASS),
        ({"kind": "floor", "limit": 0.5}, 0.3, Outcome.FAIL),
        ({"kind": "ceiling", "limit": 0.5, "direction": "lower"}, 0.0, Outcome.FAIL),
    ],
)
def test_every_kind_of_rule_is_decided_in_its_direction(rule: dict[str, Any], loss: float, outcome: Outcome) -> None:
    base, new = results(3000, loss)
    (reason,) = judged(base, first(new, 2400), rule).reasons
    assert reason.outcome is outcome


def test_items_that_must_pass_are_run_first_and_a_failure_stops_everything() -> None:
    baseline, candidate = pair(500, 0.0)
    baseline[7] = 1.0
    candidate[7] = 0.0
    base = [result_of(make_items({"m": baseline}, must_pass={7}), "base", name) for name in ("s", "t")]
    new = [result_of(make_items({"m": candidate}, must_pass={7}), "new", name) for name in ("s", "t")]
    policy = policy_of(GUARD, {**GUARD, "suite": "t"})
    suites = [RecordedSuite(result) for result in new]
    gate = SequentialGate({"base": report_of(*base)}, policy)
    found = list(SequentialEvaluation(suites, ENGINE, gate, {"s"}, 50).results())
    assert suites[0].asked == ["i00007"]
    assert suites[1].asked == []
    assert [result.info.prefix.ended for result in found if result.info.prefix] == ["violation", "violation"]
    assert saved(found) == "1 of 1,000 items, 100% of the evaluation saved"
    decision = decide(report_of(*found), {"base": report_of(*base)}, policy)
    assert decision.verdict is Verdict.REJECT
    assert "'i00007'" in decision.headline


@pytest.mark.parametrize("num_ordered", [0, 1, 2, 40, 400])
def test_a_decision_on_any_start_of_the_order_has_its_self_test(num_ordered: int) -> None:
    base, new = results(400, 0.0)
    part, whole = first(new, num_ordered), {"base": report_of(base)}
    decision = with_self_test(judged(base, part), report_of(part), whole)
    assert decision.self_test is not None
    assert f"s: on the {num_ordered} items that were run, by the fixed-n method" in decision.self_test.notes


def test_items_that_must_pass_and_do_are_run_before_a_promotion() -> None:
    baseline, candidate = pair(2000, 0.0)
    required = {5, 600, 1999}
    for n in required:
        baseline[n] = candidate[n] = 1.0
    base = result_of(make_items({"m": baseline}, must_pass=required), "base")
    new = result_of(make_items({"m": candidate}, must_pass=required), "new")
    stopped = run_until_decided(base, new)
    assert {f"i{n:05}" for n in required} <= {item.item_id for item in stopped.items}
    decision = judged(base, stopped)
    assert decision.verdict is Verdict.PROMOTE
    without = tuple(item for item in stopped.items if item.item_id != "i01999")
    prefix = stopped.info.prefix
    assert prefix is not None
    order_has_it = with_prefix(new, without, prefix.num_ordered)
    assert judged(base, order_has_it).verdict is Verdict.INCONCLUSIVE


def test_finish_runs_everything_in_spite_of_a_violation() -> None:
    base, new = results(600, 0.3)
    gate = SequentialGate({"base": report_of(base)}, policy_of(GUARD))
    suite = RecordedSuite(new)
    other = RecordedSuite(result_of(new.items, "new", "other"))
    both = {"base": report_of(base, result_of(base.items, "base", "other"))}
    gate = SequentialGate(both, policy_of(GUARD))
    found = list(SequentialEvaluation([suite, other], ENGINE, gate, {"s"}, 50, finish=True).results())
    assert gate.violations == ["s/m:guard:base"]
    assert len(other.asked) == 600
    assert found[1].info.prefix is None


def test_one_of_several_targets_is_enough_to_stop() -> None:
    rng = np.random.default_rng(0)
    base_scores = {"m": (rng.random(2000) < 0.5).astype(float), "k": (rng.random(2000) < 0.5).astype(float)}
    new_scores = {"m": np.maximum(base_scores["m"], (rng.random(2000) < 0.6)), "k": base_scores["k"]}
    base, new = result_of(make_items(base_scores), "base"), result_of(make_items(new_scores), "new")
    rules = [{"kind": "target", "min_gain": 0.05}, {"kind": "target", "min_gain": 0.05, "metric": "k"}]
    policy = policy_of(*rules, targets="any")
    gate = SequentialGate({"base": report_of(base)}, policy)
    (stopped,) = SequentialEvaluation([RecordedSuite(new)], ENGINE, gate, {"s"}, 50).results()
    assert len(stopped.items) < 1000
    assert decide(report_of(stopped), {"base": report_of(base)}, policy).verdict is Verdict.PROMOTE


def test_a_candidate_that_is_measured_differently_is_evaluated_in_full(caplog: pytest.LogCaptureFixture) -> None:
    base, new = results(300, 0.0)
    other = SuiteResult(new.info.model_copy(update={"decoding": {"greedy": False}}), new.items, 1.0)
    result = run_until_decided(base, other)
    assert (len(result.items), result.info.prefix) == (300, None)
    assert "decoding is {'greedy': False} for the candidate" in caplog.text
    assert judged(base, result).verdict is Verdict.INCONCLUSIVE


def test_a_metric_of_a_part_of_the_items_is_drawn_at_random_from_that_part() -> None:
    baseline, candidate = pair(1500, 0.0)
    halves = []
    for scores, model in ((baseline, "base"), (candidate, "new")):
        items = [
            item if n % 3 else item.model_copy(update={"metrics": ("other",), "scores": {"other": 1.0}})
            for n, item in enumerate(make_items({"m": scores}))
        ]
        halves.append(result_of(items, model))
    base, new = halves
    stopped = run_until_decided(base, new)
    (reason,) = judged(base, stopped).reasons
    assert reason.outcome is Outcome.PASS
    assert reason.n == sum("m" in item.metrics for item in stopped.items)
    assert "of 1,000 items" in reason.text
