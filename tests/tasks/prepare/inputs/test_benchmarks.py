"""Benchmarks of a hub that are in use: no training row asks their items, or the log says that nobody looked."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from evalsuite.core.files import write_json
from evalsuite.network.hub import HubRepo, RepoKind, fetched
from tasks.paths import ArtifactPaths
from tasks.prepare.inputs.benchmarks import benchmarks_in_use
from tasks.prepare.preparation import run
from tests.hub import COMMIT, serving_hub, use_hub
from tests.tasks.prepare.project import new_project, pairs, write_rows

ASKED = "Which organ of a frog makes its red blood cells?"
TRAINED = "Where does the train to Leeds leave today?"


def parquet_of(*questions: str) -> bytes:
    sink = io.BytesIO()
    ids = list(range(70, 70 + len(questions)))
    parquet.write_table(
        pa.table({"question_id": ids, "question": list(questions), "options": [["a"]] * len(ids)}), sink
    )
    return sink.getvalue()


REPOS = {
    "datasets/o/bench": {
        "data/test-00000-of-00001.parquet": parquet_of("How many legs has a beetle?", ASKED),
        "data/train-00000-of-00001.parquet": parquet_of(TRAINED),
    }
}
KEY = f"hub:o/bench@{COMMIT}:test"


@pytest.fixture
def project(tmp_path: Path, tiny_model: Path) -> ArtifactPaths:
    return new_project(tmp_path / "project", tiny_model)


def name(paths: ArtifactPaths, **inputs: str) -> None:
    write_json(paths.inputs("prepare"), {"schema_version": 1, "inputs": inputs})


def bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch the data set, then take the hub away."""
    with serving_hub(REPOS) as endpoint:
        use_hub(monkeypatch, tmp_path / "hub", endpoint)
        fetched(HubRepo(RepoKind.DATASET, "o/bench", COMMIT), "a test", "nothing")
    use_hub(monkeypatch, tmp_path / "hub")


def test_a_row_that_asks_an_item_of_a_benchmark_in_use_is_dropped(
    project: ArtifactPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    bring(tmp_path, monkeypatch)
    rows = [*pairs(20), {"prompt": ASKED.upper(), "completion": "x"}, {"prompt": TRAINED, "completion": "y"}]
    params = write_rows(project, rows)
    name(project, **{"package presidio": "1.2", KEY: "bench_pro", "suite own": "its package alone knows its items"})
    report = run(params, project)
    [found] = report["dropped"]["appears in a golden or test set"]["first"]
    assert found == (
        f"data/raw/rows.jsonl:21 (same text as hub:o/bench@{COMMIT[:12]}/data/test-00000-of-00001.parquet#71)"
    )
    assert (
        "prepare step held_out: items of bench_pro (2 questions) are looked for, from the hub's files on this machine; "
        "NOT looked for: own (its package alone knows its items); the stage contamination looks for each" in caplog.text
    )
    name(project)
    assert "appears in a golden or test set" not in run(params, project)["dropped"]


def test_a_benchmark_that_is_not_here_is_named_and_stops_nothing(
    project: ArtifactPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    use_hub(monkeypatch, tmp_path / "empty")
    name(project, **{KEY: "bench_pro"})
    run(write_rows(project, pairs(20)), project)
    assert f"NOT looked for: bench_pro ({KEY} is not on this machine: `ratchet stage inputs` fetches it)" in caplog.text


def test_a_data_set_without_the_split_is_named_with_the_reason(
    project: ArtifactPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(tmp_path, monkeypatch)
    name(project, **{KEY.replace(":test", ":validation"): "bench_pro", "hub:nonsense": "other"})
    found = benchmarks_in_use(project)
    assert (found.questions, found.read) == ([], {})
    assert "no split 'validation'" in found.unread["bench_pro"]


def test_without_the_stage_that_names_them_the_log_says_so(project: ArtifactPaths) -> None:
    assert "NOT looked for: benchmarks of a hub (`ratchet stage inputs`" in str(benchmarks_in_use(project))
    project.inputs("prepare").parent.mkdir(parents=True)
    project.inputs("prepare").write_text(json.dumps({"inputs": {"package x": "1"}}))
    assert str(benchmarks_in_use(project)) == ""
