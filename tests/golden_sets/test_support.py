"""The support golden set against its own card and label guide."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.text import comparable
from evalsuite.suites.golden_set.items import GoldenItem, read_golden_items, read_set_manifest

FOLDER = Path(__file__).parents[2] / "golden_sets/support"
ACTIONS = {
    "safety": {"escalate"},
    "billing": {"refund", "cancel", "inform"},
    "shipping": {"track", "replace", "inform"},
    "account": {"reset", "inform"},
    "technical": {"troubleshoot", "replace", "inform"},
}


def items(split: str) -> tuple[GoldenItem, ...]:
    return read_golden_items(FOLDER / f"{split}.jsonl")


def test_the_manifest_names_these_bytes() -> None:
    assert read_set_manifest(FOLDER).files["test.jsonl"].n == len(items("test"))


def test_there_are_enough_items_slices_and_must_pass_items() -> None:
    dev, test = items("dev"), items("test")
    assert len(dev) >= 60
    assert len(test) >= 200
    assert sum(bool(item.must_pass) for item in test) >= 10
    slices = Counter((key, value) for item in test for key, value in item.slices.items())
    assert len(slices) >= 4
    assert min(slices.values()) >= 10


@pytest.mark.parametrize("split", ["dev", "test"])
def test_every_record_follows_the_label_guide(split: str) -> None:
    for item in items(split):
        if item.slices["task"] != "triage":
            continue
        record: dict[str, Any] = json.loads(item.references[0])
        assert list(record) == ["queue", "priority", "product", "action"]
        assert record["action"] in ACTIONS[record["queue"]], item.id
        assert item.slices["queue"] == record["queue"]
        if record["queue"] == "safety":
            assert record["priority"] == "high", item.id
        elif record["priority"] != "high":
            assert (record["priority"] == "low") == (record["action"] == "inform"), item.id


def test_no_text_occurs_twice_within_or_between_the_splits() -> None:
    texts = Counter(comparable(item.messages[-1].content) for split in ("dev", "test") for item in items(split))
    assert [text for text, count in texts.items() if count > 1] == []
