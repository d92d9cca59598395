"""``ratchet report`` in its other forms."""

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner, Result

from evalsuite.core.errors import MissingArtifactError, UsageError
from evalsuite.items.results import read_result
from evalsuite.testing import make_item, make_result
from flows.cli.app import app
from tasks.paths import ArtifactPaths
from tests.tasks.stages.a_run import make_run

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run")).root


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArtifactPaths:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return ArtifactPaths(tmp_path)


def report(*words: str) -> Result:
    return CliRunner().invoke(app, ["report", *words], catch_exceptions=False, standalone_mode=False)


def files_of(root: Path) -> dict[str, bytes]:
    return {path.as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_markdown_is_printed_verdict_first_and_nothing_is_written(project: ArtifactPaths) -> None:
    before = files_of(project.root)
    printed = report("--markdown")
    assert printed.stdout.startswith("# PROMOTE: qlora\n")
    assert "Report: reports/promotion.html" in printed.stdout
    assert printed.stderr == ""
    assert files_of(project.root) == before


def test_json_is_a_document_of_the_schema_that_the_command_prints(project: ArtifactPaths) -> None:
    schema: Any = json.loads(report("--schema").stdout)
    jsonschema.Draft202012Validator(schema).validate(found := json.loads(report("--json").stdout))
    assert found["verdict"] == "PROMOTE"
    assert [row["name"] for row in found["comparison"]["methods"]] == ["full", "qlora"]


def test_a_file_is_written_where_the_reader_stands(project: ArtifactPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    below = project.root / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    printed = report("--markdown", "--out", "comment.md")
    assert printed.stdout.strip().endswith("below/comment.md")
    assert (below / "comment.md").read_text(encoding="utf-8").startswith("# PROMOTE: qlora\n")


def test_a_file_that_the_project_lives_by_is_not_overwritten(project: ArtifactPaths) -> None:
    for name in ("params.yaml", "dvc.yaml", "reports/decision.json"):
        before = (project.root / name).read_bytes()
        with pytest.raises(UsageError, match=rf"{name} is a file that the project in .* lives by; name another file"):
            report("--json", "--out", str(project.root / name))
        with pytest.raises(UsageError, match="lives by"):
            report("--schema", "--out", str(project.root / name))
        assert (project.root / name).read_bytes() == before
    for _ in range(2):
        report("--json", "--out", "reports/again.json")


def test_results_that_changed_since_the_decision_are_warned_of_in_every_form(project: ArtifactPaths) -> None:
    folder = project.evals("base") / "golden"
    identity = read_result(folder).info.model_identity
    items = [make_item(f"i{i}", {"json_fields": float(i < 102)}) for i in range(200)]
    make_result(items, model_identity=identity).write(folder)
    warning = "warning: the results in evals/base/golden changed since the decision; run `ratchet stage gate`, then"
    for form in ("--markdown", "--json"):
        printed = report(form)
        assert printed.stderr.startswith(warning)
        assert "evals/base/golden" in printed.stdout
    assert report("--markdown").stdout.startswith("# Out of date, was PROMOTE: qlora\n")
    assert json.loads(report("--json").stdout)["out_of_date"] is True


def test_a_run_that_did_not_come_to_its_decision_names_the_command(project: ArtifactPaths) -> None:
    project.decision.unlink()
    with pytest.raises(MissingArtifactError, match="ratchet stage gate"):
        report("--markdown")


@pytest.mark.parametrize("words", [(), ("--markdown", "--json"), ("--out", "x.md")])
def test_one_form_must_be_named(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="name one form: `ratchet report --markdown`"):
        report(*words)


def test_a_form_and_the_page_are_not_asked_for_together(project: ArtifactPaths) -> None:
    with pytest.raises(UsageError, match="`ratchet report open` takes no form"):
        report("--json", "open")


def test_a_place_that_is_a_folder_is_refused_before_anything_is_read(project: ArtifactPaths) -> None:
    project.decision.unlink()
    with pytest.raises(UsageError, match="is a folder"):
        report("--json", "--out", ".")


def test_a_page_about_another_decision_is_warned_of(project: ArtifactPaths) -> None:
    decision = json.loads(project.decision.read_text(encoding="utf-8"))["decision_id"]
    project.report.write_text(f"<p>{decision}", encoding="utf-8")
    assert report("open", "--print").stderr == ""
    project.report.write_text("<p>an older one", encoding="utf-8")
    told = report("open", "--print")
    assert "reports/promotion.html is about another decision" in told.stderr
    assert "`ratchet stage report`" in told.stderr
    assert told.stdout.strip().endswith("promotion.html")
