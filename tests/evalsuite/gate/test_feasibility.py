import re
from typing import Any

import pytest

from evalsuite.gate.decide import decide
from evalsuite.gate.decision import Verdict
from evalsuite.gate.feasibility import KnownSet, impossible_rules, whole_scale_rules
from tests.evalsuite.gate.test_decide import GUARD, TARGET, policy, report

COST = {"suite": "costs", "metric": "num_bytes", "kind": "ceiling", "limit": 10}
FLOOR = {"suite": "golden", "metric": "exact", "kind": "floor", "limit": 0.99}
CEILING = {"suite": "golden", "metric": "exact", "kind": "ceiling", "limit": 0.01}


def why(rules: list[dict[str, Any]], n: int | None, num_candidates: int = 1, **known: Any) -> list[str]:
    sets = {"golden": KnownSet(n, **known)}
    return [found.text for found in impossible_rules(policy(*rules), sets, num_candidates=num_candidates)]


@pytest.mark.parametrize(
    ("rule", "n", "enough"),
    [
        # 0.05 ** (1 / n) > 1 - margin, Clopper and Pearson with nothing lost.
        pytest.param({**GUARD, "margin": 0.02}, 100, 149, id="guard"),
        pytest.param({**GUARD, "margin": 0.02, "direction": "lower"}, 100, 149, id="guard-lower"),
        pytest.param(FLOOR, 100, 299, id="floor"),
        pytest.param(CEILING, 100, 299, id="ceiling"),
    ],
)
def test_the_least_n_is_the_one_of_the_exact_limits(rule: dict[str, Any], n: int, enough: int) -> None:
    (text,) = why([rule], n)
    assert f"n={n} items" in text
    assert f"enough would be {enough:,} items or" in text
    assert why([rule], enough) == []
    assert why([rule], enough - 1) != []


def test_the_margin_that_would_do_does_and_a_candidate_that_lost_nothing_is_then_promoted() -> None:
    (text,) = why([{**GUARD, "margin": 0.02}], 100)
    found = re.search(r"a margin of ([\d.]+)", text)
    assert found
    margin = float(found[1])
    assert why([{**GUARD, "margin": margin}], 100) == []
    same = report({"exact": [1.0] * 60 + [0.0] * 40})
    for size, verdict in ((margin, Verdict.PROMOTE), (0.02, Verdict.INCONCLUSIVE)):
        assert decide(same, {"base": same}, policy({**GUARD, "margin": size})).verdict is verdict


def test_alpha_is_divided_by_the_candidates_first() -> None:
    rule = {**GUARD, "margin": 0.02}
    assert why([rule], 149) == []
    assert "at alpha 0.025" in why([rule], 149, num_candidates=2)[0]


def test_a_gain_that_is_asked_for_counts_for_the_guard_on_the_same_metric() -> None:
    assert why([{**GUARD, "margin": 0.02}, TARGET], 100) == []


def test_a_gain_that_a_few_items_cannot_prove_is_named() -> None:
    (text,) = why([{**TARGET, "min_gain": 0.9}], 10)
    assert "a least gain of" in text


@pytest.mark.parametrize(
    ("rule", "known", "text"),
    [
        pytest.param({**GUARD, "suite": "gsm8k"}, {}, "suite 'gsm8k' is not evaluated; suites: golden", id="suite"),
        pytest.param(GUARD, {"metrics": {"f1": 200}}, "no item of golden has metric 'exact'", id="metric"),
        pytest.param({**GUARD, "slices": "tier"}, {"slices": {"queue": {"a": 200}}}, "slice key 'tier'", id="slice"),
        pytest.param({**GUARD, "min_items": 500}, {}, "min_items asks for 500", id="min-items"),
        pytest.param({**COST, "metric": "num_bites"}, {}, "did you mean 'num_bytes'?", id="cost"),
        pytest.param({**COST, "limit": 0}, {}, "limit is 0, and no cost is below 0", id="cost-below-nothing"),
    ],
)
def test_what_is_not_there_can_never_pass(rule: dict[str, Any], known: dict[str, Any], text: str) -> None:
    (found,) = why([rule], 200, **known)
    assert text in found


def test_what_is_not_known_is_not_held_against_a_rule() -> None:
    rule = {**GUARD, "margin": 0.0001}
    assert why([rule], None) == []
    assert why([rule], 100, is_recorded=True) == []
    for cost in (COST, {**COST, "kind": "floor", "limit": 0}, {**COST, "limit": 0.1, "relative_to": "base"}):
        assert why([cost], 100) == []
    assert why([{**FLOOR, "limit": 7.5}], 100) == [], "a scale of its own"


def test_a_percentage_in_the_place_of_a_fraction_is_told() -> None:
    told = whole_scale_rules(policy({**GUARD, "margin": 2}, {**TARGET, "min_gain": 1}, FLOOR))
    assert [text.split(": ")[1] for text in told] == [
        "margin 2 is the whole scale of a score from 0 to 1, or more",
        "min_gain 1 is the whole scale of a score from 0 to 1, or more",
    ]
    assert "no candidate fails it (2% is 0.02)" in told[0]
    assert "no candidate passes it" in told[1]
    assert whole_scale_rules(policy({**GUARD, "metric": "perplexity", "margin": 2}, {**GUARD, "margin": 0.99})) == []
