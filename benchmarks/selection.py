"""Whether 30% of the rows chosen by `select` train a better model than 30% at random.

Run:  python -m benchmarks.selection --folder /tmp/selection --data ../shared/data/bitext

Every arm is a run of the pipeline on the same pool of Bitext's customer-support utterances, with one LoRA training and
the same settings but for the step `select`; the model names each utterance's category. An arm that is there already is
not run again. It ends with a table, and with the paired difference between each way of choosing and the random arms.
"""

import argparse
import csv
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from demo.copies import copy_sources
from evalsuite.core.text import whole_form
from evalsuite.items.results import read_result
from evalsuite.stats.paired import paired_interval
from evalsuite.suites.golden_set.check import new_set
from tasks.paths import ArtifactPaths

SYSTEM = "Name the category of the customer's request in one word."
NUM_TEST, NUM_DEV, NUM_POOL = 240, 44, 400
SHARE = 0.3
ALPHA = 0.025
"""One-sided, so that the intervals are of 95%."""
ARMS: dict[str, dict[str, Any]] = {
    "random 1": {"by": "random", "seed": 1},
    "random 2": {"by": "random", "seed": 2},
    "ifd": {"by": "ifd"},
    "ifd, diverse": {"by": "ifd", "most_similar": 0.8},
    "perplexity, diverse": {"by": "perplexity", "most_similar": 0.8},
}


def main() -> int:
    """Run the arms that are not there yet, and print what they are worth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the projects lie")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/bitext"), help="the folder of the utterances")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    asked = parser.parse_args()
    shared = asked.folder.resolve()
    rows = utterances(asked.data / "bitext_customer_support.csv")
    scores = {arm: scores_of(shared, arm, rows) for arm in asked.arms}
    print("| rows | accuracy |\n|---|---|")
    for arm, own in scores.items():
        print(f"| {arm} | {own.mean():.3f} |")
    drawn = [own for arm, own in scores.items() if arm.startswith("random")]
    if drawn:
        compare(scores, np.mean(drawn, axis=0))
    return 0


def compare(scores: Mapping[str, NDArray[np.float64]], drawn: NDArray[np.float64]) -> None:
    """Each way of choosing against the mean of the random arms, item by item."""
    for arm, own in scores.items():
        if not arm.startswith("random"):
            found = paired_interval(own, drawn, None, ALPHA)
            print(f"{arm}: {own.mean() - drawn.mean():+.3f} [{found.lower:+.3f}, {found.upper:+.3f}] against random")
    for arm, own in scores.items():
        if not arm.startswith("random"):
            print(f"ratio selection_{arm.replace(', ', '_')}_vs_random {own.mean() / drawn.mean():.3f}")


def utterances(path: Path) -> list[tuple[str, str]]:
    """Utterance and category, each utterance once but for case and punctuation, in an order drawn with a seed."""
    with path.open(encoding="utf-8", newline="") as stream:
        found = {
            whole_form(row["instruction"]): (row["instruction"], row["category"].lower())
            for row in csv.DictReader(stream)
        }
    rows = sorted(found.values())
    random.Random(7).shuffle(rows)  # noqa: S311  a sample, no secret
    return rows


def scores_of(shared: Path, arm: str, rows: list[tuple[str, str]]) -> NDArray[np.float64]:
    """The trained model's score on each test item, in the order of the items."""
    project = shared / arm.replace(", ", "-").replace(" ", "-")
    paths = ArtifactPaths(project)
    if not (paths.evals("lora") / "golden/summary.json").is_file():
        shutil.rmtree(project, ignore_errors=True)
        make_project(project, shared, arm, rows)
        command = [sys.executable, "-m", "flows.cli", "run", "--any-verdict"]
        environment = {**os.environ, "PREFECT_HOME": str(project / ".prefect")}
        with (project / "run.txt").open("w") as log:
            subprocess.run(command, cwd=project, env=environment, check=True, stdout=log, stderr=log)  # noqa: S603
    table = read_result(paths.evals("lora") / "golden").table()
    order = np.argsort(table.item_ids)
    return np.asarray(table.scores["normalized_exact"], dtype=np.float64)[order]


def make_project(project: Path, shared: Path, arm: str, rows: list[tuple[str, str]]) -> None:
    """This project's code with other rows, items and settings; cache and answers lie in the shared folder."""
    here = Path.cwd()
    copy_sources(here, project)
    (project / ".dvc").mkdir()
    (project / ".dvc/config").write_text(
        "[core]\n    analytics = false\n    no_scm = true\n"
        f'[cache]\n    dir = {shared / "cache"}\n    type = "hardlink,reflink,copy"\n'
    )
    golden = project / "golden_sets/categories"
    pool, dev, test = rows[:NUM_POOL], rows[NUM_POOL : NUM_POOL + NUM_DEV], rows[NUM_POOL + NUM_DEV :][:NUM_TEST]
    write_lines(
        project / "data/raw/rows.jsonl",
        [{"messages": [*asked(text), {"role": "assistant", "content": name}]} for text, name in pool],
    )
    for name in ("data/suites", "registry"):
        shutil.copytree(here / name, project / name, ignore=shutil.ignore_patterns("__pycache__", "[0-9a-f]" * 16))
    for split, items in (("dev", dev), ("test", test)):
        entries = [
            {
                "id": f"{split}-{number:03}",
                "messages": asked(text),
                "references": [name],
                "metrics": ["normalized_exact"],
            }
            for number, (text, name) in enumerate(items)
        ]
        write_lines(golden / f"{split}.jsonl", entries)
    new_set(golden)
    params = yaml.safe_load((here / "params.yaml").read_text(encoding="utf-8"))
    params["prepare"] |= {"sources": ["data/raw/rows.jsonl"], "group_by": None, "max_rows": None}
    params["prepare"]["steps"] = ["duplicates", "held_out", {"select": {"share": SHARE, **ARMS[arm]}}, "length"]
    params["methods"] = {"lora": params["methods"]["lora"] | {"epochs": 2}}
    params["evaluation"]["golden"]["path"] = "golden_sets/categories"
    params["evaluation"]["harness"]["tasks"] = {}
    rules = [rule for rule in params["gate"]["rules"] if rule["kind"] == "target"]
    params["gate"]["rules"] = rules
    params["promote"]["automatic"] = False
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    (shared / "answers").mkdir(parents=True, exist_ok=True)
    (project / ".ratchet").mkdir()
    (project / ".ratchet/eval_cache").symlink_to(shared / "answers")


def asked(text: str) -> list[dict[str, str]]:
    """The turns before the answer."""
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]


def write_lines(path: Path, entries: list[dict[str, Any]]) -> None:
    """One JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
