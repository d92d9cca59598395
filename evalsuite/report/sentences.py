"""Reasons as sentences for a reader, in the report's units."""

from evalsuite.gate.decision import Decision, Reason, Verdict
from evalsuite.gate.policy import rule_class
from evalsuite.gate.rules import COSTS, Outcome
from evalsuite.report.forest import has_interval
from evalsuite.report.units import Units, level


def sentence(reason: Reason, units: Units) -> str:
    """What one rule found and what that proves; the gate's own words where it estimated nothing."""
    value = reason.candidate
    if not has_interval(reason) or value is None or reason.limit is None:
        return reason.text
    suite, metric = reason.suite, reason.metric
    subject = f"{suite}/{metric}" + (f" [{reason.slice}]" if reason.slice else "")
    if suite == COSTS:
        side = {Outcome.PASS: "which keeps to", Outcome.FAIL: "which breaks"}.get(reason.outcome, "against")
        limit = units.value(suite, metric, reason.limit)
        if reason.against is not None and reason.baseline:
            of = units.value(suite, metric, reason.baseline)
            limit = f"{limit}, {reason.limit / reason.baseline:g} times the {of} of {reason.against}"
        return f"{subject} is {units.value(suite, metric, value)}, {side} the {reason.kind} of {limit}"
    found = "" if reason.difference is None else _moved(reason, units)
    if not found:
        found = f"is {units.amount(suite, metric, value)}"
    return f"{subject} {found} ({_evidence(reason, units)}): {_conclusion(reason, units)}"


def headline(decision: Decision, units: Units) -> str:
    """Why the verdict is what it is, in one line and without the verdict's name."""
    reasons = decision.reasons
    deciding = deciding_outcome(decision.verdict)
    if not reasons or reasons[0].outcome is not deciding:
        return decision.headline.removeprefix(f"{decision.verdict}: ").rstrip(".")
    if decision.verdict is Verdict.PROMOTE:
        proven = sum(reason.slice is None and reason.outcome is Outcome.PASS for reason in reasons)
        return (
            "The one check over a whole suite is proven"
            if proven == 1
            else (f"All {proven} checks over whole suites are proven")
        )
    more = sum(reason.outcome is deciding and reason.slice is None for reason in reasons[1:])
    rest = {Verdict.REJECT: "failed"}.get(decision.verdict, "undecided")
    return sentence(reasons[0], units).rstrip(".") + (f" (and {more} more {rest})" if more else "")


def deciding_outcome(verdict: Verdict) -> Outcome:
    """The outcome that a verdict rests on."""
    return {Verdict.PROMOTE: Outcome.PASS, Verdict.REJECT: Outcome.FAIL}.get(verdict, Outcome.UNDECIDED)


def _moved(reason: Reason, units: Units) -> str:
    suite, metric, difference = reason.suite, reason.metric, reason.difference
    if difference is None or reason.candidate is None:
        return ""
    after = units.value(suite, metric, reason.candidate)
    if difference == 0.0:
        return f"did not change against {reason.against}: {units.amount(suite, metric, reason.candidate)}"
    verb = "rose" if difference > 0.0 else "fell"
    before = units.value(suite, metric, reason.baseline)
    return f"{verb} by {units.amount(suite, metric, difference)} against {reason.against}, from {before} to {after}"


def _evidence(reason: Reason, units: Units) -> str:
    parts = []
    if reason.lower is not None or reason.upper is not None:
        shown = units.interval(
            reason.suite, reason.metric, reason.lower, reason.upper, change=reason.difference is not None
        )
        parts.append(f"{level(reason.alpha)} interval {shown}".strip())
    parts.append(f"n = {reason.n:,}")
    if reason.unscored:
        parts.append(f"{reason.unscored:,} unscored, counted as the worst case")
    if reason.not_run:
        parts.append(f"{reason.not_run:,} items not run, by design")
    return ", ".join(parts)


def _conclusion(reason: Reason, units: Units) -> str:
    bound = units.amount(reason.suite, reason.metric, reason.limit or 0.0)
    words = rule_class(reason.kind).words
    if reason.outcome is Outcome.UNDECIDED:
        more = f"; about {reason.more_items:,} more items would decide it" if reason.more_items else ""
        return f"undecided, {words.open.replace('{}', bound)}{more}"
    return f"proven {(words.holds if reason.outcome is Outcome.PASS else words.fails).replace('{}', bound)}"
