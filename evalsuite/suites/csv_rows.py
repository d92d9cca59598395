"""Rows of a public CSV file, with its columns checked; no message quotes a cell, since some files are harmful texts."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from evalsuite.core.errors import UsageError


def read_csv_rows(path: Path, columns: Sequence[str], source: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (FILE:LINE, the values of ``columns``) of each row.

    Args:
        path: The file.
        columns: What it must have; others are left out, and an absent cell is an empty text.
        source: Where to get the file.

    Raises:
        UsageError: Absent, not CSV in UTF-8, without rows, or a column is missing.
    """
    if not path.is_file():
        raise UsageError(f"no file {path}; get {path.name} from {source}")
    empty = True
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise UsageError(f"{path} has no column {missing[0]!r}; expected {', '.join(columns)}")
            for row in reader:
                empty = False
                yield f"{path}:{reader.line_num}", {column: row[column] or "" for column in columns}
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"{path} is not a CSV file in UTF-8 ({type(error).__name__}); get it again from {source}"
        ) from None
    if empty:
        raise UsageError(f"{path} has no rows; get it again from {source}")
