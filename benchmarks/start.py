"""How long `ratchet gate compare` of two small files takes, against the same after importing what it used to import.

Run:  python -m benchmarks.start [--repeats N]

Whole processes, the two sides by turns in one run. Prints seconds, then ``ratio NAME VALUE`` (higher is better for
Ratchet, 1 is the bar): the median of the peer's time over ours.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
NUM_ITEMS = 200
POLICY = "rules:\n  - {suite: golden, metric: exact, kind: guard, margin: 0.05}\n"
OURS = "from flows.cli.__main__ import main; main()"
PEER = f"import statsmodels.api, scipy.stats; {OURS}"


def write_inputs(folder: Path) -> list[str]:
    """Two small results and a policy; returns the command's arguments."""
    for name, wrong in (("baseline", 20), ("candidate", 18)):
        rows = "".join(f"item-{n},{int(n >= wrong)}\n" for n in range(NUM_ITEMS))
        (folder / f"{name}.csv").write_text(f"item_id,exact\n{rows}", encoding="utf-8")
    (folder / "policy.yaml").write_text(POLICY, encoding="utf-8")
    options = {"--baseline": "baseline.csv", "--candidate": "candidate.csv", "--policy": "policy.yaml"}
    named = [part for option, name in options.items() for part in (option, str(folder / name))]
    return ["gate", "compare", *named, "--suite", "golden"]


def seconds(code: str, arguments: list[str]) -> float:
    """Wall time of one process; it must reach a verdict."""
    started = time.perf_counter()
    done = subprocess.run(  # noqa: S603  a fixed argv
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    elapsed = time.perf_counter() - started
    if done.returncode not in (0, 1, 3):
        raise SystemExit(f"gate compare ended with {done.returncode}: {done.stderr}")
    return elapsed


def main() -> None:
    """Measure both sides by turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        arguments = write_inputs(Path(folder))
        for code in (OURS, PEER):
            seconds(code, arguments)  # the files' pages and the compiled modules
        pairs = [(seconds(OURS, arguments), seconds(PEER, arguments)) for _ in range(repeats)]
    ours, peer = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"gate compare of two files with {NUM_ITEMS} items, median of {repeats} processes by turns")
    print(f"ratchet                                        {ours:6.2f} s")
    print(f"the same after statsmodels.api and scipy.stats {peer:6.2f} s")
    print(f"ratio gate_compare_start {peer / ours:.2f}")


if __name__ == "__main__":
    main()
