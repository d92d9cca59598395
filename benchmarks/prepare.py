"""Preparation of up to a million rows: time and memory, its cost by size, and its duplicates against datatrove's.

Run:  python -m benchmarks.prepare --folder FOLDER [--rows N ...] [--peers FOLDER] [--data FOLDER]

FOLDER gets the rows and what is made of them. Rows are pairs of about 1 kB: a question of MedQuAD and an answer put
together from the sentences of all answers, every tenth row an earlier one with some words changed, every hundredth an
exact copy. They go through validation, exact and near-duplicates (character 5-grams, Jaccard 0.8, the whole
conversation), decontamination against the golden sets of this repository and GSM8K, the split, and all that is
written: rows, trail and report. Tokens are not counted here: that is the tokenizer's time, and is measured apart.
The peer is datatrove's MinHash (``pip install --target FOLDER --no-deps datatrove loguru 'xxhash<3.6'``) over word
5-grams, its own kind, with as many signatures; it reads, deletes by estimate and writes, and does nothing else of the
above. Recall is counted on the copies that were made. Each side runs in a process of its own. The last lines are
``ratio NAME VALUE``.
"""

import argparse
import json
import logging
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tasks.config.prepare import PrepareParams
from tasks.config.train import Answers
from tasks.paths import ArtifactPaths
from tasks.prepare.lengths import TokenLengths
from tasks.prepare.order import ChosenStep
from tasks.prepare.record.page import Prepared, write_page
from tasks.prepare.record.trail import trail_rows, write_trail
from tasks.prepare.report import report_of
from tasks.prepare.runner import run_steps
from tasks.prepare.scale.choice import engine_of
from tasks.prepare.sources import read_sources
from tasks.prepare.splits import split
from tasks.prepare.standard import STEPS
from tasks.prepare.steps import StepInputs
from tasks.prepare.writing import write

LIMIT_SECONDS, LIMIT_GB, MILLION = 180.0, 3.0, 1_000_000
PEER_ROWS = 50_000
SAMPLE_SECONDS = 0.1
ANSWER_SENTENCES = 6


class Ran(NamedTuple):
    """One side's run."""

    seconds: float
    peak_gb: float
    """Of the process and its children together, pages that they share counted once for each (an upper bound)."""
    kept: int
    recall: float
    """Share of the planted copies (exact ones and those with a few words changed) that went."""


def make_rows(path: Path, count: int, data: Path) -> None:
    """Write the rows; a copy's id begins with the kind of copy that it is."""
    with (data / "medquad/medquad_short.jsonl").open(encoding="utf-8") as stream:
        real = [json.loads(line) for line in stream]
    questions = [row["question"] for row in real]
    sentences = [each for row in real for each in row["answer"].split(". ") if 40 < len(each) < 400]
    draw = random.Random(0)  # noqa: S311  a sample, no secret
    earlier: list[tuple[str, str]] = []
    with path.open("w", encoding="utf-8") as stream:
        for at in range(count):
            kind = "new" if len(earlier) < 100 else "copy" if at % 100 == 0 else "near" if at % 10 == 0 else "new"
            if kind == "new":
                asked = f"{draw.choice(questions)} {draw.choice(questions)}"
                said = ". ".join(draw.choice(sentences) for _ in range(ANSWER_SENTENCES)) + "."
                if len(earlier) < 20_000:
                    earlier.append((asked, said))
            else:
                asked, said = draw.choice(earlier)
                words = said.split(" ")
                for _ in range(3 if kind == "near" else 0):
                    words[draw.randrange(len(words))] = draw.choice(draw.choice(sentences).split())
                said = " ".join(words)
            stream.write(json.dumps({"id": f"{kind}-{at}", "prompt": asked, "completion": said}) + "\n")


def project_of(folder: Path, rows: Path, data: Path) -> tuple[ArtifactPaths, PrepareParams]:
    """A project with the rows, this repository's golden sets and GSM8K's questions."""
    root = folder / "project"
    shutil.rmtree(root, ignore_errors=True)
    (root / "data/raw").mkdir(parents=True)
    (root / "data/raw/rows.jsonl").hardlink_to(rows)
    shutil.copytree(Path(__file__).parents[1] / "golden_sets", root / "golden_sets")
    (root / "data/suites").mkdir()
    shutil.copy(data / "gsm8k/test.jsonl", root / "data/suites/gsm8k.jsonl")
    return ArtifactPaths(root), PrepareParams(sources=("data/raw/rows.jsonl",), dev_fraction=0.01)


