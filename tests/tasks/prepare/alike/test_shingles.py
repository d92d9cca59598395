"""Sets of runs, against scikit-learn's n-grams and against the runs themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.core.text import as_written
from tasks.data.formats import Row
from tasks.objectives.sft import Sft
from tasks.objectives.text import Text
from tasks.prepare.alike.shingles import LONG, Shingling, compared_text, jaccard, jaccard_of_numbers

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30), min_size=1)
SHINGLING = st.builds(Shingling, st.sampled_from(["characters", "words"]), st.integers(2, 8))


@given(TEXTS, SHINGLING)
def test_each_text_has_as_many_hashes_as_runs_and_equal_runs_have_equal_ones(
    texts: list[str], shingling: Shingling
) -> None:
    values, offsets = shingling.hashes(texts)
    runs_of: dict[frozenset[int], frozenset[str]] = {}
    for text, start, end in zip(texts, offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        own = frozenset(values[start:end].tolist())
        assert len(own) == len(shingling.of(text))
        assert runs_of.setdefault(own, shingling.of(text)) == shingling.of(text)
    assert len(runs_of) == len({shingling.of(text) for text in texts})


@given(st.text("abc d", min_size=5, max_size=30), st.text("abc d", min_size=5, max_size=30))
def test_the_similarity_is_that_of_scikit_learns_5_grams(one: str, other: str) -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.metrics import jaccard_score

    one, other = " ".join(one.split()).ljust(5, "x"), " ".join(other.split()).ljust(5, "x")
    grams = CountVectorizer(analyzer="char", ngram_range=(5, 5), lowercase=False, binary=True)
    first, second = grams.fit_transform([one, other]).toarray()
    shingling = Shingling()
    assert jaccard(shingling.of(one), shingling.of(other)) == pytest.approx(jaccard_score(first, second))


LETTERS = st.text("ab \u00e9\u0431\u0bff\u2019\u23ff", min_size=1, max_size=60)


@given(LETTERS, LETTERS, st.integers(2, 7))
def test_numbers_give_the_similarity_of_the_runs_themselves(one: str, other: str, size: int) -> None:
    long = [(text * LONG)[: LONG + len(text)] for text in (one, one + other)]
    shingling = Shingling(size=size)
    first, second = (shingling.numbers(text) for text in long)
    if first is not None and second is not None:
        assert len(first) == len(shingling.of(long[0]))
        assert jaccard_of_numbers(first, second) == jaccard(*map(shingling.of, long))
    assert size > 5 or first is not None


@pytest.mark.parametrize("text", ["a" * (LONG - 1), "\u4e2d" * LONG, "\u0c05" * LONG, "\u1fff" * LONG, "\u2400" * LONG])
def test_a_short_text_or_one_whose_characters_do_not_fit_has_no_numbers(text: str) -> None:
    assert Shingling().numbers(text) is None
    assert Shingling("words").numbers(text * 2) is None


def row(*turns: tuple[str, str], text: str | None = None) -> Row:
    return Row("f:1", "1", "chat", tuple({"role": role, "content": said} for role, said in turns), {}, text)


def test_what_is_compared_is_the_prompt_or_all_but_the_system_turn() -> None:
    asked = row(("system", "Be brief."), ("user", "Where  IS it?"), ("assistant", "There."), ("user", "OK"))
    assert compared_text(asked, "prompt", Sft()) == "where is it? ok"
    assert compared_text(asked, "conversation", Sft()) == "where is it? there. ok"
    assert compared_text(row(text="A  Document"), "prompt", Text()) == "a document"


@given(st.lists(st.text(" ab\n\t\u00e9\u0301\u2028", max_size=6), min_size=1, max_size=4))
def test_turns_are_compared_as_lines_of_one_text(texts: list[str]) -> None:
    turns = tuple({"role": "user", "content": text} for text in texts)
    row = Row("f:1", "1", "chat", turns, {})
    assert compared_text(row, "conversation", Sft()) == as_written("\n".join(texts)).casefold()
