"""Local files of lm-eval's tasks."""

import json
from pathlib import Path

import pytest

from evalsuite.core.errors import UsageError
from evalsuite.suites.golden_set.check import check_set, describe_set, new_set, write_manifest_version
from evalsuite.suites.lm_eval.benchmark_root import local_splits, read_rows
from evalsuite.suites.lm_eval.suite import HarnessSuite
from evalsuite.testing import FakeEngine

ROWS = [
    {"sent_more": "aaaa", "sent_less": "bb", "bias_type": "age"},
    {"sent_more": "a", "sent_less": "bb", "bias_type": "gender"},
]


def write(folder: Path, text: str | None = None) -> Path:
    path = folder / "crows_pairs_english/test.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((text if text is not None else "".join(json.dumps(row) + "\n" for row in ROWS)).encode())
    return path


def test_a_manifest_is_written_for_tasks_that_lie_there_and_the_suite_takes_it(tmp_path: Path) -> None:
    write(tmp_path)
    assert new_set(tmp_path) == ["manifest.json"]
    assert check_set(tmp_path) == []
    result = HarnessSuite("crows_pairs_english", tmp_path).run(FakeEngine(lambda _: ""))
    assert [item.slices for item in result.items] == [{"bias_type": "age"}, {"bias_type": "gender"}]
    stats = describe_set(tmp_path)["crows_pairs_english/test.jsonl"]
    assert stats == {"items": 2, "fields": "bias_type, sent_less, sent_more"}


def test_a_changed_file_is_refused_until_the_manifest_has_a_new_version(tmp_path: Path) -> None:
    path = write(tmp_path)
    new_set(tmp_path)
    path.write_text(json.dumps(ROWS[0]) + "\n")
    with pytest.raises(UsageError, match=r"`ratchet golden check .* --new-version VERSION`"):
        HarnessSuite("crows_pairs_english", tmp_path)
    (problem,) = check_set(tmp_path)
    assert problem.serious
    write_manifest_version(tmp_path, "2")
    assert check_set(tmp_path) == []


def test_blank_lines_crlf_and_a_byte_order_mark_change_no_row(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeff" + "\r\n\r\n".join(json.dumps(row) for row in ROWS) + "\r\n \n")
    assert read_rows(path) == ROWS
    new_set(tmp_path)
    assert len(HarnessSuite("crows_pairs_english", tmp_path).run(FakeEngine(lambda _: "")).items) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('{"a": 1}\n[1]\n', ":2: list, expected a JSON object", id="no object"),
        pytest.param('{"a": 1}\n{"a": \n', ":2: not JSON", id="no JSON"),
        pytest.param('{"a": "\\ud800"}\n', ":1: not JSON .*half of a surrogate pair", id="half a pair"),
        pytest.param("[" * 100_000, ":1: not JSON", id="nested"),
        pytest.param("\n \n", "has no rows", id="empty"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, text)
    with pytest.raises(UsageError, match=message):
        new_set(tmp_path)


def test_fields_of_different_types_are_one_clear_error(tmp_path: Path) -> None:
    path = write(tmp_path, '{"a": 1}\n{"a": [1]}\n')
    with pytest.raises(UsageError, match="a field has values of different types"):
        local_splits(path.parent)
