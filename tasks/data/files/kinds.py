"""How the rows stand in a file, told from its first bytes, not its name."""

import csv
import json
import shlex
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from evalsuite.core.errors import UsageError
from evalsuite.core.yaml_mistakes import printable
from tasks.data.files.foreign import foreign_of, refuse
from tasks.data.files.unzipped import unzipped

HEAD_BYTES = 1 << 18
MAX_COLUMNS_SHOWN = 12


class Container(Enum):
    """What holds the rows."""

    LINES = "JSON lines"
    ARRAY = "a JSON array"
    VALUES = "JSON objects over several lines"
    TABLE = "a table of text"
    TEXT = "a plain text"
    PARQUET = "a Parquet file"
    ARROW_STREAM = "an Arrow stream"
    ARROW_FILE = "an Arrow file"


class FileKind(NamedTuple):
    """How the rows of one file are read."""

    container: Container
    compression: str = ""
    """``gzip`` or ``Zstandard``; empty where it is not compressed."""
    delimiter: str = ""
    """Of a table."""
    columns: tuple[str, ...] = ()
    """Of a table: its first row; of Parquet and Arrow where they were looked up: those of its schema."""

    def __str__(self) -> str:
        """Such as ``CSV (header instruction,input,output), compressed by gzip``."""
        words = self.container.value.removeprefix("an ").removeprefix("a ").removesuffix(" file")
        shown = [printable(column[:40]) for column in self.columns[:MAX_COLUMNS_SHOWN]]
        listed = ",".join([*shown, *(["..."] if len(self.columns) > MAX_COLUMNS_SHOWN else [])])
        if self.container is Container.TABLE:
            words = f"{DELIMITERS[self.delimiter]} (header {listed})"
        elif self.columns:
            words += f" (columns {listed})"
        return words + (f", compressed by {self.compression}" if self.compression else "")


BINARY = (
    (b"PAR1", Container.PARQUET),
    (b"\xff\xff\xff\xff", Container.ARROW_STREAM),
    (b"ARROW1", Container.ARROW_FILE),
)
"""First bytes of files that hold columns."""
COLUMNS = frozenset(
    (
        *("prompt", "completion", "instruction", "input", "output", "text", "messages", "conversations"),
        *("question", "answer", "query", "response", "chosen", "rejected"),
    )
)
"""What tells the header of a table from a line of prose."""
DELIMITERS = {",": "CSV", "\t": "TSV", ";": "CSV with semicolons"}
TABLE_ENDINGS = (".csv", ".tsv")


def kind_of(path: Path, name: str) -> FileKind:
    """How the rows stand in a file.

    Args:
        path: The file.
        name: Its name in messages.

    Raises:
        UsageError: The file's format is not supported; names it and the command that converts it.
    """
    with unzipped(path, name) as (stream, compression):
        head = stream.read(HEAD_BYTES)
    foreign = foreign_of(head)
    if foreign is not None:
        refuse(foreign, name, compression)
    binary = next((container for magic, container in BINARY if head.startswith(magic)), None)
    if binary is not None:
        if compression:
            program = "gunzip -c" if compression == "gzip" else "zstd -dc"
            plain = name.removesuffix(".gz").removesuffix(".zst")
            target = plain if plain != name else f"{name}.unzipped"
            raise UsageError(
                f"prepare.sources: {name} is, inside {compression}, {binary.value}, which is compressed by itself and "
                f"read from its end: run `{program} {shlex.quote(name)} > {shlex.quote(target)}`, then name {target}"
            )
        return FileKind(binary)
    text = head.decode("utf-8-sig", "replace").lstrip()
    first, _, rest = text.partition("\n")
    if not first.startswith(("{", "[")):
        if _called(name, (".txt",)):
            return FileKind(Container.TEXT, compression)
        table = _table(first.rstrip("\r"), rest.partition("\n")[0].rstrip("\r"), name)
        if table is not None:
            return table._replace(compression=compression)
    return FileKind(_of_json(text, first, rest, len(head) < HEAD_BYTES), compression)


def _of_json(text: str, first: str, rest: str, whole: bool) -> Container:
    if text.startswith("["):
        # A line that is an array by itself, with others behind it, is a bad row of a file of lines.
        return Container.LINES if rest.strip() and _is_json(first) else Container.ARRAY
    if text.startswith("{") and not _is_json(first):
        several = _ends_beyond(text, len(first)) or (first.strip() == "{" and not whole)
        return Container.VALUES if several else Container.LINES
    return Container.LINES


def _table(first: str, second: str, name: str) -> FileKind | None:
    """A table, where the first line is a header."""
    called = _called(name, TABLE_ENDINGS)
    for delimiter, words in DELIMITERS.items():
        columns, next_row = _cells(first, delimiter), _cells(second, delimiter)
        known = bool(COLUMNS & _names(columns))
        if not known and len(next_row) > 1 and len(COLUMNS & _names(next_row)) > 1:
            line = f"sed -i 1d {shlex.quote(name)}"
            raise UsageError(
                f"prepare.sources: {name} is {words} with two header rows: line 1 ({first[:60]!r}) names no column "
                f"that is known, line 2 ({second[:60]!r}) does; take line 1 out (`{line}`), then run the stage again"
            )
        if len(columns) > 1 and (known or called):
            return FileKind(Container.TABLE, "", delimiter, columns)
    if called and first.strip():  # one column
        return FileKind(Container.TABLE, "", "\t" if ".tsv" in name.lower() else ",", _cells(first, ","))
    return None


def _called(name: str, endings: tuple[str, ...]) -> bool:
    return name.lower().removesuffix(".gz").removesuffix(".zst").endswith(endings)


def _cells(line: str, delimiter: str) -> tuple[str, ...]:
    try:
        return tuple(cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), []))
    except csv.Error:
        return ()


def _names(cells: tuple[str, ...]) -> frozenset[str]:
    return frozenset(cell.lower() for cell in cells)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _ends_beyond(text: str, length: int) -> bool:
    """Whether the JSON value at the start ends behind its first line."""
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return end > length
