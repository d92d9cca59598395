"""Shared beginnings."""

from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.engines.prefixes import MIN_SHARED_TOKENS, common_length, group_by_prefix

HEAD = list(range(100, 140))
PROMPTS = st.lists(
    st.builds(
        lambda shared, tail: HEAD[:shared] + tail,
        st.integers(0, 40),
        st.lists(st.integers(0, 5), min_size=1, max_size=30),
    ),
    min_size=1,
    max_size=40,
)


@settings(deadline=None, max_examples=200)
@given(PROMPTS)
def test_every_prompt_is_in_one_group_and_shares_what_the_group_says(prompts: list[list[int]]) -> None:
    groups = group_by_prefix(prompts)
    assert sorted(index for group in groups for index in group.indices) == list(range(len(prompts)))
    for group in groups:
        heads = {tuple(prompts[index][: group.num_shared]) for index in group.indices}
        assert len(heads) == 1
        assert all(len(prompts[index]) > group.num_shared for index in group.indices)


def test_two_few_shot_blocks_make_two_groups() -> None:
    common, first, second = list(range(20)), list(range(100, 300)), list(range(400, 600))
    prompts = [common + block + [number] for block in (first, second) for number in range(5)]
    groups = group_by_prefix(prompts)
    assert sorted(len(group.indices) for group in groups) == [5, 5]
    assert {group.num_shared for group in groups} == {220}


def test_a_short_beginning_is_not_worth_sharing() -> None:
    short = list(range(MIN_SHARED_TOKENS - 1))
    assert all(group.num_shared == 0 for group in group_by_prefix([[*short, 900], [*short, 901]]))


def test_common_length_stops_at_the_first_difference() -> None:
    assert common_length([1, 2, 3], [1, 2, 4]) == 2
    assert common_length([1, 2], [1, 2, 3]) == 2
