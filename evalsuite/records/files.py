"""CSV and JSON files with one row per item, as people have them: gzipped or not, as lines or as one array."""

import csv
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from evalsuite.core.errors import UsageError
from evalsuite.core.files import parse_json, sha256_json
from evalsuite.records import lm_eval
from evalsuite.records.rows import Record, Records, drop, score, short, unscore_doubtful

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
ID = "item_id"
OTHER_IDS = ("id", "sample_id", "question_id", "example_id", "doc_id", "idx", "index", "uid", "key")
"""Names that other tools have for the item's id: read where exactly one of them is there."""
HASHES = ("item_hash", "sample_hash")
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
SLICE_PREFIX, DENOMINATOR_PREFIX = "slice_", "denominator_"
LONGEST_ID = 1000
MAGIC = {
    b"PK\x03\x04": ("a zip archive (or an .xlsx workbook)", "unpack it, or save the sheet as CSV"),
    b"PAR1": (
        "a parquet file",
        '`python -c "import pandas, sys; pandas.read_parquet(sys.argv[1]).to_csv(sys.argv[2])"`',
    ),
    b"\xff\xfe": ("UTF-16 text", "`iconv -f UTF-16 -t UTF-8`"),
    b"\xfe\xff": ("UTF-16 text", "`iconv -f UTF-16 -t UTF-8`"),
    b"\x28\xb5\x2f\xfd": ("zstd", "`zstd -d`"),
    b"\xfd7zXZ": ("xz", "`xz -d`"),
    b"BZh": ("bzip2", "`bzip2 -d`"),
}
"""First bytes -> what the file is, and what makes it readable."""


def is_foreign(path: Path) -> bool:
    """Whether the file's name is one of those that hold one suite's rows."""
    return _ending(path) in ENDINGS


def _ending(path: Path) -> str:
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def read_records(path: Path, wanted: Collection[str] | None = None) -> Records:
    """Read one suite's items.

    Args:
        path: A file whose name ``is_foreign`` accepts.
        wanted: Metrics that somebody asks for: a column of anything else may hold what it likes. All when None.

    Raises:
        UsageError: The content is not such a table; the message has the file, the line and what to do.
    """
    try:
        with _text(path) as stream:
            first = _first_character(stream)
            if _ending(path) in (".csv", ".tsv") and first not in "[{":
                return _csv_records(path, stream, wanted)
            rows = _array_rows(path, stream) if first == "[" else _line_rows(path, stream)
            return _json_records(path, rows, wanted)
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text; convert it with `iconv -t UTF-8`") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UsageError(f"{path} is a damaged gzip file ({error}); make it again") from None


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    with path.open("rb") as raw:
        start = raw.read(6)
        raw.seek(0)
        known = next((what for magic, what in MAGIC.items() if start.startswith(magic)), None)
        if known is not None:
            raise UsageError(f"{path} is {known[0]}, expected CSV or JSON in UTF-8, gzipped or not; {known[1]}")
        content: Any = gzip.GzipFile(fileobj=raw) if start.startswith(b"\x1f\x8b") else raw
        with io.TextIOWrapper(content, encoding="utf-8-sig", newline="") as stream:
            yield stream


def _first_character(stream: TextIO) -> str:
    while character := stream.read(1):
        if not character.isspace():
            break
    stream.seek(0)
    return character or " "


def _line_rows(path: Path, stream: TextIO) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            data = parse_json(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{where}: not JSON ({error})") from None
        if not isinstance(data, dict):
            raise UsageError(f"{where}: {type(data).__name__}, expected an object")
        yield where, data


def _array_rows(path: Path, stream: TextIO) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        rows = parse_json(stream.read())
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}:{error.lineno}: not JSON ({error.msg})") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON ({error})") from None
    for number, data in enumerate(rows, 1):
        where = f"{path}: row {number}"
        if not isinstance(data, dict):
            raise UsageError(f"{where}: {type(data).__name__}, expected an object")
        yield where, data


def _json_records(path: Path, rows: Iterator[tuple[str, dict[str, Any]]], wanted: Collection[str] | None) -> Records:
    plain: list[tuple[str, dict[str, Any]]] = []
    samples: list[lm_eval.Line] = []
    for where, data in rows:
        if lm_eval.is_sample(data):
            samples.append((where, lm_eval.slim(data, where)))
        else:
            plain.append((where, _flat(data)))
        if samples and plain:
            raise UsageError(f"{path} mixes lm-eval samples with other rows; give each kind its own file")
    if samples:
        return lm_eval.records_of(samples, wanted)
    if not plain:
        return Records()
    columns = list(dict.fromkeys(name for _, data in plain for name in data))
    return _plain_records(plain, _id_column(path, columns, ""), wanted)


