"""Methods that differ in the seed alone, side by side."""

import numpy as np
import pytest

from evalsuite.comparison.methods import MethodEvidence, compare_methods
from evalsuite.comparison.rows import Comparison
from evalsuite.comparison.seeds import Seeded, common_name
from tests.evalsuite.comparison.test_methods import BASE, CHOICE, method, right

RIGHT = {"lora-7": 340, "lora-8": 352, "lora-9": 364}


def seeded(**dev: float) -> Seeded:
    """Dev scores of the seeds 7, 8 and 9."""
    seeds = {f"lora-{seed}": seed for seed in (7, 8, 9)}
    scores = dict(zip(seeds, (dev["seed7"], dev["seed8"], dev["seed9"]), strict=True))
    return Seeded(seeds, scores, "exact", higher_is_better=True)


def compared(found: Seeded, full: int = 300, seconds: float = 60.0) -> Comparison:
    methods: list[MethodEvidence] = [method(name, right(count), 60.0) for name, count in RIGHT.items()]
    return compare_methods([*methods, method("full", right(full), seconds)], [BASE], CHOICE, seeded=[found])


def test_dev_items_and_not_test_items_say_which_seed_enters_the_comparison() -> None:
    found = compared(seeded(seed7=0.6, seed8=0.5, seed9=0.4))
    assert found.candidate == "lora-7", "the worst on test items, the best on dev items"
    (one,) = found.seed_sets
    assert (one.name, one.representative, one.seeds) == ("lora", "lora-7", (7, 8, 9))
    assert found.candidate not in {pair.baseline for pair in found.pairs}
    assert {(p.candidate, p.baseline) for p in found.pairs if p.baseline != "base"} == {("lora-7", "full")}


def test_the_gate_pays_for_one_candidate_a_method_and_not_for_its_seeds() -> None:
    found = compared(seeded(seed7=0.6, seed8=0.5, seed9=0.4))
    assert len(found.methods) == 4
    assert found.num_candidates == 2


def test_mean_spread_and_range_are_those_of_numpy() -> None:
    (one,) = compared(seeded(seed7=0.6, seed8=0.5, seed9=0.4)).seed_sets
    means = np.array(list(RIGHT.values())) / 400
    (row,) = one.metrics
    assert (row.suite, row.metric) == ("golden", "exact")
    assert (row.mean, row.sd) == (pytest.approx(means.mean()), pytest.approx(means.std(ddof=1)))
    assert (row.lowest, row.highest) == (means.min(), means.max())


def test_the_choice_says_how_far_the_seeds_lie_apart() -> None:
    because = compared(seeded(seed7=0.6, seed8=0.5, seed9=0.4)).chosen_because
    assert "lora-7 stands for lora (seeds 7, 8, 9) by best golden dev exact: lora-7 0.600, lora-8 0.500" in because
    assert "over its seeds golden/exact is 0.880, SD 0.030, from 0.850 to 0.910" in because


@pytest.mark.parametrize(("full", "overlaps"), [(344, True), (330, False), (372, False)])
def test_an_order_that_another_seed_may_turn_is_said_to_be_open(full: int, overlaps: bool) -> None:
    because = compared(seeded(seed7=0.4, seed8=0.6, seed9=0.5), full).chosen_because
    told = f"lora and full overlap over seeds (0.850 to 0.910 and {full / 400:.3f}): another seed may turn their order"
    assert (told in because) == overlaps


def test_the_first_seed_named_stands_for_equal_ones_and_lower_may_be_better() -> None:
    assert seeded(seed7=0.5, seed8=0.5, seed9=0.5).representative == "lora-7"
    assert seeded(seed7=0.5, seed8=0.4, seed9=0.6)._replace(higher_is_better=False).representative == "lora-8"


def test_seeds_on_different_items_have_no_spread() -> None:
    methods = [method("lora-7", right(340), 60.0), method("lora-8", right(100, 200), 60.0)]
    found = Seeded({"lora-7": 7, "lora-8": 8}, {"lora-7": 0.6, "lora-8": 0.5}, "exact", higher_is_better=True)
    comparison = compare_methods(methods, [BASE], CHOICE, seeded=[found])
    assert comparison.candidate == "lora-7"
    assert comparison.seed_sets[0].metrics == ()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["lora-7", "lora-8"], "lora"),
        (["full_1", "full_12"], "full"),
        (["a", "b"], "a, b"),
        (["r16s1", "r16s2"], "r16s"),
    ],
)
def test_a_method_of_several_seeds_has_the_name_that_they_share(names: list[str], expected: str) -> None:
    assert common_name(names) == expected
