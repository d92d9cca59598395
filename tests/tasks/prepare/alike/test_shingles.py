"""Sets of runs, against scikit-learn's n-grams and against the runs themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.formats import Row
from tasks.objectives.sft import Sft
from tasks.objectives.text import Text
from tasks.prepare.alike.shingles import Shingling, compared_text, jaccard

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


def row(*turns: tuple[str, str], text: str | None = None) -> Row:
    return Row("f:1", "1", "chat", tuple({"role": role, "content": said} for role, said in turns), {}, text)


def test_what_is_compared_is_the_prompt_or_all_but_the_system_turn() -> None:
    asked = row(("system", "Be brief."), ("user", "Where  IS it?"), ("assistant", "There."), ("user", "OK"))
    assert compared_text(asked, "prompt", Sft()) == "where is it? ok"
    assert compared_text(asked, "conversation", Sft()) == "where is it? there. ok"
    assert compared_text(row(text="A  Document"), "prompt", Text()) == "a document"
