from typing import Any

import numpy as np
import pytest

import evalsuite.gate.judging
from evalsuite.core.errors import ExitCode, SelfTestError
from evalsuite.gate.decide import decide
from evalsuite.gate.decision import Decision
from evalsuite.gate.operating import CHANGES
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.replay import Record, _stored, replay
from evalsuite.gate.selftest import MAX_ITEMS, self_test, with_self_test
from evalsuite.gate_tools.designs import PairedRates
from evalsuite.items.results import EvalReport
from evalsuite.stats.alternatives import uniforms
from evalsuite.stats.paired import Interval, paired_interval
from tests.evalsuite.gate.test_decide import GUARD, TARGET, policy, report


def flipped(right: int, n: int, share: float = 0.2) -> tuple[EvalReport, EvalReport]:
    """A candidate that differs from its baseline on a share of the items, and the baseline."""
    baseline = [1.0] * right + [0.0] * (n - right)
    other = [1.0 - b if u < share else b for b, u in zip(baseline, uniforms("flip", n), strict=True)]
    return report({"exact": other}, model="new"), report({"exact": baseline}, model="base")


def judged(candidate: EvalReport, baseline: EvalReport, *rules: Any, **fields: Any) -> Decision:
    decision = decide(candidate, {"base": baseline}, policy(*rules, **fields))
    return with_self_test(decision, candidate, {"base": baseline})


def shares(decision: Decision, verdict: str) -> list[float]:
    assert decision.self_test is not None
    return [getattr(point, verdict) for point in decision.self_test.points]


def test_the_characteristic_agrees_with_exact_power() -> None:
    candidate, baseline = flipped(180, 300)
    found = judged(candidate, baseline, GUARD)
    differ = float((candidate.suites["golden"].scores["exact"] != baseline.suites["golden"].scores["exact"]).mean())
    test = found.self_test
    assert test is not None
    assert test.num_draws == 200
    for change in (-2.0, -1.5, -1.0, -0.5, 0.0):
        point = test.at(change)
        assert point is not None
        exact = PairedRates(differ).passes(300, 0.05, -0.1, 0.1 * change)
        assert point.promote == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 200) ** 0.5 + 0.03)
        lost = PairedRates(differ).fails(300, 0.05, -0.1, 0.1 * change)
        assert point.reject == pytest.approx(lost, abs=4 * (lost * (1 - lost) / 200) ** 0.5 + 0.03)


def test_a_better_candidate_is_never_promoted_less_often() -> None:
    found = judged(*flipped(180, 300), GUARD)
    promoted, rejected = shares(found, "promote"), shares(found, "reject")
    assert promoted == sorted(promoted)
    assert rejected == sorted(rejected, reverse=True)
    assert (promoted[0], rejected[0]) == (0.0, 1.0)
    for point in found.self_test.points if found.self_test else ():
        assert point.promote + point.reject + point.inconclusive == pytest.approx(1.0)


def test_lower_is_better_gives_the_same_curves_mirrored() -> None:
    candidate, baseline = flipped(180, 300)
    mirrored = [
        report({"exact": (1.0 - each.suites["golden"].scores["exact"]).tolist()}, model=each.model)
        for each in (candidate, baseline)
    ]
    up = self_test(candidate, {"base": baseline}, policy(GUARD), num_candidates=1, seed="s")
    down = self_test(
        mirrored[0], {"base": mirrored[1]}, policy({**GUARD, "direction": "lower"}), num_candidates=1, seed="s"
    )
    assert up.points == down.points


def test_the_result_depends_on_the_evidence_alone() -> None:
    first, second = (judged(*flipped(180, 300), GUARD) for _ in range(2))
    assert first == second
    other = judged(*flipped(181, 300), GUARD)
    assert other.decision_id != first.decision_id


def test_the_self_test_is_in_the_id_and_is_replayed() -> None:
    candidate, baseline = flipped(180, 300)
    bare = decide(candidate, {"base": baseline}, policy(GUARD), code_sha256=_code())
    found = with_self_test(bare, candidate, {"base": baseline})
    assert found.decision_id != bare.decision_id
    record = Record(decision=found, candidate=_stored(candidate), baselines={"base": _stored(baseline)})
    assert replay(record) == found
    assert Decision.model_validate_json(found.model_dump_json()) == found


def _code() -> str:
    from evalsuite.gate.replay import gate_code_sha256

    return gate_code_sha256()


def test_a_baseline_is_not_rejected_against_itself_and_a_damaged_copy_is() -> None:
    test = judged(*flipped(180, 300), GUARD).self_test
    assert test is not None
    assert test.unchanged == ("base against itself under 1 guard: not rejected",)
    (copy,) = test.damaged
    assert copy.margins is not None
    assert 1.2 <= copy.margins <= 2.0
    assert copy.text == f"a copy of base that lost {copy.loss:.3f} in golden/exact is rejected (margin 0.1)"


def test_items_that_cannot_prove_a_loss_are_said_so() -> None:
    test = judged(*flipped(3, 6), GUARD).self_test
    assert test is not None
    (copy,) = test.damaged
    assert copy.margins is None
    assert "6 items are too few for this guard to reject anything" in copy.text


def test_a_baseline_that_has_nothing_to_lose_is_said_so() -> None:
    test = judged(*flipped(2, 300), GUARD).self_test
    assert test is not None
    assert test.damaged[0].text == (
        "golden/exact of base is 0.007: no copy can lose more than 0.007, and the margin is 0.1"
    )
    assert any("changes beyond -0.007 are cut off there" in note for note in test.notes)


