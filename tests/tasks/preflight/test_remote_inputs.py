"""What later stages need from hub and servers is proven before anything is trained."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalsuite.core.errors import StageError, UsageError
from evalsuite.network.outside import Server
from evalsuite.suites.lm_eval import data
from tasks.config.params import Params, parse_params
from tasks.preflight.remote_inputs import bring, missing, needed, prove_needed
from tasks.stage import main as stage_main
from tests.hub import CLOSED, COMMIT, serving_hub, use_hub

ROOT = Path(__file__).parents[3]
TRAIN = ("train@full", "evaluate@full")


def data_of(**evaluation: Any) -> dict[str, Any]:
    """The shipped settings over models that no file is needed for, with one rule on IFEval and no harness section."""
    data: dict[str, Any] = yaml.safe_load((ROOT / "tests/support_params.yaml").read_text(encoding="utf-8"))
    del data["evaluation"]["harness"]
    data["evaluation"]["golden"].update(bertscore_model="golden_sets")
    data["evaluation"].update(evaluation)
    data["gate"]["rules"] = [rule for rule in data["gate"]["rules"] if rule["suite"] in ("golden", "ifeval")]
    return data


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the shipped sets, and no hub."""
    shutil.copytree(ROOT / "golden_sets", tmp_path / "golden_sets")
    (tmp_path / "golden_sets/model.safetensors").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    use_hub(monkeypatch, tmp_path / "hub")
    monkeypatch.setattr(data, "has_sentence_splitter", lambda: True)
    return tmp_path


def params_of(**evaluation: Any) -> Params:
    return parse_params(data_of(**evaluation))


def test_without_the_hub_nothing_is_trained_and_the_error_names_dataset_and_remedies(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "params.yaml").write_text(yaml.safe_dump(data_of()))
    assert stage_main(["inputs"]) == 4
    said = capsys.readouterr().err
    for words in ("suite ifeval", "google/IFEval", CLOSED, "data_root", "HF_HOME", "gate.rules"):
        assert words in said
    assert "disk" not in said


def test_a_run_asks_for_what_its_pending_stages_need_alone(project: Path) -> None:
    with pytest.raises(StageError, match="google/IFEval"):
        prove_needed(params_of(), TRAIN)
    prove_needed(params_of(), ["gate", "report"])
    assert needed(params_of(), ["compare"]) == []


def test_a_dataset_that_the_hub_has_is_not_downloaded_by_asking_and_is_missing_no_more_once_it_was_brought(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = params_of(harness={"tasks": {"ifeval": {}}, "revisions": {"google/IFEval": COMMIT}})
    with serving_hub({"datasets/google/IFEval": {"rows.jsonl": b"{}"}}) as endpoint:
        use_hub(monkeypatch, project / "hub", endpoint)
        prove_needed(params, TRAIN)
        assert [remote.what for remote in missing(params)] == [
            f"dataset google/IFEval at commit {COMMIT[:12]}, from {endpoint}"
        ]
        bring(params.evaluation)
    use_hub(monkeypatch, project / "hub")
    assert missing(params) == []


def test_a_base_model_of_the_hub_counts_only_until_it_was_fetched(project: Path) -> None:
    data = {**data_of(harness={"tasks": {}}), "model": {"id": "owner/model", "revision": COMMIT}}
    data["gate"]["rules"] = [rule for rule in data["gate"]["rules"] if rule["suite"] == "golden"]
    params = parse_params(data)
    assert [remote.key for remote in needed(params, ["fetch", *TRAIN])] == ["model.id"]
    assert needed(params, TRAIN) == []


def test_every_problem_is_named_at_once(project: Path) -> None:
    judge = {"kind": "chat", "base_url": f"{CLOSED}/v1", "model": "m"}
    params = params_of(
        harmbench={"data": "data/suites/h.csv", "judge": judge},
        engine={"kind": "openai", "base_url": f"{CLOSED}/{{model}}"},
    )
    with pytest.raises(StageError) as caught:
        prove_needed(params, TRAIN)
    lines = str(caught.value).splitlines()
    assert [line.split(" ")[0] for line in lines] == [
        "suite", "evaluation.harmbench.judge.base_url:", "evaluation.engine.base_url:"
    ]  # fmt: skip
    assert f"{CLOSED}/base" in lines[2]


@contextmanager
def answering(status: int) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("status", "refused"), [(200, False), (404, False), (401, True), (403, True)])
def test_a_server_that_answers_is_there_and_one_that_wants_a_key_is_said(
    project: Path, status: int, refused: bool
) -> None:
    with answering(status) as url:
        params = params_of(harness={"tasks": {}}, engine={"kind": "openai", "base_url": url}).evaluation
        if refused:
            with pytest.raises(UsageError, match=r"evaluation\.engine\.base_url: .* check the key in OPENAI_API_KEY"):
                bring(params)
        else:
            bring(params)
    bring(params, servers=False)


def test_vllm_must_be_installed_before_training(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(project))
    params = params_of(harness={"tasks": {}}, engine={"kind": "vllm"})
    with pytest.raises(UsageError, match=r"evaluation\.engine\.kind = vllm: no program 'vllm'"):
        prove_needed(params, TRAIN)


@pytest.mark.parametrize("revision", [None, "main"])
def test_a_bertscore_model_of_the_hub_needs_a_commit(project: Path, revision: str | None) -> None:
    data = data_of(harness={"tasks": {}})
    data["evaluation"]["golden"].update(bertscore_model="microsoft/deberta-xlarge-mnli", bertscore_revision=revision)
    with pytest.raises(UsageError, match=r"set evaluation\.golden\.bertscore_revision to a commit"):
        missing(parse_params(data))


def test_no_message_about_a_server_shows_its_password() -> None:
    secret = "S" * 9
    need = Server("evaluation.engine.base_url", f"http://ada:{secret}@127.0.0.1:9/v1", "NO_SUCH_KEY", "start it").need()
    with pytest.raises(StageError) as caught:
        need.prove()
    assert secret not in f"{caught.value} {need.what}"
    assert "the server http://127.0.0.1:9/v1 does not answer" in str(caught.value)


def test_data_sets_of_the_hub_that_rows_come_from_are_proven_before_anything_is_spent(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = data_of()
    data["prepare"]["sources"] = [f"hub:o/rows@{COMMIT}"]
    params = parse_params(data)
    keys = [need.key for need in needed(params, ["prepare"])]
    assert keys == ["prepare.sources"]
    with pytest.raises(StageError, match=r"prepare\.sources needs the dataset o/rows at commit .*data/raw"):
        prove_needed(params, ["prepare"])
    assert "prepare.sources" not in [need.key for need in needed(params, ["train@full"])]
    with serving_hub({"datasets/o/rows": {"train.jsonl": b"{}"}}) as endpoint:
        use_hub(monkeypatch, project / "hub", endpoint)
        prove_needed(params, ["prepare"])
