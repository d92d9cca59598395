"""The engine over HTTP: a real server of a tiny model, and a small one that misbehaves on demand."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from demo.tiny_model import make_tiny_model
from evalsuite.core.errors import StageError, UsageError
from evalsuite.engines.base import GenerationRequest
from evalsuite.engines.hf import HFEngine
from evalsuite.engines.openai import OpenAIEngine, check_served_model
from evalsuite.engines.server import free_port, serving

PROMPTS = ["Where is my parcel?", "The camera is broken", "Question: What organ pumps blood", "help me as soon as"]


@pytest.fixture(scope="module")
def hf(tiny_model: Path) -> HFEngine:
    return HFEngine.load(tiny_model, "tiny")


@pytest.fixture(scope="module")
def served(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``transformers serve`` of the tiny model."""
    port, log = free_port(), tmp_path_factory.mktemp("server") / "server.log"
    cli = str(Path(sys.executable).with_name("transformers"))
    command = [cli, "serve", str(tiny_model), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with serving([*command, "--dtype", "float32"], f"http://127.0.0.1:{port}/health", log, 120.0):
        yield f"http://127.0.0.1:{port}/v1"


def requests(count: int = 8) -> list[GenerationRequest]:
    return [GenerationRequest(prompt, (), count + place) for place, prompt in enumerate(PROMPTS)]


def test_a_real_server_gives_the_texts_of_the_engine_in_process(served: str, tiny_model: Path, hf: HFEngine) -> None:
    engine = OpenAIEngine.for_folder(tiny_model, "tiny", served, str(tiny_model), concurrency=3)
    assert engine.generate(requests(), "test") == hf.generate(requests(), "test")
    assert engine.chat_template_sha256 == hf.chat_template_sha256


def test_a_stop_string_ends_the_text_as_in_process(served: str, tiny_model: Path, hf: HFEngine) -> None:
    whole = hf.generate(requests(12), "test")
    stops = (whole[0].text[3:5],)
    asked = [GenerationRequest(request.prompt, stops, 12) for request in requests()]
    engine = OpenAIEngine.for_folder(tiny_model, "tiny", served, str(tiny_model))
    assert [a.text for a in engine.generate(asked, "test")] == [a.text for a in hf.generate(asked, "test")]


def test_a_server_of_the_exported_weights_passes_the_check(served: str, tiny_model: Path, hf: HFEngine) -> None:
    check_served_model(OpenAIEngine.for_folder(tiny_model, "tiny", served, str(tiny_model)), hf, PROMPTS)


def test_a_server_of_other_weights_is_found_out(served: str, tiny_model: Path, tmp_path: Path) -> None:
    other = HFEngine.load(make_tiny_model(tmp_path / "other", seed=1), "other")
    engine = OpenAIEngine.for_folder(tiny_model, "tiny", served, str(tiny_model))
    with pytest.raises(UsageError, match="does not serve tiny"):
        check_served_model(engine, other, PROMPTS)


def test_a_model_that_the_server_does_not_have_is_named(served: str, tiny_model: Path) -> None:
    engine = OpenAIEngine.for_folder(tiny_model, "tiny", served, "absent-model", max_retries=0)
    with pytest.raises(UsageError, match="absent-model"):
        engine.generate(requests(), "test")


def test_a_server_that_echoes_no_logprobs_is_refused_for_multiple_choice(served: str, tiny_model: Path) -> None:
    engine = OpenAIEngine.for_folder(tiny_model, "tiny", served, str(tiny_model))
    with pytest.raises(UsageError, match=r"HTTP 400|no log-probabilities"):
        engine.loglikelihoods([("Where is", " my parcel?")], "test")


Reply = Callable[[dict[str, Any], int], tuple[int, Any]]


@pytest.fixture
def fake() -> Iterator[Callable[[Reply], str]]:
    """A server of one function: (request, how many came before) -> (status, JSON body or raw text)."""
    servers: list[ThreadingHTTPServer] = []

    def start(reply: Reply) -> str:
        seen: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                seen.append(body)
                status, answer = reply(body, len(seen) - 1)
                data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/v1"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def completion(text: str, num_prompt: int, model: str = "m", **choice: Any) -> dict[str, Any]:
    return {
        "id": "1", "object": "text_completion", "created": 1, "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None, "text": text, **choice}],
        "usage": {"prompt_tokens": num_prompt, "completion_tokens": 2, "total_tokens": num_prompt + 2},
    }  # fmt: skip


def engine_at(url: str, hf: HFEngine, **options: Any) -> OpenAIEngine:
    return OpenAIEngine(url, "m", hf.tokenizer, "tiny", **options)


def count_tokens(hf: HFEngine, body: dict[str, Any]) -> int:
    prompt = body["prompt"]
    return len(prompt) if isinstance(prompt, list) else len(hf.tokenizer(prompt)["input_ids"])


def test_a_busy_server_is_asked_again(fake: Callable[[Reply], str], hf: HFEngine) -> None:
    def reply(body: dict[str, Any], before: int) -> tuple[int, Any]:
        return (429, {"error": "busy"}) if before < 2 else (200, completion("fine", count_tokens(hf, body)))

    answers = engine_at(fake(reply), hf).generate(requests()[:1], "test")
    assert answers[0].text == "fine"


@pytest.mark.parametrize(
    ("status", "answer", "kind", "message"),
    [
        pytest.param(500, {"error": "broken"}, StageError, "HTTP 500", id="server-error"),
        pytest.param(401, {"error": "no"}, UsageError, "refused the key", id="key"),
        pytest.param(404, {"error": "no"}, UsageError, "no /completions, or no model 'm'", id="absent"),
        pytest.param(422, {"error": "fields"}, UsageError, "HTTP 422", id="schema"),
        pytest.param(200, "not json", StageError, "test", id="no-json"),
    ],
)
def test_what_the_server_refuses_is_one_line(
    fake: Callable[[Reply], str], hf: HFEngine, status: int, answer: Any, kind: type[Exception], message: str
) -> None:
    engine = engine_at(fake(lambda body, before: (status, answer)), hf, max_retries=0)
    with pytest.raises(kind, match=message) as caught:
        engine.generate(requests(), "test")
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_is_a_broken_stage(hf: HFEngine) -> None:
    engine = engine_at(f"http://127.0.0.1:{free_port()}/v1", hf, max_retries=0)
    with pytest.raises(StageError, match="cannot be reached"):
        engine.generate(requests(), "test")


def test_another_tokenization_is_refused_with_both_counts(fake: Callable[[Reply], str], hf: HFEngine) -> None:
    url = fake(lambda body, before: (200, completion("x", count_tokens(hf, body) + 1)))
    with pytest.raises(UsageError, match=r"reads \d+ tokens in a prompt of \d+.*send: tokens"):
        engine_at(url, hf).generate(requests(), "test")


def test_prompts_can_be_sent_as_token_ids(fake: Callable[[Reply], str], hf: HFEngine) -> None:
    url = fake(lambda body, before: (200, completion(str(body["prompt"]), len(body["prompt"]))))
    answer = engine_at(url, hf, send="tokens").generate(requests()[:1], "test")[0]
    assert json.loads(answer.text) == hf.tokenizer(PROMPTS[0])["input_ids"]


def test_a_sampled_request_sends_its_temperature_and_seed_and_a_greedy_one_no_seed(
    fake: Callable[[Reply], str], hf: HFEngine
) -> None:
    url = fake(
        lambda body, before: (
            200,
            completion(json.dumps([body["temperature"], body.get("seed")]), count_tokens(hf, body)),
        )
    )
    asked = [GenerationRequest("camera", temperature=0.7, seed=5), GenerationRequest("camera", seed=5)]
    answers = engine_at(url, hf).generate(asked, "test")
    assert [json.loads(answer.text) for answer in answers] == [[0.7, 5], [0.0, None]]


def test_another_model_that_answers_is_refused(fake: Callable[[Reply], str], hf: HFEngine) -> None:
    url = fake(lambda body, before: (200, completion("x", count_tokens(hf, body), model="cheaper")))
    with pytest.raises(UsageError, match="answered with 'cheaper', not 'm'"):
        engine_at(url, hf).generate(requests(), "test")


def test_echoed_logprobs_give_the_loglikelihoods_of_the_engine_in_process(
    fake: Callable[[Reply], str], hf: HFEngine
) -> None:
    import torch

    def reply(body: dict[str, Any], before: int) -> tuple[int, Any]:
        with torch.inference_mode():
            scores = torch.log_softmax(hf.model(torch.tensor([body["prompt"]])).logits[0].float(), -1)
        pairs = list(enumerate(body["prompt"][1:]))
        own = [None, *(float(scores[at, token]) for at, token in pairs), -1.0]
        top = [None, *({"best": float(scores[at].max())} for at, _ in pairs), {"best": -1.0}]
        logprobs = {
            "token_logprobs": own,
            "top_logprobs": top,
            "tokens": ["t"] * len(own),
            "text_offset": [0] * len(own),
        }
        return 200, completion("", len(body["prompt"]), logprobs=logprobs)

    pairs = [("Where is", " my parcel?"), ("The camera", " is broken"), ("", "Question"), ("help ", "me")]
    ours = engine_at(fake(reply), hf).loglikelihoods(pairs, "test")
    expected = hf.loglikelihoods(pairs, "test")
    assert [answer.value for answer in ours] == pytest.approx([answer.value for answer in expected], abs=1e-4)
    assert [answer.greedy for answer in ours] == [answer.greedy for answer in expected]


def test_a_key_never_travels_unencrypted_to_another_machine(hf: HFEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret-value")
    with pytest.raises(UsageError, match="unencrypted") as caught:
        engine_at("http://gpu.example/v1", hf)
    assert "secret-value" not in str(caught.value)


def test_a_prompt_longer_than_the_context_is_refused_before_anything_is_sent(hf: HFEngine) -> None:
    engine = engine_at("http://127.0.0.1:9/v1", hf, max_positions=5)
    with pytest.raises(UsageError, match="context of 5"):
        engine.generate(requests(), "test")


def test_a_prompt_longer_than_the_context_is_unscored_where_asked_for(hf: HFEngine) -> None:
    engine = engine_at("http://127.0.0.1:9/v1", hf, max_positions=5, long_prompts="unscored")
    answers = engine.generate(requests(), "test")
    assert all(answer.refusal and "context of 5" in answer.refusal for answer in answers)


def test_every_answer_is_told_as_it_comes(served: str, tiny_model: Path) -> None:
    told: dict[int, str] = {}
    engine = OpenAIEngine.for_folder(tiny_model, "tiny", served, str(tiny_model))
    answers = engine.generate(requests(), "test", lambda index, answer: told.update({index: answer.text}))
    assert told == {index: answer.text for index, answer in enumerate(answers)}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("<html>" * 100, id="html"),
        pytest.param('"a text"', id="a text"),
        pytest.param("[]", id="a list"),
        pytest.param({"model": "m"}, id="no choices"),
        pytest.param(completion("x", 1) | {"choices": []}, id="empty choices"),
        pytest.param({**completion("x", 1), "choices": [{"index": 0, "text": None}]}, id="no text"),
        pytest.param({**completion("x", 1), "choices": [{"index": 0, "text": ["x"]}]}, id="a list for a text"),
        pytest.param(completion("x", 1) | {"usage": None}, id="no usage"),
    ],
)
def test_what_is_no_completion_is_one_line(fake: Callable[[Reply], str], hf: HFEngine, answer: Any) -> None:
    engine = engine_at(fake(lambda body, before: (200, answer)), hf, max_retries=0)
    with pytest.raises((StageError, UsageError)) as caught:
        engine.generate(requests(), "test")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_half_a_surrogate_pair_in_an_answer_is_a_replacement_character(
    fake: Callable[[Reply], str], hf: HFEngine
) -> None:
    url = fake(lambda body, before: (200, completion("a \ud800 \U0001f600", count_tokens(hf, body))))
    answers = engine_at(url, hf).generate(requests()[:1], "test")
    assert answers[0].text == "a \ufffd \U0001f600"


