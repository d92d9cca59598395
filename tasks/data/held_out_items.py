"""The questions of golden sets, dev items and benchmarks in the project's folders: JSONL, CSV, JSON and Parquet."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from evalsuite.core.errors import UsageError
from evalsuite.core.files import numbered_objects, parse_json
from evalsuite.core.text import word_count, words_of
from tasks.data.files.reading import read_entries

QUESTION_WORDS = 4
"""A text of fewer words is not a question by itself, unless it is all that an item asks."""
TEXT_FIELDS = ("messages", "prompt", "question", "instruction", "text")
"""What asks, whatever its length."""
OTHER_FIELDS = (
    *("input", "query", "problem", "goal", "behavior", "test_case", "forbidden_prompt", "ctx", "sentence"),
    *("sent_more", "sent_less", "premise", "passage", "context", "contextstring"),
)
"""What asks in public benchmarks (HarmBench, BBQ, StrongREJECT, JailbreakBench, HellaSwag, CrowS-Pairs) where it has
``QUESTION_WORDS`` words: the same keys hold labels elsewhere."""
ID_FIELDS = ("id", "question_id", "key", "behaviorid", "example_id", "ind")
CSV_LIMIT = 10_000_000
"""Longest cell in characters; the module's own limit is 131,072."""


def questions_below(root: Path, folders: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(``file#id`` of the item, its question) of every JSONL, CSV, JSON and Parquet file below the folders.

    Args:
        root: The project.
        folders: Relative to it, in the order in which items are named.

    Raises:
        UsageError: A JSONL, CSV or Parquet file cannot be read.
    """
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            kind = path.suffix.lower()
            if kind not in READERS or not path.is_file():
                continue
            yield from named_questions(path.relative_to(root).as_posix(), READERS[kind](path))


def named_questions(name: str, rows: Iterable[tuple[int, Mapping[str, Any]]]) -> Iterator[tuple[str, str]]:
    """(``name#id`` of the item, its question) of the items of one file, each with its number there."""
    for number, given in rows:
        row = {str(key).lower(): value for key, value in given.items()}
        item = next((str(row[key]) for key in ID_FIELDS if key in row), str(number))
        for text in _questions(row):
            yield f"{name}#{item}", text


def _questions(row: Mapping[str, Any]) -> Iterator[str]:
    """Each field of an item, as all that asks by itself."""
    for field in (*TEXT_FIELDS, *OTHER_FIELDS):
        value = row.get(field)
        if isinstance(value, list):
            turns = [
                str(turn.get("content", "")) for turn in value if isinstance(turn, dict) and turn.get("role") == "user"
            ]
            yield "\n".join(turns)
            if len(turns) > 1 and _asks(turns[-1]):
                yield turns[-1]
        elif isinstance(value, str) and (field in TEXT_FIELDS or _asks(value)):
            yield value


def _asks(text: str) -> bool:
    return word_count(words_of(text)) >= QUESTION_WORDS


def _lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    yield from numbered_objects(path, remedy=f"; bring it back with `git checkout {path}`")


def _table(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    before = csv.field_size_limit(CSV_LIMIT)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from enumerate(csv.DictReader(stream, restkey=""), 2)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"{path} is not a CSV file in UTF-8 ({type(error).__name__}), and its items could not be held out of the "
            "training rows; get it again from its origin, or take it out of the folder"
        ) from None
    finally:
        csv.field_size_limit(before)


def _values(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """A list of items, or an attack's test cases by their behaviour; other JSON, such as a manifest, has no items."""
    try:
        data = parse_json(path.read_bytes())
    except (ValueError, RecursionError):
        return
    if isinstance(data, list):
        yield from ((number, row) for number, row in enumerate(data, 1) if isinstance(row, dict))
    elif isinstance(data, dict):
        for name, cases in data.items():
            if isinstance(cases, list) and all(isinstance(case, str) for case in cases):
                yield from ((number, {"id": name, "test_case": case}) for number, case in enumerate(cases, 1))


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        for number, entry in enumerate(read_entries(path, str(path), None), 1):
            row = parse_json(entry.raw) if entry.raw is not None else None
            if isinstance(row, dict):
                yield number, row
    except UsageError as error:
        raise UsageError(str(error).removeprefix("prepare.sources: ")) from None


READERS = {".jsonl": _lines, ".csv": _table, ".json": _values, ".parquet": _rows}
"""A file's ending -> how its items are read."""