def test_a_policy_without_guards_is_simulated_by_its_gain() -> None:
    test = judged(*flipped(100, 300), TARGET).self_test
    assert test is not None
    assert test.unchanged == ("base: the policy has no guard",)
    assert test.damaged == ()
    assert test.rules[0].unit == 0.05
    at_gain, twice = test.at(1.0), test.at(3.0)
    assert at_gain is not None
    assert twice is not None
    assert at_gain.promote < 0.2 < twice.promote


def test_results_that_cannot_be_compared_are_not_simulated() -> None:
    candidate, baseline = flipped(180, 300)
    other = report({"exact": [1.0] * 300}, model="new", info={"suite_version": "2"})
    test = judged(other, baseline, GUARD).self_test
    assert test is not None
    assert test.points == ()
    assert "suite_version" in test.notes[-1]
    del candidate


def test_a_large_set_is_sampled_and_this_is_said() -> None:
    test = judged(*flipped(1500, MAX_ITEMS + 500), GUARD).self_test
    assert test is not None
    assert test.num_items == {"golden": MAX_ITEMS}
    assert test.notes[0] == "golden: 2,000 of 2,500 items, drawn at random; with all of them errors are rarer"
    assert len(test.points) == len(CHANGES)


def test_must_pass_marks_do_not_hide_the_curve() -> None:
    candidate, baseline = flipped(180, 300)
    marked = report({"exact": candidate.suites["golden"].scores["exact"].tolist()}, must_pass={299: ("exact",)})
    test = judged(marked, baseline, GUARD).self_test
    assert test is not None
    assert test.points[-1].promote == 1.0


def test_a_gate_that_rejects_what_did_not_change_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong_sign(*arguments: Any) -> Interval:
        found = paired_interval(*arguments)
        return found._replace(lower=found.lower - 0.5, upper=found.upper - 0.5)

    candidate, baseline = flipped(180, 300)
    decision = decide(candidate, {"base": baseline}, policy(GUARD))
    monkeypatch.setattr(evalsuite.gate.judging, "paired_interval", wrong_sign)
    with pytest.raises(SelfTestError, match="rejects base against itself") as caught:
        with_self_test(decision, candidate, {"base": baseline})
    assert caught.value.exit_code == ExitCode.STAGE


def test_a_gate_that_never_rejects_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(*arguments: Any) -> Interval:
        return paired_interval(*arguments)._replace(upper=1.0)

    candidate, baseline = flipped(180, 300)
    decision = decide(candidate, {"base": baseline}, policy(GUARD))
    monkeypatch.setattr(evalsuite.gate.judging, "paired_interval", blind)
    with pytest.raises(SelfTestError, match="does not reject a copy that lost"):
        with_self_test(decision, candidate, {"base": baseline})


def test_a_gate_that_promotes_at_the_margin_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def eager(*arguments: Any) -> Interval:
        found = paired_interval(*arguments)
        return found._replace(lower=found.difference)

    candidate, baseline = flipped(180, 300)
    decision = decide(candidate, {"base": baseline}, policy(GUARD))
    monkeypatch.setattr(evalsuite.gate.judging, "paired_interval", eager)
    with pytest.raises(SelfTestError, match="simulated candidates that lie exactly at the margin"):
        with_self_test(decision, candidate, {"base": baseline})


def test_clusters_and_several_baselines_are_judged() -> None:
    scores = np.clip(uniforms("graded", 200), 0.0, 1.0)
    clusters = [f"c{k // 4}" for k in range(200)]
    base = report({"exact": scores.tolist()}, model="base", clusters=clusters)
    champion = report({"exact": np.clip(scores + 0.02, 0, 1).tolist()}, model="champion", clusters=clusters)
    candidate = report({"exact": np.clip(scores + 0.03, 0, 1).tolist()}, model="new", clusters=clusters)
    both = {"base": base, "champion": champion}
    decision = decide(candidate, both, policy(GUARD))
    test = with_self_test(decision, candidate, both).self_test
    assert test is not None
    assert [each.rule for each in test.rules] == ["golden/exact:guard:base", "golden/exact:guard:champion"]
    assert len(test.unchanged) == 2
    assert test.points[0].reject == 1.0


def test_more_slices_than_can_be_simulated_are_left_out_and_this_is_said() -> None:
    queue = [f"q{k % 70}" for k in range(300)]
    candidate, baseline = flipped(180, 300)
    sliced = [
        report({"exact": each.suites["golden"].scores["exact"].tolist()}, queue=queue) for each in (candidate, baseline)
    ]
    test = judged(sliced[0], sliced[1], {**GUARD, "slices": "queue"}).self_test
    assert test is not None
    assert any("70 slices, which may only reject, are left out" in note for note in test.notes)


def test_the_policy_is_judged_as_it_stands() -> None:
    """Two rules at once are promoted no more often than either alone."""
    candidate, baseline = flipped(180, 300)
    rules = [GUARD, {**TARGET, "min_gain": 0.02}]
    test = self_test(
        candidate, {"base": baseline}, GatePolicy.model_validate({"rules": rules}), num_candidates=2, seed="s"
    )
    for number, point in enumerate(test.points):
        assert point.promote <= min(rule.passes[number] for rule in test.rules) + 1e-9
