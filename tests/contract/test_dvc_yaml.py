"""dvc.yaml against the code it runs."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalsuite.core.imports import sources_of
from tasks.config.params import Params, load_params
from tasks.evaluation.suites import WATCHED
from tasks.preflight.outside_inputs import READERS
from tasks.stages.baseline import DATA

ROOT = Path(__file__).parents[2]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
BODIES = {name: stage.get("do", stage) for name, stage in STAGES.items()}


def module_of(name: str) -> str:
    found = re.fullmatch(r"python -m tasks\.stage (\w+)( \$\{key\})?", BODIES[name]["cmd"])
    assert found, BODIES[name]["cmd"]
    assert found[1] == name
    return f"tasks.stages.{name}"


def code_of(name: str) -> set[str]:
    """Files that the stage's module can run."""
    return {path.relative_to(ROOT).as_posix() for path in sources_of(module_of(name), root=ROOT)}


def sources_among(dependencies: list[str]) -> list[str]:
    return [path for path in dependencies if path.split("/")[0] in {"tasks", "evalsuite"}]


def lies_in(path: str, dependency: str) -> bool:
    return path == dependency or path.startswith(f"{dependency}/")


ALWAYS_RUN = {name for name, body in BODIES.items() if body.get("always_changed")}


def test_only_the_stage_that_looks_at_the_outside_runs_always() -> None:
    assert {"inputs"} == ALWAYS_RUN


@pytest.mark.parametrize("name", sorted(set(STAGES) - ALWAYS_RUN))
def test_everything_that_a_stage_can_run_is_a_dependency_of_it(name: str) -> None:
    named = sources_among(BODIES[name]["deps"])
    assert [path for path in sorted(code_of(name)) if not any(lies_in(path, each) for each in named)] == []


@pytest.mark.parametrize("name", sorted(set(STAGES) - ALWAYS_RUN))
def test_a_stage_depends_on_no_code_that_it_does_not_run(name: str) -> None:
    code = code_of(name)
    data = ("evalsuite/judges/weights", "evalsuite/report/templates")  # no code: read beside it
    for each in sources_among(BODIES[name]["deps"]):
        assert each.startswith(data) or any(lies_in(path, each) for path in code), each


@pytest.mark.parametrize(
    ("changed", "runs"),
    [
        ("evalsuite/report/sentences.py", {"report"}),
        ("evalsuite/gate_tools/simulate.py", set()),
        ("evalsuite/gate_tools/power.py", set()),
        ("evalsuite/judge_tools/check.py", set()),
        ("tasks/preflight/checks.py", set()),
        ("tasks/pipeline/project_lock.py", set()),
        ("tasks/stage.py", set()),
        ("tasks/registry/promote.py", set()),
        ("evalsuite/suites/golden_set/numbers.py", {"train", "evaluate", "evaluate_baseline"}),
        ("evalsuite/suites/lm_eval/suite.py", {"evaluate", "evaluate_baseline"}),
        ("evalsuite/engines/tree/decoding.py", {"train", "evaluate", "evaluate_baseline"}),
        ("evalsuite/contamination/overlap.py", {"contamination", "compare", "gate", "report", "stopping", "evaluate"}),
        ("evalsuite/contamination/text_index.py", {"prepare", "contamination"}),
        ("tasks/data/decontaminate.py", {"prepare"}),
        ("tasks/prepare/standard.py", {"prepare"}),
        ("tasks/training/optim/loss.py", {"train"}),
        ("tasks/planning/memory.py", {"plan", "train"}),
        ("tasks/methods/lora.py", {"plan", "train"}),
        ("tasks/objectives/sft.py", {"prepare", "plan", "train"}),
        ("evalsuite/gate/decide.py", {"stopping", "evaluate", "compare", "gate", "report"}),
        ("evalsuite/suites/over_refusal.py", {"evaluate", "evaluate_baseline"}),
        ("evalsuite/suites/registry.py", {"evaluate", "evaluate_baseline"}),
        ("evalsuite/suites/golden_set/settings.py", {"plan", "train", "evaluate", "evaluate_baseline", "report"}),
        ("tasks/config/operations.py", set()),
        ("tasks/config/prepare.py", {"prepare", "report"}),
    ],
)
def test_a_change_runs_what_it_can_change_and_nothing_else(changed: str, runs: set[str]) -> None:
    assert (ROOT / changed).is_file()
    pinned_to = {"baseline"}  # it names the champion again, in a second, after any change of the code
    found = {name for name, body in BODIES.items() if any(lies_in(changed, each) for each in body["deps"])}
    assert found - pinned_to - ALWAYS_RUN == runs


WATCHED_BY_OTHER_MEANS = {
    "train": {"hardware", "launch"},  # what training needs of them is in plans/METHOD.launch.json
    "evaluate": {"gate", "compare", "sequential", "methods"},  # plans/inputs/evaluate.json has the tasks they name
    "evaluate_baseline": {"gate", "compare", "sequential"},
}


@pytest.mark.parametrize("name", sorted(set(STAGES) - ALWAYS_RUN - {"baseline", "report"}))
def test_a_stage_reads_the_sections_that_dvc_watches_for_it(name: str) -> None:
    sections = set(import_module(module_of(name)).Sections.model_fields)
    watched = {parameter.split(".")[0] for parameter in BODIES[name]["params"]}
    assert sections - WATCHED_BY_OTHER_MEANS.get(name, set()) == watched


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
