"""The demo's second chapter: a candidate that learnt wrong answers, judged against the champion of the first.

Run:  python -m demo.chapter_two     (in the project's folder, after `ratchet run` promoted a model)

Its training rows are the project's own with the answers in the wrong places, as after a join that went wrong; a few
steps on them are enough. It runs in a copy of the project, so that neither the champion nor any output here changes.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from demo.copies import copy_sources
from demo.queues import QUEUE
from evalsuite.core.files import read_json
from evalsuite.core.terminal import printable
from evalsuite.gate.decision import read_decision
from evalsuite.items.results import read_result
from evalsuite.report.flips import flips_of
from tasks.paths import ArtifactPaths

ROWS = "data/raw/shuffled.jsonl"
METHOD = "shuffled"
NUM_ROWS = 44
MOST_ITEMS = 5
CHAMPION = "registry/champion.json"
WEIGHTS = "[0-9a-f]" * 16
"""A promoted model's folder in registry/models; its pointer is copied, and brings it back from DVC's cache."""


def main() -> int:
    """Make the copy, run it, and show what the champion could and the candidate cannot."""
    here = Path.cwd()
    if read_json(here / CHAMPION, "ratchet run")["champion"] is None:
        print("\nNothing was promoted, so that there is no champion to defend: chapter two is left out.")
        return 0
    copy = here / ".ratchet" / "chapter_two"
    whole = all((copy / name).is_file() for name in (CHAMPION, "params.yaml"))  # the latter is written last
    if not whole or (copy / CHAMPION).read_bytes() != (here / CHAMPION).read_bytes():
        shutil.rmtree(copy, ignore_errors=True)
        make_copy(here, copy)
    print(
        f"\nChapter two: the same method learns shuffled answers, and must beat the champion.\ncopy: {copy}\n",
        flush=True,
    )
    code = ratchet(copy, "run", "--any-verdict")
    if code:
        return code
    show_broken(copy)
    print("\nWhat the ledger says:", flush=True)
    ratchet(copy, "history")
    print(
        "\nTry next:\n"
        "  .venv/bin/ratchet report open                     what a reviewer sees of the promotion\n"
        '  .venv/bin/ratchet rollback --reason "a trial"     one command back\n'
        "  change a margin in params.yaml, then .venv/bin/ratchet run: the gate judges again, nothing is trained"
    )
    return 0


def make_copy(here: Path, copy: Path) -> None:
    """The project with other rows and one method; DVC's cache, its remote and the answers are shared."""
    copy_sources(here, copy)
    for name in ("golden_sets", "data/suites", "registry"):
        shutil.copytree(here / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", WEIGHTS))
    for folder in ("data/raw", ".dvc", ".ratchet"):
        (copy / folder).mkdir(parents=True)
    (copy / ".ratchet/eval_cache").symlink_to(ArtifactPaths(here.resolve()).eval_cache)
    (copy / ".dvc/config").write_text(dvc_config(here), encoding="utf-8")
    rows = [json.loads(line) for line in (here / "data/raw/queues.jsonl").read_text(encoding="utf-8").splitlines()]
    (copy / ROWS).write_text("".join(json.dumps(row) + "\n" for row in shuffled(rows)), encoding="utf-8")
    params = worse(yaml.safe_load((here / "params.yaml").read_text(encoding="utf-8")))
    (copy / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def dvc_config(here: Path) -> str:
    """The project's DVC settings, its cache and its remote by their full paths."""
    cache, remote = (here / ".dvc/cache").resolve(), (here / ".dvc-remote").resolve()
    return (
        "[core]\n    remote = store\n    analytics = false\n    no_scm = true\n"
        f'[cache]\n    dir = {cache}\n    type = "hardlink,reflink,copy"\n'
        f"['remote \"store\"']\n    url = {remote}\n"
    )


def shuffled(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that ask for a queue, each with the answer of the one that stands seven places on."""
    own = [row for row in rows if row["messages"][0]["content"] == QUEUE]
    others = own[7:] + own[:7]
    return [
        {**row, "messages": [*row["messages"][:-1], other["messages"][-1]]}
        for row, other in zip(own, others, strict=True)
    ]


def worse(params: dict[str, Any]) -> dict[str, Any]:
    """The project's params with the shuffled rows, one method, and of the rules those of the golden set."""
    params["prepare"] |= {"sources": [ROWS], "max_rows": NUM_ROWS}
    params["methods"] = {METHOD: params["methods"]["lora"] | {"epochs": 1}}
    params["evaluation"]["harness"]["tasks"] = {}
    params["gate"]["rules"] = [rule for rule in params["gate"]["rules"] if rule["suite"] == "golden"]
    params["promote"]["automatic"] = False
    return params


def show_broken(copy: Path) -> None:
    """The items that the champion answered better, worst first."""
    paths = ArtifactPaths(copy)
    policy = read_decision(paths.decision).policy
    new, old = ({"golden": read_result(paths.evals(model) / "golden")} for model in (METHOD, "champion"))
    (group,) = flips_of(new, old, "champion", policy)
    print(f"\n{group.num_broken} golden items got worse than the champion's and {group.num_fixed} better. The worst:")
    for flip in group.broken[:MOST_ITEMS]:
        change = flip.changes[0]
        print(f"  {flip.candidate.item_id}  {change.metric} {change.before or 0:.2f} -> {change.after or 0:.2f}")
        print(f"    champion   {printable(flip.baseline.output.strip())}")
        print(f"    candidate  {printable(flip.candidate.output.strip())}")


def ratchet(folder: Path, *arguments: str) -> int:
    """The exit code of the command line on the copy, with the Prefect database that is there already."""
    command = [sys.executable, "-m", "flows.cli", *arguments]
    environment = {**os.environ, "PREFECT_HOME": str(Path.cwd() / ".prefect")}
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode  # noqa: S603  a fixed argv


if __name__ == "__main__":
    raise SystemExit(main())
