"""The report as a comment on a pull request: the verdict first, and never more than ``MAX_ROWS`` lines."""

from collections.abc import Iterable, Sequence

from evalsuite.gate.decision import Reason, Verdict
from evalsuite.report.build import beside_headline
from evalsuite.report.data import ReportData
from evalsuite.report.facts.all import Facts, facts_of
from evalsuite.report.facts.changed import flip_groups
from evalsuite.report.facts.measured import Measured
from evalsuite.report.forest import blocks_nothing
from evalsuite.report.forms.markdown import SYMBOLS
from evalsuite.report.markdown_text import escaped, markdown_table
from evalsuite.report.sentences import headline, sentence
from evalsuite.report.text import ABSENT, clip, count, duration, money
from evalsuite.report.units import Units, level, point_metrics

MAX_ROWS = 10
"""Rows of each table; the rest is counted."""
MAX_CHARS = 400
"""Characters of one text, since GitHub takes 65,536 in a comment."""


def pull_request_markdown(data: ReportData, report: str = "reports/promotion.html") -> str:
    """The verdict, why, what was measured, what changed, and where the rest stands; under 60 lines.

    Args:
        data: Everything that the report shows.
        report: Where the whole report lies, for its reader.

    Raises:
        UsageError: The contamination report is not of these results.
    """
    facts, units = facts_of(data), Units(point_metrics(data.results))
    parts = [
        _title(data, facts),
        f"{said(headline(data.decision, units))}.",
        "\n".join(_reason(reason, units) for reason in beside_headline(data.decision)),
        "\n".join(_listed([f"- ⚠️ {said(warning)}" for warning in data.decision.warnings], 3, "warnings")),
        _measured(facts, units, data),
        _changed_items(data),
        _beside(data, facts),
        f"Report: {said(report)}; decision `{data.decision.decision_id[:16]}`, "
        f"`ratchet gate replay {data.decision.decision_id[:16]}` judges it again.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def said(text: str) -> str:
    """A text on one line, not too long, in which nothing comes alive."""
    return escaped(clip(" ".join(text.split()), MAX_CHARS))


def _title(data: ReportData, facts: Facts) -> str:
    decision = data.decision
    if not facts.changed_results:
        return f"# {decision.verdict}: {said(decision.candidate)}"
    folders = _listed([said(each) for each in facts.changed_results], 5, "folders")
    return (
        f"# Out of date, was {decision.verdict}: {said(decision.candidate)}\n\n"
        f"The results in {', '.join(folders)} changed since the decision; run `ratchet stage gate`, then "
        "`ratchet stage report`."
    )


def _reason(reason: Reason, units: Units) -> str:
    return f"- {SYMBOLS[reason.outcome]} {said(sentence(reason, units))}"


def _listed(lines: Sequence[str], most: int, what: str) -> list[str]:
    """The first lines, and how many more there are."""
    more = len(lines) - most
    return [*lines[:most], *([f"and {more} more {what}"] if more > 0 else [])]


def _measured(facts: Facts, units: Units, data: ReportData) -> str:
    """Judged metrics of the candidate beside the baselines'."""
    baselines = [row.name for row in data.comparison.baselines]
    candidate = data.decision.candidate
    alpha = data.decision.policy.alpha / data.decision.num_candidates
    rows = []
    for suite in facts.suites:
        for metric in suite.metrics:
            own = metric.models.get(candidate)
            if not metric.judged or own is None:
                continue
            rows.append(
                (
                    said(f"{suite.suite}/{metric.metric}"),
                    _value(suite.suite, metric.metric, own, units),
                    ABSENT if own.mean is None else _interval(suite.suite, metric.metric, own, units),
                    *(_value(suite.suite, metric.metric, metric.models.get(name), units) for name in baselines),
                    count(own.n),
                    count(own.unscored),
                )
            )
    if not rows:
        return ""
    head = ("judged metric", said(candidate), f"{level(alpha)} interval", *map(said, baselines), "n", "unscored")
    more = len(rows) - MAX_ROWS
    table = markdown_table(head, rows[:MAX_ROWS])
    return table + (f"\n\nand {more} more judged metrics in the report" if more > 0 else "")


def _value(suite: str, metric: str, value: Measured | None, units: Units) -> str:
    return ABSENT if value is None else escaped(units.value(suite, metric, value.mean))


def _interval(suite: str, metric: str, value: Measured, units: Units) -> str:
    return escaped(units.interval(suite, metric, value.lower, value.upper, change=False))


def _changed_items(data: ReportData) -> str:
    rows = [
        (said(group.suite), said(group.against), count(group.num_broken), count(group.num_fixed), count(group.num_same))
        if group.problem is None
        else (said(group.suite), said(group.against), said(group.problem), "", "")
        for group in flip_groups(data)
    ]
    if not rows:
        return ""
    more = len(rows) - MAX_ROWS
    table = markdown_table(("items of", "against", "broken", "fixed", "the same"), rows[:MAX_ROWS])
    return table + (f"\n\nand {more} more comparisons in the report" if more > 0 else "")


def _beside(data: ReportData, facts: Facts) -> str:
    """Cost, undecided rules, what was saved, contamination and changed settings, a line each where there is one."""
    row = data.comparison.method(data.decision.candidate)
    price = f", {money(row.cost, row.currency)}" if row.cost else ""
    lines = [f"Training and evaluation took {duration(row.seconds)}{price}."] if row.seconds is not None else []
    waiting = [reason for reason in data.decision.reasons if reason.more_items and not blocks_nothing(reason)]
    if data.decision.verdict is Verdict.INCONCLUSIVE and waiting:
        most = max(reason.more_items or 0 for reason in waiting)
        lines.append(f"About {count(most)} more items would decide the slowest rule.")
    if facts.planned:
        lines.append(f"{count(facts.evaluated)} of {count(facts.planned)} planned items were evaluated.")
    if facts.contamination:
        dirty = sum(suite.num_contaminated for suite in facts.contamination.suites)
        if dirty:
            lines.append(f"{count(dirty)} items are in the training rows; no average counts them.")
    if facts.params.changes:
        changes = [f"{said(each.key)} {_side(each.before)} → {_side(each.after)}" for each in facts.params.changes]
        lines.append("Settings that differ from the champion's run: " + "; ".join(_listed(changes, 5, "settings")))
    return _bullets(lines)


def _side(value: str | None) -> str:
    return ABSENT if value is None else escaped(clip(" ".join(value.split()), 60))


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
