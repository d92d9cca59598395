"""Tables of other tools, in the shapes that they come in."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import UsageError
from evalsuite.gate.decision import Verdict
from evalsuite.gate.policy import GatePolicy
from evalsuite.records.evidence import compare_files, load_evidence

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
        (
            "a.csv",
            b"name;acc\n1;1\n",
            r"no column item_id, and no column with .*separated by semicolons: 'name', 'acc'",
        ),
        ("a.csv", b"id,idx,acc\n1,1,1\n", r"2 that may hold it \(id, idx\); columns: 'id', 'idx', 'acc'"),
        ("a.csv", b"item_id;acc\n1;0,5\n", r":2: acc is '0,5', expected a finite number with a decimal point"),
        ("a.csv", b"item_id,acc\n" + b"x" * 140_000 + b",1\n", r"140,000 characters, expected at most 1,000"),
        ("a.csv", b"PK\x03\x04....", r"is a zip archive \(or an \.xlsx workbook\)"),
        ("a.csv", "item_id,acc\n1,1\n".encode("utf-16"), r"is UTF-16 text.*iconv"),
        ("a.jsonl", b"PAR1....", "is a parquet file"),
        ("a.csv.gz", gzip.compress(b"item_id,acc\n1,1\n", mtime=0)[:-9], "is a damaged gzip file"),
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


@pytest.mark.parametrize(
    ("metric", "base", "candidate", "said"),
    [
        pytest.param("perplexity", -10.0, -14.0, "computed from all items at once", id="log-likelihoods"),
        pytest.param("mcc", 0.0, 1.0, "computed from all items at once", id="correlation"),
        pytest.param("4096", -1.0, 0.9, "is -1 for some items", id="RULER"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_what_is_no_item_score_in_lm_evals_files_is_none_in_plain_tables(
    tmp_path: Path, metric: str, base: float, candidate: float, said: str, ending: str
) -> None:
    paths = []
    for name, value in (("a", base), ("b", candidate)):
        values = [-1.0 if metric == "4096" and n % 2 else value for n in range(400)]
        rows = [f"{n},{v}" if ending == "csv" else json.dumps({"item_id": n, metric: v}) for n, v in enumerate(values)]
        paths.append(tmp_path / f"{name}.{ending}")
        paths[-1].write_text("\n".join([f"item_id,{metric}", *rows] if ending == "csv" else rows) + "\n")
    direction = "lower" if metric == "perplexity" else "higher"
    policy = GatePolicy.model_validate(
        {"rules": [{"suite": "s", "metric": metric, "kind": "target", "min_gain": 0.1, "direction": direction}]}
    )
    decision = compare_files(*paths, policy, "s")
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert said in decision.reasons[0].text


def test_empty_cells_of_a_slice_are_told_and_a_slice_that_is_empty_throughout_is_no_proof(tmp_path: Path) -> None:
    """Fifty of a hundred items lose 0.4 and lie in no slice."""
    rows = [(n, "de" if n % 2 else "", 1.0, 1.0 if n % 2 or n % 5 else 0.0) for n in range(100)]
    for name, column in (("a", 2), ("b", 3)):
        text = "".join(f"{row[0]},{row[1]},{row[column]}\n" for row in rows)
        (tmp_path / f"{name}.csv").write_text(f"item_id,slice_lang,acc\n{text}")
    rule = {"suite": "s", "metric": "acc", "kind": "guard", "margin": 0.3, "slices": "lang", "slice_margin": 0.3}
    policy = GatePolicy.model_validate({"rules": [rule]})
    decision = compare_files(tmp_path / "a.csv", tmp_path / "b.csv", policy, "s")
    assert "s/acc: 50 of 100 items have no lang, so that its slices say nothing about them" in decision.warnings
    for name in "ab":
        path = tmp_path / f"{name}.csv"
        path.write_text(path.read_text().replace(",de,", ",,"))
    decision = compare_files(tmp_path / "a.csv", tmp_path / "b.csv", policy, "s")
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert "no item has a value of slice key 'lang'" in decision.headline


@pytest.mark.parametrize("header", ["ID", "Item ID", "Item-Id", "QUESTION_ID", "item_ID"])
def test_the_column_of_ids_is_known_however_its_name_is_written(tmp_path: Path, header: str) -> None:
    (tmp_path / "a.csv").write_text(f"{header},acc\n1,1\n2,0\n")
    assert scores(tmp_path / "a.csv") == EXPECTED
