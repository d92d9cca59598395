"""Many questions to a server, over HTTP."""

import gzip
import json
import logging
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import StageError, UsageError
from tasks.served.answers import ChatAnswer
from tasks.served.asking import ask_all
from tasks.served.server import ChatServer
from tests.tasks.served.stand_in import Reply, StandIn, says, serving

SOON = {"Retry-After": "0.01"}


def chats(count: int) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": f"question {number}"}] for number in range(count)]


def asked(server: StandIn | str, kept: Path, prompts: list[list[dict[str, str]]], **settings: Any) -> list[ChatAnswer]:
    url = server if isinstance(server, str) else server.url
    settings = {"retries": 1, "model": "m", **settings}
    return ask_all(ChatServer(base_url=url, **settings), prompts, kept, "test")


def echo(question: str, _: int) -> str:
    return f"to {question}"


@pytest.mark.parametrize("concurrency", [1, 16])
def test_answers_stand_in_the_order_of_the_questions_whichever_comes_first(tmp_path: Path, concurrency: int) -> None:
    def late_ones_first(question: str, number: int) -> str:
        time.sleep(0.004 * (8 - number % 8))
        return echo(question, number)

    with serving(late_ones_first) as server:
        answers = asked(server, tmp_path, chats(24), concurrency=concurrency)
    assert [answer.text for answer in answers] == [f"to question {number}" for number in range(24)]
    assert {(each["path"], each["model"], each["temperature"]) for each in server.seen} == {
        ("/v1/chat/completions", "m", 0)
    }


def test_a_server_that_goes_down_costs_nothing_and_only_the_rest_is_asked_then(tmp_path: Path) -> None:
    prompts = chats(50)
    with serving(lambda question, number: echo(question, 0) if number <= 30 else Reply("", 503, SOON)) as server:
        with pytest.raises(StageError) as stopped:
            asked(server.url.replace("//", "//ann:hunter2@"), tmp_path, prompts, concurrency=4)
        address = server.url
    message = str(stopped.value)
    assert "30 of 50 answers are kept" in message
    assert address in message
    assert "hunter2" not in message
    assert "`ratchet stage prepare` asks for the rest" in message

    with serving(echo) as other:
        answers = asked(other, tmp_path, prompts, concurrency=4)
    assert len(other.seen) == 20
    assert not set(other.questions) & set(server.questions[:30])
    assert [answer.text for answer in answers] == [f"to question {number}" for number in range(50)]
    assert asked("http://127.0.0.1:9/v1", tmp_path, prompts) == answers  # nothing is left to ask


def test_a_busy_server_is_asked_again_as_often_as_the_settings_say(tmp_path: Path) -> None:
    with serving(lambda question, number: echo(question, 0) if number > 2 else Reply("", 503, SOON)) as server:
        (answer,) = asked(server, tmp_path, chats(1), retries=2)
    assert answer.text == "to question 0"
    assert len(server.seen) == 3


def test_an_unreachable_server_is_named_with_the_command_that_goes_on(tmp_path: Path) -> None:
    with pytest.raises(
        StageError, match=r"127\.0\.0\.1:9/v1 cannot be reached.*0 of 2 answers.*`ratchet stage prepare`"
    ):
        asked("http://127.0.0.1:9/v1", tmp_path, chats(2), retries=0)


def test_a_slow_server_is_given_up_after_the_timeout(tmp_path: Path) -> None:
    def slow(question: str, number: int) -> str:
        time.sleep(0.5)
        return echo(question, number)

    with serving(slow) as server, pytest.raises(StageError, match=r"did not answer within 0\.1 s in 1 tries"):
        asked(server, tmp_path, chats(1), retries=0, timeout_seconds=0.1)


def test_an_answer_that_drips_in_is_not_waited_for_longer(tmp_path: Path) -> None:
    dripping = Reply(says("x" * 1000), pause_seconds=0.02)
    with serving(lambda *_: dripping) as server, pytest.raises(StageError, match=r"did not answer within 0\.2 s"):
        asked(server, tmp_path, chats(1), retries=0, timeout_seconds=0.2)


