"""What is known before a run: the sets' sizes, and what earlier evaluations and decisions recorded."""

import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalsuite.core.errors import RatchetError
from evalsuite.core.files import read_model
from evalsuite.gate.feasibility import KnownSet, impossible_rules, whole_scale_rules
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.replay import read_record, reports_of
from evalsuite.gate.rules import COSTS
from evalsuite.gate.sequential.betting import no_bet_because
from evalsuite.gate_tools.power import ASSUMED_DISCORDANCE, Pairs, RulePower, plan_power
from evalsuite.items.results import EvalReport, ScoreTable, SuiteSummary, read_result
from evalsuite.suites.base import Suite
from tasks.config.evaluation import EvaluationParams
from tasks.config.params import Params
from tasks.evaluation.suites import suites_of
from tasks.paths import ArtifactPaths
from tasks.registry.champion import read_champion

logger = logging.getLogger(__name__)

BASELINES = ("base", "champion")


class PowerPlan(NamedTuple):
    """The whole table, and what cannot be passed at all."""

    rules: tuple[RulePower, ...]
    impossible: tuple[str, ...]
    waits: tuple[str, ...] = ()
    """Rules for which a suite of sequential.suites is run to its end, each with why."""
    cautions: tuple[str, ...] = ()
    """Rules that say nothing as they are: nobody fails them, or there is no champion yet."""


def plan(
    policy: GatePolicy,
    params: Params,
    paths: ArtifactPaths,
    *,
    discordance: float = ASSUMED_DISCORDANCE,
    sequential: bool = False,
) -> PowerPlan:
    """What every rule can prove; no model is loaded.

    Args:
        policy: The rules.
        params: Name the sets and the methods.
        paths: Where earlier results lie.
        discordance: Share of items that differ where nothing is recorded (fraction 0..1).
        sequential: Estimate the sequential test too.
    """
    sets = known_sets(params.evaluation, paths)
    champion = ("champion",) if read_champion(paths) is not None else ()
    rules = plan_power(
        policy,
        sets,
        recorded_pairs(policy, params, paths),
        ("base", *champion),
        num_candidates=params.num_candidates,
        discordance=discordance,
        sequential=sequential,
    )
    impossible = impossible_rules(policy, sets, num_candidates=params.num_candidates)
    later = [] if champion else _without_champion(policy)
    return PowerPlan(
        rules,
        tuple(each.text for each in impossible),
        tuple(_waits(policy, params, paths)),
        (*whole_scale_rules(policy), *later),
    )


def _without_champion(policy: GatePolicy) -> list[str]:
    """Rules that are asked of nothing before the first promotion."""
    return [
        f"{rule.name('champion')} is asked once there is a champion; before the first promotion it holds nobody back"
        for rule in policy.rules
        if rule.paired and not rule.against.roles(("base",))
    ]


def _waits(policy: GatePolicy, params: Params, paths: ArtifactPaths) -> Iterator[str]:
    for rule in policy.rules:
        if rule.suite not in params.sequential.suites:
            continue
        table = _table(paths, "base", rule.suite)
        why = no_bet_because(rule, table) if table is not None and rule.metric in table.scores else None
        if why is None and rule.slices is not None:
            why = f"its slices by {rule.slices} have no sequential test"
        if why is not None:
            yield f"{rule.name(None)}: {why}, so that {rule.suite} is run to its end unless something is proven broken"


def known_sets(params: EvaluationParams, paths: ArtifactPaths) -> dict[str, KnownSet]:
    """Every suite of params, with sizes from its files where they are here, else from earlier evaluations."""
    return sets_of(suites_of(params), paths)


def sets_of(suites: Iterable[Suite], paths: ArtifactPaths) -> dict[str, KnownSet]:
    """``known_sets`` of suites that were read before."""
    recorded = recorded_summaries(paths)
    found = {}
    for suite in suites:
        before = recorded.get(suite.name, [])
        speeds = [each.seconds / each.num_items for each in before if each.num_items]
        speed = math.fsum(speeds) / len(speeds) if speeds else None
        if (size := suite.set_size()) is not None:
            found[suite.name] = KnownSet(*size, seconds_per_item=speed)
        elif before:
            metrics = {each.metric: each.n + each.unscored for each in before[-1].metrics}
            found[suite.name] = KnownSet(before[-1].num_items, metrics, None, True, speed)
        else:
            found[suite.name] = KnownSet(None, seconds_per_item=speed)
    return found


