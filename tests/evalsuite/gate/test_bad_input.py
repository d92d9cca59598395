"""Every kind of bad input has a named outcome: a refusal in words, or INCONCLUSIVE with the reason; never PROMOTE."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from evalsuite.core.errors import UsageError
from evalsuite.gate.decide import decide
from evalsuite.gate.decision import Decision, Verdict
from evalsuite.gate.rules import Outcome
from evalsuite.items.results import EvalReport
from tests.evalsuite.gate.test_decide import GUARD, TARGET, binary, policy, report
from tests.evalsuite.gate.test_ratio_rules import report as ratio_report

NAN = math.nan
OWN = report(binary(150))
RATIO_GUARD = {**GUARD, "suite": "ifeval", "metric": "inst"}
COST = {"suite": "costs", "metric": "num_bytes", "kind": "ceiling", "limit": 1.0}
FLOOR = {**GUARD, "kind": "floor", "margin": None, "limit": 0.5}


def _table(own: EvalReport, **fields: Any) -> EvalReport:
    return replace(own, suites={"golden": replace(own.suites["golden"], **fields)})


def _judged(right: int, judge: list[float], human: list[float]) -> EvalReport:
    known = {"name": "j", "version": "1", "calibration": {"judge": judge, "human": human}}
    return report(binary(right), info={"judges": {"exact": known}})


@pytest.mark.parametrize(
    ("candidate", "baseline", "rules", "told"),
    [
        pytest.param(
            _table(OWN, item_ids=("zzz", *OWN.suites["golden"].item_ids[1:])),
            OWN,
            (GUARD,),
            "item ids differ: 1 missing from the candidate",
            id="different-items",
        ),
        pytest.param(
            _table(OWN, item_hashes=("x", *OWN.suites["golden"].item_hashes[1:])),
            OWN,
            (GUARD,),
            "item_hash of item 'item-0000' is 'x'",
            id="same-ids-of-other-items",
        ),
        pytest.param(
            report({"exact": [NAN] * 3 + [1.0] * 197}),
            report({"exact": [1.0] * 200}),
            (GUARD,),
            "3 of 200 items are unscored, max_unscored_fraction allows 0.01",
            id="unscored-above-the-share",
        ),
        pytest.param(
            replace(OWN, costs={"num_bytes": NAN}), OWN, (COST,), "cost 'num_bytes' is None", id="cost-of-nan"
        ),
        pytest.param(
            report({"exact": [NAN] * 200}), OWN, (GUARD,), "200 of 200 items are unscored", id="corpus-level-metric"
        ),
        pytest.param(
            _table(OWN, scores={"exact": np.full(200, np.inf)}), OWN, (GUARD,), "200 of 200", id="infinite-scores"
        ),
        pytest.param(
            OWN,
            OWN,
            ({**GUARD, "slices": "queue"},),
            "no item has slice key 'queue'; keys: none",
            id="slice-key-without-items",
        ),
        pytest.param(
            report(binary(150), queue=[""] * 200),
            report(binary(150), queue=[""] * 200),
            ({**GUARD, "slices": "queue", "slice_margins": {"billing": 0.1}},),
            "slice_margins names 'billing', which no item has",
            id="empty-slice",
        ),
        pytest.param(
            report({"exact": [7.0] * 200}),
            report({"exact": [7.0] * 200}),
            (GUARD,),
            "none: too few scores differ, and they have no known bounds",
            id="all-scores-equal-without-bounds",
        ),
        pytest.param(report(binary(3, 3)), report(binary(3, 3)), (GUARD,), "undecided", id="all-equal-and-few"),
        pytest.param(
            report({"exact": [0.5] * 60}, clusters=["one"] * 60),
            report({"exact": [0.5] * 60}, clusters=["one"] * 60),
            (GUARD,),
            "Gaffke on clusters",
            id="one-cluster-of-all-items",
        ),
        pytest.param(
            _judged(150, [1.0] * 60, [0.0, 1.0] * 30),
            _judged(150, [1.0] * 60, [0.0, 1.0] * 30),
            (GUARD,),
            "none: the judge gave every item of its calibration set the same score",
            id="constant-judge",
        ),
        pytest.param(
            _judged(150, [1.0, 0.0] * 5, [1.0, 0.0] * 5),
            _judged(150, [1.0, 0.0] * 5, [1.0, 0.0] * 5),
            (FLOOR,),
            "none: the judge's calibration set has 10 items, 20 are needed",
            id="tiny-calibration",
        ),
        pytest.param(
            ratio_report([(0.0, 0.0)] * 60),
            ratio_report([(0.0, 0.0)] * 60),
            (RATIO_GUARD,),
            "the denominators of candidate sum to 0",
            id="ratio-of-nothing",
        ),
        pytest.param(
            ratio_report([(5.0, 1.0)] * 30),
            ratio_report([(5.0, 1.0)] * 30),
            (RATIO_GUARD,),
            "undecided",
            id="numerators-beyond-denominators",
        ),
        pytest.param(
            report({"exact": [5.0] * 198 + [NAN] * 2}),
            report({"exact": [5.0] * 200}),
            (GUARD,),
            "none: unscored items, and the scores have no known bounds",
            id="unscored-without-bounds",
        ),
        pytest.param(
            OWN,
            OWN,
            (COST,),
            "cost 'num_bytes' is None, known costs: none",
            id="cost-that-was-not-recorded",
        ),
    ],
)
def test_bad_results_are_inconclusive_and_say_why(
    candidate: EvalReport, baseline: EvalReport, rules: tuple[dict[str, Any], ...], told: str
) -> None:
    decision = decide(candidate, {"base": baseline}, policy(*rules))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert told in decision.headline


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        pytest.param({**GUARD, "margin": 0.0}, "greater than 0", id="margin-of-zero"),
        pytest.param({**GUARD, "margin": -0.02}, "greater than 0", id="margin-with-the-wrong-sign"),
        pytest.param({**GUARD, "margin": NAN}, "finite|greater than", id="margin-that-is-no-number"),
        pytest.param({**TARGET, "min_gain": -0.1}, "greater than or equal to 0", id="gain-with-the-wrong-sign"),
        pytest.param({**GUARD, "direction": "up"}, "'higher' or 'lower'", id="direction-that-is-none"),
        pytest.param({**GUARD, "margin": None}, "a guard rule takes margin", id="guard-without-margin"),
        pytest.param({**GUARD, "min_gain": 0.1}, "takes margin and neither of the others", id="two-bounds"),
        pytest.param(
            {**GUARD, "slices": "queue", "slice_margins": {"a": 0.0}}, "slice 'a' is 0.0", id="slice-margin-of-zero"
        ),
        pytest.param(
            {**GUARD, "slices": "queue", "slice_margins": {"a": -0.1}}, "slice 'a' is -0.1", id="slice-margin-sign"
        ),
        pytest.param({**GUARD, "slice_margins": {"a": 0.1}}, "need kind guard and slices", id="slice-margin-no-slices"),
        pytest.param({**GUARD, "alpha": 0.5}, "less than 0.5", id="alpha-of-a-half"),
        pytest.param({**GUARD, "alpha": 5e-324}, "greater than or equal to 0.000000001", id="alpha-that-has-no-half"),
        pytest.param(
            {**GUARD, "margin": 1e308}, r"less than or equal to 1(e\+15|0{15})", id="margin-that-has-no-double"
        ),
        pytest.param({**COST, "limit": -1e308}, "greater than or equal to -1", id="limit-beyond-all"),
        pytest.param(
            {**GUARD, "slices": "queue", "slice_margins": {"a": 1e308}}, "slice 'a' is 1e.308", id="slice-margin-size"
        ),
        pytest.param({**GUARD, "min_items": 1}, "greater than or equal to 2", id="one-item"),
        pytest.param({**GUARD, "margn": 0.1}, "Extra inputs", id="misspelt-key"),
        pytest.param(
            {**GUARD, "suite": "costs"}, "is kind: ceiling, limit: 1.2, relative_to: champion", id="guard-of-a-cost"
        ),
        pytest.param({**TARGET, "suite": "costs"}, "not kind target", id="cost-target"),
        pytest.param({**COST, "slices": "queue"}, "exact number, so that slices has no meaning", id="sliced-cost"),
        pytest.param({**COST, "against": "base"}, "exact number, so that against has no", id="cost-against-base"),
        pytest.param({**COST, "relative_to": "base", "limit": 0.0}, "0 times a cost", id="no-times-a-cost"),
        pytest.param({**GUARD, "relative_to": "base"}, "relative_to is for costs", id="relative-score"),
        pytest.param({**COST, "relative_to": "all of them"}, "'all', 'base' or 'champion'", id="relative-to-nobody"),
        pytest.param({**COST, "limit": NAN}, "finite", id="cost-limit-that-is-no-number"),
    ],
)
def test_bad_rules_are_refused(rule: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        policy(rule)


@pytest.mark.parametrize("noise", [{"exact": 0.1}, {"golden/exact": -0.1}])
def test_bad_noise_floors_are_refused(noise: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="expected SUITE/METRIC and a floor of 0 or more"):
        policy(GUARD, noise=noise)


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda: _table(OWN, item_ids=("a", "a", *OWN.suites["golden"].item_ids[2:])), id="duplicate-ids"),
        pytest.param(lambda: decide(OWN, {"rival": OWN}, policy(GUARD)), id="unknown-role"),
        pytest.param(lambda: decide(OWN, {"base": OWN}, policy(GUARD), num_candidates=0), id="no-candidates"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(act: Callable[[], object]) -> None:
    with pytest.raises(UsageError, match=r"twice|unknown|num_candidates"):
        act()


@pytest.mark.parametrize("right", [40, 160])
def test_the_wrong_direction_never_promotes_a_loss(right: int) -> None:
    rule = {**TARGET, "direction": "lower" if right == 160 else "higher"}
    assert decide(report(binary(right)), {"base": report(binary(100))}, policy(rule)).verdict is Verdict.REJECT


def _interval(decision: Decision) -> tuple[float | None, float | None, str]:
    reason = decision.reasons[0]
    return reason.lower, reason.upper, reason.method


def test_clusters_of_one_are_items() -> None:
    alone = report(binary(150), clusters=[f"c{i}" for i in range(200)])
    first, second = (decide(own, {"base": own}, policy(GUARD)) for own in (alone, OWN))
    assert _interval(first) == _interval(second)


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_all_scores_equal_leave_room_for_what_was_not_seen(score: float) -> None:
    own = report({"exact": [score] * 40})
    decision = decide(own, {"base": own}, policy({**GUARD, "margin": 0.05}))
    reason = decision.reasons[0]
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert reason.outcome is Outcome.UNDECIDED
    assert reason.lower is not None
    assert -0.2 < reason.lower < -0.05


@pytest.mark.parametrize(("margin", "told"), [(0.02, "limit -0.020"), (0.2, "limit -0.200")], ids=["tight", "wide"])
def test_a_constant_model_on_graded_scores_is_judged_by_what_others_scored(margin: float, told: str) -> None:
    baseline = report({"exact": [0.2 + 0.6 * (i % 7) / 6 for i in range(200)]})
    decision = decide(report({"exact": [0.5] * 200}), {"base": baseline}, policy({**GUARD, "margin": margin}))
    assert decision.verdict is (Verdict.PROMOTE if margin == 0.2 else Verdict.INCONCLUSIVE)
    assert told in decision.headline


def _bits(bad: float, metric: str = "bits_per_byte") -> Verdict:
    """The verdict on 1000 items, five of which are ``bad`` for the candidate, all others within [0, 1]."""
    base = np.linspace(0.5, 0.7, 1000)
    mine = base + np.tile([-0.01, 0.01], 500)
    mine[:5] = bad
    rule = {"suite": "golden", "metric": metric, "kind": "guard", "margin": 0.02, "direction": "lower"}
    baselines = {"base": report({metric: base.tolist()})}
    return decide(report({metric: mine.tolist()}), baselines, policy(rule)).verdict


@pytest.mark.parametrize("metric", ["bits_per_byte", "word_perplexity,none", "answer_seconds"])
def test_leaving_bad_items_of_an_unbounded_metric_unscored_does_not_promote(metric: str) -> None:
    assert _bits(60.0, metric) is not Verdict.PROMOTE
    assert _bits(NAN, metric) is Verdict.INCONCLUSIVE


def test_few_equal_scores_of_an_unbounded_metric_bound_nothing() -> None:
    rule = {"suite": "golden", "metric": "loss", "kind": "ceiling", "limit": 0.9}
    rules = policy(rule)
    held = report({"loss": [0.0] * 400})
    assert decide(held, {"base": held}, rules).verdict is Verdict.INCONCLUSIVE
