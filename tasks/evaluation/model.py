"""Every suite on one model's exported bytes."""

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from evalsuite.core.credentials import without_secrets
from evalsuite.core.files import read_json, write_json
from evalsuite.core.identity import verify_manifest
from evalsuite.engines.base import Engine
from evalsuite.engines.cache.cached import with_use
from evalsuite.items.results import SuiteResult, SuiteSummary
from evalsuite.suites.base import Suite
from tasks.config.evaluation import EvaluationParams
from tasks.evaluation.engines import opened_engine
from tasks.evaluation.suites import check_watched, suites_of
from tasks.paths import ArtifactPaths

logger = logging.getLogger(__name__)

Evaluated = Callable[[Sequence[Suite], Engine], Iterator[SuiteResult]]
"""How far each suite is evaluated."""
ENDED = {
    "complete": "all were needed",
    "decided": "every rule is decided",
    "violation": "something is proven broken",
}


def in_full(suites: Sequence[Suite], engine: Engine) -> Iterator[SuiteResult]:
    """Every item of every suite."""
    yield from (suite.run(engine) for suite in suites)


def run(
    model: str, params: EvaluationParams, paths: ArtifactPaths, evaluated: Evaluated = in_full
) -> list[SuiteSummary]:
    """Evaluate ``models/MODEL/export`` and write evals/MODEL.

    For ``champion`` the bytes come from the registry; where the run is judged against none, the folder says so.

    Raises:
        UsageError: The bytes are not those of the manifest, or a suite's files are malformed or not watched by DVC.
        MissingArtifactError: The model was not made yet.
    """
    check_watched(params, paths.root)
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
        for result in evaluated(suites, engine):
            use = engine.take_use()
            saved_seconds += use.saved_seconds
            results.append(with_use(result, use))
            results[-1].write(target / result.info.suite)
            logger.info("%s", describe(model, results[-1].summary()))
    summaries = [result.summary() for result in results]
    settings = without_secrets(params.model_dump(mode="json", exclude_none=True))
    write_json(paths.eval_settings(model), {"schema_version": 1, "evaluation": settings})
    # Answers out of the cache count with the time that they once took: methods are compared by this cost.
    eval_seconds = time.perf_counter() - started + saved_seconds
    _write_costs(model, paths, eval_seconds, manifest.num_bytes, summaries)
    return summaries


def weights_of(model: str, paths: ArtifactPaths) -> Path | None:
    """The folder of a model of the pipeline; None for a champion where this run is judged against none."""
    if model != "champion":
        return paths.export(model)
    from tasks.pin import read_pin
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


def summed(model: str, summaries: Sequence[SuiteSummary]) -> str:
    """What a stage says at its end."""
    if not summaries:
        return "this run is judged against no champion: nothing to evaluate"
    return f"{model}: {len(summaries)} suites, {sum(each.num_items for each in summaries)} items"
