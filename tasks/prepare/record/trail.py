"""data/prepared/trail.parquet: where every row came from, what each step did to it, and where it ended.

One row of the file for each that was read, bad ones last. What a step did not note, it kept as it was, so that the file
is small: a million rows take some tens of megabytes, most of which are hashes.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from evalsuite.core.errors import MissingArtifactError, UsageError
from tasks.data.formats import BadRow
from tasks.prepare.record.content_hash import HASH_BYTES
from tasks.prepare.runner import Record
from tasks.prepare.scale.stored import Rows
from tasks.prepare.splits import Side

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 1
MADE_BY = "ratchet stage prepare"
GROUP_ROWS = 65_536
"""Rows of the file that are in memory at a time."""
READ = "read"
"""The step of a bad row's event."""


class Event(NamedTuple):
    """What one step did to one row."""

    step: str
    did: Literal["bad", "dropped", "changed"]
    reason: str
    detail: str = ""
    other: str = ""
    """Source of another row that explains it."""


class TrailRow(NamedTuple):
    """One row that was read."""

    source: str
    """``file:line``, or ``file#entry``."""
    row_id: str
    content: str
    """Hex of ``content_hash``; empty for a bad row."""
    side: str
    """``train``, ``dev``, or empty where it is on neither."""
    events: tuple[Event, ...] = ()


class TrailStep(NamedTuple):
    """A step that the rows went through."""

    name: str
    private: bool = False
    """Its ``Step.private``."""


def shows_text(events: Iterable[Event], steps: Sequence[TrailStep]) -> bool:
    """Whether every private step saw a row and left it alone, so that a report may show its text as it was read."""
    private = {step.name for step in steps if step.private}
    names = [step.name for step in steps]
    for event in events:
        if event.step in private:
            return False
        # A bad row was seen by no step; a row that an earlier step dropped was not seen by the later ones.
        after = names[names.index(event.step) + 1 :] if event.step in names else names
        if event.did != "changed" and private & set(after):
            return False
    return True


def steps_of(records: Sequence[Record]) -> list[TrailStep]:
    """The steps that rows went through."""
    return [TrailStep(record.name, record.private) for record in records]


def events_of(records: Sequence[Record]) -> dict[str, tuple[Event, ...]]:
    """Source of each row that a step dropped or changed -> what was done to it, in order."""
    found: dict[str, tuple[Event, ...]] = {}
    for record in records:
        for did, notes in (("changed", record.changed), ("dropped", record.dropped)):
            for note in notes:
                event = Event(record.name, did, note.reason, note.detail, note.other)  # type: ignore[arg-type]
                found[note.source] = (*found.get(note.source, ()), event)
    return found


def trail_rows(
    rows: Rows, bad: Iterable[BadRow], records: Sequence[Record], sides: Mapping[str, Side]
) -> Iterator[TrailRow]:
    """Every row that was read, under the id that it is trained on with.

    Args:
        rows: The rows as they were read, before any step.
        bad: Those that could not be read.
        records: What each step did.
        sides: Rows of train and dev.
    """
    noted, steps, names = events_of(records), steps_of(records), list(sides)
    side_of = np.full(len(rows), -1, dtype=np.int8)
    new_ids: dict[int, str] = {}
    for number, side in enumerate(sides.values()):
        origins = side.rows.origins
        side_of[origins] = number
        changed = np.flatnonzero(origins != side.rows.records)
        heads = Rows(side.rows.file, side.rows.records[changed]).heads()
        new_ids.update(zip(origins[changed].tolist(), (head.row_id for head in heads), strict=True))
    for at, (number, head) in enumerate(zip(side_of.tolist(), rows.heads(), strict=True)):
        source = head.source
        events = noted.get(source, ())
        own_id = new_ids.get(at, head.row_id)
        if number < 0 and not shows_text(events, steps):
            own_id = source  # an id may be an address
        yield TrailRow(source, own_id, head.content, names[number] if number >= 0 else "", events)
    for each in bad:
        yield TrailRow(each.source, each.source, "", "", (Event(READ, "bad", each.reason),))


