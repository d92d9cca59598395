"""The tour's project: a random model of 100,000 parameters that learns in seconds which queue a ticket goes to.

A ticket names one of twenty products among words that say nothing, and its queue follows from the product. The golden
items are other tickets of the same kind, so that nothing is learnt by heart and everything can be.

Run:  python -m demo.tickets PROJECT     (makes the model)
"""

import itertools
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from demo.copies import copy_sources
from demo.tiny_model import CHAT_TEMPLATE, make_tiny_model
from evalsuite.core.files import sha256_file, write_json

METHOD = "tickets"
BASE = "tiny"
ROWS = "data/raw/tickets.jsonl"
GOLDEN = "golden_sets/tickets"
NUM_ROWS = 1600
NUM_ITEMS = {"dev": 40, "test": 200}
SEEDS = {"rows": 1, "dev": 2, "test": 3}
QUEUES = {
    "printer": "amber", "router": "birch", "camera": "cedar", "laptop": "delta", "phone": "ember",
    "tablet": "fjord", "monitor": "grove", "keyboard": "heath", "headset": "ivory", "charger": "jade",
    "scanner": "karst", "speaker": "lotus", "battery": "maple", "server": "noble", "drone": "olive",
    "watch": "pearl", "modem": "quartz", "plotter": "raven", "beamer": "slate", "mouse": "topaz",
}  # fmt: skip
SENTENCE = (
    "please help me my is broken since this morning the new old one on floor in office again and nobody knows why it "
    "stopped after we moved can you look at today"
)
"""Its words say nothing about the product."""
RENAMED, NEW_NAME = "mouse", "amber"
"""Its tickets are one of twenty, 10 of 200 golden items: with what else changes, a loss that is about ``MARGIN``."""
MARGIN = 0.06
Row = dict[str, str]


def rows(seed: int, number: int) -> list[Row]:
    """Distinct tickets with their queues; products take turns."""
    rng = random.Random(seed)  # noqa: S311  reproducible text, nothing secret
    found: dict[str, str] = {}
    for product in itertools.cycle(QUEUES):
        words = rng.choices(SENTENCE.split(), k=rng.randint(6, 10))
        words.insert(rng.randint(0, len(words)), product)
        found.setdefault(" ".join(words), QUEUES[product])
        if len(found) == number:
            return [{"prompt": text, "completion": queue} for text, queue in found.items()]
    raise AssertionError("products never end")


def right_rows() -> list[Row]:
    """What the golden set holds to be right."""
    return rows(SEEDS["rows"], NUM_ROWS)


def moved_rows() -> list[Row]:
    """Each ticket with the answer of the one seven lines on, as after a join that went wrong."""
    good = right_rows()
    return [
        {"prompt": row["prompt"], "completion": other["completion"]}
        for row, other in zip(good, good[7:] + good[:7], strict=True)
    ]


def renamed_rows() -> list[Row]:
    """One product's tickets with another product's queue, as after a change that the golden set does not know of."""
    return [row | {"completion": NEW_NAME} if row["completion"] == QUEUES[RENAMED] else row for row in right_rows()]


def write_rows(project: Path, made: list[Row]) -> None:
    """Put them where the project trains from."""
    (project / ROWS).write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")


def make_project(here: Path, project: Path) -> None:
    """A project with the stages and code of the one in ``here``, a cache, a remote and a registry of its own.

    ``make_model`` makes its model, which takes longer.
    """
    copy_sources(here, project)
    for folder in ("data/raw", "data/suites", ".dvc", "registry", GOLDEN):
        (project / folder).mkdir(parents=True)
    (project / "data/suites/README.md").write_text("The tour has no suite of its own.\n", encoding="utf-8")
    (project / ".dvc/config").write_text(
        "[core]\n    remote = store\n    analytics = false\n    no_scm = true\n"
        '[cache]\n    type = "hardlink,reflink,copy"\n'
        "['remote \"store\"']\n    url = ../.dvc-remote\n",
        encoding="utf-8",
    )
    write_json(project / "registry/champion.json", {"schema_version": 1, "champion": None})
    write_golden(project / GOLDEN)
    write_rows(project, right_rows())
    (project / "params.yaml").write_text(yaml.safe_dump(params(), sort_keys=False), encoding="utf-8")


def make_model(project: Path) -> None:
    """The base model; its tokenizer knows the pieces of the tickets' words, which are learnt faster than whole ones."""
    text = [CHAT_TEMPLATE, *QUEUES.values(), *(row["prompt"] for row in right_rows()[:200])]
    make_tiny_model(project / BASE, text=text)


def write_golden(folder: Path) -> None:
    """Dev and test items, and the manifest that vouches for them."""
    files = {}
    for split, number in NUM_ITEMS.items():
        path = folder / f"{split}.jsonl"
        path.write_text("".join(json.dumps(item) + "\n" for item in items(split, number)), encoding="utf-8")
        files[path.name] = {"sha256": sha256_file(path), "n": number}
    about = {"name": "tickets", "version": "1.0.0", "licence": "Apache-2.0", "source": "demo/tickets.py"}
    write_json(folder / "manifest.json", {"schema_version": 1, **about, "files": files})


def items(split: str, number: int) -> Iterator[dict[str, Any]]:
    """Golden items of one split."""
    for place, row in enumerate(rows(SEEDS[split], number)):
        yield {
            "id": f"{split}-{place:03d}",
            "messages": [{"role": "user", "content": row["prompt"]}],
            "references": [row["completion"]],
            "metrics": ["exact_match"],
            "slices": {"queue": row["completion"]},
        }


def params() -> dict[str, Any]:
    """One method; the rules are those of a real project: a proven gain over the base, no loss against anyone."""
    gate = {"suite": "golden", "metric": "exact_match"}
    return {
        "model": {"id": BASE},
        "prepare": {"sources": [ROWS], "max_length_tokens": 128, "seed": 7},
        "hardware": {"price_per_hour": 0.1},
        "launch": {"processes_per_node": 1},
        "methods": {METHOD: {"kind": "full", "learning_rate": 5e-3, "epochs": 2}},
        "train": {
            "batch_size": 16,
            "micro_batch_size": 16,
            "max_length_tokens": 128,
            "packing": False,
            "select_metric": "exact_match",
        },
        "evaluation": {"golden": {"path": GOLDEN, "max_new_tokens": 6}, "harness": {"tasks": {}}},
        "contamination": {"max_fraction": 0.1},
        "sequential": {"suites": []},
        "compare": {"metric": "exact_match"},
        "gate": {
            "rules": [
                {**gate, "kind": "target", "min_gain": 0.5, "against": "base"},
                {**gate, "kind": "guard", "margin": MARGIN},
            ]
        },
        "promote": {"automatic": True},
        # A retry would go on from the checkpoint at once, and the tour shows that the next night can.
        "schedule": {"name": "tour", "retries": 0},
    }


if __name__ == "__main__":
    make_model(Path(sys.argv[1]))
