"""Rules on a metric whose suite value is a ratio of sums."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.gate.decide import decide
from evalsuite.gate.decision import Decision, Verdict
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.replay import gate_code_sha256, read_record, replay, write_record
from evalsuite.gate.rules import Outcome
from evalsuite.items.results import EvalReport, ItemResult, SuiteInfo, items_sha256, table_of

GUARD = {"suite": "ifeval", "metric": "inst", "kind": "guard", "margin": 0.1}
RANKS = {Verdict.REJECT: 0, Verdict.INCONCLUSIVE: 1, Verdict.PROMOTE: 2}
Pairs = Sequence[tuple[float, float]]


def report(
    pairs: Pairs, order: Sequence[int] | None = None, must_pass: tuple[str, ...] = (), cluster_size: int = 1
) -> EvalReport:
    """A report on items of (numerator, denominator); NaN is unscored, and a NaN denominator unknown."""
    items = [
        ItemResult(
            item_id=f"i{i:04d}",
            item_hash=f"h{i}",
            cluster=f"c{i // cluster_size}",
            slices={"topic": f"t{i % 3}"},
            must_pass=must_pass if i == 0 else (),
            metrics=("inst",),
            scores={} if math.isnan(pairs[i][0]) else {"inst": pairs[i][0]},
            denominators={} if math.isnan(pairs[i][1]) else {"inst": pairs[i][1]},
        )
        for i in (order if order is not None else range(len(pairs)))
    ]
    info = SuiteInfo(suite="ifeval", suite_version="1", items_sha256=items_sha256(items))
    return EvalReport("m", "identity", {"ifeval": table_of(info, items)}, {})


def policy(*rules: Any, **fields: Any) -> GatePolicy:
    return GatePolicy.model_validate({"rules": list(rules), **fields})


def test_a_reason_names_ratios_of_sums_not_means_of_items() -> None:
    baseline = [(2.0, 3.0), (1.0, 1.0)] * 100
    candidate = [(1.0, 3.0), (1.0, 1.0)] * 100
    reason = decide(report(candidate), {"base": report(baseline)}, policy(GUARD)).reasons[0]
    assert (reason.candidate, reason.baseline, reason.difference) == (0.5, 0.75, -0.25)
    assert reason.outcome is Outcome.FAIL
    assert "fell 0.250 (0.750 -> 0.500, n=200)" in reason.text
    assert reason.method == "Gaffke on the difference of ratios"


def test_items_with_nothing_to_count_weigh_nothing() -> None:
    counted = [(1.0, 2.0)] * 60
    reason = decide(
        report([*counted, *[(0.0, 0.0)] * 40]), {"base": report([*counted, *[(0.0, 0.0)] * 40])}, policy(GUARD)
    ).reasons[0]
    alone = decide(report(counted), {"base": report(counted)}, policy(GUARD)).reasons[0]
    assert (reason.candidate, reason.n) == (0.5, 100)
    assert (reason.lower, reason.upper) == (alone.lower, alone.upper)


def test_a_side_with_nothing_to_count_at_all_is_undecided() -> None:
    decision = decide(report([(0.0, 0.0)] * 50), {"base": report([(1.0, 1.0)] * 50)}, policy(GUARD))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "the denominators of candidate sum to 0" in decision.headline


def test_a_ratio_is_not_compared_with_a_mean() -> None:
    ratio = report([(1.0, 2.0)] * 50)
    mean = replace(ratio, suites={"ifeval": replace(ratio.suites["ifeval"], denominators={})})
    decision = decide(mean, {"base": ratio}, policy(GUARD))
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "metric inst is a mean for the candidate and a ratio for base" in decision.headline


@pytest.mark.parametrize("denominator", [3.0, math.nan])
def test_an_unscored_item_weighs_the_most_that_it_can(denominator: float) -> None:
    rows = [(1.0, 1.0), (3.0, 3.0)] * 100
    base, rules = {"base": report(rows)}, policy(GUARD, max_unscored_fraction=0.1)
    gap = decide(report([(math.nan, denominator), *rows[1:]]), base, rules).reasons[0]
    loss = decide(report([(0.0, 3.0), *rows[1:]]), base, rules).reasons[0]
    assert (gap.lower, gap.n, gap.unscored) == (loss.lower, 199, 1)


@pytest.mark.parametrize(
    ("pair", "outcome"),
    [
        pytest.param((3.0, 3.0), Outcome.PASS, id="all"),
        pytest.param((2.0, 3.0), Outcome.FAIL, id="some"),
        pytest.param((0.0, 0.0), Outcome.UNDECIDED, id="nothing-to-count"),
        pytest.param((math.nan, 3.0), Outcome.UNDECIDED, id="unscored"),
    ],
)
def test_a_must_pass_item_of_a_ratio_must_pass_every_check(pair: tuple[float, float], outcome: Outcome) -> None:
    rows = [(2.0, 2.0)] * 99
    own = report([pair, *rows], must_pass=("inst",))
    base = {"base": report([(3.0, 3.0), *rows], must_pass=("inst",))}
    reasons = {reason.rule: reason for reason in decide(own, base, policy(GUARD)).reasons}
    assert reasons["ifeval/inst:must_pass"].outcome is outcome


def test_a_stored_decision_on_a_ratio_replays(tmp_path: Path) -> None:
    rows = [(1.0, 2.0), (3.0, 3.0), (0.0, 0.0)] * 40
    candidate, base = report([*rows[:-1], (math.nan, 3.0)]), {"base": report(rows)}
    decision = decide(candidate, base, policy(GUARD), code_sha256=gate_code_sha256())
    write_record(tmp_path / "d.json.gz", decision, candidate, base)
    assert replay(read_record(tmp_path / "d.json.gz")) == decision


def test_one_denominator_changes_the_evidence_hash() -> None:
    rows = [(1.0, 2.0)] * 50
    first, second = (
        decide(report(each), {"base": report(rows)}, policy(GUARD)).evidence for each in (rows, [*rows[1:], (1.0, 3.0)])
    )
    assert first["candidate/ifeval"] != second["candidate/ifeval"]


counted = st.integers(1, 3).flatmap(lambda n: st.tuples(st.integers(0, n), st.integers(0, n), st.just(n)))
items = st.lists(counted, min_size=4, max_size=80)


@settings(deadline=None, max_examples=40)
@given(items, st.integers(1, 4))
def test_a_ratio_is_never_rejected_against_itself(rows: list[tuple[int, int, int]], size: int) -> None:
    own = report([(right, weight) for right, _, weight in rows], cluster_size=size)
    rules = policy({**GUARD, "margin": 0.02, "slices": "topic"})
    assert decide(own, {"base": own, "champion": own}, rules).verdict is not Verdict.REJECT


@settings(deadline=None, max_examples=60)
@given(st.lists(counted, min_size=4, max_size=90), st.integers(0, 89), st.sampled_from([0.02, 0.1, 0.3]))
def test_losing_a_check_never_moves_towards_promotion(rows: list[tuple[int, int, int]], at: int, margin: float) -> None:
    at %= len(rows)
    base = {"base": report([(other, weight) for _, other, weight in rows])}
    better = [(right, weight) for right, _, weight in rows]
    worse = [(0 if i == at else right, weight) for i, (right, weight) in enumerate(better)]
    rules = policy({**GUARD, "margin": margin}, {**GUARD, "kind": "target", "margin": None, "min_gain": 0.0})
    before, after = (decide(report(each), base, rules).verdict for each in (better, worse))
    assert RANKS[after] <= RANKS[before]


@settings(deadline=None, max_examples=40)
@given(items, st.sets(st.integers(0, 79), min_size=1, max_size=3), st.booleans())
def test_an_unscored_item_of_a_ratio_never_helps(
    rows: list[tuple[int, int, int]], holes: set[int], known: bool
) -> None:
    base = {"base": report([(other, weight) for _, other, weight in rows])}
    whole = [(float(right), float(weight)) for right, _, weight in rows]
    holed = [
        (math.nan, weight if known else math.nan) if i in holes else (right, weight)
        for i, (right, weight) in enumerate(whole)
    ]
    rules = policy(GUARD, max_unscored_fraction=0.9)
    scored, unscored = (decide(report(each), base, rules).verdict for each in (whole, holed))
    assert (unscored is Verdict.PROMOTE) <= (scored is Verdict.PROMOTE)


@settings(deadline=None, max_examples=25)
@given(items, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_json_keeps_everything(rows: list[tuple[int, int, int]], random: Any) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)
    own = [(right, weight) for right, _, weight in rows]
    base = {"base": report([(other, weight) for _, other, weight in rows])}
    first = decide(report(own), base, policy(GUARD))
    assert decide(report(own, order), base, policy(GUARD)) == first
    assert Decision.model_validate_json(first.model_dump_json()) == first


def test_negative_shares_that_are_unscored_count_from_minus_one() -> None:
    rows = [(-1.0, 1.0), (1.0, 1.0), (0.0, 0.0), (1.0, 1.0)] * 30
    rule = {**GUARD, "direction": "lower"}
    base, rules = {"base": report(rows)}, policy(rule, max_unscored_fraction=0.1)
    gap = decide(report([(math.nan, 1.0), *rows[1:]]), base, rules).reasons[0]
    highest = decide(report([(1.0, 1.0), *rows[1:]]), base, rules).reasons[0]
    lowest = decide(report([(-1.0, 1.0), *rows[1:]]), base, rules).reasons[0]
    assert np.isclose(gap.upper or 0.0, highest.upper or 0.0)
    assert np.isclose(gap.lower or 0.0, lowest.lower or 0.0)
