"""Which benchmarks outside the project preparation is told to look for."""

import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core import extensions
from evalsuite.core.files import write_json
from evalsuite.core.settings import Settings
from evalsuite.network.hub import HubRepo, RepoKind, fetched
from evalsuite.suites.entry import SuiteEntry
from evalsuite.suites.lm_eval.settings import PINNED_DATA
from tasks.config.evaluation import EvaluationParams
from tasks.config.params import parse_params
from tasks.paths import ArtifactPaths
from tasks.preflight.benchmarks import benchmarks_outside
from tasks.preflight.outside_inputs import look
from tasks.prepare.inputs.benchmarks import benchmarks_in_use
from tests.hub import COMMIT, serving_hub, use_hub

PROMPT = "Write a poem about a frog without the letter e."


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


def test_a_suite_of_another_package_without_files_that_are_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = EntryPoint(name="theirs", value=f"{__name__}:THEIRS", group="ratchet.suites")
    monkeypatch.setattr(extensions, "entry_points", lambda group: [entry] if group == "ratchet.suites" else [])
    assert named(harness={"tasks": {}}, suites={"theirs": {}}) == {"suite theirs": "its package alone knows its items"}
    (tmp_path / "data/suites/theirs").mkdir(parents=True)
    (tmp_path / "data/suites/theirs/items.xml").write_text("<items/>")
    given = {"harness": {"tasks": {}}, "suites": {"theirs": {"file": "data/suites/theirs"}}}
    params = EvaluationParams.model_validate({"golden": {"path": "golden_sets/g"}, **given})
    unread = "no file of it is .jsonl, .csv, .json, .parquet"
    assert benchmarks_outside(params, tmp_path) == {"suite theirs": unread}
    (tmp_path / "data/suites/theirs/items.jsonl").write_text("{}\n")
    assert benchmarks_outside(params, tmp_path) == {}


def test_what_the_stage_writes_is_what_preparation_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(json.dumps({"key": 1000 + n, "prompt": f"{PROMPT} {n}"}) + "\n" for n in range(3))
    with serving_hub({"datasets/google/IFEval": {"train.jsonl": rows.encode()}}) as endpoint:
        use_hub(monkeypatch, tmp_path / "hub", endpoint)
        fetched(HubRepo(RepoKind.DATASET, "google/IFEval", COMMIT), "a test", "nothing")
    use_hub(monkeypatch, tmp_path / "hub")
    data = {
        "model": {"id": "model"},
        "prepare": {"sources": ["data/raw/rows.jsonl"]},
        "methods": {"full": {"kind": "full", "learning_rate": 1e-5, "epochs": 1}},
        "evaluation": {
            "golden": {"path": "golden_sets/g"},
            "harness": {"tasks": {"ifeval": {}}, "revisions": {"google/IFEval": COMMIT}},
        },
        "contamination": {},
        "gate": {"rules": [{"suite": "ifeval", "metric": "inst_level_loose_acc", "kind": "guard", "margin": 0.1}]},
    }
    paths = ArtifactPaths(tmp_path / "project")
    paths.root.mkdir()
    found = look(parse_params(data), paths).files["prepare"]
    write_json(paths.inputs("prepare"), {"schema_version": 1, "inputs": found})
    benchmarks = benchmarks_in_use(paths)
    assert (benchmarks.read, benchmarks.unread) == ({"ifeval": 3}, {})
    name = f"hub:google/IFEval@{COMMIT[:12]}/train.jsonl"
    assert benchmarks.questions == [(f"{name}#{1000 + n}", f"{PROMPT} {n}") for n in range(3)]
