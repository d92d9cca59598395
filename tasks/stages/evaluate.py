"""Every suite on the exported bytes of a method."""

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from evalsuite.engines.base import Engine
from evalsuite.gate.sequential.driver import SequentialEvaluation, saved
from evalsuite.gate.sequential.gate import SequentialGate
from evalsuite.items.results import SuiteResult, SuiteSummary
from evalsuite.suites.base import Suite
from tasks.config.evaluation import EvaluationParams, EvaluationSections
from tasks.evaluation import model as evaluation
from tasks.evaluation.model import in_full, summed
from tasks.paths import ArtifactPaths
from tasks.registry.evidence import read_baselines
from tasks.stop_plan import read_stopping

logger = logging.getLogger(__name__)


class Sections(EvaluationSections):
    """What the stage reads of params.yaml; of the methods, their names."""

    methods: dict[str, Any]


def keys(params: Sections) -> tuple[str, ...]:
    """The methods."""
    return tuple(params.methods)


def stage(params: Sections, paths: ArtifactPaths, name: str) -> str:
    """Do the work; returns its summary."""
    return summed(name, run(name, params.suites, paths))


def run(name: str, suites: EvaluationParams, paths: ArtifactPaths) -> list[SuiteSummary]:
    """Evaluate a method's export, as far as plans/stopping.json says; raises like ``tasks.evaluation.model.run``."""
    return evaluation.run(name, suites, paths, partial(evaluated, name, paths))


def evaluated(model: str, paths: ArtifactPaths, suites: Sequence[Suite], engine: Engine) -> Iterator[SuiteResult]:
    """Every suite in full, or as far as the gate needs where plans/stopping.json says so.

    Raises:
        UsageError: The baselines' results are not what they should be.
    """
    policy = read_stopping(paths).policy
    if policy is None:
        yield from in_full(suites, engine)
        return
    gate = SequentialGate(read_baselines(paths), policy.gate, policy.num_candidates)
    options = policy.params
    for suite in options.suites:
        for why in gate.waits(suite):
            logger.info("%s is run to its end unless something is proven broken: %s", suite, why)
    run = SequentialEvaluation(suites, engine, gate, options.suites, options.batch_items, options.finish)
    results = []
    for result in run.results():
        results.append(result)
        yield result
    if any(result.info.prefix for result in results):
        logger.info("%s: %s", model, saved(results))
    if gate.violations:
        logger.warning("%s: proven broken: %s", model, ", ".join(gate.violations))
