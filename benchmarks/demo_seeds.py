"""Whether the demo's verdict holds for other seeds and thread counts.

Run:  python -m benchmarks.demo_seeds --folder /tmp/seeds

Each run is the demo's first chapter in a copy of this project with another ``train.seed``. Runs with the same number of
threads share their answers and DVC's cache, so that the base model is answered once for each; a run that is there
already is not made again. It ends with the table of benchmarks/README.md.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import yaml

from demo.copies import copy_sources
from evalsuite.gate.decision import read_decision
from tasks.paths import ArtifactPaths

SEEDS = (7, 1, 2, 3, 4)
THREADS = (1, 2)
DATA = ("golden_sets", "data/suites", "data/raw", "registry")
SECONDS, LOAD = "seconds.txt", "load.txt"


def main() -> int:
    """Run what is not there yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the copies lie")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--threads", type=int, nargs="+", default=THREADS)
    asked = parser.parse_args()
    print(
        "| seed | threads | verdict | full | lora | candidate, gain on the base | minutes | load |\n" + "|---" * 8 + "|"
    )
    for threads in asked.threads:
        for seed in asked.seeds:
            print(row(asked.folder.resolve() / f"threads-{threads}", seed, threads), flush=True)
    return 0


def row(shared: Path, seed: int, threads: int) -> str:
    """One run as a line of the table."""
    copy = shared / f"seed-{seed}"
    paths = ArtifactPaths(copy)
    if not (copy / SECONDS).is_file():
        shutil.rmtree(copy, ignore_errors=True)
        make_copy(Path.cwd(), copy, shared, seed)
        run(copy, threads)
    decision = read_decision(paths.decision)
    means = {
        method: next(
            metric["mean"]
            for metric in yaml.safe_load((paths.evals(method) / "golden/summary.json").read_text())["metrics"]
            if metric["metric"] == "normalized_exact"
        )
        for method in ("full", "lora")
    }
    gain = next(reason for reason in decision.reasons if reason.kind == "target")
    minutes, load = float((copy / SECONDS).read_text()) / 60, (copy / LOAD).read_text()
    told = f"{decision.candidate}, {gain.difference:+.3f} [{gain.lower:.3f}, {gain.upper:.3f}]"
    scores = f"{means['full']:.3f} | {means['lora']:.3f}"
    return f"| {seed} | {threads} | {decision.verdict} | {scores} | {told} | {minutes:.1f} | {load} |"


def make_copy(here: Path, copy: Path, shared: Path, seed: int) -> None:
    """The project with another seed, without a repository; cache, remote and answers lie in the shared folder."""
    copy_sources(here, copy)
    for name in DATA:
        shutil.copytree(here / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "[0-9a-f]" * 16))
    shutil.copytree(here / ".dvc", copy / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    params = yaml.safe_load((here / "params.yaml").read_text(encoding="utf-8"))
    params["train"]["seed"] = seed
    params["promote"]["automatic"] = False
    (copy / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    (copy / ".dvc/config").write_text(
        "[core]\n    analytics = false\n    no_scm = true\n"
        f'[cache]\n    dir = {shared / "cache"}\n    type = "hardlink,reflink,copy"\n',
        encoding="utf-8",
    )
    (shared / "answers").mkdir(parents=True, exist_ok=True)
    (copy / ".ratchet").mkdir()
    (copy / ".ratchet/eval_cache").symlink_to(shared / "answers")


def run(copy: Path, threads: int) -> None:
    """``ratchet run`` there; notes its seconds, and how busy the machine was with it (busy cores on average)."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PREFECT_HOME": str(copy / ".prefect")}
    started, before = time.monotonic(), psutil.cpu_times()
    command = [sys.executable, "-m", "flows.cli", "run", "--any-verdict"]
    with (copy / "run.txt").open("w") as log:
        subprocess.run(command, cwd=copy, env=environment, check=True, stdout=log, stderr=log)  # noqa: S603  a fixed argv
    seconds, after = time.monotonic() - started, psutil.cpu_times()
    busy = sum(getattr(after, name) - getattr(before, name) for name in ("user", "nice", "system"))
    (copy / LOAD).write_text(f"{busy / seconds:.1f} of {psutil.cpu_count()} cores")
    (copy / SECONDS).write_text(str(seconds))


if __name__ == "__main__":
    raise SystemExit(main())
