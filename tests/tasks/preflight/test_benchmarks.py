"""Which benchmarks outside the project preparation is told to look for."""

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from evalsuite.core import extensions
from evalsuite.core.settings import Settings
from evalsuite.suites.entry import SuiteEntry
from evalsuite.suites.lm_eval.settings import PINNED_DATA
from tasks.config.evaluation import EvaluationParams
from tasks.preflight.benchmarks import benchmarks_outside

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def named(**evaluation: Any) -> dict[str, str]:
    return benchmarks_outside(EvaluationParams.model_validate({"golden": {"path": "golden_sets/g"}, **evaluation}))


def test_the_split_that_lm_eval_judges_by_is_named_at_its_commit() -> None:
    """mmlu_pro and hellaswag as their YAML in lm-eval has them; IFEval keeps its prompts in a split named train."""
    tasks: dict[str, Any] = {"mmlu_pro": {}, "ifeval": {}, "hellaswag": {}, "arc_easy": {}}
    revisions = {"Rowan/hellaswag": COMMIT, "allenai/ai2_arc": COMMIT}
    assert named(harness={"tasks": tasks, "revisions": revisions}) == {
        f"hub:TIGER-Lab/MMLU-Pro@{PINNED_DATA['TIGER-Lab/MMLU-Pro']}:test": "mmlu_pro",
        f"hub:google/IFEval@{PINNED_DATA['google/IFEval']}:train": "ifeval",
        f"hub:Rowan/hellaswag@{COMMIT}:validation": "hellaswag",
        f"hub:allenai/ai2_arc@{COMMIT}:ARC-Easy/test": "arc_easy",
    }


def test_files_of_the_project_are_no_matter_of_the_hub() -> None:
    assert named(harness={"tasks": {"mmlu_pro": {}}, "data_root": "golden_sets/retention"}) == {}
    assert named(harness={"tasks": {}}, bbq={"data": "data/suites/bbq"}) == {}


class TheirParams(Settings):
    file: str | None = None


THEIRS = SuiteEntry("theirs", TheirParams, lambda params, context: None, files=("file",))  # type: ignore[arg-type, return-value]


def test_a_suite_of_another_package_without_files_is_named_as_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint(name="theirs", value=f"{__name__}:THEIRS", group="ratchet.suites")
    monkeypatch.setattr(extensions, "entry_points", lambda group: [entry] if group == "ratchet.suites" else [])
    assert named(harness={"tasks": {}}, suites={"theirs": {}}) == {"suite theirs": "its package alone knows its items"}
    assert named(harness={"tasks": {}}, suites={"theirs": {"file": "data/suites/x.jsonl"}}) == {}
