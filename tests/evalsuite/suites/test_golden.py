"""Reading and scoring a golden set."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from evalsuite.errors import MissingArtifactError, UsageError
from evalsuite.files import sha256_file, write_json
from evalsuite.suites.bertscore import BertScorer
from evalsuite.suites.golden import GoldenSuite, read_golden_items
from tests.evalsuite.suites.fake_engine import FakeEngine


def item(number: int, **fields: Any) -> dict[str, Any]:
    base = {
        "id": f"t{number}",
        "messages": [{"role": "user", "content": f"ask {number}"}],
        "references": ['{"q": "a"}'],
        "metrics": ["json_exact"],
    }
    return {**base, **fields}


def write_set(folder: Path, items: list[dict[str, Any]]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "test.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in items))
    entry = {"sha256": sha256_file(path), "n": len(items)}
    about = {"schema_version": 1, "name": "g", "version": "1", "licence": "x", "source": "x"}
    write_json(folder / "manifest.json", {**about, "files": {"test.jsonl": entry}})
    return folder


def suite(folder: Path, tiny_model: Path) -> GoldenSuite:
    return GoldenSuite(folder, "test", 8, BertScorer(str(tiny_model), 1))


def test_each_item_is_scored_by_its_own_metrics(tmp_path: Path, tiny_model: Path) -> None:
    items = [item(0), item(1), item(2, metrics=["exact_match"], references=["no"], must_pass=["json_schema"])]
    engine = FakeEngine(lambda prompt: '{"q": "a"}' if prompt == "ask 0" else "no")
    result = suite(write_set(tmp_path / "g", items), tiny_model).run(engine)
    assert [entry.scores for entry in result.items] == [
        {"json_exact": 1.0},
        {"json_exact": 0.0},
        {"exact_match": 1.0, "json_schema": 0.0},
    ]
    assert result.items[2].must_pass == ("json_schema",)
    assert engine.prompts == ["ask 0", "ask 1", "ask 2"]


def test_some_items_give_the_results_that_they_have_in_a_run_of_all(tmp_path: Path, tiny_model: Path) -> None:
    items = [item(0), item(1), item(2, metrics=["exact_match"], references=["no"], must_pass=["json_schema"])]
    golden = suite(write_set(tmp_path / "g", items), tiny_model)
    whole = golden.run(FakeEngine(lambda prompt: '{"q": "a"}' if prompt == "ask 0" else "no"))
    engine = FakeEngine(lambda _: "no")
    part = golden.run(engine, only={"t2", "t1"})
    assert part.items == whole.items[1:]
    assert engine.prompts == ["ask 1", "ask 2"]
    fields = ("suite_version", "decoding", "scorers", "prompt_sha256", "chat_template_sha256")
    assert all(getattr(part.info, name) == getattr(whole.info, name) for name in fields)


@pytest.mark.parametrize(("only", "message"), [({"t0", "x"}, "has no item 'x'"), ((), "asked for no item")])
def test_items_that_the_set_lacks_are_refused(
    tmp_path: Path, tiny_model: Path, only: Collection[str], message: str
) -> None:
    golden = suite(write_set(tmp_path / "g", [item(0)]), tiny_model)
    with pytest.raises(UsageError, match=message):
        golden.run(FakeEngine(lambda _: ""), only)


def test_another_reference_makes_another_item(tmp_path: Path, tiny_model: Path) -> None:
    engine = FakeEngine(lambda _: "x")
    one = suite(write_set(tmp_path / "a", [item(0)]), tiny_model).run(engine)
    two = suite(write_set(tmp_path / "b", [item(0, references=['{"q": "b"}'])]), tiny_model).run(engine)
    assert one.info.items_sha256 != two.info.items_sha256


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        pytest.param(item(0), r"test\.jsonl:2: id 't0' is already that of line 1", id="duplicate-id"),
        pytest.param(
            item(1, metrics=["json_exac"]), "unknown metric 'json_exac'; did you mean 'json_exact'", id="metric"
        ),
        pytest.param(item(1, references=[" "]), "a reference is empty", id="empty-reference"),
        pytest.param(item(1, references=[]), r"test\.jsonl:2: references", id="no-reference"),
        pytest.param(item(1, colour="red"), r"test\.jsonl:2: colour", id="unknown-key"),
    ],
)
def test_a_bad_item_names_file_and_line(tmp_path: Path, bad: dict[str, Any], message: str) -> None:
    folder = write_set(tmp_path / "g", [item(0), bad])
    with pytest.raises(UsageError, match=message):
        read_golden_items(folder / "test.jsonl")


def test_a_line_that_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text(json.dumps(item(0)) + "\n{\n")
    with pytest.raises(UsageError, match=r"test\.jsonl:2: not JSON"):
        read_golden_items(tmp_path / "test.jsonl")


def test_an_empty_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text("\n")
    with pytest.raises(UsageError, match="has no items"):
        read_golden_items(tmp_path / "test.jsonl")


def test_bytes_that_are_not_the_manifest_s_are_refused(tmp_path: Path, tiny_model: Path) -> None:
    folder = write_set(tmp_path / "g", [item(0)])
    (folder / "test.jsonl").write_text(json.dumps(item(9)) + "\n")
    with pytest.raises(UsageError, match=r"test\.jsonl has sha256 .* says"):
        suite(folder, tiny_model)


def test_a_set_without_a_manifest_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    folder = write_set(tmp_path / "g", [item(0)])
    (folder / "manifest.json").unlink()
    with pytest.raises(MissingArtifactError, match=r"manifest\.json"):
        suite(folder, tiny_model)
