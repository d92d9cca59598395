import pytest

from evalsuite.gate.rules import Outcome
from evalsuite.report.sentences import sentence
from evalsuite.report.text import MINUS
from evalsuite.report.units import Units
from tests.evalsuite.report.test_forest import reason

UNITS = Units(frozenset({("golden", "exact")}))


def test_a_reason_says_what_moved_from_where_to_where_how_surely_and_what_that_proves() -> None:
    assert sentence(reason(), UNITS) == (
        "golden/exact rose by 10.0 points against base, from 50.0 to 60.0 (90% interval 0.0 to +20.0, n = 100): "
        "proven not worse by more than 5.0 points"
    )


@pytest.mark.parametrize(
    ("kind", "outcome", "words"),
    [
        ("guard", Outcome.FAIL, "proven worse by more than 5.0 points"),
        ("target", Outcome.PASS, "proven to gain more than 5.0 points"),
        ("target", Outcome.FAIL, "proven to gain less than 5.0 points"),
        ("guard", Outcome.UNDECIDED, "undecided, a loss above 5.0 points is not excluded"),
        ("target", Outcome.UNDECIDED, "undecided, a gain above 5.0 points is not proven"),
    ],
)
def test_the_conclusion_names_the_bound_as_the_policy_states_it(kind: str, outcome: Outcome, words: str) -> None:
    assert sentence(reason(kind=kind, outcome=outcome), UNITS).endswith(f": {words}")


def test_what_did_not_move_is_said_in_plain_words() -> None:
    words = sentence(reason(difference=0.0, candidate=0.5), UNITS)
    assert words.startswith("golden/exact did not change against base: 50.0 points (90% interval")


def test_an_undecided_rule_says_how_many_more_items_would_decide_it() -> None:
    words = sentence(reason(outcome=Outcome.UNDECIDED, more_items=1200), UNITS)
    assert words.endswith("; about 1,200 more items would decide it")


def test_an_absolute_rule_and_a_cost_keep_their_own_unit() -> None:
    floor = reason(kind="floor", difference=None, baseline=None, against=None, lower=0.5, upper=0.7, limit=0.3)
    assert sentence(floor, UNITS) == (
        "golden/exact is 60.0 points (90% interval 50.0 to 70.0, n = 100): proven above the floor of 30.0 points"
    )
    cost = reason(
        suite="costs", metric="num_bytes", kind="ceiling", difference=None, baseline=None, against=None,
        candidate=2048.0, lower=2048.0, upper=2048.0, limit=4096.0, alpha=None,
    )  # fmt: skip
    assert sentence(cost, UNITS) == "costs/num_bytes is 2.0 KiB, which keeps to the ceiling of 4.0 KiB"
    relative = cost.model_copy(update={"against": "champion", "baseline": 1024.0})
    assert sentence(relative, UNITS).endswith("the ceiling of 4.0 KiB, 4 times the 1.0 KiB of champion")


def test_unscored_and_unrun_items_and_open_ends_are_told() -> None:
    words = sentence(reason(lower=None, unscored=3, not_run=40), UNITS)
    assert (
        f"(90% interval {MINUS}\N{INFINITY} to +20.0, n = 100, 3 unscored, counted as the worst case, 40 items not run"
        in words
    )


def test_what_was_not_estimated_is_told_in_the_gates_words() -> None:
    assert sentence(reason(kind="must_pass", difference=None, text="failed 1 of 2"), UNITS) == "failed 1 of 2"
