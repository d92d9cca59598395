"""CSV, TSV and tables with semicolons: every record is a row or a reason."""

import csv
import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import UsageError
from tasks.data.files.kinds import kind_of
from tasks.data.files.reading import read_entries
from tasks.data.formats import BadRow, Row, RowRules, read_rows


def written(folder: Path, text: str | bytes, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(path: Path, **rules: Any) -> list[Row | BadRow]:
    return list(read_rows(path, path.name, RowRules(**rules)))


def bad_of(path: Path) -> dict[str, str]:
    return {entry.source: entry.reason for entry in read(path) if isinstance(entry, BadRow)}


def test_a_record_over_several_lines_is_named_by_its_first(tmp_path: Path) -> None:
    path = written(tmp_path, 'prompt,completion\n"a\n\nb",c\n\nd,"say ""e"""\n')
    first, second = read(path)
    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert (first.source, first.messages[0]["content"]) == ("rows.csv:2", "a\n\nb")
    assert (second.source, second.messages[1]["content"]) == ("rows.csv:6", 'say "e"')


def test_ragged_records_are_bad_and_the_others_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, "instruction,input,output\na,,b\nhello, world,,c\nd,e\nf,,g\n")
    assert bad_of(path) == {
        "rows.csv:3": "4 cells in CSV with 3 columns: a text with a comma in it needs quotes around it",
        "rows.csv:4": "2 cells in CSV with 3 columns: a text that goes on in the next line needs quotes around it",
    }
    kept = [entry for entry in read(path) if isinstance(entry, Row)]
    assert [row.messages[0]["content"] for row in kept] == ["a", "f"]
    assert next(entry for entry in read(path) if isinstance(entry, BadRow)).raw == b"hello, world,,c\n"


def test_a_header_that_comes_again_is_no_row(tmp_path: Path) -> None:
    assert bad_of(written(tmp_path, "prompt,completion\na,b\nPrompt,Completion\nc,d\n")) == {
        "rows.csv:3": "repeats the header"
    }


def test_two_header_rows_are_told_with_the_command_that_removes_the_first(tmp_path: Path) -> None:
    path = written(tmp_path, "Export of May,,\ninstruction,input,output\na,,b\n")
    with pytest.raises(UsageError, match=r"two header rows: line 1 .'Export of May,,'.*`sed -i 1d rows\.csv`"):
        read(path)
    import subprocess

    subprocess.run(["sed", "-i", "1d", str(path)], check=True)
    assert len(read(path)) == 1


def test_a_quote_that_is_never_closed_stops_instead_of_swallowing_rows(tmp_path: Path) -> None:
    rows = "prompt,completion\na,b\n" + 'c,"d\n' + "e,f\n" * 100
    with pytest.raises(UsageError, match="a quote that opens in line 3 is not closed before the file's end"):
        read(written(tmp_path, rows))
    with pytest.raises(UsageError, match=r"line 3 is not closed within 200 bytes \(prepare\.max_line_bytes\)"):
        read(written(tmp_path, rows), max_bytes=200)


def test_a_quote_in_the_wrong_place_is_a_bad_record(tmp_path: Path) -> None:
    found = bad_of(written(tmp_path, 'prompt,completion\n"a" b,c\nd,e\n'))
    assert list(found) == ["rows.csv:2"]
    assert "write a quote inside a text twice" in found["rows.csv:2"]


def test_a_line_over_the_limit_is_one_bad_row(tmp_path: Path) -> None:
    path = written(tmp_path, "prompt,completion\na,b\n" + "c" * 300_000 + ",d\ne,f\n")
    entries = list(read_entries(path, "x", 1000))
    assert [(entry.source, entry.raw is None) for entry in entries] == [("x:2", False), ("x:3", True), ("x:4", False)]
    assert entries[1].size == 300_003


def test_a_letter_of_another_encoding_is_named_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, "prompt,completion\na,b\ngrößer,c\n".encode("latin-1"))
    assert bad_of(path) == {"rows.csv:3": "not UTF-8 at byte 2 (0xf6, 'ö' in Windows-1252)"}


