import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from evalsuite.gate.decision import Verdict
from evalsuite.report.build import build_html
from evalsuite.report.data import ReportData
from evalsuite.report.forms.document import as_json, document_of, report_schema
from tests.evalsuite.report.everything import everything
from tests.evalsuite.report.test_build import HOSTILE, SCENES, Page

Make = Callable[..., ReportData]
PUBLISHED = Path(__file__).parents[4] / "docs/reference/report.schema.json"


@pytest.fixture(scope="module")
def check() -> Callable[[str], Any]:
    """Validate against the published schema, and give the JSON back."""
    schema = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    def checked(text: str) -> Any:
        data = json.loads(text)
        validator.validate(data)
        return data

    return checked


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_is_a_document_of_the_published_schema(
    make: Make, check: Callable[[str], Any], verdict: Verdict
) -> None:
    data = make(**SCENES[verdict], champion=200)
    found = check(as_json(document_of(data)))
    assert found["verdict"] == verdict
    assert found["decision"]["decision_id"] == data.decision.decision_id
    assert len(found["decision"]["reasons"]) == len(data.decision.reasons)
    assert found["out_of_date"] is False


def test_a_run_with_every_part_is_one_too_and_says_what_the_page_says(check: Callable[[str], Any]) -> None:
    data = everything()
    found = check(as_json(document_of(data)))
    page = Page(build_html(data)).text
    (exact,) = next(suite for suite in found["facts"]["suites"] if suite["suite"] == "golden")["metrics"]
    assert exact["models"]["lora"]["mean"] == 88 / 98
    assert found["headline"] in page
    assert found["meaning"] in page
    for line in found["facts"]["past"]["lines"]:
        assert line["note"] in page
    for each in found["facts"]["commands"]:
        assert each["command"] in page
    assert [row["rows"] for row in found["facts"]["data"]["funnel"]] == [1200, 1188, 958, 928, 858]


def test_the_schema_refuses_what_is_not_such_a_document(make: Make, check: Callable[[str], Any]) -> None:
    good = json.loads(as_json(document_of(make())))
    for change in ({"schema_version": 2}, {"verdict": "MAYBE"}, {"another": 1}, {"facts": {}}):
        with pytest.raises(jsonschema.ValidationError):
            check(json.dumps({**good, **change}))
    del good["decision"]
    with pytest.raises(jsonschema.ValidationError, match="decision"):
        check(json.dumps(good))


def test_changed_items_are_there_with_both_texts_and_no_character_acts(make: Make) -> None:
    text = as_json(document_of(make(right=100, item={"output": HOSTILE})))
    assert text.isascii()
    found = json.loads(text)
    broken = found["changed_items"][0]["broken"]
    assert 0 < len(broken) <= found["changed_items"][0]["num_broken"] == 100
    assert broken[0]["candidate_output"] == HOSTILE
    assert broken[0]["baseline_output"].startswith("base says")
    assert broken[0]["changes"] == [{"metric": "exact", "before": 1.0, "after": 0.0}]


def test_the_published_schema_is_the_one_that_the_command_prints() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == report_schema()


def test_a_failed_must_pass_item_is_there_with_its_texts(make: Make) -> None:
    found = document_of(make(right=0)).failed_must_pass
    assert [(each.item_id, each.prompt, each.output) for each in found] == [
        ("i0000", "Question 0", "qlora says 0"),
        ("i0001", "Question 1", "qlora says 1"),
    ]
    assert document_of(make()).failed_must_pass == ()


def test_harmful_texts_are_in_no_document() -> None:
    data = everything()
    harmful = "how to do harm"
    name = data.decision.candidate
    result = data.results[name]["harmbench"]
    items = tuple(item.model_copy(update={"prompt": harmful, "output": harmful}) for item in result.items)
    hostile = dataclasses.replace(result, items=items)
    results = {**data.results, name: {**data.results[name], "harmbench": hostile}}
    reason = data.decision.reasons[0].model_copy(
        update={"kind": "must_pass", "suite": "harmbench", "item_ids": (items[0].item_id,)}
    )
    decision = data.decision.model_copy(update={"reasons": (reason, *data.decision.reasons)})
    document = document_of(dataclasses.replace(data, results=results, decision=decision))
    assert [each.item_id for each in document.failed_must_pass] == [items[0].item_id]
    changed = next(each for each in document.changed_items if each.suite == "harmbench")
    assert changed.num_broken + changed.num_fixed > 0
    assert harmful not in as_json(document)
