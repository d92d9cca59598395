"""Items that changed, and must-pass items that failed, with what both sides said."""

from collections.abc import Sequence

from evalsuite.report.data import ReportData
from evalsuite.report.facts.measured import Fact
from evalsuite.report.flips import Flip, FlipGroup, flips_of, may_be_shown

MAX_CHANGED = 1000
"""Items listed of each kind, suite and baseline; the rest is counted."""


class ScoreChange(Fact):
    """One metric of one item; None where a side is unscored."""

    metric: str
    before: float | None
    after: float | None


class ChangedItem(Fact):
    """One item that changed; the texts of suites that may be harmful are withheld."""

    item_id: str
    slices: dict[str, str]
    changes: tuple[ScoreChange, ...]
    prompt: str
    references: tuple[str, ...]
    baseline_output: str
    candidate_output: str


class ChangedSuite(Fact):
    """The changed items of one suite against one baseline."""

    suite: str
    against: str
    problem: str | None
    """Why the two sides cannot be laid side by side."""
    num_broken: int
    num_fixed: int
    num_slight: int
    """Items whose scores hardly moved."""
    num_same: int
    broken: tuple[ChangedItem, ...]
    """Worst first, at most 1,000."""
    fixed: tuple[ChangedItem, ...]
    """Best first, at most 1,000."""


class FailedItem(Fact):
    """One must-pass item that failed."""

    rule: str
    suite: str
    item_id: str
    prompt: str
    references: tuple[str, ...]
    output: str


def flip_groups(data: ReportData) -> tuple[FlipGroup, ...]:
    """Changed items of every suite that is judged, against each baseline."""
    decision = data.decision
    candidate = data.results.get(decision.candidate, {})
    return tuple(
        group
        for role in decision.baselines
        for group in flips_of(candidate, data.results.get(role, {}), role, decision.policy)
    )


def changed_of(groups: Sequence[FlipGroup]) -> tuple[ChangedSuite, ...]:
    """The groups as plain values."""
    return tuple(
        ChangedSuite(
            suite=group.suite,
            against=group.against,
            problem=group.problem,
            num_broken=group.num_broken,
            num_fixed=group.num_fixed,
            num_slight=group.num_slight,
            num_same=group.num_same,
            broken=tuple(map(_item, group.broken[:MAX_CHANGED])),
            fixed=tuple(map(_item, group.fixed[:MAX_CHANGED])),
        )
        for group in groups
    )


def failed_must_pass(data: ReportData) -> tuple[FailedItem, ...]:
    """Every must-pass item that the decision names and the results hold."""
    found = []
    for reason in data.decision.reasons:
        result = data.results.get(data.decision.candidate, {}).get(reason.suite)
        items = {item.item_id: item for item in result.items} if result and reason.item_ids else {}
        for item in (may_be_shown(reason.suite, items[each]) for each in reason.item_ids if each in items):
            found.append(
                FailedItem(
                    rule=reason.rule,
                    suite=reason.suite,
                    item_id=item.item_id,
                    prompt=item.prompt,
                    references=item.references,
                    output=item.output,
                )
            )
    return tuple(found)


def _item(flip: Flip) -> ChangedItem:
    item = flip.candidate
    return ChangedItem(
        item_id=item.item_id,
        slices=item.slices,
        changes=tuple(ScoreChange(metric=each.metric, before=each.before, after=each.after) for each in flip.changes),
        prompt=item.prompt,
        references=item.references,
        baseline_output=flip.baseline.output,
        candidate_output=item.output,
    )
