"""The gate's error rates against other rules, and its speed against its limits.

Run:  python -m benchmarks.gate [--answers CSV] [--quick]

Prints the table of ``ratchet gate simulate``, then the speed of one decision and of one sequential step, then one line
``ratio NAME VALUE`` a claim (higher is better for Ratchet, 1 is the bar).
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalsuite.gate.decide import decide
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate_tools.simulate import Setting, Simulation, read_answers, simulate
from evalsuite.items.results import EvalReport, ScoreTable, SuiteInfo
from evalsuite.stats.sequential import Hypothesis, SequentialTest, evaluation_order
from flows.cli.views.gate import progress, show_simulation

RECORDED = Path(__file__).parents[2] / "shared" / "data" / "mmlu_pro" / "recorded_answers.csv"
NUM_RULES, NUM_METRICS, NUM_SLICES, CLUSTER_SIZE = 20, 10, 50, 4
DECIDE_LIMIT_SECONDS, DECIDE_LIMIT_GIB, STEP_LIMIT_SECONDS = 10.0, 2.0, 0.020
MARGIN = 0.02


def paired_reports(num_items: int) -> tuple[EvalReport, EvalReport]:
    """Candidate and baseline: binary and graded metrics by turns, clusters of four, fifty slices, ids in no order."""
    order = np.random.default_rng(0).permutation(num_items)
    info = SuiteInfo(suite="suite", suite_version="1", items_sha256="benchmark")
    reports = []
    for model in range(2):
        # Each model has texts of its own, as files that are read have.
        ids = tuple(f"item-{i:09d}" for i in order)
        scores = {f"metric-{m}": _scores(num_items, m, model)[order] for m in range(NUM_METRICS)}
        table = ScoreTable(
            info=info,
            item_ids=ids,
            item_hashes=tuple(f"{i:064x}" for i in order),
            clusters=tuple(f"passage-{i // CLUSTER_SIZE:09d}" for i in order),
            slices={"topic": tuple(f"topic-{i % NUM_SLICES}" for i in order)},
            scores=scores,
            applies={metric: np.ones(num_items, dtype=np.bool_) for metric in scores},
            must_pass={},
        )
        reports.append(EvalReport(f"model-{model}", f"identity-{model}", {"suite": table}, {}))
    return reports[0], reports[1]


def _scores(num_items: int, metric: int, model: int) -> NDArray[np.float64]:
    ease = np.random.default_rng([1, metric]).random(num_items)
    own = np.random.default_rng([2, metric, model]).random(num_items)
    graded = 0.8 * ease + 0.2 * own
    return np.asarray(graded > 0.5, dtype=np.float64) if metric % 2 else graded


def rules() -> GatePolicy:
    """A guard and a target on each metric, each in every slice too."""
    guards = [
        {"suite": "suite", "metric": f"metric-{m}", "kind": "guard", "margin": MARGIN, "slices": "topic"}
        for m in range(NUM_METRICS)
    ]
    targets = [
        {"suite": "suite", "metric": f"metric-{m}", "kind": "target", "min_gain": 0.001, "slices": "topic"}
        for m in range(NUM_RULES - NUM_METRICS)
    ]
    return GatePolicy.model_validate({"rules": [*guards, *targets]})


def measure_decision(num_items: int) -> dict[str, float]:
    """Seconds of one decision, and the most memory that this process ever held, the reports included (GiB)."""
    import resource

    candidate, baseline = paired_reports(num_items)
    start, cpu = time.perf_counter(), time.process_time()
    decision = decide(candidate, {"base": baseline}, rules())
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_gib": kib / 2**20,
        "reasons": len(decision.reasons),
    }


def measure_step(num_items: int = 12_000, step: int = 200) -> float:
    """Slowest step of a sequential test over a whole set, with twelve earlier models and four hypotheses (seconds)."""
    rng = np.random.default_rng(0)
    ease = rng.random(num_items)
    scores = (rng.random((14, num_items)) < ease).astype(np.float64)
    order = evaluation_order([str(i) for i in range(num_items)], [str(i % 14) for i in range(num_items)], "step")
    hypotheses = [Hypothesis(bound, above, MARGIN) for bound, above in ((-MARGIN, False), (0.0, True)) for _ in (0, 1)]
    at = order.positions
    test = SequentialTest(scores[0][at], order, hypotheses, scores[2:][:, at])
    seconds = []
    for first in range(0, num_items, step):
        start = time.perf_counter()
        test.advance(scores[1][at][first : first + step])
        seconds.append(time.perf_counter() - start)
    return float(np.quantile(seconds, 0.99))


def _in_a_fresh_process(num_items: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.gate", "--decide", str(num_items)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])  # noqa: S603
    return dict(json.loads(done.stdout))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=Path, default=RECORDED)
    parser.add_argument("--quick", action="store_true", help="two random orders a pair instead of ten")
    parser.add_argument("--decide", type=int, metavar="ITEMS", help="only one decision, printed as JSON")
    arguments = parser.parse_args()
    if arguments.decide:
        print(json.dumps(measure_decision(arguments.decide)))
        return 0
    decision = _in_a_fresh_process(1_000_000)
    print(
        f"decide: 1,000,000 paired items, {NUM_RULES} rules, {NUM_SLICES} slices: {decision['seconds']:.1f} s "
        f"({decision['cpu_seconds']:.1f} s of CPU), peak {decision['peak_gib']:.2f} GiB with the reports"
    )
    step = measure_step()
    print(f"sequential step of 200 items: {1000 * step:.1f} ms (99% of the steps)")
    ratios = {
        "decide_1m_vs_limit": DECIDE_LIMIT_SECONDS / decision["seconds"],
        "decide_1m_memory_vs_limit": DECIDE_LIMIT_GIB / decision["peak_gib"],
        "step_200_vs_limit": STEP_LIMIT_SECONDS / step,
    }
    if arguments.answers.is_file():
        setting = Setting(MARGIN, 0.05, 0.06, None, 2 if arguments.quick else 10)
        with progress() as tell:
            result = simulate(read_answers(arguments.answers), setting, tell)
        show_simulation(result)
        ratios |= _simulated_ratios(result)
    else:
        print(f"no recorded answers at {arguments.answers}: the simulation is left out; give a file with --answers")
    for name, value in ratios.items():
        print(f"ratio {name} {value:.3f}")
    return 0


def _simulated_ratios(result: Simulation) -> dict[str, float]:
    gate, fixed = result.rules["ratchet_sequential"], result.rules["ratchet_fixed"]
    ratios = {"sequential_vs_bound": result.bound_ratio}
    if gate.mean_items_clear and fixed.mean_items_clear:
        ratios["sequential_vs_fixed_items"] = fixed.mean_items_clear / gate.mean_items_clear
    if result.at_margin is not None and result.at_margin.false_promotion_upper95:
        ratios["alpha_vs_at_margin_upper95"] = result.setting.alpha / result.at_margin.false_promotion_upper95
    return ratios


if __name__ == "__main__":
    raise SystemExit(main())