@pytest.mark.parametrize("said", [b"HTTP/1.1 100 Continue\r\n\r\n", b"a"])
def test_headers_that_drip_in_are_not_waited_for_either(said: bytes, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.sendall(b"" if said.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\nX-A: ")
                while True:
                    connection.sendall(said)
                    time.sleep(0.05)

        server = threading.Thread(target=drip)
        server.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        with pytest.raises(StageError, match=r"did not answer within 0\.5 s"):
            asked(url, tmp_path, chats(1), retries=0, timeout_seconds=0.5)
        server.join(10)
        assert not server.is_alive()


def test_that_a_server_asks_to_wait_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def busy_at_first(question: str, number: int) -> Reply | str:
        return Reply("{}", 429, {"Retry-After": "0"}) if number < 3 else echo(question, number)

    with serving(busy_at_first) as server:
        asked(server, tmp_path, chats(2), retries=4, concurrency=1)
    assert caplog.text.count("the server at 127.0.0.1 is busy and asks to wait 0 s") == 1


def test_words_of_the_server_s_own_are_not_repeated(tmp_path: Path) -> None:
    body = json.dumps({"error": {"message": "m", "param": "sk-abc123", "code": "alice@acme.org"}})
    with serving(lambda *_: Reply(body, 400)) as server:
        (answer,) = asked(server, tmp_path, chats(1))
    assert answer.fault == "refused with status 400"


def test_the_key_is_sent_and_stands_in_no_file_log_or_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MY_KEY", "s3cret-key")
    caplog.set_level(logging.DEBUG)
    with serving(echo) as server:
        asked(server, tmp_path, chats(3), api_key_variable="MY_KEY")
    with (
        serving(lambda *_: Reply("", 401)) as refusing,
        pytest.raises(UsageError, match=r"refused the key.*\$MY_KEY") as refused,
    ):
        asked(refusing, tmp_path, chats(4), api_key_variable="MY_KEY", concurrency=1)
    assert {request["key"] for request in server.seen} == {"Bearer s3cret-key"}
    assert len(refusing.seen) == 1
    assert "s3cret" not in str(refused.value) + caplog.text
    assert all(b"s3cret" not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("address", "key"), [("HTTP://gpu.example/v1", "s3cret"), ("https://gpu.example/v1", "s3cret\nX-More: 1\x00é")]
)
def test_a_key_that_others_could_read_or_no_header_can_hold_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, key: str
) -> None:
    if "\x00" in key:
        key = key.replace("\x00", "")  # the environment holds none
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UsageError, match="OPENAI_API_KEY") as refused:
        asked(address, tmp_path, chats(1))
    assert "s3cret" not in str(refused.value)


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with serving(echo) as other:
        moved = Reply("", 307, {"Location": f"{other.url}/chat/completions"})
        with serving(lambda *_: moved) as server, pytest.raises(UsageError, match=r"status 307.*set base_url"):
            asked(server, tmp_path, chats(2))
    assert other.seen == []


def test_no_more_of_an_answer_is_read_than_an_answer_can_have(tmp_path: Path) -> None:
    huge = Reply(says("x" * 60_000_000))
    packed = Reply(gzip.compress(says("x" * 60_000_000).encode()), 200, {"Content-Encoding": "gzip"})
    long = Reply(says("x" * 300_000))
    for reply in (huge, packed, long):
        with serving(lambda *_, reply=reply: reply) as server:  # type: ignore[misc]
            (answer,) = asked(server, tmp_path, chats(1))
        assert answer.text is None
        assert answer.fault


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>busy</html>",
        "[]",
        "{}",
        '{"choices": []}',
        '{"choices": [7]}',
        '{"choices": {"0": 1}}',
        '{"choices": [{"message": "text"}]}',
        '{"choices": [{"message": {"content": null}}]}',
        '{"choices": [{"message": {"content": {"a": 1}}}]}',
        '{"choices": [{"message": {"content": "\\ud800"}}]}',
        '{"a": 1, "a": 2}',
        "[" * 100_000,
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_chat_completion_is_a_fault_and_is_asked_again_in_the_next_run(
    tmp_path: Path, body: str | bytes
) -> None:
    with serving(lambda *_: Reply(body)) as server:
        (answer,) = asked(server, tmp_path, chats(1))
    assert answer.text is None
    assert answer.fault in ("the reply is not a chat completion", "the reply has no text")
    with serving(echo) as server:
        assert asked(server, tmp_path, chats(1))[0].text == "to question 0"