def ours(folder: Path, rows: Path, data: Path) -> list[str]:
    """All of a preparation but the tokens; returns the ids of the rows that stay."""
    logging.basicConfig(level=logging.INFO, format="    %(message)s", stream=sys.stderr)
    paths, params = project_of(folder, rows, data)
    settings: dict[str, dict[str, Any]] = {"near_duplicates": {"compare": "conversation"}}
    names = ("duplicates", "near_duplicates", "held_out")
    steps = [ChosenStep(name, STEPS[name](**settings.get(name, {})), None) for name in names]
    with engine_of(params) as engine:
        given = StepInputs(params, paths, TokenLengths(paths.export("base"), 1024, Answers.ALL), engine)
        started = time.perf_counter()

        def tell(what: str) -> None:
            print(f"    {what} after {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)

        read = read_sources(params, paths, engine)
        tell("read and validated")
        kept, records = run_steps(steps, read.rows, given)
        tell("put through the steps")
        sides, _ = split(kept, [[1]] * len(kept), given)
        tell("split")
        report = report_of(read, records, sides, given)

        def beside(into: Path) -> None:
            report["trail_md5"] = write_trail(
                into / paths.trail.name, trail_rows(read.rows, read.bad, records, sides), records
            )
            write_page(into, Prepared(read, records, sides, report, given))

        write(paths.prepared, sides, report, given, beside)
        tell("written")
        return [row.row_id for row in kept]


def datatrove(folder: Path, rows: Path, data: Path) -> list[str]:
    """Reading, MinHash and writing alone, in two processes, as datatrove's own example has it."""
    from datatrove.executor import LocalPipelineExecutor  # type: ignore[import-not-found]
    from datatrove.pipeline.dedup import (  # type: ignore[import-not-found]
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig  # type: ignore[import-not-found]
    from datatrove.pipeline.readers import JsonlReader  # type: ignore[import-not-found]
    from datatrove.pipeline.writers import JsonlWriter  # type: ignore[import-not-found]

    del data
    own = folder / "datatrove"
    shutil.rmtree(own, ignore_errors=True)
    (own / "in").mkdir(parents=True)
    with rows.open("rb") as stream:  # one file for each process, as it wants them
        lines = stream.readlines()
    half = len(lines) // 2
    (own / "in/0.jsonl").write_bytes(b"".join(lines[:half]))
    (own / "in/1.jsonl").write_bytes(b"".join(lines[half:]))
    del lines

    def text_of(self: Any, row: dict[str, Any], path: str, number: int | str) -> dict[str, Any]:
        del self, path, number
        return {"text": f"{row['prompt']}\n{row['completion']}", "id": row["id"]}

    config = MinhashConfig(num_buckets=14, hashes_per_bucket=9)
    reader = JsonlReader(str(own / "in"), adapter=text_of)
    stages: list[tuple[list[Any], int]] = [
        ([reader, MinhashDedupSignature(str(own / "signatures"), config=config)], 2),
        ([MinhashDedupBuckets(str(own / "signatures"), str(own / "buckets"), config=config)], 14),
        ([MinhashDedupCluster(str(own / "buckets"), str(own / "remove"), config=config)], 1),
        ([reader, MinhashDedupFilter(str(own / "remove")), JsonlWriter(str(own / "out"), compression=None)], 2),
    ]
    for number, (pipeline, tasks) in enumerate(stages):
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=2, logging_dir=str(own / f"log{number}")).run()
    return [json.loads(line)["id"] for path in sorted((own / "out").iterdir()) for line in path.open(encoding="utf-8")]


SIDES: dict[str, Callable[[Path, Path, Path], list[str]]] = {"ratchet": ours, "datatrove": datatrove}


def ran(name: str, folder: Path, rows: Path, data: Path, count: int, peers: str) -> Ran:
    """Run a side in a process of its own, and look at what it takes."""
    receiver, sender = get_context("spawn").Pipe(duplex=False)
    child = get_context("spawn").Process(target=_in_child, args=(sender, name, folder, rows, data, peers))
    child.start()
    peak, stop = [0.0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(child.pid, peak, stop))
    watcher.start()
    seconds, kept, copies = receiver.recv()
    stop.set()
    watcher.join()
    child.join()
    planted = sum(at % 10 == 0 for at in range(101, count))
    return Ran(seconds, peak[0] / 1e9, kept, 1.0 - copies / planted)


def _in_child(sender: Any, name: str, folder: Path, rows: Path, data: Path, peers: str) -> None:
    if name != "ratchet":
        sys.path.insert(0, peers)  # with the xxhash that it needs
    started = time.perf_counter()
    kept = SIDES[name](folder, rows, data)
    seconds = time.perf_counter() - started
    sender.send((seconds, len(kept), sum(not each.startswith("new") for each in kept)))


def _watch(pid: int | None, peak: list[float], stop: threading.Event) -> None:
    process = psutil.Process(pid)
    while not stop.wait(SAMPLE_SECONDS):
        with suppress(psutil.Error):
            sizes = [each.memory_info().rss for each in (process, *process.children(recursive=True))]
            peak[0] = max(peak[0], float(sum(sizes)))


def main() -> None:
    """Print a line for each size and side, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="gets the rows and what is made of them")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, MILLION])
    parser.add_argument("--peers", help="folder with datatrove")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    print("rows      side       seconds  us/row  peak GB  kept     recall of copies")
    ratios = []
    for count in sorted({*asked.rows, *([PEER_ROWS] if asked.peers else [])}):
        rows = asked.folder / f"rows_{count}.jsonl"
        if not rows.is_file():
            make_rows(rows, count, asked.data)
        found = {}
        for name in ("ratchet", "datatrove") if asked.peers and count == PEER_ROWS else ("ratchet",):
            side = found[name] = ran(name, asked.folder, rows, asked.data, count, asked.peers)
            micro = 1e6 * side.seconds / count
            shown = f"{side.seconds:>7.1f} {micro:>7.0f} {side.peak_gb:>8.2f}  {side.kept:<8} {side.recall:.4f}"
            print(f"{count:<9} {name:<10} {shown}")
        if "datatrove" in found:
            ratios.append(("prepare_vs_best_peer", found["datatrove"].seconds / found["ratchet"].seconds))
        if count == MILLION:
            mine = found["ratchet"]
            ratios.append(("prepare_1m_vs_limit", LIMIT_SECONDS / mine.seconds))
            ratios.append(("prepare_1m_memory_vs_limit", LIMIT_GB / mine.peak_gb))
    for name, value in ratios:
        print(f"ratio {name} {value:.3f}")


if __name__ == "__main__":
    main()
