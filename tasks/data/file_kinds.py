"""What a file of rows is, told from its first bytes, not its name; what is not read is named, with the remedy."""

import codecs
import csv
import json
import re
import shlex
from enum import Enum
from typing import NamedTuple, NoReturn

from evalsuite.core.errors import UsageError


class Kind(Enum):
    """How the rows stand in a file that is read."""

    LINES = "JSON lines"
    ARRAY = "a JSON array"
    VALUES = "JSON objects over several lines"


class _Foreign(NamedTuple):
    """A file that is not read."""

    what: str
    command: str | None = None
    """With SOURCE, and with TARGET or FOLDER where it writes; None where no command is known that makes rows."""


def _from_hub_format(kind: str) -> str:
    code = f"import sys, datasets; datasets.Dataset.from_{kind}(sys.argv[1]).to_json(sys.argv[2])"
    return f"python -c '{code}' SOURCE TARGET"


def _from_csv(delimiter: str) -> str:
    rows = f'csv.DictReader(open(sys.argv[1], newline="", encoding="utf-8-sig"), delimiter="{delimiter}")'
    return f"python -c 'import csv, json, sys; [print(json.dumps(row)) for row in {rows}]' SOURCE > TARGET"


def _recoded(encoding: str) -> _Foreign:
    return _Foreign(f"{encoding} text", f"iconv -f {encoding} -t UTF-8 SOURCE > TARGET")


SIGNATURES: tuple[tuple[bytes, _Foreign], ...] = (
    (codecs.BOM_UTF32_LE, _recoded("UTF-32")),  # begins as UTF-16's does
    (codecs.BOM_UTF32_BE, _recoded("UTF-32")),
    (codecs.BOM_UTF16_LE, _recoded("UTF-16")),
    (codecs.BOM_UTF16_BE, _recoded("UTF-16")),
    (b"PAR1", _Foreign("a Parquet file", _from_hub_format("parquet"))),
    (b"\xff\xff\xff\xff", _Foreign("an Arrow stream, as datasets saves it", _from_hub_format("file"))),
    (b"ARROW1", _Foreign("an Arrow file")),
    (b"PK\x03\x04", _Foreign("a ZIP archive or a spreadsheet", "unzip SOURCE -d FOLDER")),
    (b"\xfd7zXZ\x00", _Foreign("compressed by xz", "xz -dc SOURCE > TARGET")),
    (b"BZh", _Foreign("compressed by bzip2", "bzip2 -dc SOURCE > TARGET")),
    (b"\x28\xb5\x2f\xfd", _Foreign("compressed by Zstandard", "zstd -dc SOURCE > TARGET")),
    (b"7z\xbc\xaf\x27\x1c", _Foreign("a 7-Zip archive", "7z x SOURCE -oFOLDER")),
    (b"version https://git-lfs", _Foreign("a pointer of Git LFS, not the rows", "git lfs pull --include SOURCE")),
    (b"SQLite format 3\x00", _Foreign("an SQLite database")),
    (b"%PDF", _Foreign("a PDF")),
    (b"\x80\x04\x95", _Foreign("a Python pickle")),
)
"""First bytes, and what such a file is."""
COLUMNS = frozenset(
    (
        *("prompt", "completion", "instruction", "input", "output", "text", "messages", "conversations"),
        *("question", "answer", "query", "response"),
    )
)
"""What tells the header of a table from a line of prose."""
DELIMITERS = ((",", ",", "CSV"), ("\t", "\\t", "tab-separated"), (";", ";", "semicolon-separated"))


def kind_of_file(head: bytes, whole: bool, name: str, zipped: bool) -> Kind:
    """How the rows stand in the file.

    Args:
        head: Its first bytes, unzipped.
        whole: Whether these are all.
        name: Its name in messages.
        zipped: Whether it is compressed by gzip.

    Raises:
        UsageError: The file's format is not supported; names it and the command that converts it.
    """
    foreign = _foreign(head, name)
    if foreign is not None:
        _refuse(foreign, name, zipped)
    text = head.decode("utf-8-sig", "replace").lstrip()
    first, _, rest = text.partition("\n")
    if text.startswith("["):
        # A line that is an array by itself, with others behind it, is a bad row of a file of lines.
        return Kind.LINES if rest.strip() and _is_json(first) else Kind.ARRAY
    if text.startswith("{") and not _is_json(first):
        several = _ends_beyond(text, len(first)) or (first.strip() == "{" and not whole)
        return Kind.VALUES if several else Kind.LINES
    return Kind.LINES


def _foreign(head: bytes, name: str) -> _Foreign | None:
    for magic, foreign in SIGNATURES:
        if head.startswith(magic):
            return foreign
    if head[257:262] == b"ustar":
        return _Foreign("a tar archive", "tar -xf SOURCE -C FOLDER")
    if re.match(rb"[{\[]\x00|\x00[{\[]", head):
        return _recoded("UTF-16LE" if head[1:2] == b"\x00" else "UTF-16BE")
    text = head.decode("utf-8-sig", "replace").lstrip()
    if re.match(r"<(!doctype|html)", text, re.IGNORECASE):
        return _Foreign("an HTML page, not the rows; download the file itself")
    first = text.partition("\n")[0].rstrip("\r")
    return None if first.startswith(("{", "[")) else _table(first, name)


def _table(header: str, name: str) -> _Foreign | None:
    for delimiter, written, what in DELIMITERS:
        try:
            columns = [cell.strip() for cell in next(csv.reader([header], delimiter=delimiter), [])]
        except csv.Error:
            continue
        if len(columns) > 1 and (COLUMNS & {column.lower() for column in columns} or name.endswith((".csv", ".tsv"))):
            listed = ", ".join(repr(column[:40]) for column in columns[:12])
            return _Foreign(f"{what} with the columns {listed}", _from_csv(written))
    return None


def _refuse(foreign: _Foreign, name: str, zipped: bool) -> NoReturn:
    folder, _, file = name.rpartition("/")
    stem = file.split(".")[0] or "rows"
    target = f"{stem}.jsonl" if file != f"{stem}.jsonl" else f"{stem}.converted.jsonl"
    above = f"{folder}/" if folder else ""
    where = f"prepare.sources: {name}"
    expected = "expected JSON lines or a JSON array in UTF-8"
    if zipped and not foreign.what.startswith("a tar"):
        plain = file.removesuffix(".gz") if file.endswith(".gz") else f"{stem}.unzipped"
        command = f"gunzip -c {shlex.quote(name)} > {shlex.quote(above + plain)}"
        raise UsageError(
            f"{where} is, inside gzip, {foreign.what}; {expected}: run `{command}`, then name {above + plain}"
        )
    if foreign.command is None:
        raise UsageError(f"{where} is {foreign.what}; {expected}")
    values = {"SOURCE": name, "TARGET": above + target, "FOLDER": folder or "."}
    command = re.sub("SOURCE|TARGET|FOLDER", lambda found: shlex.quote(values[found[0]]), foreign.command)
    then = "run the stage again"
    if "TARGET" in foreign.command:
        then = f"name {values['TARGET']} in prepare.sources"
    elif "FOLDER" in foreign.command:
        then = "name its files in prepare.sources"
    raise UsageError(f"{where} is {foreign.what}; {expected}: run `{command}`, then {then}")


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