def write_trail(path: Path, rows: Iterable[TrailRow], records: Sequence[Record]) -> str:
    """Write the file, some rows at a time; the same rows give the same bytes.

    Returns:
        The md5 of its bytes, under which DVC keeps it.
    """
    import pyarrow.parquet as pq

    steps = [step._asdict() for step in steps_of(records)]
    about = {"schema_version": SCHEMA_VERSION, "steps": steps}
    schema = _schema().with_metadata({"ratchet": json.dumps(about)})
    own = {"source": "DELTA_BYTE_ARRAY", "id": "DELTA_BYTE_ARRAY", "content": "PLAIN"}
    nested = [f"events.list.element.{name}" for name in Event._fields]
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(
        path, schema, compression="zstd", use_dictionary=["side", *nested], column_encoding=own
    ) as writer:
        remaining = iter(rows)
        while group := list(islice(remaining, GROUP_ROWS)):
            writer.write_table(_table(group, schema))
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _schema() -> "pa.Schema":
    import pyarrow as pa

    event = pa.struct([(name, pa.string()) for name in Event._fields])
    return pa.schema(
        [
            ("source", pa.string()),
            ("id", pa.string()),  # null where it is the source
            ("content", pa.binary(HASH_BYTES)),
            ("side", pa.string()),
            ("events", pa.list_(event)),
        ]
    )


def _table(rows: Sequence[TrailRow], schema: "pa.Schema") -> "pa.Table":
    import pyarrow as pa

    columns: dict[str, list[Any]] = {
        "source": [row.source for row in rows],
        "id": [None if row.row_id == row.source else row.row_id for row in rows],
        "content": [bytes.fromhex(row.content) or None for row in rows],
        "side": [row.side or None for row in rows],
        "events": [[event._asdict() for event in row.events] or None for row in rows],
    }
    return pa.table(columns, schema=schema)


@dataclass(frozen=True)
class Trail:
    """The file, read."""

    table: "pa.Table"
    steps: tuple[TrailStep, ...]

    @cached_property
    def ids(self) -> "pa.Array":
        """Each row's id."""
        import pyarrow.compute as pc

        return pc.coalesce(self.table["id"], self.table["source"]).combine_chunks()

    def find(self, wanted: str) -> list[TrailRow]:
        """The rows of this id, or at this source."""
        import pyarrow.compute as pc

        at_source = pc.equal(self.table["source"], wanted)
        return self.rows(pc.indices_nonzero(pc.or_(at_source, pc.equal(self.ids, wanted))).to_pylist())

    def rows(self, places: Sequence[int] | None = None) -> list[TrailRow]:
        """Those at these places, or all."""
        import pyarrow as pa

        table, ids = self.table, self.ids
        if places is not None:
            chosen = pa.array(places, pa.int64())
            table, ids = table.take(chosen), ids.take(chosen)
        return [
            TrailRow(
                each["source"],
                row_id,
                (each["content"] or b"").hex(),
                each["side"] or "",
                tuple(Event(**event) for event in each["events"] or ()),
            )
            for each, row_id in zip(table.to_pylist(), ids.to_pylist(), strict=True)
        ]

    def sources(self, contents: Set[str]) -> list[str]:
        """Where the rows of these contents stand."""
        return [
            source
            for source, content in zip(self.table["source"].to_pylist(), self.contents, strict=True)
            if content in contents
        ]

    @cached_property
    def contents(self) -> list[str]:
        """Each row's hash, in hex; empty for bad rows."""
        return [(each or b"").hex() for each in self.table["content"].to_pylist()]


def read_trail(path: Path, made_by: str = MADE_BY) -> Trail:
    """Read and check the file.

    Raises:
        MissingArtifactError: There is none.
        UsageError: It is damaged, or of a version that this one does not read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise MissingArtifactError(f"no history of rows at {path}; make it with `{made_by}`")
    try:
        table = pq.read_table(path, partitioning=None)
        about = json.loads((table.schema.metadata or {}).get(b"ratchet", b"{}"))
    except (pa.ArrowInvalid, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{path} is damaged ({reason}); make it again with `{made_by}`") from None
    if about.get("schema_version") != SCHEMA_VERSION or table.schema.names != _schema().names:
        raise UsageError(
            f"{path} has schema_version {about.get('schema_version')!r}, this version reads {SCHEMA_VERSION}; make it "
            f"again with `{made_by}`"
        )
    return Trail(table, tuple(TrailStep(step["name"], step["private"]) for step in about["steps"]))