def test_log_probabilities_that_are_no_numbers_leave_the_pair_unanswered(
    fake: Callable[[Reply], str], hf: HFEngine
) -> None:
    def reply(body: dict[str, Any], before: int) -> tuple[int, Any]:
        count = len(body["prompt"]) + 1
        own = {"token_logprobs": [float("nan")] * count, "top_logprobs": [{"best": -1.0}] * count}
        return 200, completion("", len(body["prompt"]), logprobs=own)

    (answer,) = engine_at(fake(reply), hf).loglikelihoods([("Where is", " my parcel?")], "test")
    assert answer.refusal == "the model gave a log-probability of nan"


@pytest.mark.parametrize("address", ["http://[::1", "ftp://x/v1", "localhost:8000", "http://host:port/v1", ""])
def test_an_address_that_is_none_is_refused(hf: HFEngine, address: str) -> None:
    with pytest.raises(UsageError, match="expected one such as http://127"):
        engine_at(address, hf)


def test_a_password_in_the_address_stands_in_no_message(hf: HFEngine) -> None:
    with pytest.raises(UsageError) as refused:
        engine_at("http://ann:hunter2@host:port/v1", hf)
    with pytest.raises(StageError, match=r"127\.0\.0\.1:9/v1") as absent:
        engine_at("http://ann:hunter2@127.0.0.1:9/v1", hf, max_retries=0).generate(requests()[:1], "test")
    assert "hunter2" not in f"{refused.value} {absent.value}"
