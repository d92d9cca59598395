"""The demo's rows and golden set."""

import itertools
import json
from collections import Counter
from pathlib import Path

import pytest

from demo.queues import NUM_ROWS, QUEUE, ROWS, SEED, golden, rows
from demo.support import PRODUCT_FREE, REQUESTS

ROOT = Path(__file__).parents[2]


def test_the_committed_files_are_what_the_generator_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    made = {ROWS: itertools.islice(rows(SEED), NUM_ROWS)}
    made |= {Path(f"golden_sets/queues/{split}.jsonl"): golden(split) for split in ("dev", "test")}
    for path, lines in made.items():
        assert path.read_text(encoding="utf-8") == "".join(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize("seed", [0, 7, 123])
def test_a_row_names_the_queue_of_its_template(seed: int) -> None:
    queue_of = {
        template: queue
        for texts in (REQUESTS, PRODUCT_FREE)
        for (queue, _), templates in texts.items()
        for template in templates
    }
    counts: Counter[str] = Counter()
    for row in itertools.islice(rows(seed), 400):
        *system, _, answer = row["messages"]
        if system:
            assert system == [{"role": "system", "content": QUEUE}]
            assert answer["content"] == queue_of[row["group"]]
        counts[answer["content"] if system else "general"] += 1
    assert counts.keys() == {"safety", "billing", "shipping", "account", "technical", "general"}
    assert min(counts.values()) > 40


def test_no_request_to_train_on_is_a_golden_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    asked = {item["messages"][-1]["content"] for split in ("dev", "test") for item in golden(split)}
    assert asked.isdisjoint(row["messages"][-2]["content"] for row in itertools.islice(rows(SEED), NUM_ROWS))
