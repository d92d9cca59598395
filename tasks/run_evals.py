"""Every suite on one model's exported bytes.

Run:  python -m tasks.run_evals MODEL     (base, champion or a method)
"""

import logging
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from evalsuite.engines.base import Engine
from evalsuite.engines.cached import with_use
from evalsuite.errors import UsageError
from evalsuite.files import read_json, write_json
from evalsuite.gate.sequential import SequentialGate
from evalsuite.gate.stopping import SequentialEvaluation, saved
from evalsuite.identity import verify_manifest
from evalsuite.judges.choose import harm_judge
from evalsuite.judges.copyright import CopyrightRule
from evalsuite.judges.learned import LearnedRefusalJudge
from evalsuite.results import SuiteResult, SuiteSummary
from evalsuite.suites.base import Suite
from evalsuite.suites.bias import BBQSuite
from evalsuite.suites.harmbench import HarmBenchSuite
from evalsuite.suites.harness import HarnessSuite
from evalsuite.suites.over_refusal import XSTestSuite
from evalsuite.suites.perplexity import PerplexitySuite
from evalsuite.suites.plugins import load_suite
from tasks.allocator import keep_freed_memory
from tasks.config.evaluation import EvaluationParams
from tasks.config.params import Params
from tasks.config.suites import HarmBenchParams, XSTestParams
from tasks.engines import opened_engine
from tasks.entry import stage_main
from tasks.gate import read_baselines
from tasks.golden_suite import bertscore_suite, golden_suite
from tasks.paths import ArtifactPaths
from tasks.remote_inputs import bring
from tasks.stopping import read_stopping
from tasks.suite_files import check_watched

logger = logging.getLogger(__name__)

ENDED = {
    "complete": "all were needed",
    "decided": "every rule is decided",
    "violation": "something is proven broken",
}


def suites_of(params: EvaluationParams, kept: Path | None = None) -> list[Suite]:
    """The suites that every model is put through, in order; reading them checks their files."""
    return [make() for make in suite_makers(params, kept).values()]


def suite_makers(params: EvaluationParams, kept: Path | None = None) -> dict[str, Callable[[], Suite]]:
    """What reads each suite that params.yaml turns on, by the suite's name.

    Args:
        params: The suites' settings.
        kept: Folder where embeddings of references stay for the next process; they are not kept when None.
    """
    harness = params.harness
    root = Path(harness.data_root) if harness.data_root else None
    makers: dict[str, Callable[[], Suite]] = {"golden": lambda: golden_suite(params.golden, "test", kept)}
    if (free := params.bertscore) is not None:
        makers["bertscore"] = partial(bertscore_suite, free, params.golden, kept)
    for name, task in harness.tasks.items():
        options = (task.max_new_tokens, task.limit, task.apply_chat_template, harness.revisions)
        makers[name] = partial(HarnessSuite, name, root, *options)
    if (harm := params.harmbench) is not None:
        makers["harmbench"] = partial(_harmbench, harm)
    if (xstest := params.xstest) is not None:
        makers["xstest"] = partial(_xstest, xstest)
    if (bbq := params.bbq) is not None:
        makers["bbq"] = partial(BBQSuite, Path(bbq.data), bbq.categories, bbq.limit)
    if (text := params.perplexity) is not None:
        makers["perplexity"] = partial(
            PerplexitySuite, Path(text.path), text.window_words, text.stride_words, text.limit
        )
    for name, arguments in params.suites.items():
        makers[name] = partial(load_suite, name, arguments)
    return makers


def _harmbench(params: HarmBenchParams) -> HarmBenchSuite:
    rule = CopyrightRule(Path(params.copyright_references)) if params.copyright_references else None
    attack = Path(params.attack) if params.attack else None
    judge, longest = harm_judge(params.judge), params.max_new_tokens
    return HarmBenchSuite(Path(params.data), judge, longest, attack, rule, params.limit, params.max_unreadable_fraction)


def _xstest(params: XSTestParams) -> XSTestSuite:
    judge = LearnedRefusalJudge()
    return XSTestSuite(Path(params.data), judge, params.max_new_tokens, params.limit, params.max_unreadable_fraction)


