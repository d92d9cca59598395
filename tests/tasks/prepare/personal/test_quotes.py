"""While a step looks for personal data, nothing that is written or said quotes a row."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from evalsuite.core.errors import UsageError
from tasks.config.prepare import PrepareParams
from tasks.paths import ArtifactPaths
from tasks.prepare.preparation import run
from tasks.prepare.sources import check_sources
from tests.tasks.prepare.project import new_project, pairs

EMAIL, CARD, NAME = "dave@acme-corp.org", "4000056655665556", "notify_Zsofia"
PRIVATE = ["duplicates", {"personal_data": {"entities": {"PERSON": "ignore"}}}, "held_out", "length"]
PLAIN = ["duplicates", "held_out", "length"]
CALLS_HER = {
    "messages": [
        {"role": "user", "content": "Send it."},
        {"role": "assistant", "content": "", "tool_calls": [{"name": NAME, "arguments": {}}]},
        {"role": "tool", "content": "Sent."},
        {"role": "assistant", "content": "Done."},
    ],
    "tools": [{"name": NAME}],
}


@pytest.fixture
def project(tmp_path: Path, tiny_model: Path) -> ArtifactPaths:
    return new_project(tmp_path, tiny_model)


def settings(project: ArtifactPaths, rows: list[Any], steps: list[Any], **more: Any) -> PrepareParams:
    (project.root / "data/raw/rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = {"sources": ["data/raw/rows.jsonl"], "dev_fraction": 0.2, "max_bad_fraction": 0.5, "steps": steps}
    return PrepareParams.model_validate(given | more)


def told(project: ArtifactPaths) -> str:
    """All that is written of the rows beside themselves."""
    trail = repr(pq.read_table(project.trail).to_pylist())
    names = ("report.json", "report.html", "data_card.md")
    return trail + "".join((project.prepared / name).read_text() for name in names)


def test_the_marks_of_synthetic_rows_are_told_without_personal_data(project: ArtifactPaths) -> None:
    marked = [{**row, "synthetic": {"kind": EMAIL, "model": f"{CARD}-{at % 2}"}} for at, row in enumerate(pairs(10))]
    rows = [*marked, *({"prompt": f"other {at}", "completion": "x"} for at in range(10))]
    report = run(settings(project, rows, PRIVATE), project)
    assert {(each["kind"], each["model"][:13]) for each in report["synthetic"]["by"]} == {
        ("<EMAIL_ADDRESS>", "<CREDIT_CARD>")
    }
    assert sum(each["rows"] for each in report["synthetic"]["by"]) == report["synthetic"]["rows"] == 10
    assert EMAIL not in told(project)
    assert CARD not in told(project)
    assert {each["kind"] for each in run(settings(project, rows, PLAIN), project)["synthetic"]["by"]} == {EMAIL}


def test_tools_that_the_template_cannot_write_are_told_without_their_names(project: ArtifactPaths) -> None:
    rows = [*pairs(29), CALLS_HER]
    dropped = run(settings(project, rows, PRIVATE), project)["dropped"]["the chat template cannot write its tools"]
    assert "does not write the tools of the row (such as '...')" in dropped["first"][0]
    assert NAME not in told(project)
    for steps, shown in ((PRIVATE, False), (PLAIN, True)):
        with pytest.raises(UsageError, match="1 of 30 rows cannot be learnt") as error:
            run(settings(project, rows, steps, max_bad_fraction=0.0), project)
        assert (NAME in str(error.value)) is shown


@pytest.mark.parametrize(
    ("split", "fields", "said"),
    [
        (
            {"split": {"by": "date", "field": "created"}},
            {"created": EMAIL},
            r"rows\.jsonl:1: its field 'created' is text, which prepare\.split\.field names",
        ),
        (
            {"split": {"stratify_by": "kind"}, "ignore_keys": [EMAIL]},
            {EMAIL: 1},
            r"rows\.jsonl:1: no field 'kind'.*fields: \['completion', '\.\.\.', 'prompt'\]",
        ),
        (
            {"group_by": "customer", "ignore_keys": [EMAIL]},
            {EMAIL: 1},
            r"rows\.jsonl:1: no field 'customer'.*fields: \['completion', '\.\.\.', 'prompt'\]",
        ),
    ],
)
def test_an_error_about_a_field_of_the_split_has_neither_its_value_nor_strange_keys(
    project: ArtifactPaths, split: dict[str, Any], fields: dict[str, Any], said: str
) -> None:
    rows = [{**row, **fields} for row in pairs(20)]
    with pytest.raises(UsageError, match=said) as error:
        check_sources(settings(project, rows, PRIVATE, **split), project)
    assert EMAIL not in str(error.value)
    with pytest.raises(UsageError, match=EMAIL):
        check_sources(settings(project, rows, PLAIN, **split), project)
