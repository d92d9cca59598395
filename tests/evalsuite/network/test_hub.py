"""Repositories of a hub at a pinned commit, against a hub of our own."""

from pathlib import Path

import pytest

from evalsuite.core.errors import StageError, UsageError
from evalsuite.network.hub import HubRepo, RepoKind, check_commit, fetched, here, reach
from tests.hub import CLOSED, COMMIT, serving_hub, use_hub

DATASET = HubRepo(RepoKind.DATASET, "owner/rows", COMMIT)
MODEL = HubRepo(RepoKind.MODEL, "owner/model", COMMIT)


def test_a_dataset_is_fetched_once_and_then_found_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving_hub({"datasets/owner/rows": {"test.jsonl": b'{"a": 1}\n', "sub/b.txt": b"b"}}) as endpoint:
        use_hub(monkeypatch, tmp_path, endpoint)
        assert here(DATASET) is None
        folder = fetched(DATASET, "key", "remedy")
    use_hub(monkeypatch, tmp_path, CLOSED)
    assert fetched(DATASET, "key", "remedy") == here(DATASET) == folder
    assert (folder / "test.jsonl").read_bytes() == b'{"a": 1}\n'
    assert (folder / "sub/b.txt").read_bytes() == b"b"


@pytest.mark.parametrize(
    ("files", "kept"),
    [
        ({"config.json": b"{}", "pytorch_model.bin": b"p"}, {"config.json", "pytorch_model.bin"}),
        (
            {"config.json": b"{}", "pytorch_model.bin": b"p", "model.safetensors": b"s", "onnx/model.onnx": b"o"},
            {"config.json", "model.safetensors"},
        ),
    ],
)
def test_weights_are_fetched_in_one_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes], kept: set[str]
) -> None:
    with serving_hub({"models/owner/model": files}) as endpoint:
        use_hub(monkeypatch, tmp_path, endpoint)
        folder = fetched(MODEL, "key", "remedy")
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == kept


def test_a_model_whose_download_was_interrupted_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_hub(monkeypatch, tmp_path)
    folder = tmp_path / "models--owner--model/snapshots" / COMMIT
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert here(MODEL) is None
    (folder / "model-1-of-2.safetensors").write_bytes(b"1")
    (folder / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}'
    )
    assert here(MODEL) is None
    (folder / "model-2-of-2.safetensors").write_bytes(b"2")
    assert here(MODEL) == folder


def test_a_hub_that_does_not_answer_is_named_with_what_is_wanted_and_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_hub(monkeypatch, tmp_path)
    with pytest.raises(StageError) as caught:
        fetched(DATASET, "evaluation.x", "leave x out")
    said = str(caught.value)
    for words in ("evaluation.x", "dataset owner/rows at commit 0123456789ab", CLOSED, "HF_HOME", "leave x out"):
        assert words in said
    assert "disk" not in said


def test_a_hub_that_may_not_be_asked_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    use_hub(monkeypatch, tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match="HF_HUB_OFFLINE forbids"):
        reach(DATASET, "key", "remedy")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "GatedRepo", "accept its terms there and set HF_TOKEN"),
        (401, "RepoNotFound", "has no such dataset or shows it only to its owners"),
        (404, "RevisionNotFound", "has no such commit"),
        (500, "", "does not answer"),
    ],
)
def test_what_the_hub_answers_is_said_in_our_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, code: str, words: str
) -> None:
    with serving_hub({}, refusal=(status, code)) as endpoint:
        use_hub(monkeypatch, tmp_path, endpoint)
        with pytest.raises(StageError if status == 500 else UsageError, match=words):
            reach(DATASET, "key", "remedy")


@pytest.mark.parametrize("commit", [None, "main", COMMIT[:12], COMMIT.upper()])
def test_a_hub_id_needs_a_whole_commit(commit: str | None) -> None:
    with pytest.raises(UsageError, match=r"set a\.revision to a commit"):
        check_commit("a.model", "owner/model", commit, "a.revision")
