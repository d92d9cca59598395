"""Candidates and exact comparison, against brute force on real texts and on random ones."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.core.text import as_written
from tasks.prepare.alike import near
from tasks.prepare.alike.near import Nearest, NearIndex, bands_of
from tasks.prepare.alike.shingles import Shingling
from tests.tasks.prepare.alike.real_texts import bitext, medquad, needs_texts, similar_pairs


def index_of(texts: Sequence[str], threshold: float = 0.8, seed: int = 0) -> NearIndex:
    written = [as_written(text).casefold() for text in texts]
    return NearIndex.of(written.__getitem__, len(written), threshold, seed=seed)


def grams(text: str) -> set[str]:
    return {text[at : at + 5] for at in range(max(1, len(text) - 4))}


@pytest.mark.parametrize("threshold", [0.7, 0.8])
@needs_texts
def test_nearly_all_pairs_that_brute_force_finds_in_real_texts_are_compared(threshold: float) -> None:
    texts = bitext(2000, every=2) + [answer for _, answer in medquad(500)]
    ones, others = similar_pairs(texts, threshold)
    index = index_of(texts, threshold)
    beside = ((index.buckets[ones] == index.buckets[others]) & (index.buckets[ones] >= 0)).any(axis=1)
    likely = (index.low_bits[ones] == index.low_bits[others]).sum(axis=1) >= index.least_equal
    assert len(ones) > 300
    assert (beside & likely).mean() >= 0.98


@pytest.mark.parametrize(("threshold", "num_perm"), [(0.3, 128), (0.8, 128), (0.8, 32), (0.95, 256), (1.0, 64)])
def test_the_longest_bands_are_taken_that_find_a_pair_at_the_threshold(threshold: float, num_perm: int) -> None:
    bands, size = bands_of(threshold, num_perm)
    assert bands * size <= num_perm
    found = 1 - (1 - threshold**size) ** bands
    assert found >= 0.99 or size == 1
    if size < num_perm:
        assert 1 - (1 - threshold ** (size + 1)) ** (num_perm // (size + 1)) < 0.99


SENTENCES = st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=12).map(" ".join), max_size=25)


@given(SENTENCES, st.floats(0.3, 1.0), st.integers(0, 3))
def test_whatever_is_found_is_as_similar_as_the_threshold_exactly(
    texts: list[str], threshold: float, seed: int
) -> None:
    index = index_of(texts, threshold, seed)
    kept = Nearest(index)
    added = []
    for at in range(len(texts)):
        found = kept.find(at)
        if found is None:
            kept.add(at)
            added.append(at)
        else:
            assert found.row in added
            one, other = grams(texts[at]), grams(texts[found.row])
            assert found.similarity == len(one & other) / len(one | other) >= threshold


@settings(max_examples=40)
@given(SENTENCES, st.integers(0, 10))
def test_rows_that_come_later_change_nothing_for_those_before(texts: list[str], cut: int) -> None:
    def found_in(some: list[str]) -> list[near.Alike | None]:
        index = index_of(some, 0.6)
        kept, found = Nearest(index), []
        for at in range(len(some)):
            found.append(kept.find(at))
            kept.add(at)
        return found

    assert found_in(texts)[:cut] == found_in(texts[:cut])


@settings(max_examples=40)
@given(SENTENCES, st.sampled_from([2, 3, 256]), st.data())
def test_pairs_that_are_looked_at_beforehand_are_those_that_looking_row_by_row_finds(
    texts: list[str], most: int, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(texts))))

    def found_with(few: int) -> list[near.Alike | None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(near, "FEW_IN_BUCKET", few)
            patch.setattr(near, "MAX_IN_BUCKET", most)
            kept, found = Nearest(index_of(texts, 0.6)), []
            for at in order:
                found.append(kept.find(at))
                if found[-1] is None:
                    kept.add(at)
            return found

    assert found_with(0) == found_with(4) == found_with(100)


def test_batches_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"the request number {number % 7} of customer {number % 11} came late" for number in range(200)]
    whole = index_of(texts)
    monkeypatch.setattr(near, "BATCH_CHARACTERS", 300)
    parts = index_of(texts)
    assert (whole.buckets == parts.buckets).all()
    assert (whole.low_bits == parts.low_bits).all()


def test_in_a_crowd_a_row_is_compared_with_the_first_rows_alone_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(near, "MAX_IN_BUCKET", 3)
    index = index_of(["the very same text"] * 10)
    there = Nearest(index)
    for at in range(10):
        there.add(at)
    assert there.find(0) is not None
    assert there.crowded > 0
    there.say_crowded("here")
    assert "here: 7 rows share so much with more than 3 others" in caplog.text


def test_words_are_compared_where_they_are_asked_for() -> None:
    texts = ["a b c d e f g h", "a b c d e f g x", "h g f e d c b a"]
    index = NearIndex.of(texts.__getitem__, 3, 0.7, Shingling("words", 2))
    there = Nearest(index)
    there.add(0)
    found = there.find(1)
    assert found is not None
    assert found.similarity == pytest.approx(6 / 8)
    assert there.find(2) is None


def test_an_index_of_no_rows_is_no_error() -> None:
    assert index_of([]).buckets.shape[0] == 0
    assert np.array_equal(index_of(["a"]).buckets, np.full((1, 21), -1))
