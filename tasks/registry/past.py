"""What the registry remembers of earlier runs, for a report on a new one."""

from collections.abc import Sequence

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.gate.replay import Record, RunInputs, read_record, reports_of
from evalsuite.report.data import HistoryLine, Past, PastChampion, PastMetric
from evalsuite.report.facts.measured import measured_in
from evalsuite.report.flips import judged_metrics
from tasks.paths import ArtifactPaths
from tasks.registry.ledger import Entry, Event, ledger_path, read_ledger

MAX_LINES = 20
"""Lines of the ledger that a report lists."""
MAX_CHAMPIONS = 12
"""Promotions whose metrics a report draws."""


def read_past(paths: ArtifactPaths, decision_id: str) -> Past:
    """The last lines of the ledger and the last champions' metrics, without what one decision led to.

    Raises:
        UsageError: The ledger is damaged.
    """
    entries = [entry for entry in read_ledger(ledger_path(paths)) if entry.decision_id != decision_id]
    promotions = [entry for entry in entries if entry.event is Event.PROMOTE]
    return Past(
        num_lines=len(entries),
        lines=tuple(_line(entry) for entry in entries[-MAX_LINES:]),
        champions=tuple(_champion(entry, paths) for entry in promotions[-MAX_CHAMPIONS:]),
    )


def inputs_of_champion(paths: ArtifactPaths, identity: str) -> RunInputs | None:
    """What the run that promoted a champion was made with; None where it recorded nothing.

    Raises:
        UsageError: The ledger is damaged.
    """
    record = _promoted_by(read_ledger(ledger_path(paths)), identity, paths)
    return record.run if record else None


def _promoted_by(entries: Sequence[Entry], identity: str, paths: ArtifactPaths) -> Record | None:
    lines = [entry for entry in entries if entry.event is Event.PROMOTE and entry.identity == identity]
    return _record(lines[-1], paths) if lines else None


def _record(entry: Entry, paths: ArtifactPaths) -> Record | None:
    """A stored decision; None where it is gone or cannot be read, which `ratchet gate replay` then explains."""
    try:
        return read_record(paths.stored_decision(entry.decision_id)) if entry.decision_id else None
    except (MissingArtifactError, UsageError):
        return None


def _line(entry: Entry) -> HistoryLine:
    override = entry.override
    note = f"override by {override.by}: {override.reason}" if override else entry.reason or ""
    return HistoryLine(
        when=entry.recorded_at,
        event=entry.event.value,
        verdict=entry.verdict,
        model=entry.candidate,
        identity=entry.identity,
        decision_id=entry.decision_id,
        actor=entry.actor,
        note=note,
    )


def _champion(entry: Entry, paths: ArtifactPaths) -> PastChampion:
    record = _record(entry, paths)
    metrics = () if record is None else _metrics(record)
    return PastChampion(when=entry.recorded_at, model=entry.candidate, identity=entry.identity, metrics=metrics)


def _metrics(record: Record) -> tuple[PastMetric, ...]:
    """Metrics that the rules of a stored decision judged, from the scores that were stored with it."""
    decision, (candidate, _) = record.decision, reports_of(record)
    alpha = decision.policy.alpha / decision.num_candidates
    found = []
    for suite, metrics in judged_metrics(decision.policy).items():
        table = candidate.suites.get(suite)
        for metric in metrics if table is not None else ():
            if table is not None and metric in table.scores:
                value = measured_in(table, metric, alpha)
                found.append(
                    PastMetric(
                        suite=suite,
                        metric=metric,
                        mean=value.best,
                        lower=value.lower,
                        upper=value.upper,
                        n=value.n,
                        items_sha256=table.info.items_sha256,
                    )
                )
    return tuple(found)
