"""Items that changed between a baseline and the candidate: what broke first, then what was fixed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evalsuite.gate.policy import GatePolicy
from evalsuite.items.results import COMPARED_FIELDS, ItemResult, SuiteResult

LEAST_CHANGE = 0.1
"""Smaller changes of a graded score are counted, not listed."""
WITHHELD_SUITES = frozenset({"harmbench"})
"""Suites whose prompts and completions may be harmful: the report names their items and shows no text of them."""
WITHHELD = "withheld: may be harmful"
MAX_ITEMS = 20
"""Items of each kind that a page lists where no script runs."""


@dataclass(frozen=True, slots=True)
class MetricChange:
    """One metric of one item; None where a side is unscored."""

    metric: str
    before: float | None
    after: float | None
    gain: float
    """Change towards better; a score that got lost counts as the whole scale."""


@dataclass(frozen=True, slots=True)
class Flip:
    """One item that changed."""

    candidate: ItemResult
    baseline: ItemResult
    changes: tuple[MetricChange, ...]
    """Metrics that moved, the largest loss first."""


@dataclass(frozen=True)
class FlipGroup:
    """The changed items of one suite against one baseline."""

    suite: str
    against: str
    broken: tuple[Flip, ...] = ()
    """Worst first."""
    fixed: tuple[Flip, ...] = ()
    """Best first."""
    num_slight: int = 0
    """Items whose scores moved by less than ``LEAST_CHANGE``."""
    num_same: int = 0
    problem: str | None = None
    """Why the two sides cannot be laid side by side."""

    @property
    def num_broken(self) -> int:
        """Items on which anything got worse."""
        return len(self.broken)

    @property
    def num_fixed(self) -> int:
        """Items on which something got better and nothing worse."""
        return len(self.fixed)


def judged_metrics(policy: GatePolicy) -> dict[str, dict[str, bool]]:
    """Suite -> metric that some rule judges -> whether higher is better."""
    found: dict[str, dict[str, bool]] = {}
    for rule in policy.rules:
        found.setdefault(rule.suite, {})[rule.metric] = rule.direction == "higher"
    return found


def flips_of(
    candidate: Mapping[str, SuiteResult], baseline: Mapping[str, SuiteResult], against: str, policy: GatePolicy
) -> tuple[FlipGroup, ...]:
    """Changed items of every suite that the policy judges and both sides have."""
    return tuple(
        _group(candidate[suite], baseline[suite], against, metrics)
        for suite, metrics in judged_metrics(policy).items()
        if suite in candidate and suite in baseline
    )


def _group(after: SuiteResult, before: SuiteResult, against: str, metrics: Mapping[str, bool]) -> FlipGroup:
    suite = after.info.suite
    for field in COMPARED_FIELDS:
        if getattr(after.info, field) != getattr(before.info, field):
            return FlipGroup(suite, against, problem=f"{field} differs")
    old = {item.item_id: item for item in before.items}
    pairs = [(item, old[item.item_id]) for item in after.items if item.item_id in old]
    flips = [_flip(may_be_shown(suite, one), may_be_shown(suite, other), metrics) for one, other in pairs]
    broken = sorted((flip for flip in flips if _worst(flip) <= -LEAST_CHANGE), key=_worst)
    fixed = sorted((flip for flip in flips if _worst(flip) > -LEAST_CHANGE and _best(flip) >= LEAST_CHANGE), key=_best)
    fixed.reverse()
    moved = sum(bool(flip.changes) for flip in flips)
    return FlipGroup(
        suite=suite,
        against=against,
        broken=tuple(broken),
        fixed=tuple(fixed),
        num_slight=moved - len(broken) - len(fixed),
        num_same=len(flips) - moved,
    )


def may_be_shown(suite: str, item: ItemResult) -> ItemResult:
    """The item, without its texts where its suite's may be harmful."""
    if suite not in WITHHELD_SUITES:
        return item
    withheld = f"{WITHHELD}; {item.item_id} in the evaluation's items.parquet"
    unscored = None if item.unscored is None else WITHHELD  # a judge's words may quote the output
    return item.model_copy(update={"prompt": withheld, "output": withheld, "references": (), "unscored": unscored})


def _flip(after: ItemResult, before: ItemResult, metrics: Mapping[str, bool]) -> Flip:
    changes = []
    for metric, higher in metrics.items():
        if metric not in after.metrics and metric not in before.metrics:
            continue
        old, new = before.value(metric), after.value(metric)
        counts = metric in before.scores and metric in after.scores
        if old == new or (counts and (old is None or new is None)):
            # A ratio's item with nothing to count has neither been lost nor won.
            continue
        changes.append(MetricChange(metric, old, new, _gain(old, new, higher)))
    changes.sort(key=lambda change: change.gain)
    return Flip(after, before, tuple(changes))


def _gain(old: float | None, new: float | None, higher: bool) -> float:
    if old is None:
        return 1.0
    if new is None:
        return -1.0
    return new - old if higher else old - new


def _worst(flip: Flip) -> float:
    return flip.changes[0].gain if flip.changes else 0.0


def _best(flip: Flip) -> float:
    return flip.changes[-1].gain if flip.changes else 0.0


def unscored_reasons(items: Sequence[ItemResult], most: int = 3) -> list[tuple[str, int]]:
    """The commonest reasons why items have no score, with their counts."""
    counts: dict[str, int] = {}
    for item in items:
        if item.unscored is not None:
            counts[item.unscored] = counts.get(item.unscored, 0) + 1
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
