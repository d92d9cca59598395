"""dvc.yaml against the code it runs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.config.params import Params, load_params
from tasks.evaluation.suite_files import WATCHED
from tasks.stages.baseline import DATA
from tasks.stages.inputs import READERS

ROOT = Path(__file__).parents[2]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
BODIES = {name: stage.get("do", stage) for name, stage in STAGES.items()}


def module_of(name: str) -> str:
    found = re.fullmatch(r"python -m (tasks\.\w+)( \$\{key\})?", BODIES[name]["cmd"])
    assert found, BODIES[name]["cmd"]
    return found[1]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_the_module_it_runs(name: str) -> None:
    source = module_of(name).replace(".", "/") + ".py"
    assert (ROOT / source).is_file()
    assert source in BODIES[name]["deps"] or "tasks" in BODIES[name]["deps"]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_names_sections_that_exist(name: str) -> None:
    for parameter in BODIES[name].get("params", []):
        assert parameter.split(".")[0] in Params.model_fields


@pytest.mark.parametrize("name", STAGES)
def test_every_source_dependency_exists(name: str) -> None:
    for dependency in BODIES[name]["deps"]:
        if dependency.split("/")[0] in {"tasks", "evalsuite", "golden_sets"}:
            assert (ROOT / dependency).exists(), dependency


def test_every_section_is_read_by_a_stage_or_by_the_flow() -> None:
    read = {parameter.split(".")[0] for body in BODIES.values() for parameter in body.get("params", [])}
    assert set(Params.model_fields) - read == {"promote", "schedule"}


@pytest.mark.parametrize("name", ["evaluate_baseline", "evaluate", "baseline"])
def test_evaluation_depends_on_every_folder_that_suites_may_read(name: str) -> None:
    assert set(WATCHED) <= set(BODIES[name]["deps"])
    assert set(WATCHED) <= set(DATA)


def test_every_kind_of_stage_depends_on_its_file_of_external_inputs() -> None:
    written = {next(iter(out)) for out in BODIES["inputs"]["outs"]}
    assert written == {f"plans/inputs/{name}.json" for name in READERS}
    for name in READERS:
        assert f"plans/inputs/{name}.json" in BODIES[name]["deps"]
    assert "plans/inputs/evaluate.json" in BODIES["evaluate_baseline"]["deps"]
    assert "plans/inputs" in BODIES["baseline"]["deps"]


def test_promotion_is_not_a_stage() -> None:
    assert "promote" not in STAGES


@pytest.mark.parametrize("path", ["params.yaml", "examples/gpu/params.yaml", "examples/suites/params.yaml"])
def test_the_shipped_params_are_valid(path: str) -> None:
    params = load_params(ROOT / path)
    assert len(params.methods) >= 2


@pytest.mark.parametrize("path", ["params.yaml", "examples/gpu/params.yaml", "examples/suites/params.yaml"])
def test_the_shipped_params_have_every_section_that_dvc_looks_for(path: str) -> None:
    given = yaml.safe_load((ROOT / path).read_text())
    named = {parameter.split(".")[0] for body in BODIES.values() for parameter in body.get("params", [])}
    assert named <= set(given)
