"""Data sets of a hub at a pinned commit."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from evalsuite.core.errors import StageError, UsageError
from tasks.config.prepare import HubSource, PrepareParams
from tasks.paths import ArtifactPaths
from tasks.prepare.inputs.hub_files import hub_files, hub_repositories
from tasks.prepare.scale.engine import InProcess
from tasks.prepare.sources import check_sources, read_sources
from tests.hub import COMMIT, serving_hub, use_hub


def lines(*questions: str) -> bytes:
    return "".join(json.dumps({"prompt": each, "completion": "a"}) + "\n" for each in questions).encode()


def parquet_of(*questions: str) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.table({"prompt": list(questions), "completion": ["a"] * len(questions)}), sink)
    return sink.getvalue()


CARD = b"---\nconfigs:\n- config_name: en\n  data_files:\n  - {split: train, path: en/*.parquet}\n---\n"
REPOS = {
    "datasets/o/plain": {"train.jsonl": lines("q0", "q1"), "test.jsonl": lines("t0")},
    "datasets/o/shards": {
        "data/train-00001-of-00002.parquet": parquet_of("q2"),
        "data/train-00000-of-00002.parquet": parquet_of("q0", "q1"),
    },
    "datasets/o/configs": {"README.md": CARD, "en/a.parquet": parquet_of("e0"), "de/a.parquet": parquet_of("d0")},
    "datasets/o/code": {"code.py": b"raise SystemExit('ran')", "train.csv": b"prompt,completion\nq,a\n"},
}


def source(name: str, split: str = "train", config: str | None = None) -> HubSource:
    return HubSource(f"o/{name}", COMMIT, config, split)


def questions(paths: ArtifactPaths, *entries: str) -> list[str]:
    found = read_sources(PrepareParams.model_validate({"sources": entries}), paths, InProcess())
    return [row.messages[0]["content"] for row in found.rows]


def test_a_split_is_fetched_once_and_read_from_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = ArtifactPaths(tmp_path / "project")
    with serving_hub(REPOS) as endpoint:
        use_hub(monkeypatch, tmp_path / "hub", endpoint)
        assert questions(paths, f"hub:o/plain@{COMMIT}", f"hub:o/shards@{COMMIT}:train") == [
            "q0",
            "q1",
            "q0",
            "q1",
            "q2",
        ]
        assert questions(paths, f"hub:o/configs@{COMMIT}:en/train", f"hub:o/plain@{COMMIT}:test") == ["e0", "t0"]
    use_hub(monkeypatch, tmp_path / "hub")
    assert questions(paths, f"hub:o/shards@{COMMIT}") == ["q0", "q1", "q2"]
    [name, _] = [name for name, _ in hub_files(source("shards"), fetch=False)]
    assert name == f"hub:o/shards@{COMMIT[:12]}/data/train-00000-of-00002.parquet"


def test_no_code_of_a_repository_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_hub(REPOS) as endpoint:
        use_hub(monkeypatch, tmp_path / "hub", endpoint)
        assert questions(ArtifactPaths(tmp_path), f"hub:o/code@{COMMIT}") == ["q"]


def test_a_split_that_is_not_there_names_those_that_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_hub(REPOS) as endpoint:
        use_hub(monkeypatch, tmp_path / "hub", endpoint)
        with pytest.raises(UsageError, match="no split 'validation'; it has train, test"):
            hub_files(source("plain", "validation"), fetch=True)
        with pytest.raises(UsageError, match=f"hub:o/plain@{COMMIT}:fr/train: datasets cannot read it .*fr"):
            hub_files(source("plain", config="fr"), fetch=True)


def test_an_id_that_does_not_exist_and_a_hub_that_does_not_answer_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving_hub(REPOS, refusal=(404, "RepoNotFound")) as endpoint:
        use_hub(monkeypatch, tmp_path / "hub", endpoint)
        with pytest.raises(UsageError, match=r"prepare\.sources needs the dataset o/none .* no such dataset"):
            hub_files(source("none"), fetch=True)
    use_hub(monkeypatch, tmp_path / "hub")
    with pytest.raises(
        StageError, match=r"o/none .*does not answer .*go online, .*or put the rows as files into data/raw"
    ):
        hub_files(source("none"), fetch=True)


def test_nothing_is_asked_of_the_network_before_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_hub(monkeypatch, tmp_path / "hub")
    params = PrepareParams.model_validate({"sources": [f"hub:o/plain@{COMMIT}"]})
    check_sources(params, ArtifactPaths(tmp_path))
    [repository] = hub_repositories(params)
    need = repository.need()
    assert (need.key, need.is_here()) == ("prepare.sources", False)
