import math
import re
from dataclasses import replace
from decimal import Decimal

import pytest

from evalsuite.gate.decide import decide
from tests.evalsuite.gate.test_decide import GUARD, binary, policy, report


def test_costs_are_limited_exactly() -> None:
    rule = {"suite": "costs", "metric": "num_bytes", "kind": "ceiling", "limit": 1000.0}
    own = report(binary(150))
    assert decide(report(binary(150), costs={"num_bytes": 999.0}), {"base": own}, policy(rule)).verdict == "PROMOTE"
    assert decide(report(binary(150), costs={"num_bytes": 1001.0}), {"base": own}, policy(rule)).verdict == "REJECT"
    assert decide(own, {"base": own}, policy(rule)).verdict == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("kind", "relative_to", "value", "verdict"),
    [
        ("ceiling", "champion", 120.0, "PROMOTE"),  # 1.2 times 100, which is allowed
        ("ceiling", "champion", 120.1, "REJECT"),
        ("ceiling", "base", 120.1, "PROMOTE"),  # 1.2 times 200
        ("ceiling", "base", 240.1, "REJECT"),
        ("ceiling", "all", 120.0, "PROMOTE"),
        ("ceiling", "all", 120.1, "REJECT"),
        ("floor", "champion", 120.0, "PROMOTE"),
        ("floor", "champion", 119.9, "REJECT"),
        ("floor", "all", 239.0, "REJECT"),
        ("ceiling", "champion", math.nan, "INCONCLUSIVE"),
        ("ceiling", "champion", math.inf, "INCONCLUSIVE"),
        ("ceiling", "champion", -1.0, "INCONCLUSIVE"),  # nothing costs less than nothing
    ],
)
def test_a_cost_is_limited_by_a_multiple_of_a_baseline_s(
    kind: str, relative_to: str, value: float, verdict: str
) -> None:
    rule = {"suite": "costs", "metric": "num_bytes", "kind": kind, "limit": 1.2, "relative_to": relative_to}
    champion, base = report(binary(150), costs={"num_bytes": 100.0}), report(binary(150), costs={"num_bytes": 200.0})
    candidate = report(binary(150), costs={"num_bytes": value})
    decision = decide(candidate, {"base": base, "champion": champion}, policy(rule))
    assert decision.verdict == verdict
    if verdict == "REJECT" and relative_to == "champion":
        side = "above" if kind == "ceiling" else "below"
        assert f"is {value:g}, {side} the {kind} of 120, 1.2 times the 100 of champion" in decision.headline
        assert decision.reasons[0].limit == 120.0


def test_a_relative_cost_that_a_baseline_has_not_is_undecided_and_before_a_champion_none_is_asked() -> None:
    rule = {"suite": "costs", "metric": "num_bytes", "kind": "ceiling", "limit": 1.2, "relative_to": "champion"}
    own = report(binary(150), costs={"num_bytes": 1.0})
    decision = decide(own, {"base": own, "champion": report(binary(150))}, policy(rule))
    assert decision.verdict == "INCONCLUSIVE"
    assert "cost 'num_bytes' is None, known costs: none of champion" in decision.headline
    first = decide(own, {"base": own}, policy(GUARD, rule))
    assert first.verdict == "PROMOTE"
    assert [reason.suite for reason in first.reasons] == ["golden"]


@pytest.mark.parametrize("of", [100.0, 3.0, 274_877_906_944.0])
@pytest.mark.parametrize("limit", ["0.7", "1.15", "2.3"])
@pytest.mark.parametrize("kind", ["ceiling", "floor"])
def test_a_cost_at_exactly_the_multiple_keeps_to_it_in_decimals_too(kind: str, limit: str, of: float) -> None:
    """1.15 times 100 is 114.99999999999999 in floats."""
    at = float(Decimal(limit) * Decimal(of))
    worse = math.nextafter(at, math.inf if kind == "ceiling" else 0.0)
    rule = {"suite": "costs", "metric": "num_bytes", "kind": kind, "limit": float(limit), "relative_to": "base"}
    base = report(binary(20, 20), costs={"num_bytes": of})
    found = [
        decide(report(binary(20, 20), costs={"num_bytes": value}), {"base": base}, policy(rule))
        for value in (at, worse)
    ]
    assert [decision.verdict for decision in found] == ["PROMOTE", "REJECT"]
    assert f", at the {kind} of" in found[0].headline
    own, bound = re.findall(r"is (\S+), (?:above|below) the \w+ of (\S+),", found[1].headline)[0]
    assert own != bound


