"""Rows of Parquet and Arrow files, read by batches: each becomes the JSON object that it stands for."""

import json
import os
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from evalsuite.core.errors import UsageError
from tasks.data.files.entries import Entry
from tasks.data.files.kinds import Container, FileKind

ROWS_OF_A_BATCH = 1024
END_OF_STREAM = (b"\xff\xff\xff\xff\x00\x00\x00\x00", b"\x00\x00\x00\x00")
"""How an Arrow stream ends, as it is written today and before Arrow 0.15."""
INDEX = "__index_level_0__"
"""The column in which pandas keeps the numbers of its rows."""


def columnar_entries(path: Path, name: str, kind: FileKind, max_bytes: int | None) -> Iterator[Entry]:
    """Yield the rows, with no more of the file in memory than a row group or a batch.

    Raises:
        UsageError: The file was cut short or is damaged.
    """
    import pyarrow

    number = 0
    try:
        for batch in _batches(path, kind.container):
            batch.validate(full=True)  # Arrow reads outside its memory where a damaged file points there
            for row in batch.to_pylist():
                number += 1
                row.pop(INDEX, None)
                raw = json.dumps(row, ensure_ascii=False, default=_plain).encode()
                fits = max_bytes is None or len(raw) <= max_bytes
                yield Entry(f"{name}#{number}", raw if fits else None, len(raw))
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        said = " ".join(str(error).split())[:200]
        raise UsageError(
            f"prepare.sources: {name} is {kind.container.value} and cannot be read after row {number} ({said}): it was "
            "cut short, or changed after it was written; restore it from its origin"
        ) from None


def columns_of(path: Path, container: Container) -> tuple[str, ...]:
    """Names of the columns, as the file's schema has them."""
    import pyarrow
    from pyarrow import ipc, parquet

    if container is Container.PARQUET:
        return tuple(parquet.read_schema(path).names)
    with pyarrow.OSFile(str(path)) as source:
        opened = ipc.open_file(source) if container is Container.ARROW_FILE else ipc.open_stream(source)
        with opened:
            return tuple(opened.schema.names)


def _batches(path: Path, container: Container) -> Iterable[Any]:
    import pyarrow
    from pyarrow import ipc, parquet

    if container is Container.PARQUET:
        with parquet.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=ROWS_OF_A_BATCH)
        return
    with pyarrow.OSFile(str(path)) as source:
        if container is Container.ARROW_FILE:
            with ipc.open_file(source) as file:
                yield from (file.get_batch(number) for number in range(file.num_record_batches))
        else:
            with ipc.open_stream(source) as stream:
                yield from stream
    if container is Container.ARROW_STREAM:
        with path.open("rb") as plain:
            plain.seek(-min(8, path.stat().st_size), os.SEEK_END)
            if not plain.read().endswith(END_OF_STREAM):
                raise pyarrow.ArrowInvalid("the mark that ends a stream is missing")


def _plain(value: Any) -> Any:
    """What JSON has for a value of another type; a text that was stored as bytes is a text."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"bytes": len(value)}  # an object is no text, so that nobody trains on it
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else repr(value)
