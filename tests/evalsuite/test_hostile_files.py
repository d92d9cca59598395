"""Files that nobody writes on purpose: half characters, marks, folders and sizes beyond reason."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from evalsuite.core.errors import UsageError
from evalsuite.core.files import parse_json, read_json, write_json
from evalsuite.core.yaml_file import read_yaml
from evalsuite.gate.policy import GatePolicy
from evalsuite.items.results import ItemResult, SuiteInfo, SuiteResult, items_sha256, read_items, read_result
from evalsuite.records.evidence import compare_files, load_evidence, load_policy
from evalsuite.suites.golden_set.items import read_golden_items
from evalsuite.suites.perplexity import PerplexitySuite

POLICY = GatePolicy.model_validate({"rules": [{"suite": "golden", "metric": "exact", "kind": "guard", "margin": 0.1}]})
ITEM = {
    "id": "a",
    "messages": [{"role": "user", "content": "x"}],
    "references": ["y"],
    "metrics": ["exact_match"],
}
HALF = "\\ud83d"
READERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "golden": (read_golden_items, json.dumps(ITEM)),
    "evidence": (lambda path: load_evidence(path, "a"), '{"item_id": "a", "exact": 1}'),
    "perplexity": (PerplexitySuite, '{"id": "a", "text": "x"}'),
    "json": (lambda path: read_json(path, "x"), '{"id": "a"}'),
}


@pytest.mark.parametrize("reader", READERS)
def test_half_a_surrogate_pair_is_refused_by_name(tmp_path: Path, reader: str) -> None:
    read, line = READERS[reader]
    path = tmp_path / "rows.jsonl"
    path.write_text(line.replace('"a"', f'"a{HALF}"') + "\n")
    with pytest.raises(UsageError, match=r"rows\.jsonl:1: not JSON|half of a surrogate pair"):
        read(path)


@pytest.mark.parametrize("reader", READERS)
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, reader: str) -> None:
    read, line = READERS[reader]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + line.encode() + b"\n")
    read(path)


@pytest.mark.parametrize("reader", ["golden", "evidence", "json"])
def test_a_key_that_is_there_twice_is_refused(tmp_path: Path, reader: str) -> None:
    read, line = READERS[reader]
    path = tmp_path / "rows.jsonl"
    path.write_text(line.replace("{", '{"id": "b", "id": "a", ', 1) + "\n")
    with pytest.raises(UsageError, match="key 'id' appears twice"):
        read(path)


def test_whole_pairs_and_spelt_out_escapes_stay(tmp_path: Path) -> None:
    assert parse_json('"\\ud83d\\ude00"') == "\U0001f600"
    assert parse_json('"\\\\ud83d"') == "\\ud83d"
    with pytest.raises(json.JSONDecodeError, match=r"\\ud83d is half of a surrogate pair"):
        parse_json('{"a": ["\\ud83d"]}')
    (tmp_path / "p.yaml").write_text('a: "\\ud83d"\n')
    with pytest.raises(UsageError, match=r"p\.yaml:1:\d+: .*invalid Unicode character"):
        read_yaml(tmp_path / "p.yaml")


def _own(folder: Path, score: float) -> Path:
    items = tuple(
        ItemResult(
            item_id=f"i{n:02}", item_hash=f"h{n}", metrics=("exact",), scores={"exact": score if n < 30 else n / 60}
        )
        for n in range(60)
    )
    info = SuiteInfo(suite="golden", suite_version="1", items_sha256=items_sha256(items), model_identity="m")
    # The summary is that of harmless scores: a mean of such sizes overflows before it is written.
    harmless = tuple(item.model_copy(update={"scores": {"exact": 0.0}}) for item in items)
    SuiteResult(info, harmless, 1.0).write(folder / "other")
    SuiteResult(info, items[:0], 1.0).write(folder)
    summary = (folder / "other/summary.json").read_text()
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "other/items.parquet")
    scores = [json.dumps(item.scores) for item in items]
    index = table.schema.get_field_index("scores")
    pq.write_table(table.set_column(index, table.schema.field(index), [scores]), folder / "items.parquet")
    # Nor does it hold the hash of these bytes, as those of earlier versions do not.
    (folder / "summary.json").write_text(json.dumps({**json.loads(summary), "items_file_sha256": ""}))
    for name in ("items.parquet", "summary.json"):
        (folder / "other" / name).unlink()
    return folder


@pytest.mark.parametrize("score", [1e308, -1e200, 1e13])
def test_a_score_of_absurd_size_in_our_own_parquet_is_refused_with_its_item(tmp_path: Path, score: float) -> None:
    with pytest.raises(UsageError, match=r"item 'i00' has -?1e\+\d+ for exact, expected a size of at most 1e\+12"):
        compare_files(_own(tmp_path / "a", 0.5), _own(tmp_path / "b", score), POLICY)


def test_half_a_pair_in_our_own_parquet_is_refused(tmp_path: Path) -> None:
    folder = _own(tmp_path / "a", 0.5)
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "items.parquet")
    index = table.schema.get_field_index("slices")
    slices = ['{"k": "\\ud83d"}'] * table.num_rows
    pq.write_table(table.set_column(index, table.schema.field(index), [slices]), folder / "items.parquet")
    with pytest.raises(UsageError, match="half of a surrogate pair"):
        read_result(folder)


def test_a_damaged_parquet_is_refused_by_name_and_not_as_a_full_disk(tmp_path: Path) -> None:
    folder = _own(tmp_path / "a", 0.5)
    path = folder / "items.parquet"
    whole = path.read_bytes()
    damaged = [whole[:end] for end in range(0, len(whole), 211)]
    damaged += [
        whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :] for at in range(0, len(whole), 23) for bit in (1, 32)
    ]
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            read_result(folder)
        except UsageError as error:
            assert "items.parquet" in str(error)  # noqa: PT017  some damage goes unseen
            refused += 1
    assert refused > len(damaged) // 2


@pytest.mark.parametrize("score", ["1e308", "-1e200", "1e999"])
def test_a_score_of_absurd_size_in_a_csv_is_refused_with_its_line(tmp_path: Path, score: str) -> None:
    (tmp_path / "a.csv").write_text(f"item_id,exact\na,1\nb,{score}\n")
    with pytest.raises(UsageError, match=r"a\.csv:3: exact is .*expected"):
        load_evidence(tmp_path / "a.csv", "a", "golden")


def test_a_folder_where_a_file_is_expected_is_named(tmp_path: Path) -> None:
    for name in ("policy.yaml", "x.json", "items.jsonl", "evals/golden/summary.json", "a/items.parquet"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"policy\.yaml is a folder"):
        load_policy(tmp_path / "policy.yaml")
    with pytest.raises(UsageError, match="expected a file"):
        read_json(tmp_path / "x.json", "made")
    with pytest.raises(UsageError, match="expected a file"):
        read_json(tmp_path / "file/x.json", "made")
    with pytest.raises(UsageError, match=r"items\.jsonl is no file"):
        read_golden_items(tmp_path / "items.jsonl")
    for path in (tmp_path / "evals", tmp_path / "a", tmp_path / "a/items.parquet"):
        with pytest.raises(UsageError, match=r"summary\.json"):
            load_evidence(path, "a")
    with pytest.raises(UsageError, match=r"x\.json is a folder, expected the name of a file to write"):
        write_json(tmp_path / "x.json", {})
    with pytest.raises(UsageError, match="file is a file; name a file in a folder"):
        write_json(tmp_path / "file/x.json", {})
    with pytest.raises(UsageError, match=r"below a file|no policy|is a folder"):
        load_policy(tmp_path / "file/p.yaml")


def test_a_parquet_file_that_is_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "items.parquet").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        read_items(tmp_path / "items.parquet")
