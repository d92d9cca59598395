"""Rows out of a file, one by one, so that a look at the first of a huge file takes no time."""

from collections.abc import Iterator
from pathlib import Path

from tasks.data.files.columnar import columnar_entries, columns_of
from tasks.data.files.entries import Entry
from tasks.data.files.json_values import line_entries, value_entries
from tasks.data.files.kinds import Container, FileKind, kind_of
from tasks.data.files.text_documents import document_entries
from tasks.data.files.text_tables import table_entries
from tasks.data.files.unzipped import unzipped

COLUMNAR = (Container.PARQUET, Container.ARROW_STREAM, Container.ARROW_FILE)


def evidence_of(path: Path, name: str) -> FileKind:
    """How the rows stand in a file that was read, with the names of its columns."""
    kind = kind_of(path, name)
    return kind._replace(columns=columns_of(path, kind.container)) if kind.container in COLUMNAR else kind


def read_entries(path: Path, name: str, max_bytes: int | None) -> Iterator[Entry]:
    """Yield the rows of a file; blank lines are passed over.

    Args:
        path: The file.
        name: Its name in messages.
        max_bytes: Longer rows come without their bytes; no limit when None.

    Raises:
        UsageError: The file has another format, or breaks off; names the format and what to do.
    """
    kind = kind_of(path, name)
    if kind.container in COLUMNAR:
        yield from columnar_entries(path, name, kind, max_bytes)
        return
    with unzipped(path, name) as (stream, _):
        if kind.container is Container.LINES:
            yield from line_entries(stream, name, max_bytes)
        elif kind.container is Container.TABLE:
            yield from table_entries(stream, name, kind, max_bytes)
        elif kind.container is Container.TEXT:
            yield from document_entries(stream, name, max_bytes)
        else:
            yield from value_entries(stream, name, kind.container, max_bytes)