def _flat(data: dict[str, Any]) -> dict[str, Any]:
    """Objects inside a row as columns ``outer.inner``, one level deep."""
    flat: dict[str, Any] = {}
    for name, value in data.items():
        inner = value if isinstance(value, dict) else {}
        flat |= {f"{name}.{key}": each for key, each in inner.items()} if inner else {name: value}
    return flat


def _csv_records(path: Path, stream: TextIO, wanted: Collection[str] | None) -> Records:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a column that nobody asks for may hold long texts
    line = stream.readline()
    stream.seek(0)
    separator = _separator(line)
    reader = csv.reader(stream, strict=True, delimiter=separator)
    rows: list[tuple[str, dict[str, Any]]] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        if len(set(header)) != len(header):
            twice = next(name for name in header if header.count(name) > 1)
            raise UsageError(f"{path}:1: column {twice!r} appears twice")
        for cells in reader:
            if not cells:
                continue
            where = f"{path}:{reader.line_num}"
            if len(cells) != len(header):
                raise UsageError(f"{where}: {len(cells)} cells, the header has {len(header)}")
            rows.append((where, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: not CSV ({error})") from None
    if not rows:
        return Records()
    note = "" if separator == "," else f", separated by {SEPARATORS[separator]}"
    return _plain_records(rows, _id_column(path, header, note), wanted)


def _separator(header: str) -> str:
    """The comma, unless the header has none and another separator alone."""
    counts = {each: header.count(each) for each in SEPARATORS}
    others = [each for each in SEPARATORS if each != "," and counts[each]]
    return others[0] if not counts[","] and len(others) == 1 else ","


def _id_column(path: Path, columns: list[str], note: str) -> str:
    if ID in columns:
        return ID
    plain = {re.sub(r"[\W_]+", "_", name.strip().lower()): name for name in reversed(columns)}
    if ID in plain:
        return plain[ID]
    others = [plain[name] for name in OTHER_IDS if name in plain]
    if len(others) == 1:
        return others[0]
    listed = ", ".join(repr(name[:40]) for name in columns[:12]) + (", ..." if len(columns) > 12 else "")
    found = f"{len(others)} that may hold it ({', '.join(others)})" if others else "no column with a known name for it"
    raise UsageError(
        f"{path} has no column item_id, and {found}; columns{note}: {listed}. Rename the column with a different value "
        "in each row to item_id"
    )


def _plain_records(rows: list[tuple[str, dict[str, Any]]], id_column: str, wanted: Collection[str] | None) -> Records:
    records = Records()
    for where, data in rows:
        _add(records, data, where, id_column, wanted)
    drop(records.rows, records.left_out)
    unscore_doubtful(records)
    return records


def _add(records: Records, data: Mapping[str, Any], where: str, id_column: str, wanted: Collection[str] | None) -> None:
    item_id = data.get(id_column)
    if isinstance(item_id, bool) or not isinstance(item_id, str | int) or item_id == "":
        raise UsageError(f"{where}: {id_column} is {short(item_id)}, expected an id that no other row has")
    name = str(item_id)
    if len(name) > LONGEST_ID:
        raise UsageError(f"{where}: {id_column} has {len(name):,} characters, expected at most {LONGEST_ID:,}")
    if name in records.rows:
        raise UsageError(f"{where}: {id_column} {name!r} appears twice; every id must be unique")
    digest = next((found for key in HASHES if (found := _label(data, key, where))), "")
    row = records.rows[name] = Record(name, digest or sha256_json([name]))
    row.cluster = _label(data, "cluster", where)
    for column, value in data.items():
        if column in (id_column, "cluster", *HASHES) or column in records.left_out:
            continue
        if column.startswith(SLICE_PREFIX):
            row.slices[column.removeprefix(SLICE_PREFIX)] = _label(data, column, where)
            continue
        metric = column.removeprefix(DENOMINATOR_PREFIX)
        try:
            if metric == column:
                row.scores[metric] = score(value, f"{where}: {column}")
            else:
                row.denominators[metric] = _denominator(value, f"{where}: {column}")
        except UsageError as error:
            if wanted is None or metric in wanted:
                raise
            records.left_out[metric] = str(error).removeprefix(f"{where}: ")


def _label(data: Mapping[str, Any], name: str, where: str) -> str:
    value = data.get(name)
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise UsageError(f"{where}: {name} is {short(value)}, expected text")
    return str(value)


def _denominator(value: Any, where: str) -> float:
    denominator = score(value, where)
    if denominator < 0.0:
        raise UsageError(f"{where} is {short(value)}, expected 0 or more, or nothing for unscored")
    return denominator
