"""The demo's training rows."""

import itertools
import json
from pathlib import Path

import pytest

from demo.support import REPLY, TRIAGE, rows

ROOT = Path(__file__).parents[2]


def test_the_committed_file_is_what_the_generator_writes() -> None:
    lines = "".join(json.dumps(row) + "\n" for row in itertools.islice(rows(7), 600))
    assert (ROOT / "data/raw/support.jsonl").read_text(encoding="utf-8") == lines


def test_another_seed_writes_other_rows() -> None:
    assert list(itertools.islice(rows(1), 20)) != list(itertools.islice(rows(2), 20))


@pytest.mark.parametrize("seed", [0, 7, 123])
def test_labels_follow_the_guide(seed: int) -> None:
    for row in itertools.islice(rows(seed), 400):
        system, user, assistant = row["messages"]  # type: ignore[misc]
        if system["content"] != TRIAGE:
            assert system["content"] == REPLY
            continue
        record = json.loads(assistant["content"])
        assert list(record) == ["queue", "priority", "product", "action"]
        assert (record["queue"] == "safety") == (record["action"] == "escalate")
        if record["queue"] == "safety":
            assert record["priority"] == "high"
        elif record["priority"] == "low":
            assert record["action"] == "inform"
        if record["product"] not in ("none",) and user["content"] == user["content"].capitalize():
            assert record["product"] in user["content"]


def test_no_row_comes_twice_and_a_prefix_holds_every_queue() -> None:
    first = list(itertools.islice(rows(7), 160))
    texts = [row["messages"][1]["content"] for row in first]  # type: ignore[index]
    assert len(set(texts)) == len(texts)
    answers = [json.loads(a) for row in first if (a := row["messages"][2]["content"]).startswith("{")]  # type: ignore[index]
    assert {answer["queue"] for answer in answers} == {"safety", "billing", "shipping", "account", "technical"}
