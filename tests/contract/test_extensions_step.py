"""A preparation step of another package, the one of docs/data.md: at most 30 lines, and nothing to change here."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalsuite.core.errors import UsageError
from tasks.config.params import parse_params
from tasks.config.prepare import PrepareParams
from tasks.config.reading import read_params
from tasks.paths import ArtifactPaths
from tasks.prepare.order import chosen_steps
from tasks.stages.prepare import Sections, stage

DOCS = (Path(__file__).parents[2] / "docs/data.md").read_text(encoding="utf-8")
(CODE,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
(ENTRY_POINT,) = re.findall(r"```toml\n(.*?)```", DOCS, re.DOTALL)
DEFAULT, WITH_PHONES = re.findall(r"```yaml\n(prepare:\n  steps: .*?)```", DOCS, re.DOTALL)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package as pip leaves it."""
    about = tmp_path / "their_phones-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-phones\nVersion: 1\n")
    (about / "entry_points.txt").write_text(ENTRY_POINT.replace('project.entry-points."', "").replace('"', ""))
    (tmp_path / "their_phones.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("their_phones", None)


@pytest.fixture
def project(tmp_path: Path, tiny_model: Path) -> ArtifactPaths:
    """30 rows, of which 3 hold a phone number and 2 ask too little; one number makes a row a golden item's question."""
    paths = ArtifactPaths(tmp_path / "project")
    shutil.copytree(tiny_model, paths.export("base"))
    questions = [*map("question {}".format, range(25)), "?", "Eh", "Call 5550100", "My 5550101", "Ring 5550102"]
    rows = [json.dumps({"prompt": question, "completion": "answer"}) for question in questions]
    golden = {"id": "t1", "messages": [{"role": "user", "content": "Call [phone]"}]}
    for name, lines in (("data/raw/rows.jsonl", rows), ("golden_sets/g/test.jsonl", [json.dumps(golden)])):
        (paths.root / name).parent.mkdir(parents=True)
        (paths.root / name).write_text("\n".join(lines) + "\n")
    return paths


def settings(paths: ArtifactPaths, prepare: str) -> Sections:
    (paths.root / "params.yaml").write_text(f"{prepare}  sources: [data/raw/rows.jsonl]\n")
    return read_params(paths.params, Sections)


def test_the_extension_is_at_most_30_lines() -> None:
    assert len((CODE + ENTRY_POINT).splitlines()) <= 30


@pytest.mark.usefixtures("installed")
def test_a_step_of_another_package_changes_and_drops_rows_and_is_counted(project: ArtifactPaths) -> None:
    summary = stage(settings(project, WITH_PHONES), project)
    report = json.loads((project.prepared / "report.json").read_text())
    counts = {
        step["name"]: [step[key] for key in ("rows_in", "kept", "dropped", "changed")] for step in report["steps"]
    }
    # "Call 5550100" is a golden item's question once its number is masked, and is found because held_out comes later.
    assert counts == {
        "duplicates": [30, 30, 0, 0],
        "phones": [30, 28, 2, 3],
        "held_out": [28, 27, 1, 0],
        "max_rows": [27, 27, 0, 0],
        "length": [27, 27, 0, 0],
    }
    assert {reason: entry["count"] for reason, entry in report["dropped"].items()} == {
        "appears in a golden or test set": 1,
        "short question": 2,
    }
    assert "data/raw/rows.jsonl:28: phone number masked" in report["steps"][1]["first_changed"]
    assert summary.endswith("; 3 rows changed by phones")
    written = "".join((project.prepared / f"{side}.jsonl").read_text() for side in ("train", "dev"))
    assert written.count("[phone]") == 2
    assert "555" not in written


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "steps",
    [
        "[duplicates, held_out, phones, max_rows, length]",
        "[held_out, length, phones]",
        "[held_out, max_rows, length, phones]",
    ],
)
def test_a_step_that_changes_rows_is_refused_after_the_check_for_held_out_items(
    project: ArtifactPaths, steps: str
) -> None:
    with pytest.raises(UsageError, match=r"'phones' \(their_phones:Phones\) changes rows and stands after held_out"):
        stage(settings(project, f"prepare:\n  steps: {steps}\n"), project)
    assert not project.prepared.exists()


def test_the_docs_tell_the_steps_that_run_without_a_list(project: ArtifactPaths) -> None:
    assert settings(project, DEFAULT).prepare == PrepareParams(sources=("data/raw/rows.jsonl",))


@pytest.mark.usefixtures("installed")
def test_a_wrong_setting_of_the_step_is_refused_with_its_name_and_the_right_one(project: ArtifactPaths) -> None:
    params = settings(project, WITH_PHONES.replace("characters", "charactrs"))
    with pytest.raises(UsageError) as caught:
        chosen_steps(params.prepare)
    said = "unknown key prepare.steps.phones.least_charactrs; did you mean 'least_characters'? Known here: "
    assert str(caught.value) == f"{said}least_characters"


@pytest.mark.usefixtures("installed")
def test_its_code_and_settings_are_watched(project: ArtifactPaths, tmp_path: Path) -> None:
    from tasks.preflight.outside_inputs import changed, run

    params = parse_params(
        {
            "model": {"id": "tiny"},
            "prepare": {"sources": ["data/raw/rows.jsonl"], "steps": ["phones", "held_out", "length"]},
            "methods": {"full": {"kind": "full", "learning_rate": 1e-5}},
            "evaluation": {"golden": {"path": "golden_sets/g"}, "harness": {"tasks": {}}},
            "gate": {"rules": [{"suite": "golden", "metric": "contains", "kind": "guard", "margin": 0.1}]},
        }
    )
    (project.root / "tiny").symlink_to(project.export("base"))
    run(params, project)
    assert changed(params, project) == {}
    (tmp_path / "their_phones.py").write_text(CODE.replace("{7,}", "{6,}"))
    assert changed(params, project) == {"plans/inputs/prepare.json": "code of prepare.steps.phones has another content"}
