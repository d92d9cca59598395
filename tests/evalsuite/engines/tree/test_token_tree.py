"""Shared beginnings."""

from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.engines.tree.token_tree import TokenTree, common_length

HEAD = list(range(100, 140))
SEQUENCES = st.lists(
    st.builds(
        lambda shared, tail: HEAD[:shared] + tail,
        st.integers(0, 40),
        st.lists(st.integers(0, 3), min_size=1, max_size=12),
    ),
    min_size=1,
    max_size=40,
)


@settings(deadline=None, max_examples=200)
@given(SEQUENCES, st.integers(1, 40))
def test_the_path_to_a_sequence_spells_it(sequences: list[list[int]], min_saved: int) -> None:
    tree = TokenTree(sequences, min_saved)
    for index, sequence in enumerate(sequences):
        nodes = [tree.nodes[number] for number in tree.path(tree.end_node[index])]
        assert [token for node in nodes for token in node.tokens] == sequence
        assert [node.start for node in nodes] == [sum(len(n.tokens) for n in nodes[:i]) for i in range(len(nodes))]
        assert index in nodes[-1].ends


@settings(deadline=None, max_examples=100)
@given(SEQUENCES)
def test_with_no_least_saving_no_token_is_computed_twice(sequences: list[list[int]]) -> None:
    prefixes = {tuple(sequence[:end]) for sequence in sequences for end in range(1, len(sequence) + 1)}
    assert TokenTree(sequences, 1).num_tokens == len(prefixes)


def test_category_question_and_options_are_three_levels() -> None:
    shots, questions = list(range(200)), [[300 + n] * 50 for n in range(4)]
    options = [[900 + n] * 5 for n in range(3)]
    tree = TokenTree([shots + question + option for question in questions for option in options], 8)
    assert {len(tree.path(tree.end_node[index])) for index in range(12)} == {3}
    assert tree.num_tokens == 200 + 4 * 50 + 12 * 5


def test_a_short_beginning_is_not_worth_sharing() -> None:
    assert len(TokenTree([[1, 2, 3, 9], [1, 2, 3, 8]], 4).nodes) == 2
    assert len(TokenTree([[1, 2, 3, 9], [1, 2, 3, 8]], 3).nodes) == 3


def test_prompts_that_grow_token_by_token_need_no_deep_recursion() -> None:
    sequences = [[1] * length for length in range(1, 1500)]
    assert TokenTree(sequences, 1).num_tokens == 1499


def test_common_length_stops_at_the_first_difference() -> None:
    assert common_length([1, 2, 3], [1, 2, 4]) == 2
    assert common_length([1, 2], [1, 2, 3]) == 2
