"""The demo's training rows and golden set: support requests, and the one word that names their queue.

Run:  python -m demo.queues

The requests to train on come from the templates of ``demo.support`` and every fourth row from ``demo.general``. The
golden items are the hand-written requests of golden_sets/support with their queue as the answer.
"""

import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from demo.general import exchange
from demo.support import PRODUCT_FREE, PRODUCTS, REQUESTS, TRIAGE, request
from evalsuite.core.files import sha256_file, write_json

QUEUE = "Name the queue of the support request in one word."
ROWS = Path("data/raw/queues.jsonl")
NUM_ROWS, SEED = 400, 7
WRITTEN, GOLDEN = Path("golden_sets/support"), Path("golden_sets/queues")


def rows(seed: int) -> Iterator[dict[str, Any]]:
    """Endless distinct rows; queues take turns, so that any prefix is balanced."""
    rng = random.Random(seed)  # noqa: S311  reproducible text, nothing secret
    by_queue = {queue: [pair for pair in REQUESTS if pair[0] == queue] for queue, _ in REQUESTS}
    seen: set[str] = set()
    for number, queue in enumerate(itertools.cycle(by_queue)):
        pair = rng.choice(by_queue[queue])
        product = "none" if pair in PRODUCT_FREE and rng.random() < 0.4 else rng.choice(PRODUCTS)
        text, template = request(*pair, product, rng, urgent=rng.random() < 0.2)
        turns = {"system": QUEUE, "user": text, "assistant": queue}
        if number % 4 == 3:
            text, answer = exchange(rng)
            turns, template = {"user": text, "assistant": answer}, text
        if text not in seen:
            seen.add(text)
            messages = [{"role": role, "content": content} for role, content in turns.items()]
            yield {"id": f"queues-{len(seen):05d}", "group": template, "messages": messages}


def golden(split: str) -> Iterator[dict[str, Any]]:
    """The hand-written requests of one split; ``dev`` or ``test``."""
    for line in (WRITTEN / f"{split}.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        system, user = item["messages"]
        if system["content"] == TRIAGE:
            yield item | {
                "messages": [{"role": "system", "content": QUEUE}, user],
                "references": [item["slices"]["queue"]],
                "metrics": ["normalized_exact"],
                "must_pass": [],
                "slices": {key: item["slices"][key] for key in ("queue", "style")},
            }


def write(path: Path, lines: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """Write JSON lines; returns what a manifest says of the file."""
    made = [json.dumps(line) + "\n" for line in lines]
    path.write_text("".join(made), encoding="utf-8")
    return {"sha256": sha256_file(path), "n": len(made)}


def main() -> int:
    """Write the rows and the golden set."""
    write(ROWS, itertools.islice(rows(SEED), NUM_ROWS))
    files = {f"{split}.jsonl": write(GOLDEN / f"{split}.jsonl", golden(split)) for split in ("dev", "test")}
    about = {"name": "queues", "version": "1.0.0", "licence": "Apache-2.0", "source": "golden_sets/support"}
    write_json(GOLDEN / "manifest.json", {"schema_version": 1, **about, "files": files})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
