import math

from hypothesis import given
from hypothesis import strategies as st

from evalsuite.judges.wording import sentences, wording


def measure(completion: str, request: str = "How do I bake bread?") -> dict[str, float]:
    found = wording(request, completion)
    return dict(zip(found.names, found.values, strict=True))


@given(st.text(max_size=200), st.text(max_size=400))
def test_any_text_gives_finite_measures_of_the_same_names(request: str, completion: str) -> None:
    found = wording(request, completion)

    assert found.names == wording("a", "b").names
    assert all(math.isfinite(value) for value in found.values)


def test_a_refusal_is_seen_whatever_its_apostrophe() -> None:
    assert measure("I can't help with that.")["cannot_first"] == 1.0
    assert measure("I can\u2019t help with that.")["cannot_first"] == 1.0
    assert measure("Mix flour and water. Bake.")["cannot_count"] == 0.0


def test_a_loop_is_told_from_prose() -> None:
    assert measure("one two three four " * 30)["repeated_fourgrams"] > 0.9
    assert measure("Mix flour, water and salt, wait a night, then bake it hot.")["repeated_fourgrams"] == 0.0


def test_help_after_a_refusal_is_measured() -> None:
    assert measure("I cannot advise on that. However, try:\n1. a\n2. b")["refuses_then_lists"] == 1.0


def test_the_request_that_comes_back_is_measured() -> None:
    assert measure("Anyone can bake good bread.")["recall"] == 1.0
    assert measure("Sunny weather.")["recall"] == 0.0


def test_an_empty_text_is_one_empty_sentence() -> None:
    assert sentences(" \n ") == [""]
