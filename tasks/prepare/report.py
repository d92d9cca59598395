"""report.json, and the stage's summary of it."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.data.keys import shown
from tasks.objectives.objective import RowKind
from tasks.prepare.mixing import BEYOND_REPLAY, BEYOND_SYNTHETIC
from tasks.prepare.runner import Record
from tasks.prepare.scale.stored import Rows
from tasks.prepare.sources import ReadSources
from tasks.prepare.splits import Side
from tasks.prepare.steps import Note, StepInputs

MAX_LISTED = 100
MAX_CLUSTERS = 20
STEPS_OF_CLUSTERS = ("duplicates", "near_duplicates", "semantic_duplicates")
HISTOGRAM_TOKENS = (32, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096, 8192)


def report_of(
    read: ReadSources, records: Sequence[Record], sides: Mapping[str, Side], given: StepInputs
) -> dict[str, Any]:
    """What report.json says.

    Args:
        read: The rows as they were read.
        records: What each step did.
        sides: Train and dev rows.
        given: What was asked for.
    """
    bad = read.bad
    formats: Counter[str] = Counter()
    for file in read.files:
        formats.update(file.formats)
    dropped: defaultdict[str, list[str]] = defaultdict(list)
    for record in records:
        for note in record.dropped if record.name != "max_rows" else ():
            dropped[note.reason].append(note.source + (f" ({note.detail})" if note.detail else ""))
    num_rows = sum(len(side.places) for side in sides.values())
    drawn_from, left_out = next(
        ((record.rows_in, len(record.dropped)) for record in records if record.name == "max_rows"), (num_rows, 0)
    )
    return {
        "schema_version": 1,
        "sources": {file.name: file.sha256 for file in read.files},
        "files": [file._asdict() for file in read.files],
        "rows_read": len(read.rows) + len(bad),
        "formats": dict(sorted(formats.items())),
        "bad_rows": {"count": len(bad), "first": [f"{row.source}: {row.reason}" for row in bad[:MAX_LISTED]]},
        "dropped": {
            reason: {"count": len(found), "first": found[:MAX_LISTED]} for reason, found in sorted(dropped.items())
        },
        "max_rows": {"limit": given.params.max_rows, "clean_rows": drawn_from, "left_out": left_out},
        "groups": {name: len(side.groups) for name, side in sides.items()},
        "splits": {name: _describe(side) for name, side in sides.items()},
        **learnt_counts([side.rows for side in sides.values()], given),
        "unknown_keys": dict(Counter(key for row in bad for key in row.unknown).most_common(MAX_LISTED)),
        "steps": [_step(record) for record in records],
    }


def learnt_counts(sides: Sequence[Rows], given: StepInputs) -> dict[str, Any]:
    """What the report says of the objective: the answers that are learnt, and those that are context."""
    objective = given.objective
    name = {} if objective.name == "sft" else {"objective": objective.name}
    if objective.rows is RowKind.DOCUMENTS:
        return name
    learnt = context = 0
    for head in (head for rows in sides for head in given.heads(rows)):
        learnt, context = learnt + head.answers - head.context, context + head.context
    return name | {"answers": {"learnt": learnt, "context": context}}


def _step(record: Record) -> dict[str, Any]:
    return {
        "name": record.name,
        **record.counts,
        **_clusters(record),
        **({"counted": record.counted} if record.counted else {}),
        "first_dropped": [_line(note) for note in record.dropped[:MAX_LISTED]],
        "first_changed": [_line(note) for note in record.changed[:MAX_LISTED]],
    }


def _clusters(record: Record) -> dict[str, Any]:
    """Rows that stayed for others like them, those for most first."""
    kept = Counter(note.other for note in record.dropped)
    if not kept or record.name not in STEPS_OF_CLUSTERS:
        return {}
    largest = [{"kept": source, "dropped": count} for source, count in kept.most_common(MAX_CLUSTERS)]
    return {"clusters": {"count": len(kept), "largest": largest}}


def _line(note: Note) -> str:
    detail = f" ({note.detail})" if note.detail else ""
    return f"{note.source}: {note.reason}{detail}" + (f", see {note.other}" if note.other else "")


def _describe(side: Side) -> dict[str, Any]:
    """Counts and a histogram of sequences in tokens; bins end at HISTOGRAM_TOKENS, the last is open."""
    lengths = [length for each in side.lengths for length in each]
    counts = Counter(next((edge for edge in HISTOGRAM_TOKENS if length <= edge), "more") for length in lengths)
    return {
        "rows": len(side.places),
        **({"sequences": len(lengths)} if len(lengths) != len(side.places) else {}),
        "tokens": sum(lengths),
        "longest": max(lengths, default=0),
        "histogram_up_to_tokens": {str(edge): counts[edge] for edge in (*HISTOGRAM_TOKENS, "more") if counts[edge]},
    }


def summary(report: Mapping[str, Any]) -> str:
    """The report in one line."""
    splits = report["splits"]
    beyond = {name: report["dropped"].get(name, {}).get("count", 0) for name in (BEYOND_REPLAY, BEYOND_SYNTHETIC)}
    dropped = sum(entry["count"] for entry in report["dropped"].values()) - sum(beyond.values())
    cut = report["max_rows"]
    by = "max_rows of their sources" if cut["limit"] is None else f"prepare.max_rows = {cut['limit']}"
    limited = f", {cut['left_out']} of the {cut['clean_rows']} others left out by {by}" if cut["left_out"] else ""
    changing = [step for step in report["steps"] if step["changed"]]
    changed = "".join(f"; {step['changed']} rows changed by {step['name']}" for step in changing)
    keys = report["unknown_keys"]
    unknown = f" ({sum(keys.values())} times an unknown key: {', '.join(map(shown, keys))})" if keys else ""
    marked = report.get("answers", {}).get("context", 0)
    context = f"; {marked} answers are context and not learnt" if marked else ""
    bad = f"{report['bad_rows']['count']} bad{unknown}"
    bad += " (as they were: data/prepared/quarantine.jsonl)" if report["bad_rows"]["count"] else ""
    limited += "".join(f", {count} {name}" for name, count in beyond.items() if count)
    kinds = [(report[key], key, what) for key, what in (("replay", "reached"), ("synthetic", "share")) if key in report]
    shares = "".join(f"; {told['rows']} rows are {key} ({told[what]:.1%})" for told, key, what in kinds)
    return (
        f"{report['rows_read']} rows read, {bad}, {dropped} dropped{limited}; train {splits['train']['rows']} rows "
        f"({splits['train']['tokens']:,} tokens), dev {splits['dev']['rows']} rows{shares}{context}{changed}"
    )
