"""The rows of ``prepare.sources``, and whether they can be trained on."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_file
from evalsuite.core.text import whole_form
from tasks.config.prepare import PrepareParams
from tasks.data.files.entries import Entry
from tasks.data.files.foreign import recoding_advice
from tasks.data.files.reading import evidence_of, read_entries
from tasks.data.formats import BadRow, Row, RowRules, read_rows, row_of
from tasks.data.keys import ignore_advice
from tasks.objectives.find import find_objective
from tasks.objectives.objective import Objective
from tasks.paths import ArtifactPaths
from tasks.prepare.inputs.quarantine import Quarantine, quarantine
from tasks.prepare.inputs.source_files import SourceFile, file_of, source_files
from tasks.prepare.personal.names import check_file_names
from tasks.prepare.rows import asked_text, check_split_fields, row_rules
from tasks.prepare.scale.engine import Engine, InProcess
from tasks.prepare.scale.stored import BATCH_BYTES, BATCH_ROWS, PackedRows, RowFile, Rows, pack_all

FIRST_ROWS = 20
MANY_BYTES = 50_000_000
"""From here a file is parsed in several processes."""
FORMATS = {
    "chat": "OpenAI's messages",
    "sharegpt": "ShareGPT",
    "prompt_completion": "prompt and completion",
    "alpaca": "Alpaca (instruction and output)",
    "question_answer": "question and answer",
    "preference": "preference pairs (prompt, chosen, rejected)",
    "preference_conversations": "preference pairs (chosen and rejected conversations)",
    "preference_transcripts": "preference pairs (transcripts of Human and Assistant)",
    "preference_openai": "OpenAI's preference pairs (preferred_output, non_preferred_output)",
    "ranked": "ranked answers",
    "text": "documents",
    "argilla": "records of Argilla",
    "label-studio": "tasks of Label Studio",
}
"""Formats of rows as people call them."""


class ReadFile(NamedTuple):
    """What was found in one file of rows."""

    name: str
    sha256: str
    kind: str
    """How the rows stand in it, such as ``CSV (header instruction,output)``."""
    formats: dict[str, int]
    """Format -> rows."""
    bad: int

    def __str__(self) -> str:
        """The evidence in one line."""
        total = sum(self.formats.values()) + self.bad
        parts = [
            f"{'all ' if count == total else ''}{count:,} rows read as {FORMATS.get(name, name)}"
            for name, count in self.formats.items()
        ]
        parts += [f"{self.bad:,} bad"] if self.bad else []
        return f"{self.name}: {self.kind}, {', '.join(parts) or 'no rows'}"


class ReadSources(NamedTuple):
    """All rows of all sources, in their order."""

    rows: Rows
    bad: list[BadRow]
    """Without the bytes, which stand in the quarantine."""
    files: list[ReadFile]
    quarantine: Path
    """Bad rows as they were; no file where there are none."""


def check_sources(params: PrepareParams, paths: ArtifactPaths) -> None:
    """Refuse sources that cannot be trained on, by their first rows alone, so that it takes no time; asks no network.

    Raises:
        UsageError: A source is absent, empty or outside data/raw, none of its first rows can be read, or it lacks
            what the split reads.
    """
    empty: dict[int, list[str]] = {}
    files = source_files(params, paths.root, fetch=False)
    if row_rules(params).quiet:
        check_file_names([name for name, _, _ in files])
    for name, path, entry in files:
        key = params.key_of(entry)
        first = list(islice(read_rows(path, name, row_rules(params)), FIRST_ROWS))
        if not first:
            empty.setdefault(entry, []).append(name)
            continue
        good = [row for row in first if isinstance(row, Row)]
        if not good and isinstance(first[0], BadRow):
            raise UsageError(
                f"{key}: none of the first {len(first)} rows of {name} can be read; {first[0].source}: "
                f"{first[0].reason}; {_remedy(first, params) or 'fix the file'}, then `ratchet stage prepare`"
            )
        for row in good:
            check_split_fields(_among_others(row, entry, params), params, paths)
    for entry, names in empty.items():
        if len(names) == sum(file.entry == entry for file in files):
            raise UsageError(
                f"{params.key_of(entry)}: {', '.join(names[:5])} is empty; expected rows, such as one JSON object per "
                f"line: put rows there, or remove the file from {params.key_of(entry)}"
            )


def _remedy(entries: Iterable[Row | BadRow], params: PrepareParams) -> str:
    """What makes bad rows good: a line of params.yaml for unknown keys, a command for another encoding."""
    bad = [entry for entry in entries if isinstance(entry, BadRow)]
    unknown = {key for row in bad for key in row.unknown}
    advice = [f"unknown keys: {ignore_advice(unknown, params.ignore_keys)}"] if unknown else []
    coded = next((row.source for row in bad if row.reason.startswith("not UTF-8")), None)
    if coded is not None:
        advice.append(f"not UTF-8: {recoding_advice(file_of(coded))}")
    return "; ".join(advice)


def read_sources(params: PrepareParams, paths: ArtifactPaths, engine: Engine) -> ReadSources:
    """Read all rows; bad ones go to the quarantine.

    Raises:
        UsageError: A file changed while it was read, or more rows are bad than ``prepare.max_bad_fraction`` allows.
        StageError: The disk is full.
    """
    own = paths.root / ".ratchet"
    stored = RowFile(own)
    bad: list[BadRow] = []
    files = []
    with quarantine(own / "quarantine.jsonl") as kept:
        for file in source_files(params, paths.root, fetch=True):
            files.append(_read(file, params, stored, bad, kept, engine))
    rows = Rows(stored, np.arange(len(stored)))
    total = len(rows) + len(bad)
    if len(bad) > params.max_bad_fraction * total:
        listed = "\n".join(f"  {row.source}: {row.reason}" for row in bad[:5])
        remedy = _remedy(bad, params)
        raise UsageError(
            f"{len(bad)} of {total} rows are bad, prepare.max_bad_fraction allows {params.max_bad_fraction}; fix them "
            f"or raise it. All of them, as they are: {kept.path.relative_to(paths.root)}. The first:\n{listed}"
            + (f"\n{remedy}" if remedy else "")
        )
    return ReadSources(rows, bad, files, kept.path)


def _among_others(row: Row, entry: int, params: PrepareParams) -> Row:
    """A row of replay with the keys of the split that it lacks: its own group, one stratum, and the oldest of dates."""
    if entry < len(params.sources):
        return row
    split = params.split
    own = {params.group_by: whole_form(asked_text(row)), split.stratify_by: "replay", split.field: 0}
    fields = {key: value for key, value in own.items() if key is not None and key not in row.fields}
    return row._replace(fields={**row.fields, **fields}) if fields else row


def _read(
    file: SourceFile, params: PrepareParams, stored: RowFile, bad: list[BadRow], kept: Quarantine, engine: Engine
) -> ReadFile:
    """Add the rows of a file to those before."""
    before = _stamp(file.path)
    formats: Counter[str] = Counter()
    num_bad = 0
    where = engine if before[0] >= MANY_BYTES else InProcess()
    parse = _Parse(params, file.entry)
    for parsed in where.map(parse, _batches(read_entries(file.path, file.name, parse.rules.max_bytes))):
        for row in parsed.bad:
            kept.add(row)
            bad.append(row._replace(raw=None))
        stored.extend(parsed.rows)
        formats.update(parsed.formats)
        num_bad += len(parsed.bad)
    sha256 = sha256_file(file.path)
    if _stamp(file.path) != before:
        raise UsageError(
            f"prepare.sources: {file.name} changed while it was read, so that its rows are neither the old nor the new "
            "ones; wait until what writes it is done, then `ratchet stage prepare`"
        )
    kind = str(evidence_of(file.path, file.name))
    return ReadFile(file.name, sha256, kind, dict(formats.most_common()), num_bad)


class _Parsed(NamedTuple):
    """Some entries of a file, as rows."""

    rows: PackedRows
    formats: Counter[str]
    """Format -> rows."""
    bad: list[BadRow]


@dataclass(frozen=True)
class _Parse:
    """Makes rows of what a file has."""

    params: PrepareParams
    entry: int
    """Of the file."""

    @cached_property
    def rules(self) -> RowRules:
        """How its rows are read."""
        return row_rules(self.params)

    @cached_property
    def _objective(self) -> Objective:
        return find_objective(self.params.objective)

    def __call__(self, entries: Sequence[Entry]) -> _Parsed:
        """Each entry's row, or why it is none."""
        read = [row_of(entry, self.rules) for entry in entries]
        good = [_among_others(row, self.entry, self.params) for row in read if isinstance(row, Row)]
        bad = [row for row in read if isinstance(row, BadRow)]
        return _Parsed(pack_all(good, self._objective), Counter(row.format for row in good), bad)


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Some entries at a time, so that much of a file, and never all of a large one, is on its way."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += entry.size if entry.raw is not None else 0
        if size >= BATCH_BYTES or len(batch) >= BATCH_ROWS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _stamp(path: Path) -> tuple[int, ...]:
    """What differs once a file was written again; no program can set the time of the last change (ctime)."""
    found = os.stat(path)  # noqa: PTH116  follows links
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)
