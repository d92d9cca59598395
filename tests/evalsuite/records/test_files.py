"""Tables of other tools, in the shapes that they come in."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import UsageError
from evalsuite.records.evidence import load_evidence

ROWS = [{"item_id": number, "acc": number % 2, "text": f"{number * 7919}"} for number in range(60)]
PACKED = gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode(), mtime=0)
EXPECTED = {"1": 1.0, "2": 0.0}


def scores(path: Path, wanted: set[str] | None = None) -> dict[str, float]:
    table = load_evidence(path, "m", "s", wanted).suites["s"]
    return dict(zip(table.item_ids, table.scores["acc"].tolist(), strict=True))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "item_id;acc\n1;1\n2;0\n"),
        ("a.csv", "item_id\tacc\n1\t1\n2\t0\n"),
        ("a.tsv", "item_id\tacc\n1\t1\n2\t0\n"),
        ("a.csv", "id,acc\n1,true\n2,false\n"),
        ("a.csv", "item_id, acc\n1,PASS\n2,fail\n"),
        ("a.csv", '\ufeffquestion_id,acc\n"1",1\n"2",0\n'),
        ("a.json", '[{"item_id": 1, "acc": 1}, {"item_id": 2, "acc": 0}]'),
        ("a.jsonl", '[{"item_id": 1, "acc": 1},\n {"item_id": 2, "acc": 0}]'),
        ("a.jsonl", '{"sample_id": "1", "acc": true}\n{"sample_id": "2", "acc": false}\n'),
        ("a.ndjson", '{"item_id": "1", "acc": 1}\r\n\r\n{"item_id": "2", "acc": 0}\r\n'),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_what_is_unambiguous_is_read(tmp_path: Path, name: str, text: str, zipped: bool) -> None:
    content = text.encode()
    path = tmp_path / (name + ".gz" if zipped else name)
    path.write_bytes(gzip.compress(content) if zipped else content)
    assert scores(path) == EXPECTED


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"name;acc\n1;1\n", r"no column item_id, and none .*separated by semicolons: 'name', 'acc'"),
        ("a.csv", b"id,idx,acc\n1,1,1\n", r"2 that may be it \(id, idx\); columns: 'id', 'idx', 'acc'"),
        ("a.csv", b"item_id;acc\n1;0,5\n", r":2: acc is '0,5', expected a finite number with a decimal point"),
        ("a.csv", b"item_id,acc\n" + b"x" * 140_000 + b",1\n", r"140,000 characters, expected at most 1,000"),
        ("a.csv", b"PK\x03\x04....", r"is a zip archive \(or an \.xlsx workbook\)"),
        ("a.csv", "item_id,acc\n1,1\n".encode("utf-16"), r"is UTF-16 text.*iconv"),
        ("a.jsonl", b"PAR1....", "is a parquet file"),
        ("a.csv.gz", gzip.compress(b"item_id,acc\n1,1\n")[:-9], "is a damaged gzip file"),
        ("a.jsonl.gz", PACKED[:40] + b"\xff" * 20, "is a damaged gzip file"),
        ("a.json", b'[{"item_id": 1, "acc": 1},\n', r"a\.json:2: not JSON"),
        ("a.json", b"[[1]]", r"row 1: list, expected an object"),
    ],
)
def test_what_is_not_says_what_it_is(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        scores(tmp_path / name)


@settings(deadline=None, max_examples=150)
@given(st.integers(0, len(PACKED) - 1), st.binary(max_size=30), st.booleans())
def test_a_gzip_file_that_is_damaged_anywhere_is_refused_and_breaks_nothing(
    tmp_path_factory: pytest.TempPathFactory, start: int, instead: bytes, rest: bool
) -> None:
    path = tmp_path_factory.mktemp("gzip") / "z.jsonl.gz"
    path.write_bytes(PACKED[:start] + instead + (PACKED[start + len(instead) :] if rest else b""))
    found, said = None, ""
    try:
        found = scores(path, {"acc"})
    except UsageError as error:
        said = str(error)
    # A change of the header's time or name loses nothing.
    assert "z.jsonl.gz" in said if found is None else len(found) == len(ROWS)


@pytest.mark.parametrize("text", ["What?", "x" * 200_000, "nan"])
def test_a_text_column_that_no_rule_names_blocks_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"item_id,prompt,acc\n1,{text},1\n2,{text},0\n")
    assert scores(path, {"acc"}) == EXPECTED
    with pytest.raises(UsageError, match=r"a\.csv:2: prompt is"):
        scores(path)


def test_objects_inside_a_row_are_columns_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [
        {"sample_id": f"id{n}", "sample_hash": "h", "evaluation": {"score": 0.5, "is_correct": True}} for n in (1, 2)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = load_evidence(path, "m", "s").suites["s"]
    assert {name: column.tolist() for name, column in table.scores.items()} == {
        "evaluation.score": [0.5, 0.5],
        "evaluation.is_correct": [1.0, 1.0],
    }
    assert table.item_hashes == ("h", "h")