def recorded_summaries(paths: ArtifactPaths) -> dict[str, list[SuiteSummary]]:
    """Suite -> summaries of every model that was evaluated; what cannot be read is said and left out."""
    found: dict[str, list[SuiteSummary]] = {}
    for path in sorted(paths.evals("").glob("*/*/summary.json")):
        try:
            summary = read_model(path, SuiteSummary, "ratchet run")
        except RatchetError as error:
            logger.warning("not used for planning: %s", error)
            continue
        found.setdefault(summary.suite, []).append(summary)
    return found


def recorded_pairs(policy: GatePolicy, params: Params, paths: ArtifactPaths) -> dict[tuple[str, str, str], Pairs]:
    """(suite, metric, role) -> scores of a candidate and a baseline on the same items.

    The evaluations that lie here come first, of the method that moved the most items; then the stored decisions, the
    newest first.
    """
    wanted = {(rule.suite, rule.metric) for rule in policy.rules if rule.suite != COSTS}
    found: dict[tuple[str, str, str], Pairs] = {}
    for suite in sorted({suite for suite, _ in wanted}):
        tables = {name: table for name in (*BASELINES, *params.methods) if (table := _table(paths, name, suite))}
        for metric in sorted(metric for name, metric in wanted if name == suite):
            for role in BASELINES:
                options = [
                    pairs
                    for method in params.methods
                    if (pairs := _pairs(tables.get(method), tables.get(role), metric, f"{method} against {role}"))
                ]
                if options:
                    found[suite, metric, role] = max(options, key=_movement)
    for candidate, baselines, source in _stored(paths):
        for suite, metric in wanted:
            for role in BASELINES:
                if (suite, metric, role) not in found and role in baselines:
                    pairs = _pairs(candidate.suites.get(suite), baselines[role].suites.get(suite), metric, source)
                    if pairs:
                        found[suite, metric, role] = pairs
    return found


def _movement(pairs: Pairs) -> float:
    moved = pairs.candidate - pairs.baseline
    return math.fsum((moved - math.fsum(moved) / moved.size) ** 2) / moved.size


def _table(paths: ArtifactPaths, model: str, suite: str) -> ScoreTable | None:
    folder = paths.evals(model) / suite
    if not (folder / "summary.json").is_file():
        return None
    try:
        return read_result(folder).table()
    except RatchetError as error:
        logger.warning("not used for planning: %s", error)
        return None


def _stored(paths: ArtifactPaths) -> Iterator[tuple[EvalReport, dict[str, EvalReport], str]]:
    """Stored decisions, the newest first; what cannot be read is said and left out."""
    folder = paths.stored_decision("").parent
    for path in sorted(folder.glob("*.json.gz"), key=lambda path: (path.stat().st_mtime, path.name), reverse=True):
        try:
            record = read_record(path)
            candidate, baselines = reports_of(record)
        except RatchetError as error:
            logger.warning("not used for planning: %s", error)
            continue
        yield candidate, baselines, f"decision {record.decision.decision_id[:8]}"


def _by_item(table: ScoreTable, metric: str) -> NDArray[np.float64]:
    """Scores; of a ratio, values with its mean and with the variance of its linearisation."""
    scores = table.scores[metric]
    if metric not in table.denominators:
        return scores
    denominator = table.denominators[metric]
    known = np.isfinite(scores) & np.isfinite(denominator)
    total = math.fsum(denominator[known])
    if not total:
        return np.full(scores.size, np.nan)
    ratio = math.fsum(scores[known]) / total
    return np.asarray(ratio + (scores - ratio * denominator) * (int(known.sum()) / total), dtype=np.float64)


def _pairs(candidate: ScoreTable | None, baseline: ScoreTable | None, metric: str, source: str) -> Pairs | None:
    """Items that both scored; None where there are fewer than two, or the items differ."""
    if candidate is None or baseline is None or metric not in candidate.scores or metric not in baseline.scores:
        return None
    if sorted(candidate.item_ids) != sorted(baseline.item_ids):
        return None
    place = {name: at for at, name in enumerate(baseline.item_ids)}
    at_theirs = [place[name] for name in candidate.item_ids]
    mine, theirs = _by_item(candidate, metric), _by_item(baseline, metric)[at_theirs]
    scored = np.isfinite(mine) & np.isfinite(theirs)
    if int(scored.sum()) < 2:
        return None
    kept = np.flatnonzero(scored).tolist()
    labels = [candidate.clusters[at] for at in kept]
    names, codes = np.unique(labels, return_inverse=True)
    key = next(iter(sorted(candidate.slices)), None)
    strata = tuple(candidate.slices[key][at] if key else "" for at in kept)
    slices = {name: dict(Counter(values[at] for at in kept if values[at])) for name, values in candidate.slices.items()}
    clusters = None if names.size == len(kept) else codes.astype(np.intp)
    return Pairs(mine[scored], theirs[scored], clusters, strata, source, slices)
