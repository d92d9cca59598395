"""Margins of slices and baselines, clusters by key, and the correction that a reason names."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from evalsuite.gate.decide import decide
from evalsuite.gate.decision import Decision, Verdict
from evalsuite.gate.rules import Outcome
from evalsuite.gate.sequential.prefixes import rows_of
from evalsuite.items.results import EvalReport
from tests.evalsuite.gate.test_decide import GUARD, binary, by_id, policy, report

QUEUE = ["billing"] * 100 + ["other"] * 500
LOST = {"exact": [0.0] * 12 + [1.0] * 588}
SAME = {"exact": [1.0] * 600}


def test_a_slice_may_have_a_margin_of_its_own() -> None:
    base = {"base": report(SAME, queue=QUEUE)}
    candidate = report(LOST, queue=QUEUE)
    loose = decide(candidate, base, policy({**GUARD, "slices": "queue", "slice_margin": 0.3}))
    strict = decide(
        candidate,
        base,
        policy({**GUARD, "slices": "queue", "slice_margin": 0.3, "slice_margins": {"billing": 0.03}}),
    )
    assert loose.verdict is Verdict.PROMOTE
    assert strict.verdict is Verdict.REJECT
    limits = {rule: reason.limit for rule, reason in by_id(strict).items() if reason.slice}
    assert limits == {
        "golden/exact:guard:base[queue=billing]": -0.03,
        "golden/exact:guard:base[queue=other]": -0.3,
    }


@pytest.mark.parametrize(
    "rule",
    [
        GUARD,
        {**GUARD, "slices": "queue", "slice_margins": {"billing": 0.03}, "against": "champion", "alpha": 0.01},
        {"suite": "costs", "metric": "num_bytes", "kind": "ceiling", "limit": 1.0},
        {"suite": "costs", "metric": "num_bytes", "kind": "floor", "limit": 1.2, "relative_to": "all"},
    ],
)
def test_a_policy_is_read_again_as_its_decision_names_it(rule: dict[str, object]) -> None:
    own = report(binary(150), costs={"num_bytes": 0.5})
    written = decide(own, {"base": own}, policy(rule)).model_dump_json()
    assert Decision.model_validate_json(written).policy == policy(rule)


def test_a_slice_margin_for_a_value_that_no_item_has_is_inconclusive() -> None:
    own = report(SAME, queue=QUEUE)
    rule = {**GUARD, "slices": "queue", "slice_margins": {"biling": 0.05}}
    decision = decide(own, {"base": own}, policy(rule))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "slice_margins names 'biling', which no item has; values of queue: billing, other" in decision.headline


def test_small_slices_are_neither_asked_nor_paid_for() -> None:
    queue = ["billing"] * 100 + ["other"] * 498 + ["rare"] * 2
    base = {"base": report(SAME, queue=queue)}
    rule = {**GUARD, "slices": "queue", "slice_min_items": 10}
    reasons = by_id(decide(report(LOST, queue=queue), base, policy(rule)))
    assert "golden/exact:guard:base[queue=rare]" not in reasons
    assert reasons["golden/exact:guard:base[queue=other]"].correction == "Holm over 2 slices"


def test_a_slice_s_reason_names_the_correction_over_all_slices() -> None:
    queue = [f"q{i % 50}" for i in range(600)]
    own = report(SAME, queue=queue)
    slices = [
        reason
        for reason in decide(own, {"base": own}, policy({**GUARD, "slices": "queue"})).reasons
        if reason.slice is not None
    ]
    assert {reason.correction for reason in slices} == {"Holm over 50 slices"}
    assert all(reason.text.endswith("(Holm over 50 slices)") for reason in slices)
    assert {reason.alpha for reason in slices} == {0.05 / 50}


def test_fifty_slices_at_their_margin_reject_in_no_more_than_alpha_of_runs() -> None:
    rng = np.random.default_rng(1)
    queue = [f"q{i % 50}" for i in range(2000)]
    base = {"base": report({"exact": [1.0] * 2000}, queue=queue)}
    rules = policy({**GUARD, "margin": 0.3, "slices": "queue", "slice_margin": 0.1})
    rejected = sum(
        decide(report({"exact": (rng.random(2000) >= 0.1).astype(float)}, queue=queue), base, rules).verdict
        is Verdict.REJECT
        for _ in range(30)
    )
    assert rejected <= 4  # 0.05 of 30 runs, and three standard errors


def test_base_and_champion_may_have_margins_of_their_own() -> None:
    baselines = {"base": report(binary(100)), "champion": report(binary(130))}
    rules = policy({**GUARD, "against": "base", "margin": 0.05}, {**GUARD, "against": "champion", "margin": 0.3})
    reasons = by_id(decide(report(binary(115)), baselines, rules))
    assert reasons["golden/exact:guard:base"].limit == -0.05
    assert reasons["golden/exact:guard:champion"].limit == -0.3


def test_items_that_share_a_key_are_one_cluster() -> None:
    topics = [f"t{i // 8}" for i in range(400)]
    scores = {"exact": [float(i // 8 % 3 > 0) for i in range(400)]}
    base = {"base": report({"exact": [1.0] * 400}, queue=topics)}
    rule = {**GUARD, "margin": 0.5}
    alone = decide(report(scores, queue=topics), base, policy(rule)).reasons[0]
    joined = decide(report(scores, queue=topics), base, policy({**rule, "cluster": "queue"})).reasons[0]
    given = decide(
        report(scores, queue=topics, clusters=topics),
        {"base": report({"exact": [1.0] * 400}, queue=topics, clusters=topics)},
        policy(rule),
    ).reasons[0]
    assert (joined.lower, joined.method) == (given.lower, given.method)
    assert joined.lower is not None
    assert alone.lower is not None
    assert joined.lower < alone.lower


def test_a_cluster_key_only_ever_joins_the_items_own_clusters() -> None:
    passages = [f"p{i // 10}" for i in range(400)]
    each = [f"item{i}" for i in range(400)]
    scores = {"exact": [float(i // 10 % 3 > 0) for i in range(400)]}
    baseline = report({"exact": [1.0] * 400}, queue=each, clusters=passages)
    candidate = report(scores, queue=each, clusters=passages)
    rule = {**GUARD, "margin": 0.5}
    plain = decide(candidate, {"base": baseline}, policy(rule)).reasons[0]
    keyed = decide(candidate, {"base": baseline}, policy({**rule, "cluster": "queue"})).reasons[0]
    assert (keyed.lower, keyed.upper, keyed.method) == (plain.lower, plain.upper, plain.method)


def test_an_unknown_cluster_key_is_inconclusive() -> None:
    own = report(SAME, queue=QUEUE)
    decision = decide(own, {"base": own}, policy({**GUARD, "cluster": "passage"}))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "no item has slice key 'passage' to cluster by; keys: queue" in decision.headline


def test_several_targets_name_their_correction() -> None:
    columns = {"a": binary(150)["exact"], "b": binary(150)["exact"]}
    base = {"base": report({metric: binary(100)["exact"] for metric in "ab"})}
    rules = [{**GUARD, "metric": m, "kind": "target", "margin": None, "min_gain": 0.05} for m in "ab"]
    reasons = decide(report(columns), base, policy(*rules, targets="any")).reasons
    assert {reason.correction for reason in reasons} == {"Holm over 2 targets"}
    assert {reason.outcome for reason in reasons} == {Outcome.PASS}


@pytest.mark.parametrize("name", ["eval_seconds", "seconds_per_item", "num_bytes"])
def test_time_and_size_may_have_a_ceiling(name: str) -> None:
    rule = {"suite": "costs", "metric": name, "kind": "ceiling", "limit": 2.0}
    own = report(binary(150))
    for value, outcome in ((1.0, Outcome.PASS), (2.0, Outcome.FAIL)):
        candidate = report(binary(150), costs={name: value})
        assert decide(candidate, {"base": own}, policy(rule)).reasons[0].outcome is outcome


FLOOR = {"suite": "golden", "metric": "exact", "kind": "floor", "limit": 0.8}


def _rows(report_: EvalReport, first: int) -> EvalReport:
    table = report_.suites["golden"]
    return replace(report_, suites={"golden": rows_of(table, table.item_ids[first:])})


def _not_applying(report_: EvalReport, first: int) -> EvalReport:
    table = report_.suites["golden"]
    applies, scores = table.applies["exact"].copy(), table.scores["exact"].copy()
    applies[:first], scores[:first] = False, np.nan
    return replace(report_, suites={"golden": replace(table, applies={"exact": applies}, scores={"exact": scores})})


@pytest.mark.parametrize("change", [_rows, _not_applying])
def test_a_floor_is_not_met_by_leaving_out_the_items_that_were_wrong(
    change: Callable[[EvalReport, int], EvalReport],
) -> None:
    base = report(binary(200))
    candidate = report({"exact": [0.0] * 80 + [1.0] * 120})
    assert decide(candidate, {"base": base}, policy(FLOOR)).verdict is Verdict.REJECT
    assert decide(change(candidate, 80), {"base": base}, policy(FLOOR)).verdict is Verdict.INCONCLUSIVE


def test_slices_of_a_target_of_which_any_is_enough_are_refused() -> None:
    target = {"suite": "golden", "metric": "exact", "kind": "target", "min_gain": 0.0, "slices": "queue"}
    assert policy(target).rules[0].slices == "queue"
    with pytest.raises(ValidationError, match="targets any judges no slices, and the target golden/exact"):
        policy(target, targets="any")
