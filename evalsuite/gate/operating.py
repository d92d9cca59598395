"""The operating characteristic of a policy on given items: how often each verdict comes, by true change.

Candidates are made whose true change is so many margins, items are drawn with replacement (whole clusters), and the
policy judges each draw. A reader learns how often it lets a truly worse model pass, and how often it stops a good one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from evalsuite.core.direction import Direction
from evalsuite.core.errors import SelfTestError
from evalsuite.gate.characteristic import OperatingPoint, RuleCharacteristic
from evalsuite.gate.decide import judge
from evalsuite.gate.decision import Reason, Verdict
from evalsuite.gate.pairing import labels_of
from evalsuite.gate.policy import GatePolicy
from evalsuite.gate.rules import COSTS, Outcome, Rule
from evalsuite.items.results import EvalReport, ScoreTable
from evalsuite.stats.alternatives import Draw, Floats, resample, uniforms, with_difference
from evalsuite.stats.distributions import binomial_sf

CHANGES = (-3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0)
"""True changes of the operating characteristic, in margins."""
MAX_DRAWS, MIN_DRAWS = 200, 20
MAX_ANSWERS = 8_000
"""Answers of rules on few items that the characteristic may cost: two or three seconds."""
MAX_ANSWERS_A_DRAW = 60
"""A policy that asks more than this of each draw, slices counted, is simulated without its slices."""
FALSE_ALARM = 1e-6
DIGITS = 4

Reports = Mapping[str, EvalReport]


class Characteristic(NamedTuple):
    """What was simulated."""

    points: tuple[OperatingPoint, ...]
    rules: tuple[RuleCharacteristic, ...]
    num_draws: int
    notes: tuple[str, ...]


def operating_characteristic(
    candidate: EvalReport, baselines: Reports, policy: GatePolicy, num_candidates: int, seed: str
) -> Characteristic:
    """Simulate the policy on changed candidates.

    A metric's change counts in margins of its guard (in least gains where only a target asks for it), against the
    champion where there is one and a rule asks for it, else against the base. Metrics without either stay as measured.

    Args:
        candidate: Results in the order of item ids, without must-pass marks, which no average can make up for.
        baselines: The same, by role.
        policy: The rules.
        num_candidates: Candidates that were compared on these items.
        seed: Fixes every draw.

    Raises:
        SelfTestError: Candidates exactly at the margin are promoted far more often than alpha allows.
    """
    rules = tuple(rule for rule in policy.rules if rule.suite != COSTS)
    notes = [] if len(rules) == len(policy.rules) else ["cost limits are exact and left out of the simulation"]
    if not rules:
        return Characteristic((), (), 0, tuple(notes))
    policy = policy.model_copy(update={"rules": rules})
    _, reasons = judge(candidate, baselines, policy, num_candidates)
    broken = next((each for each in reasons if each.kind == "comparable"), None)
    if broken is not None or not baselines:
        why = broken.text if broken else "no baseline, so there is nothing to simulate"
        return Characteristic((), (), 0, (*notes, why))
    if not reasons:
        return Characteristic((), (), 0, (*notes, "no rule applies to these baselines"))
    if len(reasons) > MAX_ANSWERS_A_DRAW and any(rule.slices for rule in rules):
        policy = policy.model_copy(update={"rules": tuple(rule.whole() for rule in rules)})
        notes.append(f"{sum(r.slice is not None for r in reasons)} slices, which may only reject, are left out")
        reasons = tuple(each for each in reasons if each.slice is None)
    units = _units(rules)
    worlds, cut = _worlds(candidate, baselines, rules, units, seed)
    notes += cut
    longest = max(len(table.item_ids) for table in candidate.suites.values())
    answers = len(reasons) * len(CHANGES) * (1.0 + longest / 1000.0)
    num_draws = max(MIN_DRAWS, min(MAX_DRAWS, int(MAX_ANSWERS / answers)))
    names = sorted({each.rule for each in reasons if each.slice is None})
    verdicts = np.zeros((len(CHANGES), len(Verdict)), dtype=np.intp)
    outcomes = {name: np.zeros((len(CHANGES), 2), dtype=np.intp) for name in names}
    for number in range(num_draws):
        draws = {name: _draw(table, f"{seed} {number}") for name, table in candidate.suites.items()}
        drawn = {role: _drawn(report, draws) for role, report in baselines.items()}
        mine = _drawn(candidate, draws)
        for at, world in enumerate(worlds):
            suites = {
                name: replace(
                    table,
                    scores={
                        m: world.get((name, m), column)[draws[name].positions]
                        for m, column in candidate.suites[name].scores.items()
                    },
                )
                for name, table in mine.suites.items()
            }
            verdict, found = judge(replace(mine, suites=suites), drawn, policy, num_candidates)
            verdicts[at, list(Verdict).index(verdict)] += 1
            for each in {each.rule: each for each in found if each.slice is None}.values():
                if each.rule in outcomes:
                    outcomes[each.rule][at] += each.outcome is Outcome.PASS, each.outcome is Outcome.FAIL
    if not cut:
        _check_at_margin(int(verdicts[CHANGES.index(-1.0), 0]), num_draws, reasons)
    points = tuple(
        OperatingPoint(
            change=change,
            **{each.lower(): round(int(verdicts[at, i]) / num_draws, DIGITS) for i, each in enumerate(Verdict)},
        )
        for at, change in enumerate(CHANGES)
    )
    by_name = {each.rule: each for each in reasons if each.slice is None}
    told = tuple(
        RuleCharacteristic(
            rule=name,
            unit=units.get((by_name[name].suite, by_name[name].metric)),
            passes=tuple(round(int(count) / num_draws, DIGITS) for count in outcomes[name][:, 0]),
            fails=tuple(round(int(count) / num_draws, DIGITS) for count in outcomes[name][:, 1]),
        )
        for name in names
    )
    return Characteristic(points, told, num_draws, tuple(notes))


def _units(rules: Sequence[Rule]) -> dict[tuple[str, str], float]:
    """What a change of 1 is in each metric: the smallest margin of its guards, else the least gain of its target."""
    units: dict[tuple[str, str], float] = {}
    for gains in (False, True):
        found: dict[tuple[str, str], float] = {}
        for rule in rules:
            if rule.paired and rule.asks_gain is gains and rule.size():
                found[rule.suite, rule.metric] = min(rule.size(), found.get((rule.suite, rule.metric), math.inf))
        units = {**found, **units}
    return units


def _worlds(
    candidate: EvalReport,
    baselines: Reports,
    rules: Sequence[Rule],
    units: Mapping[tuple[str, str], float],
    seed: str,
) -> tuple[list[dict[tuple[str, str], Floats]], list[str]]:
    """The candidate's scores at each true change, and what could not be changed so far, in words."""
    worlds: list[dict[tuple[str, str], Floats]] = [{} for _ in CHANGES]
    notes = []
    for (suite, metric), unit in sorted(units.items()):
        mine = candidate.suites.get(suite)
        about = [rule for rule in rules if (rule.suite, rule.metric) == (suite, metric)]
        roles = {role for rule in about for role in rule.against.roles(baselines) if role in baselines}
        if mine is None or metric not in mine.scores or not roles:
            continue
        role = "champion" if "champion" in roles else "base"
        theirs = baselines[role].suites[suite]
        if metric not in theirs.scores:
            continue
        turn = turns(mine, f"{seed} change")
        reached = []
        for world, change in zip(worlds, CHANGES, strict=True):
            world[suite, metric] = changed_by(mine, theirs, metric, change * unit, about[0].direction, turn)
            sign = 1.0 if about[0].direction is Direction.HIGHER else -1.0
            reached.append(sign * difference_of(world[suite, metric], mine, theirs, metric))
        # An item of a ratio weighs more than one part in n, and is moved whole.
        weight = mine.denominators.get(metric, np.ones(1))
        room = 1.5 / max(len(mine.item_ids), 1) * max(float(np.nanmax(weight)) / (mean_of(weight) or 1.0), 1.0)
        for end, low in ((min(reached), CHANGES[0]), (max(reached), CHANGES[-1])):
            if abs(end - low * unit) > room:
                level = value_of(theirs.scores[metric], theirs, metric)
                notes.append(
                    f"{suite}/{metric} of {role} is {level:.3f}, so changes beyond {end:+.3f} are cut off there"
                )
    return worlds, notes


