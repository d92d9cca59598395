"""dvc.yaml of a project against this repository's own."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalsuite.core.errors import UsageError
from evalsuite.core.imports import ROOT
from tasks.config.pipeline import needed_params
from tasks.dvc_command import dvc_command, stage_environment
from tasks.installed import pipeline
from tasks.installed.pipeline import check_pipeline, pipeline_text, starts_safely
from tasks.paths import ArtifactPaths

OWN: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def bodies(text: str) -> dict[str, Any]:
    return {name: stage.get("do", stage) for name, stage in yaml.safe_load(text)["stages"].items()}


def test_the_pipeline_that_is_shipped_is_the_repository_s() -> None:
    assert pipeline.SHIPPED.resolve() == ROOT / "dvc.yaml"


def test_a_project_has_the_same_stages_with_hashes_in_place_of_sources() -> None:
    made, own = bodies(pipeline_text()), {name: stage.get("do", stage) for name, stage in OWN.items()}
    assert list(made) == list(own)
    hashes = {f".ratchet/code/{name}.json" for name in own if name != "inputs"}
    for name, body in made.items():
        assert body["cmd"] == own[name]["cmd"].replace("python -m", "python -P -m")
        deps = [each for each in own[name]["deps"] if each.split("/")[0] not in ("tasks", "evalsuite")]
        assert body.get("deps", []) == ([] if name == "inputs" else [f".ratchet/code/{name}.json", *deps])
        assert body.get("params") == own[name].get("params")
        if name != "inputs":
            assert body["outs"] == own[name]["outs"]
    assert {next(iter(out)) for out in made["inputs"]["outs"][len(own["inputs"]["outs"]) :]} == hashes
    assert needed_params(yaml.safe_load(pipeline_text())) == needed_params({"stages": OWN})


def test_nothing_of_it_names_a_source_folder() -> None:
    for body in bodies(pipeline_text()).values():
        assert not [each for each in body.get("deps", []) if each.split("/")[0] in ("tasks", "evalsuite", "flows")]


def test_dvc_takes_it(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(pipeline_text())
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    for arguments in (("init", "-q", "--no-scm"), ("stage", "list", "--names-only")):
        command = dvc_command(*arguments)
        done = subprocess.run(
            command, cwd=tmp_path, env=stage_environment(), text=True, capture_output=True, check=True
        )
    assert {"inputs", "train@full", "train@lora", "gate", "report"} <= set(done.stdout.split())


def test_writing_it_anew_changes_nothing_and_keeps_what_is_the_user_s() -> None:
    text = pipeline_text()
    assert pipeline_text(text) == text
    mine = "  mine:\n    # my own words\n    cmd: echo 1\n"
    edited = text.replace("cmd: python -P -m tasks.stage report", "cmd: true") + mine + "plots:\n  - evals\n"
    again = pipeline_text(edited)
    assert mine in again
    assert again.endswith("plots:\n  - evals\n")
    assert bodies(again).pop("report") == bodies(text)["report"]
    assert pipeline_text(again) == again


def test_a_project_of_another_pipeline_is_refused_with_the_command_that_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = ArtifactPaths(tmp_path)
    paths.pipeline.write_text(pipeline_text())
    check_pipeline(paths)
    monkeypatch.setattr(pipeline, "pipeline_sha256", lambda: "of a newer one")
    monkeypatch.setattr(pipeline, "installed_version", lambda: "9.9.9")
    with pytest.raises(UsageError, match=r"by Ratchet 0\.1\.0, and the installed 9\.9\.9 .*`ratchet init --upgrade`"):
        check_pipeline(paths)
    paths.pipeline.write_text(pipeline_text(paths.pipeline.read_text()))
    check_pipeline(paths)


def test_a_pipeline_without_its_note_is_refused_and_one_with_another_note_too(tmp_path: Path) -> None:
    paths = ArtifactPaths(tmp_path)
    data = yaml.safe_load(pipeline_text())
    for meta in (None, [], {"ratchet": 1}, {"ratchet": {}}, {"ratchet": {"pipeline": "x"}}):
        data["stages"]["inputs"]["meta"] = meta
        paths.pipeline.write_text(yaml.safe_dump(data))
        with pytest.raises(UsageError, match="ratchet init --upgrade"):
            check_pipeline(paths)


@pytest.mark.parametrize("lost", ["an output of inputs", "a dependency", "a stage"])
def test_a_pipeline_that_watches_a_stage_s_code_no_more_is_refused(tmp_path: Path, lost: str) -> None:
    paths = ArtifactPaths(tmp_path)
    data = yaml.safe_load(pipeline_text())
    stages, file = data["stages"], ".ratchet/code/evaluate.json"
    if lost == "an output of inputs":
        stages["inputs"]["outs"] = [out for out in stages["inputs"]["outs"] if file not in out]
    elif lost == "a dependency":
        stages["evaluate"]["do"]["deps"].remove(file)
    else:
        del stages["evaluate"]
    paths.pipeline.write_text(yaml.safe_dump(data))
    with pytest.raises(UsageError, match=r"evaluate no longer depends on the hash in \.ratchet/code/evaluate\.json"):
        check_pipeline(paths)


def test_this_repository_starts_its_own_sources_and_needs_no_note(tmp_path: Path) -> None:
    assert not starts_safely(ArtifactPaths(ROOT))
    check_pipeline(ArtifactPaths(ROOT))
    assert not starts_safely(ArtifactPaths(tmp_path))


@pytest.mark.parametrize(
    ("stage", "cmd"),
    [
        ("gate", "true"),
        ("gate", "python -P -m tasks.stage gate || true"),
        ("train", "python -P -m tasks.stage train full"),
        ("evaluate_baseline", "mine.sh ${item}"),
        ("inputs", None),
        ("report", ["python -P -m tasks.stage report", "echo \x1b[2J"]),
    ],
)
def test_a_stage_that_runs_another_command_is_named_with_both(tmp_path: Path, stage: str, cmd: Any) -> None:
    paths = ArtifactPaths(tmp_path)
    data = yaml.safe_load(pipeline_text())
    body = data["stages"][stage].get("do", data["stages"][stage])
    own, body["cmd"] = body["cmd"], cmd
    paths.pipeline.write_text(yaml.safe_dump(data))
    with pytest.raises(UsageError) as caught:
        check_pipeline(paths)
    assert str(caught.value).startswith(f"dvc.yaml: stage {stage} runs ")
    assert f"and not {own!r}" in str(caught.value)
    assert "`ratchet init --upgrade`" in str(caught.value)
    assert str(caught.value).isprintable()
    paths.pipeline.write_text(pipeline_text(paths.pipeline.read_text()))
    check_pipeline(paths)


def test_a_stage_of_the_user_s_own_may_run_anything(tmp_path: Path) -> None:
    paths = ArtifactPaths(tmp_path)
    paths.pipeline.write_text(pipeline_text() + "  mine:\n    cmd: echo 1\n")
    check_pipeline(paths)
