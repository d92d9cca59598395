import json
import math
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evalsuite.core.errors import UsageError
from evalsuite.gate.decide import decide, decision_id
from evalsuite.gate.decision import Decision, Reason, Verdict
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.rules import Outcome
from evalsuite.items.results import EvalReport, ItemResult, SuiteInfo, items_sha256, table_of

GUARD = {"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.1}
TARGET = {"suite": "golden", "metric": "exact", "kind": "target", "min_gain": 0.05}


def report(
    scores: Mapping[str, Sequence[float]],
    *,
    model: str = "model",
    suite: str = "golden",
    clusters: Sequence[str] | None = None,
    queue: Sequence[str] | None = None,
    must_pass: Mapping[int, tuple[str, ...]] | None = None,
    order: Sequence[int] | None = None,
    info: Mapping[str, Any] | None = None,
    costs: Mapping[str, float] | None = None,
) -> EvalReport:
    """A report with one suite; a score of NaN is unscored."""
    num_items = len(next(iter(scores.values())))
    items = [
        ItemResult(
            item_id=f"item-{i:04d}",
            item_hash=f"hash-{i}",
            cluster=clusters[i] if clusters else None,
            slices={"queue": queue[i]} if queue else {},
            must_pass=(must_pass or {}).get(i, ()),
            metrics=tuple(scores),
            scores={metric: float(column[i]) for metric, column in scores.items() if not math.isnan(column[i])},
        )
        for i in (order if order is not None else range(num_items))
    ]
    measured = {"suite": suite, "suite_version": "1", "items_sha256": items_sha256(items), **(info or {})}
    table = table_of(SuiteInfo.model_validate(measured), items)
    return EvalReport(model, f"identity-of-{model}", {suite: table}, costs or {})


def binary(num_right: int, n: int = 200) -> dict[str, list[float]]:
    return {"exact": [1.0] * num_right + [0.0] * (n - num_right)}


def policy(*rules: Mapping[str, Any], **fields: Any) -> GatePolicy:
    return GatePolicy.model_validate({"rules": list(rules), **fields})


def by_id(decision: Decision) -> dict[str, Reason]:
    return {reason.rule: reason for reason in decision.reasons}


@pytest.mark.parametrize(
    ("rule", "right", "verdict"),
    [
        pytest.param(GUARD, 100, Verdict.PROMOTE, id="guard-same"),
        pytest.param(GUARD, 95, Verdict.PROMOTE, id="guard-small-loss"),
        pytest.param(GUARD, 82, Verdict.INCONCLUSIVE, id="guard-near-margin"),
        pytest.param(GUARD, 40, Verdict.REJECT, id="guard-large-loss"),
        pytest.param(TARGET, 140, Verdict.PROMOTE, id="target-met"),
        pytest.param(TARGET, 112, Verdict.INCONCLUSIVE, id="target-near-gain"),
        pytest.param(TARGET, 100, Verdict.REJECT, id="target-proven-absent"),
        pytest.param({**GUARD, "direction": "lower"}, 160, Verdict.REJECT, id="lower-is-better-guard"),
        pytest.param({**TARGET, "direction": "lower"}, 60, Verdict.PROMOTE, id="lower-is-better-target"),
        pytest.param({**TARGET, "direction": "lower"}, 140, Verdict.REJECT, id="lower-is-better-wrong-way"),
        pytest.param({**GUARD, "kind": "floor", "margin": None, "limit": 0.4}, 120, Verdict.PROMOTE, id="floor"),
        pytest.param({**GUARD, "kind": "floor", "margin": None, "limit": 0.4}, 60, Verdict.REJECT, id="floor-broken"),
        pytest.param({**GUARD, "kind": "ceiling", "margin": None, "limit": 0.4}, 60, Verdict.PROMOTE, id="ceiling"),
        pytest.param(
            {**GUARD, "kind": "ceiling", "margin": None, "limit": 0.4}, 120, Verdict.REJECT, id="over-ceiling"
        ),
        pytest.param(
            {**GUARD, "kind": "ceiling", "margin": None, "limit": 0.4}, 80, Verdict.INCONCLUSIVE, id="at-limit"
        ),
    ],
)
def test_each_kind_of_rule_has_its_verdict(rule: dict[str, Any], right: int, verdict: Verdict) -> None:
    decision = decide(report(binary(right)), {"base": report(binary(100))}, policy(rule))
    assert decision.verdict is verdict


def _unscored(count: int) -> EvalReport:
    return report({"exact": [math.nan] * count + [1.0] * (200 - count)})


@pytest.mark.parametrize(
    ("candidate", "baseline", "names"),
    [
        pytest.param(report(binary(200), suite="other"), report(binary(200)), "suite 'golden' is missing", id="suite"),
        pytest.param(report({"f1": [1.0] * 200}), report(binary(200)), "metric 'exact' is missing", id="metric"),
        pytest.param(_unscored(5), report(binary(200)), "5 of 200 items are unscored", id="candidate-unscored"),
        pytest.param(report(binary(200)), _unscored(5), "5 of 200 items are unscored", id="baseline-unscored"),
        pytest.param(report(binary(1, 1)), report(binary(1, 1)), "min_items asks for 2", id="too-few"),
        pytest.param(
            report(binary(200, 201)),
            report(binary(200)),
            "item ids differ: 0 missing from the candidate, 1 more than base",
            id="other-items",
        ),
        pytest.param(
            report(binary(200), info={"prompt_sha256": "aaa"}),
            report(binary(200), info={"prompt_sha256": "bbb"}),
            "the prompts are not (prompt_sha256 aaa and bbb)",
            id="prompt",
        ),
        pytest.param(
            report(binary(200), info={"scorers": {"exact": "2"}}), report(binary(200)), "scorers is", id="scorer"
        ),
        pytest.param(
            report(binary(200), info={"decoding": {"top_p": 0.5}}), report(binary(200)), "decoding is", id="decoding"
        ),
        pytest.param(
            report(binary(200), clusters=["a"] * 200), report(binary(200)), "cluster of item 'item-0000'", id="cluster"
        ),
    ],
)
def test_what_cannot_be_judged_is_inconclusive_and_names_both_values(
    candidate: EvalReport, baseline: EvalReport, names: str
) -> None:
    decision = decide(candidate, {"base": baseline}, policy(GUARD))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert all(reason.outcome is Outcome.UNDECIDED for reason in decision.reasons)
    assert names in decision.headline


def test_same_hash_claim_with_other_item_ids_is_not_comparable() -> None:
    candidate = report(binary(200))
    table = candidate.suites["golden"]
    renamed = replace(table, item_ids=("zzz", *table.item_ids[1:]))
    decision = decide(replace(candidate, suites={"golden": renamed}), {"base": candidate}, policy(GUARD))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "'item-0000' is only in base" in decision.headline


def test_infinite_scores_count_as_unscored() -> None:
    candidate = report(binary(200))
    table = candidate.suites["golden"]
    infinite = replace(table, scores={"exact": np.full(200, np.inf)})
    decision = decide(replace(candidate, suites={"golden": infinite}), {"base": candidate}, policy(GUARD))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "200 of 200 items are unscored" in decision.headline


def test_an_unscored_item_counts_as_lost_in_the_bound_that_could_promote() -> None:
    baseline = report(binary(200))
    with_gap = decide(report({"exact": [math.nan] * 2 + [1.0] * 198}), {"base": baseline}, policy(GUARD))
    with_loss = decide(report({"exact": [0.0] * 2 + [1.0] * 198}), {"base": baseline}, policy(GUARD))
    gap, loss = with_gap.reasons[0], with_loss.reasons[0]
    assert gap.lower == loss.lower
    assert (gap.n, gap.unscored, gap.difference) == (198, 2, 0.0)


def test_missing_base_is_inconclusive_but_missing_champion_only_drops_its_rules() -> None:
    own = report(binary(150))
    missing_base = decide(own, {}, policy(GUARD))
    assert missing_base.verdict is Verdict.INCONCLUSIVE
    assert "no base report" in missing_base.headline
    first_run = decide(own, {"base": own}, policy(GUARD, {**TARGET, "against": "champion"}))
    assert first_run.verdict is Verdict.PROMOTE
    assert [reason.rule for reason in first_run.reasons] == ["golden/exact:guard:base"]


def test_no_rule_that_applies_is_inconclusive() -> None:
    own = report(binary(150), must_pass={0: ("exact",)})
    decision = decide(own, {"base": own}, policy({**GUARD, "against": "champion"}))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "no rule" in decision.headline


def test_a_rule_against_all_is_asked_of_base_and_champion() -> None:
    baselines = {"base": report(binary(100)), "champion": report(binary(190))}
    decision = decide(report(binary(150)), baselines, policy(GUARD))
    assert decision.verdict is Verdict.REJECT
    assert by_id(decision)["golden/exact:guard:base"].outcome is Outcome.PASS
    assert decision.reasons[0].rule == "golden/exact:guard:champion"


@pytest.mark.parametrize(
    ("scores", "verdict", "items"),
    [
        pytest.param([1.0, 1.0], Verdict.PROMOTE, (), id="passes"),
        pytest.param([1.0, 0.999], Verdict.REJECT, ("item-0001",), id="fails"),
        pytest.param([1.0, math.nan], Verdict.INCONCLUSIVE, ("item-0001",), id="unscored"),
        pytest.param([0.0, math.nan], Verdict.REJECT, ("item-0000",), id="fails-and-unscored"),
    ],
)
def test_must_pass_items_decide_whether_or_not_a_rule_names_their_metric(
    scores: list[float], verdict: Verdict, items: tuple[str, ...]
) -> None:
    marks = {0: ("safe",), 1: ("safe",)}
    columns = {**binary(100), "safe": [*scores, *[1.0] * 198]}
    baseline = report({**binary(100), "safe": [1.0] * 200}, must_pass=marks)
    decision = decide(report(columns, must_pass=marks), {"base": baseline}, policy(GUARD))
    assert decision.verdict is verdict
    assert by_id(decision)["golden/safe:must_pass"].item_ids == items


@pytest.mark.parametrize("whose", ["candidate", "base"])
def test_a_must_pass_reason_says_in_which_file_the_item_stands(whose: str) -> None:
    source = {"source": "golden_sets/support/test.jsonl"}
    marks = {3: ("exact",)}
    infos = {name: source if name == whose else {} for name in ("candidate", "base")}
    failed = [0.0 if i == 3 else 1.0 for i in range(200)]
    candidate = report({"exact": failed}, must_pass=marks, info=infos["candidate"])
    base = report(binary(200), must_pass=marks, info=infos["base"])
    told = "golden/exact failed 1 of 1 must-pass items of golden_sets/support/test.jsonl: 'item-0003'"
    assert told in decide(candidate, {"base": base}, policy(GUARD)).headline


def test_a_candidate_cannot_drop_the_marks_of_must_pass_items() -> None:
    baseline = report(binary(200), must_pass={199: ("exact",)})
    candidate = report(binary(199))
    assert decide(candidate, {"base": baseline}, policy(GUARD)).verdict is Verdict.REJECT


def test_a_proven_regression_in_one_slice_rejects_though_the_whole_suite_passes() -> None:
    queue = ["billing"] * 60 + ["other"] * 540
    baseline = report({"exact": [1.0] * 600}, queue=queue)
    candidate = report({"exact": [0.0] * 40 + [1.0] * 560}, queue=queue)
    decision = decide(candidate, {"base": baseline}, policy({**GUARD, "slices": "queue"}))
    assert by_id(decision)["golden/exact:guard:base"].outcome is Outcome.PASS
    assert decision.verdict is Verdict.REJECT
    assert decision.reasons[0].rule == "golden/exact:guard:base[queue=billing]"
    assert decision.reasons[0].limit == -0.2
    assert decision.reasons[0].alpha == pytest.approx(0.05 / 2)


def test_undecided_slices_do_not_block() -> None:
    queue = [f"q{i % 50}" for i in range(400)]
    own = report(binary(200, 400), queue=queue)
    decision = decide(own, {"base": own}, policy({**GUARD, "slices": "queue"}))
    assert decision.verdict is Verdict.PROMOTE
    undecided = [reason for reason in decision.reasons if reason.outcome is Outcome.UNDECIDED]
    assert len(undecided) == 50
    assert "does not block unless it is proven worse" in undecided[0].text


def test_a_slice_key_that_no_item_has_is_inconclusive() -> None:
    own = report(binary(150))
    decision = decide(own, {"base": own}, policy({**GUARD, "slices": "quue"}))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "no item has slice key 'quue'" in decision.headline


def test_fifty_slices_of_an_equal_model_are_seldom_rejected() -> None:
    rng = np.random.default_rng(0)
    queue = [f"q{i % 50}" for i in range(1000)]
    rule = {**GUARD, "margin": 0.001, "slices": "queue", "slice_margin": 0.001}
    rejected = 0
    for _ in range(20):
        baseline = report({"exact": (rng.random(1000) < 0.5).astype(float)}, queue=queue)
        candidate = report({"exact": (rng.random(1000) < 0.5).astype(float)}, queue=queue)
        decision = decide(candidate, {"base": baseline}, policy(rule))
        rejected += any(reason.slice and reason.outcome is Outcome.FAIL for reason in decision.reasons)
    assert rejected <= 3


def _two_targets(first: int, second: int, targets: str) -> Verdict:
    columns = {"a": binary(first)["exact"], "b": binary(second)["exact"]}
    baseline = report({"a": binary(100)["exact"], "b": binary(100)["exact"]})
    rules = [{**TARGET, "metric": metric} for metric in ("a", "b")]
    return decide(report(columns), {"base": baseline}, policy(*rules, targets=targets)).verdict


@pytest.mark.parametrize(
    ("first", "second", "all_of", "any_of"),
    [
        (150, 150, Verdict.PROMOTE, Verdict.PROMOTE),
        (150, 112, Verdict.INCONCLUSIVE, Verdict.PROMOTE),
        (150, 90, Verdict.REJECT, Verdict.PROMOTE),
        (112, 90, Verdict.REJECT, Verdict.INCONCLUSIVE),
        (90, 90, Verdict.REJECT, Verdict.REJECT),
    ],
)
def test_any_needs_one_target_and_rejects_only_when_all_are_absent(
    first: int, second: int, all_of: Verdict, any_of: Verdict
) -> None:
    assert _two_targets(first, second, "all") is all_of
    assert _two_targets(first, second, "any") is any_of


def test_any_of_several_targets_pays_for_the_choice() -> None:
    rules = [{**TARGET, "metric": metric} for metric in "abcd"]
    lone = {"base": report({m: binary(100)["exact"] for m in "abcd"})}
    candidate = report({"a": binary(150)["exact"], **{m: binary(100)["exact"] for m in "bcd"}})
    reasons = by_id(decide(candidate, lone, policy(*rules, targets="any")))
    assert reasons["golden/a:target:base"].alpha == pytest.approx(0.05 / 4)
    assert reasons["golden/b:target:base"].outcome is Outcome.FAIL


def test_absence_of_every_target_needs_no_correction() -> None:
    columns = {m: binary(101)["exact"] for m in "abcd"}
    baseline = {"base": report({m: binary(100)["exact"] for m in "abcd"})}
    rules = [{**TARGET, "metric": metric, "min_gain": 0.03} for metric in "abcd"]
    decision = decide(report(columns), baseline, policy(*rules, targets="any"))
    assert decision.verdict is Verdict.REJECT
    assert {reason.alpha for reason in decision.reasons} == {0.05}


def test_alpha_is_divided_by_the_candidates_that_were_compared() -> None:
    own = report(binary(150))
    decision = decide(own, {"base": own}, policy(GUARD, {**GUARD, "alpha": 0.02}), num_candidates=4)
    assert sorted(reason.alpha or 0 for reason in decision.reasons) == pytest.approx([0.005, 0.0125])


def test_an_undecided_reason_says_about_how_many_items_would_decide_it() -> None:
    baseline, rule = {"base": report(binary(50, 100))}, {**GUARD, "margin": 0.06}
    reason = decide(report(binary(48, 100)), baseline, policy(rule)).reasons[0]
    assert reason.outcome is Outcome.UNDECIDED
    assert reason.more_items is not None
    factor = math.ceil((100 + 1.5 * reason.more_items) / 100)
    more = {"base": report(binary(50 * factor, 100 * factor))}
    larger = decide(report(binary(48 * factor, 100 * factor)), more, policy(rule))
    assert larger.verdict is Verdict.PROMOTE


def test_a_reason_names_every_number_that_decided_it() -> None:
    text = decide(report(binary(60)), {"base": report(binary(100))}, policy(GUARD)).reasons[0].text
    assert text.startswith(
        "golden/exact fell 0.200 (0.500 -> 0.300, n=200) against base, limit -0.100, 90% interval [-0."
    )
    assert text.endswith("exact binomial MOVER: proven worse than the margin")


def test_the_strongest_proof_leads() -> None:
    columns = {"a": binary(95)["exact"], "b": binary(20)["exact"], "c": binary(60)["exact"]}
    baseline = report({metric: binary(100)["exact"] for metric in "abc"})
    rules = [{**GUARD, "metric": metric} for metric in "abc"]
    decision = decide(report(columns), {"base": baseline}, policy(*rules))
    assert [reason.metric for reason in decision.reasons] == ["b", "c", "a"]
    assert decision.headline == f"REJECT: {decision.reasons[0].text} (and 1 more)"


def test_unknown_role_and_no_candidates_are_usage_errors() -> None:
    own = report(binary(150))
    with pytest.raises(UsageError, match="'production' is unknown, expected base or champion"):
        decide(own, {"production": own}, policy(GUARD))
    with pytest.raises(UsageError, match="num_candidates is 0"):
        decide(own, {"base": own}, policy(GUARD), num_candidates=0)


def test_a_decision_survives_json_and_its_id_covers_every_field() -> None:
    decision = decide(report(binary(90)), {"base": report(binary(100))}, policy(GUARD, TARGET), inputs_sha256="abc")
    assert Decision.model_validate_json(json.dumps(decision.model_dump(mode="json"), allow_nan=False)) == decision
    assert decision_id(decision) == decision.decision_id
    assert decision_id(decision.model_copy(update={"inputs_sha256": "abd"})) != decision.decision_id


def test_evidence_hash_changes_with_one_score_and_not_with_the_order() -> None:
    first = decide(report(binary(90)), {"base": report(binary(100))}, policy(GUARD)).evidence
    other = decide(report(binary(91)), {"base": report(binary(100))}, policy(GUARD)).evidence
    turned = decide(report(binary(90), order=range(199, -1, -1)), {"base": report(binary(100))}, policy(GUARD)).evidence
    assert set(first) == {"candidate/golden", "base/golden"}
    assert first["candidate/golden"] != other["candidate/golden"]
    assert first["base/golden"] == other["base/golden"]
    assert turned == first


def test_the_gate_imports_no_training_or_orchestration() -> None:
    code = "import sys, evalsuite.gate.decide; print(*(set(sys.modules) & {'torch', 'prefect', 'dvc', 'transformers'}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


def test_item_sets_of_other_content_are_told_by_an_item_and_never_by_a_hash() -> None:
    candidate, base = report(binary(200)), report(binary(200))
    table = candidate.suites["golden"]
    hashes = ("another", *table.item_hashes[1:])
    info = table.info.model_copy(update={"items_sha256": "f" * 64})
    other = replace(candidate, suites={"golden": replace(table, info=info, item_hashes=hashes)})
    headline = decide(other, {"base": base}, policy(GUARD)).headline
    assert "1 of 200 items have the same id and another content in base, such as 'item-0000'" in headline
    assert "f" * 64 not in headline


def test_the_headline_counts_one_check_in_the_singular() -> None:
    decision = decide(report(binary(100)), {"base": report(binary(100))}, policy(GUARD))
    assert decision.headline.startswith("PROMOTE: 1 whole-suite check is proven; golden/exact did not move (0.500 -> ")
