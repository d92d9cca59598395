"""Everything that can be wrong with params.yaml and the files that it names, found before anything is spent.

``ratchet run``, ``plan``, ``status``, ``doctor`` and ``run --dry-run`` ask ``problems``; the stages that spend money or
keep a verdict ask the parts of it that they rest on.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial

from evalsuite.core.direction import Direction
from evalsuite.core.errors import RatchetError, UsageError
from evalsuite.gate.directions import unclear_direction, unclear_rule
from evalsuite.gate.feasibility import impossible_rules, unknown_name, unknown_rules
from evalsuite.gate.rules import COSTS
from evalsuite.suites.base import Suite
from tasks.base_model.export import check_model
from tasks.config.params import Params
from tasks.evaluation.golden_suite import dev_suite
from tasks.evaluation.suites import check_watched, suite_makers
from tasks.installed.pipeline import check_pipeline
from tasks.paths import ArtifactPaths
from tasks.preflight.base_model import context_problems
from tasks.preflight.power import recorded_summaries, sets_of
from tasks.preflight.remote_inputs import check_pinned
from tasks.prepare.order import chosen_steps
from tasks.prepare.sources import check_sources
from tasks.training.watch.reporting import check_reporters


def check(params: Params, paths: ArtifactPaths) -> None:
    """Refuse what some stage would refuse later, or what can never end in a PROMOTE.

    Raises:
        UsageError: One line a problem: the key, its value, what is accepted and what to do.
    """
    _refuse(problems(params, paths))


def check_evaluation(params: Params, paths: ArtifactPaths) -> None:
    """The part of ``check`` that comes after the data: trackers, sets, metrics, rules; for the stages plan and train.

    The rows may be gone from a machine that trains on prepared data.

    Raises:
        UsageError: As ``check`` does.
    """
    _refuse(list(dict.fromkeys(_evaluation_problems(params, paths))))


def problems(params: Params, paths: ArtifactPaths) -> list[str]:
    """Every problem once, in the order of the stages; reads files alone."""
    found = [
        *_asked(lambda: check_pipeline(paths)),
        *_asked(lambda: check_model(params.model)),
        *context_problems(params, paths),
        *_asked(lambda: chosen_steps(params.prepare)),
        *_asked(lambda: check_sources(params.prepare, paths)),
        *_evaluation_problems(params, paths),
    ]
    return list(dict.fromkeys(found))


def _refuse(found: list[str]) -> None:
    if found:
        raise UsageError("\n".join(found))


def _asked(question: Callable[[], object]) -> list[str]:
    """What a check that raises has to say."""
    try:
        question()
    except RatchetError as error:
        return [str(error)]
    return []


def _evaluation_problems(params: Params, paths: ArtifactPaths) -> Iterator[str]:
    """The rules are asked for once every suite can be read: before that, what they may name is not known."""
    yield from _asked(lambda: check_reporters(params.train.report_to))
    yield from _asked(lambda: check_pinned(params.evaluation))
    found = _asked(lambda: dev_suite(params.evaluation.golden, params.train.select_metric))
    found += _asked(lambda: check_watched(params.evaluation, paths.root))
    suites: list[Suite] = []
    metrics: dict[str, Collection[str] | None] = {}
    recorded = recorded_summaries(paths)

    def read(name: str, make: Callable[[], Suite]) -> None:
        metrics[name] = None
        suite = make()
        suites.append(suite)
        names = suite.metric_names()
        if names is not None and suite.more_metrics:
            names = (*names, *(metric.metric for found in recorded.get(name, ()) for metric in found.metrics))
        metrics[name] = None if names is None else sorted(set(names))

    for name, make in suite_makers(params.evaluation).items():
        found += _asked(partial(read, name, make))
    yield from dict.fromkeys(found)
    unknown = list(_unknown_names(params, metrics))
    yield from unknown
    if not found and not unknown:
        yield from _unclear_directions(params)
        for problem in impossible_rules(params.gate, sets_of(suites, paths), num_candidates=params.num_candidates):
            yield (
                f"this policy can never say PROMOTE: {problem.text}; change gate.rules or the sets, see `ratchet gate "
                "power`"
            )


def _unclear_directions(params: Params) -> Iterator[str]:
    """A default that is wrong for the metric would choose or promote a model for getting worse."""
    compare, train = params.compare, params.train
    settings = (
        ("compare", compare, "direction", compare.metric),
        ("train.select_metric", train, "select_direction", train.select_metric),
    )
    for where, section, name, metric in settings:
        direction = Direction(getattr(section, name))
        unclear = unclear_direction(metric, direction, name in section.model_fields_set, where, name)
        if unclear is not None:
            yield unclear
    for rule in params.gate.rules:
        unclear = unclear_rule(rule)
        if unclear is not None:
            yield f"gate.rules: {unclear}"


def _unknown_names(params: Params, known: Mapping[str, Collection[str] | None]) -> Iterator[str]:
    """Suites and metrics that params.yaml names and nobody evaluates."""
    compared = unknown_name(params.compare.suite, params.compare.metric, known)
    if compared is not None:
        yield f"compare = {params.compare.suite}/{params.compare.metric}: {compared}; fix compare in params.yaml"
    for problem in unknown_rules(params.gate, known):
        yield f"gate.rules: {problem}; fix gate.rules in params.yaml"
    for name in params.gate.noise:
        suite, _, metric = name.partition("/")
        missing = None if suite == COSTS else unknown_name(suite, metric, known)
        if missing is not None:
            yield f"gate.noise: {name}: {missing}; fix gate.noise in params.yaml"
    for suite in params.sequential.suites:
        absent = unknown_name(suite, None, known)
        if absent is not None:
            yield f"sequential.suites: {absent}; fix sequential.suites in params.yaml"