def _draw(table: ScoreTable, seed: str) -> Draw:
    labels = labels_of(table.clusters)
    alone = len(labels.names) == len(table.item_ids)
    return resample(None if alone else labels.codes, len(table.item_ids), f"{seed} {table.info.suite}")


def _drawn(report: EvalReport, draws: Mapping[str, Draw]) -> EvalReport:
    """The drawn items under new names, since an item may be drawn twice."""
    suites = {}
    for name, draw in draws.items():
        if name in report.suites:
            ids = _names(draw.positions.size)
            clusters = tuple(map(ids.__getitem__, draw.clusters.tolist()))
            suites[name] = report.suites[name].take(draw.positions, item_ids=ids, clusters=clusters)
    return replace(report, suites=suites)


def _names(count: int) -> tuple[str, ...]:
    return tuple(f"{number:06d}" for number in range(count))


def _check_at_margin(promoted: int, num_draws: int, reasons: Sequence[Reason]) -> None:
    """Refuse a gate that promotes candidates at the margin of every rule far more often than one rule's alpha.

    Raises:
        SelfTestError: Twice alpha would give so many promotions less than once in a million runs.
    """
    alpha = max((each.alpha for each in reasons if each.alpha is not None), default=None)
    if alpha is not None and float(binomial_sf(promoted - 1, num_draws, 2.0 * alpha)) < FALSE_ALARM:
        raise SelfTestError(
            f"the gate promotes {promoted} of {num_draws} simulated candidates that lie exactly at the margin of every "
            f"rule, at a one-sided error of {alpha:g}; check out a commit whose tests pass"
        )


