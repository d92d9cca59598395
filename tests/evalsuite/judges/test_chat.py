import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from evalsuite.core.errors import StageError, UsageError
from evalsuite.judges.base import JudgeCase
from evalsuite.judges.chat import ChatJudge

Reply = tuple[int, str]


@contextmanager
def server(reply: Callable[[dict[str, Any], int], Reply]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A local OpenAI-compatible server; yields its address and the requests that it got."""
    seen: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append({**body, "path": self.path, "key": self.headers.get("Authorization")})
            status, text = reply(body, len(seen))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}/v1", seen
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def says(text: str) -> str:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]})


def judge(url: str, **settings: Any) -> ChatJudge:
    return ChatJudge(url, "m", **settings)


CASES = [JudgeCase(f"request {number}", f"answer {number}") for number in range(12)]


def test_every_case_gets_the_verdict_on_its_own_text() -> None:
    def reply(body: dict[str, Any], _: int) -> Reply:
        return 200, says("yes" if "answer 3\n" in body["messages"][0]["content"] else "no")

    with server(reply) as (url, seen):
        verdicts = judge(url, concurrency=4).judge(CASES, "t")

    assert [verdict.positive for verdict in verdicts] == [number == 3 for number in range(12)]
    assert {(request["path"], request["model"], request["temperature"]) for request in seen} == {
        ("/v1/chat/completions", "m", 0)
    }


@pytest.mark.parametrize("text", [says("perhaps"), "{}", "not json", '{"choices": []}', says(None)])  # type: ignore[arg-type]
def test_a_reply_that_cannot_be_read_is_no_verdict(text: str) -> None:
    with server(lambda *_: (200, text)) as (url, _):
        (verdict,) = judge(url).judge(CASES[:1], "t")

    assert verdict.positive is None
    assert verdict.reason


def test_a_busy_server_is_asked_again() -> None:
    with server(lambda _, count: (503, "") if count < 3 else (200, says("no"))) as (url, seen):
        (verdict,) = judge(url).judge(CASES[:1], "t")

    assert verdict.positive is False
    assert len(seen) == 3


def test_a_wrong_key_ends_the_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "s3cret")
    with server(lambda *_: (401, "")) as (url, seen):
        with pytest.raises(StageError, match="answered 401 for model 'm'") as raised:
            judge(url, api_key_variable="JUDGE_KEY").judge(CASES[:1], "t")
        assert seen[0]["key"] == "Bearer s3cret"

    assert len(seen) == 1
    assert "s3cret" not in str(raised.value)


def test_an_unreachable_server_ends_the_run() -> None:
    with server(lambda *_: (200, says("no"))) as (url, _):
        pass
    with pytest.raises(StageError, match="gave no answer in 2 tries"):
        judge(url, retries=1).judge(CASES, "t")


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "http://", "http://[::1", "http://host:port/v1"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="expected http://HOST"):
        judge(address)


def test_the_version_names_model_and_prompt_and_not_the_address() -> None:
    assert judge("http://a/v1").version == judge("http://b/v1").version
    assert judge("http://a/v1").version != ChatJudge("http://a/v1", "other").version


def test_a_password_in_the_address_stands_in_no_message() -> None:
    with pytest.raises(UsageError) as refused:
        judge("http://ann:hunter2@host:port/v1")
    with pytest.raises(StageError, match=r"127\.0\.0\.1:9/v1") as absent:
        judge("http://ann:hunter2@127.0.0.1:9/v1", retries=0).judge(CASES[:1], "t")
    assert "hunter2" not in f"{refused.value} {absent.value}"
