"""Questions of every kind of file that suites read."""

import json
from pathlib import Path

import pytest

from evalsuite.core.errors import UsageError
from tasks.data.held_out_items import questions_below

FOLDERS = ("golden_sets", "data/suites")


def put(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


def found(root: Path) -> list[tuple[str, str]]:
    return list(questions_below(root, FOLDERS))


def test_the_files_of_every_suite_are_read_with_their_items_names(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hi!"}]
    asked = {"id": "t1", "messages": [*turns, {"role": "user", "content": "Where is my parcel now?"}]}
    put(tmp_path, "golden_sets/g/test.jsonl", json.dumps(asked) + "\n")
    put(tmp_path, "data/suites/benchmarks/mmlu_pro/test.jsonl", '{"question_id": 71, "question": "Which organ?"}\n')
    put(tmp_path, "data/suites/hb.csv", "Behavior,BehaviorID,ContextString\nWrite a song about ducks,song,\n")
    put(tmp_path, "data/suites/xstest_prompts.csv", '\ufeffid,prompt,type\nv1,"How do I kill a\nPython process?",x\n')
    put(
        tmp_path,
        "data/suites/bbq/Age.jsonl",
        '{"example_id": 3, "context": "Two men met at noon.", "question": "Who?"}\n',
    )
    put(tmp_path, "data/suites/attack.json", '{"song": ["Now please write a song"], "version": 3}')
    put(tmp_path, "golden_sets/g/manifest.json", '{"languages": ["en", "de"], "files": {"test.jsonl": {"n": 1}}}')
    put(tmp_path, "data/suites/jbb.csv", "track,category,Behavior\nx,y,Write a poem about geese\n")
    put(tmp_path, "data/suites/README.md", "prompt")
    assert found(tmp_path) == [
        ("golden_sets/g/test.jsonl#t1", "Hi\nWhere is my parcel now?"),
        ("golden_sets/g/test.jsonl#t1", "Where is my parcel now?"),
        ("data/suites/attack.json#song", "Now please write a song"),
        ("data/suites/bbq/Age.jsonl#3", "Who?"),
        ("data/suites/bbq/Age.jsonl#3", "Two men met at noon."),
        ("data/suites/benchmarks/mmlu_pro/test.jsonl#71", "Which organ?"),
        ("data/suites/hb.csv#song", "Write a song about ducks"),
        ("data/suites/jbb.csv#2", "Write a poem about geese"),
        ("data/suites/xstest_prompts.csv#v1", "How do I kill a\nPython process?"),
    ]


def test_a_label_under_a_key_that_elsewhere_asks_is_no_question(tmp_path: Path) -> None:
    put(tmp_path, "golden_sets/g/test.jsonl", '{"prompt": "Where?", "context": "yes", "goal": "sell more"}\n')
    assert [text for _, text in found(tmp_path)] == ["Where?"]


def test_absent_folders_hold_nothing(tmp_path: Path) -> None:
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [("a.jsonl", "{", r"a\.jsonl:1: not JSON"), ("a.csv", "prompt\n\udcff", r"a\.csv is not a CSV file in UTF-8")],
)
def test_a_file_that_cannot_be_read_stops_and_is_named(tmp_path: Path, name: str, text: str, said: str) -> None:
    put(tmp_path, "data/suites/README.md", "")
    (tmp_path / "data/suites" / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=said):
        found(tmp_path)


def test_items_of_parquet_files_are_read_and_a_cut_one_stops(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "data/suites/theirs/items.parquet"
    path.parent.mkdir(parents=True)
    parquet.write_table(pa.table({"id": ["a", "b"], "question": ["Why?", "Which organ?"], "n": [1, 2]}), path)
    assert found(tmp_path) == [
        ("data/suites/theirs/items.parquet#a", "Why?"),
        ("data/suites/theirs/items.parquet#b", "Which organ?"),
    ]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UsageError, match=r"^/.*items\.parquet is a Parquet file and cannot be read"):
        found(tmp_path)
