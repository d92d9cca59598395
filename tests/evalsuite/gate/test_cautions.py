"""Warnings change no verdict, are part of the decision, and say by how much."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.gate.cautions import expected_maximum
from evalsuite.gate.decide import decide, decision_id
from evalsuite.gate.decision import Verdict
from evalsuite.gate.replay import gate_code_sha256, read_record, replay, write_record
from evalsuite.gate.rules import Outcome
from tests.evalsuite.gate.test_decide import GUARD, TARGET, binary, by_id, policy, report

RANKS = {Verdict.REJECT: 0, Verdict.INCONCLUSIVE: 1, Verdict.PROMOTE: 2}
PEOPLE = [0.0, 1.0] * 150
JUDGED = [1.0 - label if i % 10 == 0 else label for i, label in enumerate(PEOPLE)]


def judged(right: int, calibration: Any = None) -> Any:
    judge = {"name": "classifier", "version": "3", "calibration": calibration}
    return report(binary(right), info={"judges": {"exact": judge}})


@pytest.mark.parametrize(
    # Published means of the largest of k standard normals (Harter, Biometrika 48, 1961, 151-165).
    ("count", "expected"),
    [(1, 0.0), (2, 0.56419), (3, 0.84628), (5, 1.16296), (10, 1.53875), (20, 1.86748), (100, 2.50759)],
)
def test_the_expected_maximum_is_the_published_one(count: int, expected: float) -> None:
    assert expected_maximum(count) == pytest.approx(expected, abs=5e-5)


def test_a_margin_below_the_noise_floor_warns_and_changes_nothing_else() -> None:
    own, base = report(binary(150)), {"base": report(binary(150))}
    quiet = decide(own, base, policy(GUARD, TARGET, noise={"golden/exact": 0.04}))
    loud = decide(own, base, policy(GUARD, TARGET, noise={"golden/exact": 0.07}))
    assert quiet.warnings == ()
    (warning,) = loud.warnings
    assert warning.startswith("golden/exact: min_gain 0.05 is below the noise floor 0.07; repeated evaluations")
    assert (loud.verdict, loud.reasons) == (quiet.verdict, quiet.reasons)
    assert decision_id(loud.model_copy(update={"warnings": ()})) != loud.decision_id


@pytest.mark.parametrize(
    ("rule", "right", "told"),
    [
        pytest.param({"margin": 1.0}, 100, "margin 1 is the whole scale, 0 to 1, or more: no loss fails", id="scale"),
        pytest.param({"margin": 0.1}, 20, "margin 0.1 is not below 0.1, all that base has to lose: a", id="score"),
        pytest.param({"margin": 0.3}, 20, "candidate that scores 0 everywhere does not fail this guard", id="more"),
        pytest.param({"margin": 0.1, "direction": "lower"}, 180, "margin 0.1 is not below 0.1, all", id="lower"),
        pytest.param({"margin": 0.1, "direction": "lower"}, 190, "candidate that scores 1 everywhere", id="lower-more"),
    ],
)
def test_a_guard_that_no_candidate_can_fail_warns(rule: dict[str, Any], right: int, told: str) -> None:
    guard = {**GUARD, **rule}
    worst = 0 if guard.get("direction", "higher") == "higher" else 200
    decision = decide(report(binary(worst)), {"base": report(binary(right))}, policy(guard))
    (warning,) = decision.warnings
    assert warning.startswith("golden/exact: margin")
    assert told in warning
    assert decision.verdict is not Verdict.REJECT


@pytest.mark.parametrize(
    ("rule", "right"),
    [
        ({"margin": 0.1}, 21),
        ({"margin": 0.1, "direction": "lower"}, 179),
        ({"margin": 0.9, "direction": "lower"}, 0),
        ({"kind": "ceiling", "margin": None, "limit": 1.5}, 20),
    ],
)
def test_a_guard_that_can_fail_does_not_warn(rule: dict[str, Any], right: int) -> None:
    assert decide(report(binary(right)), {"base": report(binary(right))}, policy({**GUARD, **rule})).warnings == ()


@pytest.mark.parametrize("metric", ["exact", "word_perplexity"])
def test_a_margin_of_a_metric_without_a_scale_does_not_warn(metric: str) -> None:
    own = report({metric: [0.5] * 60 + ([7.0] if metric == "exact" else [0.5]) * 60})
    assert decide(own, {"base": own}, policy({**GUARD, "metric": metric, "margin": 3.0})).warnings == ()


def test_each_guard_that_cannot_fail_is_named_with_its_own_margin_and_baseline() -> None:
    baselines = {"base": report(binary(10)), "champion": report(binary(100))}
    rules = policy({**GUARD, "margin": 0.04}, {**GUARD, "margin": 0.2, "slices": "queue"})
    queue = ["a"] * 10 + ["b"] * 190
    baselines = {role: report(binary(n), queue=queue) for role, n in (("base", 10), ("champion", 100))}
    (warning,) = decide(report(binary(10), queue=queue), baselines, rules).warnings
    assert warning.startswith("golden/exact: margin 0.2 is not below 0.05, all that base has to lose")


def test_a_worn_test_set_warns_by_how_much_selection_may_inflate() -> None:
    own, base = report(binary(150)), {"base": report(binary(150))}
    rules = policy(GUARD, max_verdicts_per_set=10)
    assert decide(own, base, rules, looks={"golden": 9}).warnings == ()
    (warning,) = decide(own, base, rules, looks={"golden": 10}).warnings
    assert "golden: 11 models were judged on these test items, max_verdicts_per_set is 10" in warning
    assert "the best of 11 equal models looks better by 1.59 standard errors" in warning
    assert "in golden/exact; renew the items" in warning


def test_looks_are_stored_so_that_a_later_verdict_leaves_a_decision_replayable(tmp_path: Path) -> None:
    own, base = report(binary(150)), {"base": report(binary(150))}
    decision = decide(own, base, policy(GUARD), looks={"golden": 30}, code_sha256=gate_code_sha256())
    write_record(tmp_path / "d.json.gz", decision, own, base)
    again = replay(read_record(tmp_path / "d.json.gz"))
    assert again == decision
    assert len(again.warnings) == 1


def test_a_judge_without_calibration_is_marked_in_each_reason_and_in_the_warnings() -> None:
    decision = decide(judged(150), {"base": judged(150)}, policy(GUARD))
    assert "scored by judge classifier, which was not calibrated against people" in decision.reasons[0].text
    (warning,) = decision.warnings
    assert warning.startswith("golden/exact is scored by judge classifier without a human-labelled calibration set")


def test_a_calibrated_judge_widens_and_says_how_often_it_agrees() -> None:
    known = {"judge": JUDGED, "human": PEOPLE}
    bare = decide(judged(150), {"base": judged(150)}, policy(GUARD)).reasons[0]
    decision = decide(judged(150, known), {"base": judged(150, known)}, policy(GUARD))
    reason = decision.reasons[0]
    assert "scored by judge classifier, which agrees with people on 0.900 of 300" in reason.text
    assert reason.method == "exact binomial MOVER, prediction-powered"
    assert decision.warnings == ()
    assert reason.lower is not None
    assert bare.lower is not None
    assert reason.lower < bare.lower - 0.02


@pytest.mark.parametrize(
    "known",
    [
        pytest.param({"judge": [1.0] * 50, "human": PEOPLE[:50]}, id="constant-judge"),
        pytest.param({"judge": PEOPLE[:8], "human": PEOPLE[:8]}, id="tiny"),
        pytest.param({"judge": [], "human": []}, id="empty"),
    ],
)
def test_a_calibration_that_shows_nothing_never_promotes(known: dict[str, list[float]]) -> None:
    for right in (10, 100, 190):
        decision = decide(judged(right, known), {"base": judged(100, known)}, policy(GUARD))
        assert decision.verdict is Verdict.INCONCLUSIVE
        assert decision.reasons[0].method.startswith("none")
        assert decision.reasons[0].outcome is Outcome.UNDECIDED


def test_a_floor_on_a_judged_metric_is_asked_of_what_people_would_say() -> None:
    # The judge passes 30 of 300 that people do not, and misses nobody.
    strict = [1.0] * 100 + [0.0] * 200
    known = {"judge": [1.0] * 130 + [0.0] * 170, "human": strict}
    rule = {**GUARD, "kind": "floor", "margin": None, "limit": 0.5}
    reason = decide(judged(120, known), {"base": judged(120, known)}, policy(rule)).reasons[0]
    assert reason.candidate == pytest.approx(0.6 - 0.1)
    assert reason.outcome is Outcome.UNDECIDED


def test_other_judges_or_labels_are_not_comparable() -> None:
    one, other = ({"judge": JUDGED, "human": PEOPLE}, {"judge": PEOPLE, "human": PEOPLE})
    decision = decide(judged(150, one), {"base": judged(150, other)}, policy(GUARD))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "exact has another calibration set" in by_id(decision)["golden:comparable:base"].text


bits = st.lists(st.booleans(), min_size=20, max_size=60)


@settings(deadline=None, max_examples=40)
@given(bits, bits, st.integers(0, 59), st.sampled_from([0.02, 0.1, 0.3]))
def test_losing_an_item_never_helps_where_a_judge_scores(
    gained: list[bool], labels: list[bool], at: int, margin: float
) -> None:
    known = {"judge": [float(i % 4 > 0) for i in range(len(labels))], "human": [float(label) for label in labels]}
    info = {"judges": {"exact": {"name": "j", "version": "1", "calibration": known}}}
    base = {"base": report({"exact": [float(i % 3 > 0) for i in range(len(gained))]}, info=info)}
    better = [float(each) for each in gained]
    worse = [0.0 if i == at % len(gained) else value for i, value in enumerate(better)]
    rules = policy({**GUARD, "margin": margin}, {**TARGET, "min_gain": 0.0})
    before, after = (decide(report({"exact": each}, info=info), base, rules).verdict for each in (better, worse))
    assert RANKS[after] <= RANKS[before]


@settings(deadline=None, max_examples=30)
@given(bits, st.integers(0, 59))
def test_an_unscored_item_never_helps_where_a_judge_scores(gained: list[bool], at: int) -> None:
    info = {"judges": {"exact": {"name": "j", "version": "1", "calibration": {"judge": JUDGED, "human": PEOPLE}}}}
    base = {"base": report({"exact": [0.0] * len(gained)}, info=info)}
    scores = [float(each) for each in gained]
    holed = [math.nan if i == at % len(gained) else value for i, value in enumerate(scores)]
    rules = policy(GUARD, max_unscored_fraction=0.9)
    scored, unscored = (decide(report({"exact": each}, info=info), base, rules).verdict for each in (scores, holed))
    assert (unscored is Verdict.PROMOTE) <= (scored is Verdict.PROMOTE)


def test_a_decision_on_a_judged_metric_replays(tmp_path: Path) -> None:
    own = judged(150, {"judge": JUDGED, "human": PEOPLE})
    decision = decide(own, {"base": own}, policy(GUARD), code_sha256=gate_code_sha256())
    write_record(tmp_path / "d.json.gz", decision, own, {"base": own})
    assert replay(read_record(tmp_path / "d.json.gz")) == decision
