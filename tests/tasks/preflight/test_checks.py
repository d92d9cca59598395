"""What is wrong with params.yaml and its files is said before anything is spent."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_file, write_json
from evalsuite.items.results import MetricSummary, SuiteSummary
from tasks.config.params import Params, parse_params
from tasks.paths import ArtifactPaths
from tasks.preflight.checks import check, problems

ROOT = Path(__file__).parents[3]


def shipped() -> dict[str, Any]:
    """The shipped params over models that no file is needed for."""
    data: dict[str, Any] = yaml.safe_load((ROOT / "tests/support_params.yaml").read_text(encoding="utf-8"))
    data["model"] = {"id": "someone/model", "revision": "0" * 40}
    data["evaluation"]["golden"].update(
        bertscore_model="microsoft/deberta-xlarge-mnli", bertscore_revision="0" * 40, bertscore_layer=None
    )
    return data


def shipped_params() -> Params:
    return parse_params(shipped())


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ArtifactPaths:
    """A project with the shipped data and sets, and no results."""
    shutil.copytree(ROOT / "golden_sets", tmp_path / "golden_sets")
    shutil.copytree(ROOT / "data/raw", tmp_path / "data/raw")
    monkeypatch.chdir(tmp_path)
    return ArtifactPaths(tmp_path)


def test_the_shipped_project_has_no_problem(paths: ArtifactPaths) -> None:
    assert problems(shipped_params(), paths) == []


def _set(*keys: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for key in keys[:-1]:
            data = data[key]
        data[keys[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(
            _set("compare", "metric", to="json_feilds"),
            ["compare = golden/json_feilds", "did you mean 'json_fields'?", "bertscore_f1, json_exact"],
            id="compare-metric",
        ),
        pytest.param(_set("compare", "suite", to="goldn"), ["suite 'goldn'", "golden, ifeval, mmlu_pro"], id="suite"),
        pytest.param(
            _set("train", "select_metric", to="json_feilds"),
            ["train.select_metric = 'json_feilds'", "did you mean 'json_fields'?"],
            id="select-metric",
        ),
        pytest.param(
            _set("gate", "rules", 0, "metric", to="json_feilds"),
            ["gate.rules: golden/json_feilds:target", "did you mean 'json_fields'?"],
            id="golden-rule",
        ),
        pytest.param(
            _set("gate", "rules", 4, "metric", to="inst_level_loose"),
            ["no item of ifeval has metric 'inst_level_loose'", "inst_level_loose_acc, inst_level_strict_acc"],
            id="rule-on-a-task-of-lm-eval",
        ),
        pytest.param(
            _set("gate", "rules", 3, "suite", to="mmlu"), ["suite 'mmlu' is not evaluated"], id="suite-of-a-rule"
        ),
        pytest.param(_set("gate", "noise", to={"golden/json_exat": 0.1}), ["gate.noise: golden/json_exat"], id="noise"),
        pytest.param(_set("sequential", "suites", to=["mmlu"]), ["sequential.suites: suite 'mmlu'"], id="sequential"),
        pytest.param(
            _set("model", "revision", to="PUT-THE-COMMIT-HERE"),
            ["'PUT-THE-COMMIT-HERE' is not a commit", "git ls-remote"],
            id="placeholder-revision",
        ),
        pytest.param(_set("model", to={"id": "models/mine"}), ["'models/mine' is not a folder here"], id="no-revision"),
        pytest.param(_set("model", to={"id": "./mine"}), ["model './mine': no such folder"], id="no-model-folder"),
        pytest.param(
            _set("model", "chat_template", to="my.jinja"), ["model.chat_template = 'my.jinja'"], id="chat-template"
        ),
        pytest.param(
            _set("prepare", "sources", to=["data/raw/mine.jsonl"]), ["no file data/raw/mine.jsonl"], id="no-data"
        ),
        pytest.param(
            _set("prepare", "sources", to=["data/raw/*.xml"]), ["no file matches data/raw/*.xml"], id="no-match"
        ),
        pytest.param(
            _set("prepare", "group_by", to="topic"),
            ["no field 'topic'", "line 3 of params.yaml", "fields: ['group', 'id', 'messages']"],
            id="group-by",
        ),
    ],
)
def test_a_slip_is_named_with_what_is_accepted(
    paths: ArtifactPaths, change: Callable[[dict[str, Any]], None], told: list[str]
) -> None:
    data = shipped()
    change(data)
    paths.params.write_text("prepare:\n  dev_fraction: 0.1\n  group_by: topic\n")
    with pytest.raises(UsageError) as error:
        check(parse_params(data), paths)
    assert str(error.value).count("\n") == 0
    for part in told:
        assert part in str(error.value)


def test_every_problem_is_named_at_once(paths: ArtifactPaths) -> None:
    data = shipped()
    data["compare"]["metric"] = "f1"
    data["train"]["select_metric"] = "f1"
    data["gate"]["rules"][0]["metric"] = "f1"
    (paths.root / "data/raw/support.jsonl").write_text("\n")
    found = problems(parse_params(data), paths)
    assert [text.split(":")[0].split(" =")[0] for text in found] == [
        "prepare.sources",
        "train.select_metric",
        "compare",
        "gate.rules",
    ]
    assert "data/raw/support.jsonl is empty" in found[0]


def test_rows_that_nobody_can_read_are_found_before_the_model_is_fetched(paths: ArtifactPaths) -> None:
    (paths.root / "data/raw/support.jsonl").write_text('{"text": "x"}\n')
    (problem,) = problems(shipped_params(), paths)
    assert "data/raw/support.jsonl:1: keys text: expected messages" in problem


@pytest.mark.parametrize("split", ["dev", "test"])
def test_a_golden_set_that_is_not_its_manifest_is_found(paths: ArtifactPaths, split: str) -> None:
    with (paths.root / f"golden_sets/support/{split}.jsonl").open("a") as stream:
        stream.write("\n")
    (problem,) = problems(shipped_params(), paths)
    assert f"{split}.jsonl has sha256" in problem
    assert "ratchet golden check golden_sets/support --new-version" in problem


def test_an_id_that_is_there_twice_is_found_with_its_remedy(paths: ArtifactPaths) -> None:
    folder = paths.root / "golden_sets/support"
    lines = (folder / "test.jsonl").read_text().splitlines()
    (folder / "test.jsonl").write_text("\n".join([*lines, lines[2]]) + "\n")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["test.jsonl"] = {"sha256": sha256_file(folder / "test.jsonl"), "n": len(lines) + 1}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (problem,) = problems(shipped_params(), paths)
    assert f"test.jsonl:{len(lines) + 1}: id 'test-003' is already that of line 3" in problem
    assert "ratchet golden check golden_sets/support --new-version" in problem


def test_a_retention_set_that_was_changed_is_found_and_named_once(paths: ArtifactPaths) -> None:
    with (paths.root / "golden_sets/retention/ifeval/test.jsonl").open("a") as stream:
        stream.write("\n")
    (problem,) = problems(shipped_params(), paths)
    assert "golden_sets/retention/ifeval/test.jsonl has sha256" in problem


def test_metrics_of_an_earlier_golden_set_are_not_those_of_this_one(paths: ArtifactPaths) -> None:
    summary = SuiteSummary(
        suite="golden",
        suite_version="1",
        items_sha256="0" * 64,
        num_items=1,
        seconds=1.0,
        metrics=(MetricSummary(metric="of_another_set", mean=1.0, stderr=None, n=1, unscored=0),),
    )
    (paths.evals("base") / "golden").mkdir(parents=True)
    write_json(paths.evals("base") / "golden/summary.json", summary)
    data = shipped()
    data["compare"] = {"suite": "golden", "metric": "of_another_set"}
    (problem,) = problems(parse_params(data), paths)
    assert "compare = golden/of_another_set" in problem
