"""Sampled answers that become one item."""

from hypothesis import given
from hypothesis import strategies as st

from evalsuite.items.repeats import merge_repeats
from evalsuite.items.results import ItemResult


def answers(scores: list[float], weight: float) -> list[ItemResult]:
    one = {"item_id": "a", "item_hash": "a", "metrics": ("exact",), "denominators": {"exact": weight}}
    return [ItemResult.model_validate({**one, "scores": {"exact": score * weight}}) for score in scores]


@given(st.integers(2, 100), st.floats(0.001, 1000.0))
def test_repeats_that_are_all_right_are_right_whatever_the_weight(n: int, weight: float) -> None:
    # eleven times 0.03, divided by eleven, is 0.02999...: an item that must pass failed
    assert merge_repeats(answers([1.0] * n, weight)).value("exact") == 1.0


def test_one_wrong_repeat_is_no_pass() -> None:
    assert merge_repeats(answers([1.0] * 99 + [0.0], 0.03)).value("exact") < 1.0
