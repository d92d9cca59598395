"""What a set is checked for."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.core.errors import UsageError
from evalsuite.suites.golden_set.check import (
    check_set,
    describe_set,
    near_duplicates,
    new_set,
    write_manifest_version,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    new_set(tmp_path / "mine")
    return tmp_path / "mine"


def add(folder: Path, split: str, version: str = "2", **fields: Any) -> None:
    row = json.loads((folder / f"{split}.jsonl").read_text().splitlines()[0])
    with (folder / f"{split}.jsonl").open("a") as stream:
        stream.write(json.dumps({**row, "id": "added", **fields}) + "\n")
    write_manifest_version(folder, version)


def ask(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def texts(folder: Path) -> list[str]:
    return [problem.text for problem in check_set(folder)]


def test_an_item_that_is_there_twice_is_found_whatever_its_white_space(folder: Path) -> None:
    add(folder, "dev", messages=ask("What  is the capital\nof Italy? "))
    assert texts(folder) == ["dev: 'added' asks the same as 'dev-001'"]


@pytest.mark.parametrize(("one", "other"), [("\u0926\u093f\u0928", "\u0926\u093e\u0928"), ("Is 3 > 2 ?", "Is 3 < 2 ?")])
def test_items_that_differ_in_a_mark_or_a_sign_ask_two_things(folder: Path, one: str, other: str) -> None:
    add(folder, "dev", messages=ask(one))
    add(folder, "dev", version="3", id="second", messages=ask(other))
    assert not [text for text in texts(folder) if "asks the same" in text]


def test_the_same_question_under_another_system_turn_is_another_item(folder: Path) -> None:
    system = {"role": "system", "content": "Answer in French."}
    add(folder, "dev", messages=[system, *ask("What is the capital of Italy?")])
    assert texts(folder) == []


def test_near_duplicates_across_dev_and_test_are_found(folder: Path) -> None:
    add(folder, "test", messages=ask("So, what is the capital of Italy?"))
    assert texts(folder) == ["test 'added' and dev 'dev-001' ask nearly the same (Jaccard 0.89)"]


@pytest.mark.parametrize(
    ("metric", "reference", "score"),
    [
        ({"name": "regex", "params": {"pattern": "^Lima$"}}, "It is Lima.", "0.000"),
        ("json_exact", "Lima", "0.000"),
        ({"name": "choice", "params": {"options": ["Lima", "Quito"]}}, "C", "0.000"),
        ("numeric", "many", "0.000"),
        ("numeric", "3 - 5", "0.000"),
        ("numeric", "2\\sqrt{3}", "0.000"),
        ("numeric", "5 : 1", "0.000"),
        ("numeric", "7 of 10", "0.000"),
        ({"name": "choice", "params": {"options": ["Lima", "Quito"]}}, "A or B", "0.000"),
        ("json_fields", "{}", "0.000"),
    ],
)
def test_a_metric_that_the_reference_fails_is_unreachable(
    folder: Path, metric: Any, reference: str, score: str
) -> None:
    add(folder, "test", messages=ask("Peru?"), metrics=[metric], references=[reference])
    name = metric if isinstance(metric, str) else metric["name"]
    assert texts(folder) == [f"test: 'added': even its own reference scores {score} on {name!r}: unreachable"]


@pytest.mark.parametrize("reference", ["\\frac{3}{4}", "1{,}000", "-$5", "7 / 10", "minus 5", "3 million", "1 000"])
def test_a_reference_that_is_one_number_is_no_problem(folder: Path, reference: str) -> None:
    add(folder, "test", messages=ask("Peru?"), metrics=["numeric"], references=[reference])
    assert texts(folder) == []


def test_a_reference_that_is_no_number_is_named_beside_one_that_is(folder: Path) -> None:
    add(folder, "test", messages=ask("Peru?"), metrics=["numeric"], references=["5", "4 to 6"])
    assert [(p.serious, p.text) for p in check_set(folder)] == [
        (False, "test: 'added': 'numeric' cannot read the reference '4 to 6' as one number")
    ]


def test_an_option_s_own_text_is_reachable_whatever_its_signs(folder: Path) -> None:
    options = {"name": "choice", "params": {"options": ["x\u00b2", "x2", "\u230ax\u230b", "\u2308x\u2309"]}}
    add(folder, "test", messages=ask("Which?"), metrics=[options], references=["x\u00b2", "\u230ax\u230b"])
    assert texts(folder) == []


def test_items_that_ask_for_a_power_and_for_a_name_are_no_near_duplicates(folder: Path) -> None:
    add(folder, "dev", messages=ask("Differentiate x\u00b2"))
    add(folder, "test", version="3", id="other", messages=ask("Differentiate x2"))
    assert texts(folder) == []


def test_a_metric_that_an_empty_answer_passes_is_a_remark(folder: Path) -> None:
    add(folder, "dev", messages=ask("Peru?"), metrics=[{"name": "regex", "params": {"pattern": ".*"}}])
    assert [(p.serious, p.text) for p in check_set(folder)] == [(False, "dev: 'added': an empty answer passes 'regex'")]


def test_an_empty_reference_names_its_line(folder: Path) -> None:
    path = folder / "dev.jsonl"
    path.write_text(path.read_text().replace('"Rome"', '" "'))
    found = texts(folder)
    assert "dev.jsonl has sha256" in found[0]
    assert "dev.jsonl:1: references: a reference is empty" in found[1]


def test_a_split_that_the_manifest_does_not_name_is_found(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"]["dev.jsonl"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert any("dev.jsonl is not named in" in text for text in texts(folder))


def test_the_manifest_keeps_a_version_for_one_content_only(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"already has version 0\.1\.0"):
        write_manifest_version(folder, "0.1.0")


def test_nothing_that_is_there_is_overwritten(folder: Path) -> None:
    with pytest.raises(UsageError, match="is there already"):
        new_set(folder)


def test_a_folder_without_a_set_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ratchet golden new"):
        describe_set(tmp_path)


SHORT = st.lists(st.text(alphabet="ab c", min_size=1, max_size=12), min_size=1, max_size=6)


@settings(deadline=None)
@given(SHORT, SHORT)
def test_the_index_finds_what_comparing_all_pairs_finds(firsts: list[str], seconds: list[str]) -> None:
    def jaccard(one: str, other: str) -> float:
        sets = []
        for text in (" ".join(one.split()), " ".join(other.split())):
            sets.append({text[n : n + 5] for n in range(max(1, len(text) - 4))})
        return len(sets[0] & sets[1]) / len(sets[0] | sets[1])

    found = {(pair.first, pair.second) for pair in near_duplicates(firsts, seconds, 0.5)}
    pairs = product(range(len(firsts)), range(len(seconds)))
    assert found == {(a, b) for a, b in pairs if jaccard(firsts[a], seconds[b]) >= 0.5}
