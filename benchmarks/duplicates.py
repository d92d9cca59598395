"""Near-duplicates with every deletion verified, against datasketch and rensa's own deduplicator.

Run:  python -m benchmarks.duplicates [--peers FOLDER] [--rows N ...] [--data FOLDER]

FOLDER holds the peer (``pip install --target FOLDER --no-deps datasketch``). Rows are the 26,872 requests of Bitext;
for more rows, requests joined with CLINC150's, a third of them an earlier row with a word changed. Both sides make
signatures of 128 places over character 5-grams, cut them into the same bands, keep the first row of those that are
alike at a Jaccard similarity of 0.8, and verify each deletion exactly; datasketch does not verify by itself, so its
candidates are verified as ours are. rensa's deduplicator decides by the estimate; how many of its deletions are wrong
is counted. Every side runs in a process of its own, one after the other, and in a second round again. The last lines
are ``ratio NAME VALUE``, higher is better for us.
"""

import argparse
import csv
import json
import random
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from tasks.prepare.alike.near import Nearest, NearIndex, bands_of
from tasks.prepare.alike.shingles import Shingling, jaccard

THRESHOLD, PLACES = 0.8, 128
DATA = Path("../shared/data")
SHINGLING = Shingling()


class Ran(NamedTuple):
    """One side's run."""

    seconds: float
    processor_seconds: float
    peak_mib: float
    dropped: dict[int, int]
    """Row -> the row that stays for it."""


def texts_of(count: int, data: Path) -> list[str]:
    """Requests as they are compared."""
    with (data / "bitext/bitext_customer_support.csv").open(encoding="utf-8", newline="") as stream:
        requests = [" ".join(row["instruction"].split()).casefold() for row in csv.DictReader(stream)]
    groups = json.loads((data / "clinc150/data_full.json").read_text(encoding="utf-8"))
    queries = [query for name in sorted(groups) for query, _ in groups[name]]
    draw = random.Random(0)  # noqa: S311  a sample, no secret
    texts = requests[:count]
    while len(texts) < count:
        if draw.random() < 1 / 3:
            words = texts[draw.randrange(len(texts))].split()
            words[draw.randrange(len(words))] = draw.choice(draw.choice(queries).split())
            texts.append(" ".join(words))
        else:
            texts.append(f"{draw.choice(requests)} {draw.choice(queries)}")
    return texts


def ours(texts: list[str]) -> dict[int, int]:
    """The step's own parts."""
    kept, dropped = Nearest(NearIndex.of(texts.__getitem__, len(texts), THRESHOLD, SHINGLING, PLACES)), {}
    for at in range(len(texts)):
        alike = kept.find(at)
        if alike is None:
            kept.add(at)
        else:
            dropped[at] = alike.row
    return dropped


def with_datasketch(texts: list[str]) -> dict[int, int]:
    """Its signatures and its index with the same bands; each candidate verified until one is alike."""
    from datasketch import MinHash, MinHashLSH  # type: ignore[import-not-found]

    bands, size = bands_of(THRESHOLD, PLACES)
    index = MinHashLSH(num_perm=PLACES, params=(bands, size))
    dropped: dict[int, int] = {}
    sets = [SHINGLING.of(text) for text in texts]
    grams = ([gram.encode() for gram in each] for each in sets)
    for at, signature in enumerate(MinHash.generator(grams, num_perm=PLACES, seed=1)):
        candidates = sorted(index.query(signature))
        alike = next((one for one in candidates if jaccard(sets[at], sets[one]) >= THRESHOLD), None)
        if alike is None:
            index.insert(at, signature)
        else:
            dropped[at] = alike
    return dropped


def with_rensa_alone(texts: list[str]) -> dict[int, int]:
    """Its streaming deduplicator, which decides by estimates; it does not say for which row one is dropped."""
    from rensa import RMinHashDeduplicator

    keep = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=PLACES, use_lsh=True).add_pairs(
        (str(at), list(SHINGLING.of(text))) for at, text in enumerate(texts)
    )
    return {at: -1 for at, kept in enumerate(keep) if not kept}


SIDES: dict[str, Callable[[list[str]], dict[int, int]]] = {
    "ratchet": ours,
    "datasketch, verified": with_datasketch,
    "rensa alone, not verified": with_rensa_alone,
}