def turns(table: ScoreTable, seed: str) -> Floats:
    """In which order items are changed: cluster by cluster, as damage in earnest would be."""
    labels = labels_of(table.clusters)
    return uniforms(f"{seed} {table.info.suite}", len(labels.names))[labels.codes]


def changed_by(
    candidate: ScoreTable, baseline: ScoreTable, metric: str, change: float, direction: Direction, turn: Floats
) -> Floats:
    """Scores (numerators of a ratio) that make the suite value lie ``change`` better than the baseline's."""
    sign = 1.0 if direction is Direction.HIGHER else -1.0
    mine, theirs = (_shares(table, metric) for table in (candidate, baseline))
    denominator = candidate.denominators.get(metric)
    if denominator is None:
        return _with_change(mine, theirs, change, direction, turn)
    # Items weigh differently, so that the mean share that is asked for is corrected until the ratio fits.
    asked, changed = change, candidate.scores[metric]
    for _ in range(4):
        shares = _with_change(mine, theirs, asked, direction, turn)
        changed = np.where(np.isfinite(shares), shares * denominator, candidate.scores[metric])
        asked += change - sign * difference_of(changed, candidate, baseline, metric)
    return changed


def _with_change(candidate: Floats, baseline: Floats, change: float, direction: Direction, turn: Floats) -> Floats:
    if direction is Direction.HIGHER:
        return with_difference(candidate, baseline, change, turn)
    return 1.0 - with_difference(1.0 - candidate, 1.0 - baseline, change, turn)


def _shares(table: ScoreTable, metric: str) -> Floats:
    """The items' own values; NaN where a ratio's item has nothing to count."""
    scores = table.scores[metric]
    if metric not in table.denominators:
        return scores
    denominator = table.denominators[metric]
    shares: Floats = np.divide(scores, denominator, out=np.full(scores.size, np.nan), where=denominator > 0.0)
    return shares


def value_of(scores: Floats, table: ScoreTable, metric: str) -> float:
    """Mean of the scored values, or the ratio of sums; 0 where there is none."""
    if metric not in table.denominators:
        return mean_of(scores)
    known = np.isfinite(scores) & np.isfinite(table.denominators[metric])
    total = math.fsum(table.denominators[metric][known])
    return math.fsum(scores[known]) / total if total else 0.0


def difference_of(scores: Floats, candidate: ScoreTable, baseline: ScoreTable, metric: str) -> float:
    """How far the suite value of ``scores``, in the place of the candidate's, lies above the baseline's."""
    theirs = baseline.scores[metric]
    if metric not in candidate.denominators:
        return mean_of(scores - theirs)
    both = np.isfinite(scores) & np.isfinite(theirs)
    mine, other = (np.where(both, column, np.nan) for column in (scores, theirs))
    return value_of(mine, candidate, metric) - value_of(other, baseline, metric)


def mean_of(values: Floats) -> float:
    """Mean of the scored values; 0 where there are none."""
    known = values[np.isfinite(values)]
    return math.fsum(known) / known.size if known.size else 0.0
