"""The rows that were trained on: where they went, and what changed since the champion's."""

from typing import Literal

from evalsuite.gate.replay import DataCounts
from evalsuite.report.data import ReportData
from evalsuite.report.facts.measured import Fact

NOT_RECORDED = "not recorded by the run that promoted it"


class FunnelRow(Fact):
    """What is left after one step of preparation."""

    step: str
    rows: int
    """Left after it."""
    lost: int
    """Taken out by it."""
    percent: float
    """Of the rows that were read (0..100)."""


class CountChange(Fact):
    """One count of this run beside the champion's."""

    name: str
    before: int | None
    """None where the champion's run had none."""
    after: int | None


class SourceChange(Fact):
    """One source of rows that is not what it was."""

    source: str
    change: Literal["added", "removed", "changed"]


class DataFact(Fact):
    """What preparation did, and how it differs from the champion's."""

    counts: DataCounts
    funnel: tuple[FunnelRow, ...]
    since_champion: tuple[CountChange, ...] | None
    """None where there is no champion, or its run recorded nothing."""
    sources: tuple[SourceChange, ...]
    note: str
    """Why nothing is compared; empty where it is."""


def prepared_of(data: ReportData) -> DataFact | None:
    """None where preparation left no report."""
    counts = data.data_counts
    if counts is None:
        return None
    before = data.champion_inputs.data if data.champion_inputs else None
    note = ""
    if before is None:
        no_champion = "champion" not in data.decision.baselines
        note = (
            "There is no champion to compare the data with." if no_champion else f"The champion's data: {NOT_RECORDED}."
        )
    return DataFact(
        counts=counts,
        funnel=funnel_of(counts),
        since_champion=None if before is None else count_changes(before, counts),
        sources=() if before is None else source_changes(before.sources, counts.sources),
        note=note,
    )


def funnel_of(counts: DataCounts) -> tuple[FunnelRow, ...]:
    """Rows left after reading, after each step, and on both sides of the split."""
    read = counts.rows_read
    rows = [FunnelRow(step="read", rows=read, lost=0, percent=_percent(read, read))]

    def add(step: str, left: int) -> None:
        rows.append(FunnelRow(step=step, rows=left, lost=rows[-1].rows - left, percent=_percent(left, read)))

    add("could be parsed", read - counts.bad_rows.count)
    for step in counts.steps:
        add(step.name, step.kept)
    kept = sum(split.rows for split in counts.splits.values())
    if not counts.steps or kept != rows[-1].rows:
        add("kept", kept)
    train = counts.splits.get("train")
    if train is not None:
        add("train, without dev", train.rows)
    return tuple(rows)


def count_changes(before: DataCounts, after: DataCounts) -> tuple[CountChange, ...]:
    """Counts of two runs that differ."""
    old, new = _counts(before), _counts(after)
    names = [*new, *(name for name in old if name not in new)]
    return tuple(
        CountChange(name=name, before=old.get(name), after=new.get(name))
        for name in names
        if old.get(name) != new.get(name)
    )


def source_changes(before: dict[str, str], after: dict[str, str]) -> tuple[SourceChange, ...]:
    """Sources that came, went or have other bytes."""
    found = []
    for source in sorted({*before, *after}):
        if source not in before:
            found.append(SourceChange(source=source, change="added"))
        elif source not in after:
            found.append(SourceChange(source=source, change="removed"))
        elif before[source] != after[source]:
            found.append(SourceChange(source=source, change="changed"))
    return tuple(found)


def _percent(rows: int, read: int) -> float:
    return round(100.0 * rows / read, 1) if read else 0.0


def _counts(counts: DataCounts) -> dict[str, int]:
    found = {"rows read": counts.rows_read, "bad rows": counts.bad_rows.count}
    found |= {f"dropped: {reason}": each.count for reason, each in counts.dropped.items()}
    found |= {f"changed by {step.name}": step.changed for step in counts.steps if step.changed}
    for side, split in counts.splits.items():
        found |= {
            f"{side} rows": split.rows,
            f"{side} tokens": split.tokens,
            f"{side} longest row, tokens": split.longest,
        }
    return found