def _run(side: str, count: int, data: Path, peers: str | None, answer: Any) -> None:
    if peers:
        sys.path.append(peers)
    texts = texts_of(count, data)
    before = _mib("VmRSS")
    started, worked = time.perf_counter(), time.process_time()
    dropped = SIDES[side](texts)
    seconds, processor_seconds = time.perf_counter() - started, time.process_time() - worked
    answer.put(Ran(seconds, processor_seconds, _mib("VmHWM") - before, dropped))


def _mib(name: str) -> float:
    """Memory of this process, as Linux counts it; ``ru_maxrss`` would begin with the parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def measured(side: str, count: int, data: Path, peers: str | None) -> Ran:
    """Run one side in a process of its own."""
    context = get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=_run, args=(side, count, data, peers, answer))
    process.start()
    found: Ran = answer.get(timeout=3600)
    process.join()
    return found


def similar_pairs(texts: list[str]) -> set[tuple[int, int]]:
    """All pairs at the threshold, by brute force over a sparse matrix of 5-grams."""
    import numpy as np
    from scipy.sparse import csr_array

    numbers: dict[str, int] = {}
    rows = [[numbers.setdefault(gram, len(numbers)) for gram in SHINGLING.of(text)] for text in texts]
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.concatenate([np.array(row, dtype=np.int64) for row in rows])
    grams = csr_array((np.ones(len(columns), dtype=np.float32), columns, starts), shape=(len(texts), len(numbers)))
    sizes = np.diff(starts)
    found = set()
    for start in range(0, len(texts), 256):
        shared = (grams[start : start + 256] @ grams.T).tocoo()
        ones, others = shared.coords[0] + start, shared.coords[1]
        alike = shared.data / (sizes[ones] + sizes[others] - shared.data) >= THRESHOLD
        later = alike & (others > ones)
        found |= set(zip(ones[later].tolist(), others[later].tolist(), strict=True))
    return found


def judged(dropped: dict[int, int], count: int, truth: set[tuple[int, int]] | None) -> tuple[str, str]:
    """Rows that were deleted for no row like them, and true pairs of which both rows stay."""
    if truth is None:
        return "-", "-"
    partners = {one for pair in truth for one in pair}
    wrong = sum(
        (min(at, other), max(at, other)) not in truth if other >= 0 else at not in partners
        for at, other in dropped.items()
    )
    kept = set(range(count)) - dropped.keys()
    return str(wrong), f"{sum(one in kept and other in kept for one, other in truth)} of {len(truth):,}"


def main() -> int:
    """Print the table and the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", help="folder with datasketch")
    parser.add_argument("--rows", type=int, nargs="+", default=[26_872, 200_000])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--truth", type=int, default=30_000, help="most rows that are compared by brute force")
    arguments = parser.parse_args()
    ratios: list[tuple[str, float]] = []
    print("| rows | side | processor seconds | seconds | peak MiB | deleted | of these wrong | true pairs that stay |")
    print("|---|---|---|---|---|---|---|---|")
    for count in arguments.rows:
        runs: dict[str, list[Ran]] = {side: [] for side in SIDES}
        for _ in range(arguments.rounds):
            for side in SIDES:
                runs[side].append(measured(side, count, arguments.data, arguments.peers))
        truth = similar_pairs(texts_of(count, arguments.data)) if count <= arguments.truth else None
        for side, ran in runs.items():
            worked = ", ".join(f"{each.processor_seconds:.1f}" for each in ran)
            seconds = ", ".join(f"{each.seconds:.1f}" for each in ran)
            peak = max(each.peak_mib for each in ran)
            dropped = ran[-1].dropped
            print(
                f"| {count:,} | {side} | {worked} | {seconds} | {peak:.0f} | {len(dropped):,} | "
                f"{' | '.join(judged(dropped, count, truth))} |",
                flush=True,
            )
        best = {side: min(each.processor_seconds for each in ran) for side, ran in runs.items()}
        ratios += [
            (f"near_duplicates_{count}_vs_datasketch", best["datasketch, verified"] / best["ratchet"]),
            (f"near_duplicates_{count}_vs_rensa_alone", best["rensa alone, not verified"] / best["ratchet"]),
        ]
    for name, value in ratios:
        print(f"ratio {name} {value:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
