"""Rows and items that a user has already."""

import gzip
import json
from pathlib import Path

import pytest

from evalsuite.core.errors import UsageError
from tasks.starter.given import look_at_golden, look_at_rows

CHAT = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
ALPACA = {"instruction": "a", "output": "b"}
ITEM = {"id": "1", "messages": [{"role": "user", "content": "a"}], "references": ["b"], "metrics": ["exact_match"]}


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_each_format_is_told_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(CHAT, ALPACA, CHAT))
    found = look_at_rows(tmp_path / "a.jsonl")
    assert (found.formats, found.bad, found.remedy) == ({"chat": 2, "alpaca": 1}, (), "")
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(json.dumps([CHAT]).encode()))
    assert look_at_rows(tmp_path / "b.json.gz").formats == {"chat": 1}


def test_rows_with_unknown_keys_come_with_the_line_that_reads_them(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines({**CHAT, "shop": "x"}, {**CHAT, "shop": "y"}))
    found = look_at_rows(tmp_path / "a.jsonl")
    assert (found.formats, len(found.bad)) == ({}, 2)
    assert "prepare.ignore_keys: [shop]" in found.remedy


def test_a_bad_row_among_good_ones_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(CHAT) + "no json\n")
    (bad,) = look_at_rows(tmp_path / "a.jsonl").bad
    assert bad.startswith("a.jsonl:2: not JSON")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b'{"text": "a document"}\n', "no row of .* can be trained on; a:1: "),
        (b'{"text": "Where is it?", "label": "delivery"}\n', "a:1: keys label, text: .* or question and answer"),
        (b"PAR1....", "a Parquet file and cannot be read"),
        (b"prompt,completion\n", "it is empty"),
        (b"<!DOCTYPE html>", "an HTML page"),
    ],
)
def test_a_file_without_a_row_to_train_on_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        look_at_rows(tmp_path / "a")


def test_a_folder_and_a_missing_file_are_no_rows(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder, expected a file of rows"):
        look_at_rows(tmp_path)
    with pytest.raises(UsageError, match="is not there"):
        look_at_rows(tmp_path / "absent")


def test_the_metric_of_most_test_items_that_dev_asks_for_too_is_found(tmp_path: Path) -> None:
    numeric = {**ITEM, "references": ["1"], "metrics": ["numeric"]}
    (tmp_path / "dev.jsonl").write_text(lines(ITEM, {**numeric, "id": "2"}))
    (tmp_path / "test.jsonl").write_text(lines({**ITEM, "id": "t"}, {**numeric, "id": "3"}, {**numeric, "id": "4"}))
    found = look_at_golden(tmp_path)
    assert (found.num_items, found.metric) == ({"dev": 2, "test": 3}, "numeric")
    (tmp_path / "dev.jsonl").write_text(lines(ITEM))
    assert look_at_golden(tmp_path).metric == "exact_match"


def test_an_item_that_would_choose_and_judge_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dev.jsonl").write_text(lines(ITEM, {**ITEM, "id": "b"}))
    (tmp_path / "test.jsonl").write_text(lines(ITEM, {**ITEM, "id": "c"}))
    with pytest.raises(UsageError, match=rf"item '{ITEM['id']}' is in dev\.jsonl and in test\.jsonl .*\(one of 1\)"):
        look_at_golden(tmp_path)


def test_a_file_in_place_of_a_golden_set_s_folder_is_refused_with_the_folder(tmp_path: Path) -> None:
    (tmp_path / "dev.jsonl").write_text(lines(ITEM))
    with pytest.raises(UsageError, match=rf"is a file; name its folder: `--golden {tmp_path}`"):
        look_at_golden(tmp_path / "dev.jsonl")


def test_a_set_that_cannot_choose_and_judge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file .*dev\.jsonl; a golden set is a folder"):
        look_at_golden(tmp_path)
    (tmp_path / "dev.jsonl").write_text(lines(ITEM))
    (tmp_path / "test.jsonl").write_text("")
    with pytest.raises(UsageError, match=r"test\.jsonl has no items"):
        look_at_golden(tmp_path)
    (tmp_path / "test.jsonl").write_text(lines({**ITEM, "id": "t", "metrics": ["contains"]}))
    with pytest.raises(UsageError, match="give some items of both files the same metric"):
        look_at_golden(tmp_path)