def test_a_header_of_another_encoding_names_the_command(tmp_path: Path) -> None:
    path = written(tmp_path, "prompt,größe,completion\na,b,c\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"the header of rows\.csv is not UTF-8 at byte 9 .*iconv -f WINDOWS-1252"):
        read(path)


def test_half_a_surrogate_pair_in_a_cell_of_json_is_a_bad_row(tmp_path: Path) -> None:
    path = written(tmp_path, 'messages,id\n"[{""role"": ""user"", ""content"": ""\\ud800""}]",1\n')
    assert "half of a surrogate pair" in bad_of(path)["rows.csv:2"]


def test_marks_and_turns_are_what_json_would_have_there(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 1}]
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerows(
        [["messages", "label", "train"], [json.dumps(turns), "True", "1"], [json.dumps(turns), "false", ""]]
    )
    good, bad = read(written(tmp_path, stream.getvalue()))
    assert isinstance(good, Row)
    assert list(good.messages) == turns
    assert isinstance(bad, BadRow)
    assert bad.reason.startswith("label is false")


def test_a_column_named_twice_is_refused_and_one_without_a_name_passed_over(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="column 'prompt' twice"):
        read(written(tmp_path, "prompt,completion,prompt\na,b,c\n"))
    assert isinstance(read(written(tmp_path, ",prompt,completion\n0,a,b\n"))[0], Row)


def test_a_table_of_one_column_is_read_by_its_name(tmp_path: Path) -> None:
    [row] = read(written(tmp_path, "text\nA whole document.\n"), documents=True)
    assert isinstance(row, Row)
    assert row.text == "A whole document."


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("a.csv", b"instruction,input,output\na,,b\n", "CSV (header instruction,input,output)"),
        ("a", b"prompt\tcompletion\na\tb\n", "TSV (header prompt,completion)"),
        ("a", b"prompt;completion\na;b\n", "CSV with semicolons (header prompt,completion)"),
        ("a.csv.gz", gzip.compress(b"x,y\n1,2\n", mtime=0), "CSV (header x,y), compressed by gzip"),
        ("a", b'{"prompt": "a, b", "completion": "c"}\n', "JSON lines"),
        ("a", b"[]", "JSON array"),
    ],
)
def test_the_kind_of_a_file_is_said_with_its_evidence(tmp_path: Path, name: str, raw: bytes, words: str) -> None:
    assert str(kind_of(written(tmp_path, raw, name), name)) == words


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), min_size=1, max_size=12).filter(str.strip)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6), st.sampled_from([",", "\t", ";"]))
def test_what_the_csv_module_writes_is_read_again(rows: list[tuple[str, str]], delimiter: str) -> None:
    import tempfile

    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    writer.writerows([("prompt", "completion"), *rows])
    with tempfile.TemporaryDirectory() as folder:
        entries = read(written(Path(folder), stream.getvalue()))
    found = [tuple(turn["content"] for turn in entry.messages) for entry in entries if isinstance(entry, Row)]
    assert found == [row for row in rows if not re.fullmatch("prompt,completion", ",".join(row).strip(), re.IGNORECASE)]


def test_cells_of_a_pair_hold_turns_or_an_answer_that_is_json_itself(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Two?"}, {"role": "assistant", "content": "[1, 2]"}]
    other = [turns[0], {"role": "assistant", "content": "no"}]
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["prompt", "chosen", "rejected"])
    writer.writerow(["", json.dumps(turns), json.dumps(other)])
    writer.writerow(["Two?", "[1, 2]", '{"a": 1'])
    writer.writerow(["Two?", '{"from": "gpt", "value": "[1, 2]"}', "no"])
    found = read(written(tmp_path, table.getvalue()))
    assert [row.messages for row in found if isinstance(row, Row)] == [tuple(turns)] * 3
    rejected = [row.fields["rejected"][0]["content"] for row in found if isinstance(row, Row)]
    assert rejected == ["no", '{"a": 1', "no"]
    [ranked] = read(written(tmp_path, 'prompt,responses,scores\nTwo?,"[""no"", ""yes""]","[1, 2]"\n', "ranked.csv"))
    assert isinstance(ranked, Row)
    assert ranked.messages[-1]["content"] == "yes"
