"""Rows of CSV, TSV and tables with semicolons: each becomes the JSON object that its header makes of it."""

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any, BinaryIO

from evalsuite.core.errors import UsageError
from tasks.config.marks import is_mark
from tasks.data.conversations import are_turns
from tasks.data.files.entries import Entry
from tasks.data.files.foreign import not_utf8, recoding_advice
from tasks.data.files.json_values import rest_of_line
from tasks.data.files.kinds import DELIMITERS, FileKind

NESTED = frozenset(
    (
        *("messages", "conversations", "conversation", "tools", "functions", "history"),
        *("responses", "completions", "generations", "ranks", "scores", "ratings", "ranking"),
    )
)
"""Columns whose cells may hold JSON."""
TURNS = frozenset(("chosen", "rejected"))
"""Columns whose cells may hold turns; other JSON there is the text of an answer."""
TRUTH = {"true": True, "false": False, "0": 0, "1": 1, "0.0": 0, "1.0": 1}
"""Cells of marks -> what JSON would have there."""


class _LongLineError(Exception):
    """A line that is longer than a row may be; its argument is its size in bytes."""


class _Lines:
    """The lines of a table as text, and the bytes of those that its current row began with."""

    def __init__(self, stream: BinaryIO, name: str, max_bytes: int | None) -> None:
        self._stream = stream
        self._name = name
        self._max_bytes = max_bytes
        self._number = 0
        self.raw: list[bytes] = []
        self.size = 0

    def next_row(self) -> None:
        """Begin a row."""
        self.raw.clear()
        self.size = 0

    @property
    def first(self) -> int:
        """The line at which the current row begins."""
        return self._number - len(self.raw) + 1

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        limit = self._max_bytes
        raw = self._stream.readline(-1 if limit is None else limit + 1)
        if not raw:
            raise StopIteration
        self._number += 1
        self.raw.append(raw)
        self.size += len(raw)
        if limit is not None and self.size > limit:
            if len(self.raw) > 1:
                raise self.unclosed(f"within {limit:,} bytes (prepare.max_line_bytes)")
            raise _LongLineError(self.size + rest_of_line(self._stream, raw))
        return raw.decode("utf-8-sig" if self._number == 1 else "utf-8", "surrogateescape")

    def unclosed(self, where: str) -> UsageError:
        """Rows would be lost in one cell."""
        return UsageError(
            f"prepare.sources: {self._name}: a quote that opens in line {self.first} is not closed {where}, so that "
            'the rows after it cannot be told; close it, and write a quote inside a text twice ("")'
        )


def table_entries(stream: BinaryIO, name: str, kind: FileKind, max_bytes: int | None) -> Iterator[Entry]:
    """Yield a row for each record after the header; ``file:line`` is the line at which it begins.

    A record with too many or too few cells, or with a quote in the wrong place, is yielded with its problem, and so is
    one that repeats the header.

    Raises:
        UsageError: A quote is never closed, or the header names a column twice.
    """
    csv.field_size_limit(sys.maxsize)  # rows are limited by their bytes
    lines = _Lines(stream, name, max_bytes)
    reader = csv.reader(lines, delimiter=kind.delimiter, strict=True)
    header: list[str] | None = None
    while True:
        lines.next_row()
        try:
            cells = next(reader, None)
        except _LongLineError as error:
            yield Entry(f"{name}:{lines.first}", None, error.args[0])
            continue
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise lines.unclosed("before the file's end") from None
            yield _bad(lines, name, f"{error}; write a quote inside a text twice, and quotes around the text")
            continue
        if cells is None:
            return
        if header is None:
            header = _checked(cells, lines, name)
        elif cells:
            yield _entry(lines, name, header, cells, kind)


def _checked(cells: list[str], lines: _Lines, name: str) -> list[str]:
    given = b"".join(lines.raw)
    try:
        given.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"prepare.sources: the header of {name} is {not_utf8(given, error)}; {recoding_advice(name)}"
        ) from None
    header = [cell.strip() for cell in cells]
    twice = next((column for column in header if column and header.count(column) > 1), None)
    if twice is not None:
        raise UsageError(f"prepare.sources: {name}: the header names column {twice[:60]!r} twice; rename one of them")
    return header


def _entry(lines: _Lines, name: str, header: list[str], cells: list[str], kind: FileKind) -> Entry:
    if [cell.strip().casefold() for cell in cells] == [column.casefold() for column in header]:
        return _bad(lines, name, "repeats the header")
    if len(cells) != len(header):
        what = DELIMITERS[kind.delimiter]
        mark = {",": "comma", ";": "semicolon", "\t": "tab"}[kind.delimiter]
        fewer = "a text that goes on in the next line" if len(cells) < len(header) else f"a text with a {mark} in it"
        return _bad(
            lines, name, f"{len(cells)} cells in {what} with {len(header)} columns: {fewer} needs quotes around it"
        )
    row = {column: _value(column, cell) for column, cell in zip(header, cells, strict=True) if column}
    try:
        raw = json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        given = b"".join(lines.raw)
        try:
            given.decode()
        except UnicodeDecodeError as error:
            return _bad(lines, name, not_utf8(given, error))
        raw = json.dumps(row).encode()  # a cell of JSON spells half a surrogate pair, which its reader refuses
    return Entry(f"{name}:{lines.first}", raw, lines.size)


def _bad(lines: _Lines, name: str, problem: str) -> Entry:
    raw = b"".join(lines.raw)
    return Entry(f"{name}:{lines.first}", raw, len(raw), problem)


@lru_cache(maxsize=512)
def _is_mark(column: str) -> bool:
    return is_mark(column)


def _value(column: str, cell: str) -> Any:
    """A cell as what JSON would have there: marks are numbers or truth values, and turns are a list."""
    if column in NESTED and cell.lstrip().startswith(("[", "{")):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell
    if column in TURNS and cell.lstrip().startswith(("[", "{")):
        with suppress(ValueError, RecursionError):
            value = json.loads(cell)
            return value if are_turns(value if isinstance(value, list) else [value]) else cell
    if _is_mark(column):
        return TRUTH.get(cell.strip().lower(), cell)
    return cell