def run(model: str, params: EvaluationParams, paths: ArtifactPaths) -> list[SuiteSummary]:
    """Evaluate ``models/MODEL/export`` and write evals/MODEL.

    For ``champion`` the bytes come from the registry; where the run is judged against none, the folder says so.

    Raises:
        UsageError: The bytes are not those of the manifest, or a suite's files are malformed or not watched by DVC.
        MissingArtifactError: The model was not made yet.
    """
    check_watched(params, paths.root)
    bring(params, servers=False)  # what opens an engine or a judge reaches it
    suites = suites_of(params, paths.eval_cache if params.cache else None)
    target = paths.evals(model)
    folder = weights_of(model, paths)
    if target.exists():
        shutil.rmtree(target)
    if folder is None:
        write_json(target / "absent.json", {"schema_version": 1, "reason": "this run is judged against no champion"})
        return []
    manifest = verify_manifest(folder, "ratchet run")
    started = time.perf_counter()
    results = []
    saved_seconds = 0.0
    with opened_engine(model, folder, manifest.identity, params, paths) as engine:
        for result in evaluated(model, suites, engine, paths):
            use = engine.take_use()
            saved_seconds += use.saved_seconds
            results.append(with_use(result, use))
            results[-1].write(target / result.info.suite)
            logger.info("%s", describe(model, results[-1].summary()))
    summaries = [result.summary() for result in results]
    if any(result.info.prefix for result in results):
        logger.info("%s: %s", model, saved(results))
    # Answers out of the cache count with the time that they once took: methods are compared by this cost.
    eval_seconds = time.perf_counter() - started + saved_seconds
    _write_costs(model, paths, eval_seconds, manifest.num_bytes, summaries)
    return summaries


def evaluated(model: str, suites: Sequence[Suite], engine: Engine, paths: ArtifactPaths) -> Iterator[SuiteResult]:
    """Every suite in full; of a method, as far as the gate needs where plans/stopping.json says so.

    Raises:
        UsageError: The baselines' results are not what they should be.
    """
    policy = None if model in ("base", "champion") else read_stopping(paths).policy
    if policy is None:
        yield from (suite.run(engine) for suite in suites)
        return
    gate = SequentialGate(read_baselines(paths), policy.gate, policy.num_candidates)
    options = policy.params
    for suite in options.suites:
        for why in gate.waits(suite):
            logger.info("%s is run to its end unless something is proven broken: %s", suite, why)
    run = SequentialEvaluation(suites, engine, gate, options.suites, options.batch_items, options.finish)
    yield from run.results()
    if gate.violations:
        logger.warning("%s: proven broken: %s", model, ", ".join(gate.violations))


def weights_of(model: str, paths: ArtifactPaths) -> Path | None:
    """The folder of a model of the pipeline; None for a champion where this run is judged against none."""
    if model != "champion":
        return paths.export(model)
    from tasks.baseline import read_pin
    from tasks.registry.store import materialise

    pin = read_pin(paths)
    return materialise(pin.champion.identity, paths) if pin.champion else None


def _write_costs(
    model: str, paths: ArtifactPaths, eval_seconds: float, num_bytes: int, summaries: list[SuiteSummary]
) -> None:
    """costs.json, and the training log beside the evidence that it explains."""
    log: dict[str, Any] = {}
    if paths.train_log(model).is_file():
        log = read_json(paths.train_log(model), f"ratchet stage train@{model}")
        write_json(paths.evals(model) / "train_log.json", log)
    fields = ("train_seconds", "peak_memory_bytes", "adapter_bytes", "num_tokens")
    costs = {name: log.get(name) for name in fields}
    num_items = sum(summary.num_items for summary in summaries)
    # Latency as evaluation sees it: suites alone, batched, without loading the weights.
    costs["seconds_per_item"] = (
        round(sum(summary.seconds for summary in summaries) / num_items, 6) if num_items else None
    )
    write_json(
        paths.evals(model) / "costs.json",
        {"schema_version": 1, "eval_seconds": round(eval_seconds, 3), "num_bytes": num_bytes, **costs},
    )


def describe(model: str, summary: SuiteSummary) -> str:
    """One line: n, every mean with its standard error, unscored items, seconds."""
    parts = [
        f"{metric.metric} {metric.mean:.3f}" + (f" ± {metric.stderr:.3f}" if metric.stderr is not None else "")
        if metric.mean is not None
        else f"{metric.metric} unscored"
        for metric in summary.metrics
    ]
    unscored = max((metric.unscored for metric in summary.metrics), default=0)
    tail = f", {unscored} unscored" if unscored else ""
    if summary.answers.num_cached:
        tail += f", {summary.answers.num_cached} of {summary.answers.num_asked} answers cached"
    prefix = summary.prefix
    of = f" of {prefix.num_items:,} ({ENDED[prefix.ended]})" if prefix else ""
    counts = f"n={summary.num_items}{of}"
    return f"{model} {summary.suite}: {', '.join([counts, *parts])}{tail}, {summary.seconds:.0f} s"


def main(arguments: list[str] | None = None) -> int:
    """Run the stage for the model named on the command line."""
    names = sys.argv[1:] if arguments is None else arguments

    def stage(params: Params, paths: ArtifactPaths) -> str:
        accepted = ["base", "champion", *params.methods]
        if len(names) != 1 or names[0] not in accepted:
            raise UsageError(f"run_evals takes one model, got {names}; models: {', '.join(accepted)}")
        summaries = run(names[0], params.evaluation, paths)
        if not summaries:
            return "this run is judged against no champion: nothing to evaluate"
        return f"{names[0]}: {len(summaries)} suites, {sum(each.num_items for each in summaries)} items"

    return stage_main(stage)


if __name__ == "__main__":
    keep_freed_memory()
    raise SystemExit(main())
