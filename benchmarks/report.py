"""The report and the pages beside it over 100,000 items that all changed: seconds and memory.

Run:  python -m benchmarks.report [--items N] [--out FOLDER]

Ends with one line ``ratio NAME VALUE`` a claim: the bar (5 s, 1 GB) over what was measured; 1 is the bar, and higher
is better. The seconds are those of the one core that it uses, so that other work on the machine does not count; the
memory is the most that the process ever held, Python and the results of both models included.
"""

import argparse
import random
import resource
import tempfile
import time
from pathlib import Path

from evalsuite.comparison.methods import MethodEvidence, ModelEvidence, compare_methods
from evalsuite.comparison.rows import MethodChoice
from evalsuite.gate.decide import decide
from evalsuite.gate.policy import GatePolicy
from evalsuite.items.results import EvalReport, ItemResult, SuiteResult
from evalsuite.report.build import build_html, build_item_pages
from evalsuite.report.data import ReportData
from evalsuite.testing import make_item, make_result

BAR_SECONDS, BAR_BYTES = 5.0, 1e9
POLICY = GatePolicy.model_validate(
    {"rules": [{"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.05}], "alpha": 0.05}
)
WORDS = ("camera", "invoice", "parcel", "refund", "account", "password", "router", "battery", "alarm", "café")


def results(num_items: int) -> dict[str, SuiteResult]:
    """Two models that never agree: prompts of some 300 characters, outputs of some 100, a slice of 20 values."""
    draw = random.Random(0)  # noqa: S311  texts of a benchmark

    def text(num_words: int) -> str:
        return " ".join(draw.choices(WORDS, k=num_words))

    items: dict[str, list[ItemResult]] = {"base": [], "lora": []}
    for i in range(num_items):
        prompt, answer, output = f"Which queue is it?\n{text(42)}", text(14), text(14)
        shared = {"item_hash": str(i), "prompt": prompt, "references": (answer,), "slices": {"queue": f"q{i % 20}"}}
        items["base"].append(make_item(f"item-{i:06d}", {"exact": float(i % 2)}, output=output, **shared))
        items["lora"].append(make_item(f"item-{i:06d}", {"exact": float(1 - i % 2)}, output=answer, **shared))
    return {name: make_result(each, model_identity=name) for name, each in items.items()}


def report_data(num_items: int) -> ReportData:
    """What the stages before the report would have left."""
    found = results(num_items)
    comparison = compare_methods(
        [MethodEvidence("lora", {"golden": found["lora"]}, {}, "lora", 1)],
        [ModelEvidence("base", {"golden": found["base"]}, {})],
        MethodChoice(suite="golden", metric="exact", margin=0.05, alpha=0.05),
    )
    reports = {name: EvalReport(name, name, {"golden": result.table()}, {}) for name, result in found.items()}
    decision = decide(reports["lora"], {"base": reports["base"]}, POLICY)
    return ReportData(
        decision=decision, comparison=comparison, results={name: {"golden": result} for name, result in found.items()}
    )


def main() -> None:
    """Build, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--out", type=Path, help="keep the pages here")
    arguments = parser.parse_args()
    data = report_data(arguments.items)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        start, cpu = time.perf_counter(), time.process_time()
        (folder / "promotion.html").write_text(build_html(data), encoding="utf-8")
        report_seconds, report_cpu = time.perf_counter() - start, time.process_time() - cpu
        pages = []
        start, cpu = time.perf_counter(), time.process_time()
        for name, page in build_item_pages(data):
            pages.append(folder / name)
            pages[-1].write_text(page, encoding="utf-8")
        pages_seconds, pages_cpu = time.perf_counter() - start, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        size = (folder / "promotion.html").stat().st_size
        print(f"report: {report_seconds:.2f} s ({report_cpu:.2f} s of one core), {size / 1e6:.2f} MB")
        sizes = ", ".join(f"{path.stat().st_size / 1e6:.0f} MB" for path in pages)
        print(f"pages of all items: {pages_seconds:.2f} s ({pages_cpu:.2f} s of one core), {sizes}")
        print(f"most memory: {peak / 1e9:.2f} GB")
    print(f"ratio report_seconds {BAR_SECONDS / report_cpu:.2f}")
    print(f"ratio report_memory {BAR_BYTES / peak:.2f}")


if __name__ == "__main__":
    main()