@pytest.mark.parametrize("kind", ["ceiling", "floor"])
def test_a_cost_at_exactly_an_absolute_limit_breaks_it(kind: str) -> None:
    rule = {"suite": "costs", "metric": "num_bytes", "kind": kind, "limit": 100.0}
    own = report(binary(20, 20), costs={"num_bytes": 100.0})
    decision = decide(own, {"base": own}, policy(rule))
    assert decision.verdict == "REJECT"
    assert f"is 100, at the {kind} of 100" in decision.headline


@pytest.mark.parametrize(("value", "verdict"), [(0.0, "PROMOTE"), (1.0, "REJECT")])
def test_a_multiple_of_nothing_is_nothing(value: float, verdict: str) -> None:
    rule = {"suite": "costs", "metric": "adapter_bytes", "kind": "ceiling", "limit": 1.2, "relative_to": "champion"}
    full = report(binary(150), costs={"adapter_bytes": 0.0})
    candidate = report(binary(150), costs={"adapter_bytes": value})
    assert decide(candidate, {"base": full, "champion": full}, policy(rule)).verdict == verdict


@pytest.mark.parametrize("relative_to", ["base", "all"])
def test_a_limit_relative_to_a_base_that_is_not_there_is_undecided(relative_to: str) -> None:
    rule = {"suite": "costs", "metric": "num_bytes", "kind": "ceiling", "limit": 1.2, "relative_to": relative_to}
    champion, candidate = (report(binary(150), costs={"num_bytes": value}) for value in (100.0, 110.0))
    decision = decide(candidate, {"champion": champion}, policy({**GUARD, "against": "champion"}, rule))
    assert decision.verdict == "INCONCLUSIVE"
    assert "there is no base report" in decision.headline


def test_a_multiple_that_no_number_holds_is_undecided() -> None:
    rule = {"suite": "costs", "metric": "num_bytes", "kind": "ceiling", "limit": 1e15, "relative_to": "base"}
    base, candidate = (report(binary(150), costs={"num_bytes": value}) for value in (1e300, 1.0))
    decision = decide(candidate, {"base": base}, policy(rule))
    assert decision.verdict == "INCONCLUSIVE"
    assert "1e+15 times the 1e+300 of base is more than a number holds" in decision.headline
    assert decision.reasons[0].limit is None


def test_the_time_of_an_evaluation_that_stopped_early_is_not_compared_and_its_size_is() -> None:
    part = {"num_items": 40, "num_ordered": 20, "order_seed": "s", "run_sha256": "", "ended": "decided"}
    verdicts = {}
    for metric in ("seconds_per_item", "eval_seconds", "num_bytes"):
        for num_ordered in (20, 40):
            rule = {"suite": "costs", "metric": metric, "kind": "ceiling", "limit": 1.2, "relative_to": "base"}
            info = {"prefix": {**part, "num_ordered": num_ordered}}
            candidate = report(binary(20, 20), info=info, costs={metric: 1.0})
            whole = report(binary(20, 20), suite="other")
            candidate = replace(candidate, suites={**candidate.suites, **whole.suites})
            base = report(binary(20, 20), costs={metric: 1.0})
            verdicts[metric, num_ordered] = str(decide(candidate, {"base": base}, policy(rule)).verdict)
    assert verdicts == {
        ("seconds_per_item", 20): "INCONCLUSIVE",
        ("seconds_per_item", 40): "PROMOTE",
        ("eval_seconds", 20): "INCONCLUSIVE",
        ("eval_seconds", 40): "PROMOTE",
        ("num_bytes", 20): "PROMOTE",
        ("num_bytes", 40): "PROMOTE",
    }
