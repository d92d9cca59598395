"""What a rule reads: sorted, hashed and cut into slices."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from evalsuite.gate.pairing import PIECE, Hashed, Sortings, columns_of, sort_by_id, table_sha256
from evalsuite.items.results import COMPARED_FIELDS, EvalReport, ScoreTable, SuiteInfo


def report(ids: list[str], topics: list[str]) -> EvalReport:
    num_items = len(ids)
    table = ScoreTable(
        info=SuiteInfo(suite="s", suite_version="1", items_sha256="x"),
        item_ids=tuple(ids),
        item_hashes=tuple(f"hash of {item}" for item in ids),
        clusters=tuple(ids),
        slices={"topic": tuple(topics)},
        scores={"exact": np.arange(num_items, dtype=np.float64)},
        applies={"exact": np.ones(num_items, dtype=np.bool_)},
        must_pass={},
    )
    return EvalReport("model", "identity", {"s": table}, {})


@pytest.mark.parametrize(
    "names",
    [
        [f"item-{i}" for i in range(PIECE + 3)],
        ['a "quoted" id', "back\\slash", "tab\there"],
        ["naïve", "日本語", "\u2028", "\ud800"],
        ["", " ", '", "'],
        ["one"],
    ],
    ids=["more than a piece", "escapes", "not ascii", "separators", "one item"],
)
def test_the_hash_is_that_of_the_whole_json_text(names: list[str]) -> None:
    table = sort_by_id(report(names, names)).suites["s"]
    described = {
        "info": table.info.model_dump(mode="json", include=set(COMPARED_FIELDS)),
        "item_ids": table.item_ids,
        "item_hashes": table.item_hashes,
        "clusters": table.clusters,
        "slices": dict(table.slices),
        "columns": [["exact"], ["exact"], [], []],
    }
    text = json.dumps(described, sort_keys=True)
    binary = table.scores["exact"].tobytes() + table.applies["exact"].tobytes()
    assert table_sha256(table) == hashlib.sha256(text.encode() + binary).hexdigest()


def test_slices_are_what_masks_select() -> None:
    rng = np.random.default_rng(0)
    topics = [["", "a", "b", "c"][i] for i in rng.integers(0, 4, 500)]
    columns = columns_of(sort_by_id(report([f"{i:04d}" for i in range(500)], topics)).suites["s"], None, "exact")
    parts = columns.parts("topic")
    assert list(parts) == ["a", "b", "c"]
    for name, part in parts.items():
        assert part.candidate.tolist() == [float(i) for i, topic in enumerate(topics) if topic == name]


def test_what_is_known_of_one_models_order_is_not_used_for_another_order() -> None:
    known: Sortings = []
    first = sort_by_id(report(["b", "a", "c"], ["x", "y", "z"]), known).suites["s"]
    again = sort_by_id(report(["c", "b", "a"], ["x", "y", "z"]), known).suites["s"]
    assert first.item_ids == again.item_ids == ("a", "b", "c")
    assert first.slices["topic"] == ("y", "x", "z")
    assert again.slices["topic"] == ("z", "y", "x")


def test_the_hash_of_one_model_is_not_used_for_settings_that_only_python_calls_equal() -> None:
    whole = sort_by_id(report(["a", "b"], ["x", "y"])).suites["s"]
    as_number, as_flag = (
        replace(whole, info=whole.info.model_copy(update={"decoding": {"greedy": value}})) for value in (1, True)
    )
    known: Hashed = []
    hashes = [table_sha256(table, known) for table in (as_number, as_flag, as_number)]
    assert hashes == [table_sha256(table) for table in (as_number, as_flag, as_number)]
    assert hashes[0] != hashes[1]