def test_a_question_that_the_server_refuses_costs_no_other_its_answer(tmp_path: Path) -> None:
    said = json.dumps({"error": {"message": "question 3 is too long", "code": "context_length", "param": "mess ages"}})
    with serving(lambda question, _: Reply(said, 400) if question.endswith(" 3") else echo(question, 0)) as server:
        answers = asked(server, tmp_path, chats(5))
    assert [answer.text is None for answer in answers] == [False, False, False, True, False]
    assert answers[3].fault == "refused with status 400 (context_length)"


def test_a_limit_on_tokens_goes_by_the_name_that_the_model_takes(tmp_path: Path) -> None:
    refused = Reply(json.dumps({"error": {"message": "no", "param": "max_tokens"}}), 400)
    with serving(lambda question, number: refused if number % 2 else echo(question, 0)) as server:
        (answer,) = asked(server, tmp_path, chats(1), max_tokens=9)
    assert answer.text == "to question 0"
    assert [(each.get("max_tokens"), each.get("max_completion_tokens")) for each in server.seen] == [
        (9, None),
        (None, 9),
    ]


def test_a_server_that_takes_no_request_is_not_asked_a_thousand_times(tmp_path: Path) -> None:
    said = json.dumps({"error": {"message": "no", "param": "logprobs"}})
    with (
        serving(lambda *_: Reply(said, 422)) as server,
        pytest.raises(UsageError, match=r"none of the first 20 requests.*status 422 \(logprobs\)"),
    ):
        asked(server, tmp_path, chats(1000), concurrency=4)
    assert len(server.seen) < 30


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with serving(lambda *_: Reply("{}", 404)) as server, pytest.raises(UsageError, match="has no model 'absent'"):
        asked(server, tmp_path, chats(9), model="absent", concurrency=1)
    assert len(server.seen) == 1


def test_equal_questions_are_asked_once_and_other_settings_anew(tmp_path: Path) -> None:
    with serving(lambda question, number: f"{number}") as server:
        twice = asked(server, tmp_path, [*chats(1), *chats(1)])
        assert [answer.text for answer in twice] == ["1", "1"]
        for settings in ({"model": "n"}, {"max_tokens": 7}, {"temperature": 0.5}, {"temperature": 0.5, "seed": 1}):
            asked(server, tmp_path, chats(1), **settings)
        asked(server, tmp_path, chats(1), temperature=0.5, seed=1)
    assert len(server.seen) == 5
    assert [request.get("seed") for request in server.seen] == [None, None, None, 0, 1]


def test_log_probabilities_come_along_and_wrong_ones_are_left_out(tmp_path: Path) -> None:
    tokens = [{"token": "4", "logprob": -0.25}, {"token": "5", "logprob": -1.5}]
    wrong: list[Any] = [
        {"token": "6", "logprob": float("nan")},
        {"token": "6", "logprob": 9.0},
        {"token": 6},
        None,
        "6",
    ]
    logprobs = {"content": [{"token": "4", "top_logprobs": tokens + wrong}, None, {"top_logprobs": 3}]}
    with serving(lambda *_: Reply(says("4", logprobs=logprobs, finish_reason="length"))) as server:
        answers = asked(server, tmp_path, chats(1), top_logprobs=5)
    assert server.seen[0]["logprobs"] is True
    assert server.seen[0]["top_logprobs"] == 5
    assert answers == [ChatAnswer("4", "", False, ((("4", -0.25), ("5", -1.5)), (), ()))]
    assert asked("http://127.0.0.1:9/v1", tmp_path, chats(1), top_logprobs=5) == answers  # as they were kept


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1:8000", "ftp://x/v1", "http://ann:hunter2@host:port/v1", "http://[::1"]
)
def test_an_address_that_is_none_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(ValueError, match="is not a server's address") as refused:
        ChatServer(base_url=address, model="m")
    assert "hunter2" not in refused.value.errors()[0]["msg"]  # type: ignore[attr-defined]
