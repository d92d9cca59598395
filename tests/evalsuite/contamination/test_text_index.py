"""What the index finds is what looking at every word finds."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evalsuite.contamination import text_index
from evalsuite.contamination.text_index import TextIndex, Wanted, letters
from evalsuite.core.text import comparable, runs, whole_form, words_of

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SIGNS = st.text(
    "abAB1 (),.!?-'\"*_`\u2019\u00bd\u00b2\u0640\u02bc\u00df\u0130\u4e00\u0e01\u0345\u00ad\u0301", max_size=30
)
LINES = st.lists(
    st.sampled_from([*"abcdefgh", "Is", "3.5", "(so)", "\u4e2d\u6587", "caf\u00e9", "!="]), max_size=40
).map(" ".join)


@given(ANY | SIGNS)
@example("e\u00ad\u0301")
@example("\u1fb3\u0345")
def test_texts_with_the_same_form_have_the_same_letters(text: str) -> None:
    assert letters(comparable(text)) == letters(text)
    assert letters(whole_form(text)) == letters(text)


@given(ANY | SIGNS | LINES, st.integers(1, 6))
def test_the_letters_of_a_run_are_a_part_of_those_of_its_text(text: str, length: int) -> None:
    assert all(letters(run) in letters(text) for run in runs(words_of(text), length))


@settings(max_examples=60)
@given(
    st.lists(LINES | SIGNS, max_size=6), st.lists(LINES | SIGNS, max_size=4), st.sampled_from([(3,), (2, 5), (13, 8)])
)
def test_the_index_finds_what_comparing_all_words_finds(
    wanted: list[str], others: list[str], lengths: tuple[int, ...]
) -> None:
    index = TextIndex([Wanted(text, lengths) for text in wanted])
    joined = [" ".join([*others[:1], text, *others[1:2]]) for text in wanted]
    for text in (*others, *joined, *wanted, *(text.upper() for text in wanted)):
        seen = index.seen_in(text)
        form = whole_form(text)
        assert seen.form == (form if form and form in {whole_form(each) for each in wanted} else None)
        assert index.form_of(text) == seen.form
        for length in lengths:
            known = {run for each in wanted for run in runs(words_of(each), length)}
            assert seen.runs.get(length, []) == [run for run in runs(words_of(text), length) if run in known]


@settings(max_examples=60)
@given(st.lists(LINES | SIGNS, max_size=6), st.lists(LINES | SIGNS, max_size=12), st.integers(1, 60))
def test_looking_at_many_texts_at_once_passes_none_over_that_holds_something(
    wanted: list[str], others: list[str], together: int
) -> None:
    index = TextIndex([Wanted(text, (2, 5)) for text in wanted])
    texts = [*others, *wanted, *(" ".join(pair) for pair in zip(others, wanted, strict=False))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_index, "TOGETHER_BYTES", together)
        may = index.may_hold(texts)
    finds = [index.seen_in(text) != (None, {}) for text in texts]
    assert all(told or not found for told, found in zip(may, finds, strict=True))
    assert may == [index.may_hold([text])[0] for text in texts]


@pytest.mark.parametrize("texts", [(), ("",), ("!?",), ("= + = - = * = / = + = - =",)])
def test_texts_with_few_letters_or_none_are_found_too(texts: Sequence[str]) -> None:
    index = TextIndex([Wanted(text, (8,)) for text in texts])
    for text in texts:
        assert index.seen_in(text).form == (whole_form(text) or None)
        assert index.seen_in(f"so {text} so").runs.get(8, []) == runs(words_of(text), 8)
    assert index.seen_in("other words") == (None, {}) or texts[0].startswith("=")
