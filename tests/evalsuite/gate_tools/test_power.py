import numpy as np
import pytest

from evalsuite.gate.feasibility import KnownSet
from evalsuite.gate_tools.designs import PairedRates
from evalsuite.gate_tools.power import Pairs, RulePower, plan_power
from evalsuite.stats.alternatives import Floats, uniforms
from tests.evalsuite.gate.test_decide import GUARD, TARGET, policy


def pairs(candidate: Floats, baseline: Floats) -> Pairs:
    return Pairs(candidate, baseline, None, ("",) * candidate.size, "new against base")


def recorded(n: int = 500, share: float = 0.1) -> Pairs:
    baseline = (uniforms("base", n) < 0.6).astype(float)
    return pairs(np.where(uniforms("flip", n) < share, 1.0 - baseline, baseline), baseline)


def one(rule: dict[str, object], n: int = 500, found: Pairs | None = None, **fields: object) -> RulePower:
    evidence = {("golden", "exact", "base"): found} if found else {}
    sets = {"golden": KnownSet(n, seconds_per_item=2.0)}
    (result,) = plan_power(policy(rule), sets, evidence, ("base",), **fields)  # type: ignore[arg-type]
    return result


def test_recorded_discordance_goes_before_the_assumption() -> None:
    assumed, known = one(GUARD), one(GUARD, found=recorded())
    assert assumed.basis == "assumed: 25% of the items differ"
    assert known.basis.startswith("new against base: ")
    assert (known.passes_at["0.8"] or 0.0) < (assumed.passes_at["0.8"] or 0.0)


def test_the_figures_are_those_of_the_exact_calculation() -> None:
    found = one(GUARD)
    design = PairedRates(0.25)
    least, loss = found.passes_at["0.95"], found.fails_at["0.8"]
    assert least is not None
    assert loss is not None
    assert design.passes(500, 0.05, -0.1, least) == pytest.approx(0.95, abs=0.01)
    assert design.fails(500, 0.05, -0.1, loss) == pytest.approx(0.8, abs=0.01)
    assert found.scenarios[0].passes == pytest.approx(design.passes(500, 0.05, -0.1, 0.0), abs=1e-4)


def test_a_weak_rule_comes_with_the_n_and_the_margin_that_would_do() -> None:
    weak = one({**GUARD, "margin": 0.02})
    assert weak.weak
    assert weak.remedy is not None
    items = int(weak.remedy.split("enough would be ")[1].split(" items")[0].replace(",", ""))
    margin = float(weak.remedy.rsplit("a margin of ", 1)[1])
    assert not one({**GUARD, "margin": 0.02}, items).weak
    assert not one({**GUARD, "margin": margin}).weak
    assert one({**GUARD, "margin": 0.9 * margin}).weak


def test_a_rule_that_is_strong_enough_has_no_remedy() -> None:
    found = one(GUARD)
    assert not found.weak
    assert found.remedy is None


def test_hours_are_items_times_recorded_seconds_and_unknown_without_them() -> None:
    scenario = one(GUARD).scenarios[0]
    assert scenario.items is not None
    assert scenario.hours == pytest.approx(scenario.items * 2.0 / 3600, abs=1e-4)
    (unknown,) = plan_power(policy(GUARD), {"golden": KnownSet(500)}, {}, ("base",))
    assert unknown.scenarios[0].hours is None


def test_lower_is_better_is_shown_in_the_metrics_own_direction() -> None:
    up, down = one(GUARD), one({**GUARD, "direction": "lower"})
    assert (up.limit, down.limit) == (-0.1, 0.1)
    assert [-(value or 0.0) for value in up.fails_at.values()] == list(down.fails_at.values())
    assert down.scenarios[2].difference == 0.2


def test_the_sequential_test_is_estimated_on_recorded_results_alone() -> None:
    assert one(GUARD, sequential=True).scenarios[0].sequential_items is None
    found = one(GUARD, found=recorded(), sequential=True)
    items = [scenario.sequential_items for scenario in found.scenarios]
    assert all(each is not None and each <= 500 for each in items)
    graded = recorded()
    wide = pairs(graded.candidate * 5, graded.baseline * 5)
    assert one(GUARD, found=wide, sequential=True).scenarios[0].sequential_items is None


def test_a_target_is_weak_when_twice_its_gain_is_hardly_ever_proven() -> None:
    assert one(TARGET, 100).weak
    assert not one(TARGET, 2000).weak


def test_a_floor_says_from_which_value_it_holds() -> None:
    found = one({"suite": "golden", "metric": "exact", "kind": "floor", "limit": 0.7}, 200)
    least = found.passes_at["0.8"]
    assert least is not None
    assert 0.7 < least < 0.85
    assert found.scenarios == ()


def test_a_ceiling_is_a_floor_from_above() -> None:
    floor = one({"suite": "golden", "metric": "exact", "kind": "floor", "limit": 0.7}, 200)
    ceiling = one({"suite": "golden", "metric": "exact", "kind": "ceiling", "limit": 0.3}, 200)
    assert ceiling.passes_at["0.8"] == pytest.approx(1.0 - (floor.passes_at["0.8"] or 0.0), abs=1e-4)


def test_each_baseline_has_a_line_and_slices_are_summed_up() -> None:
    sets = {"golden": KnownSet(400, None, {"queue": {"a": 300, "b": 100}})}
    found = plan_power(policy({**GUARD, "slices": "queue"}), sets, {}, ("base", "champion"))
    assert [each.rule for each in found] == ["golden/exact:guard:base", "golden/exact:guard:champion"]
    assert (found[0].slices or "").startswith("2 slices of queue, 100 to 300 items; in the smallest (b)")


def test_an_unknown_size_is_said_so() -> None:
    (found,) = plan_power(policy(GUARD), {"golden": KnownSet(None)}, {}, ("base",))
    assert found.n is None
    assert "unknown" in found.basis
    assert found.passes_at == {"0.8": None, "0.95": None}
