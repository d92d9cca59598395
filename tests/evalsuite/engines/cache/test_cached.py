"""Answers are kept, and a changed model, template or request never gets another's."""

import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.core.files import sha256_json
from evalsuite.engines.base import Generation, GenerationRequest, Loglikelihood
from evalsuite.engines.cache.answer_store import AnswerStore
from evalsuite.engines.cache.cached import CachedEngine, with_use
from evalsuite.items.answer_counts import AnswerCounts
from evalsuite.items.results import SuiteInfo, SuiteResult
from evalsuite.testing import FakeEngine

ROOT = Path(__file__).parents[4]


def cached(folder: Path, inner: FakeEngine | None = None) -> tuple[CachedEngine, FakeEngine]:
    engine = inner or FakeEngine(lambda prompt: f"answer to {prompt}")
    return CachedEngine(engine, AnswerStore(folder, engine.model_identity)), engine


def test_a_second_run_asks_nothing_and_gets_the_same_answers(tmp_path: Path) -> None:
    requests = [GenerationRequest(f"ask {n}") for n in range(5)]
    pairs = [("Is it", f" so{n}") for n in range(3)]
    first, _ = cached(tmp_path)
    answers = (first.generate(requests, "x"), first.loglikelihoods(pairs, "x"))
    second, inner = cached(tmp_path)
    assert (second.generate(requests, "x"), second.loglikelihoods(pairs, "x")) == answers
    assert inner.prompts == []
    assert second.take_use().counts == AnswerCounts(num_asked=8, num_cached=8)


def test_only_what_is_new_is_asked_and_equal_requests_are_asked_once(tmp_path: Path) -> None:
    cached(tmp_path)[0].generate([GenerationRequest("old")], "x")
    engine, inner = cached(tmp_path)
    answers = engine.generate([GenerationRequest(name) for name in ("new", "old", "new")], "x")
    assert [answer.text for answer in answers] == ["answer to new", "answer to old", "answer to new"]
    assert inner.prompts == ["new"]
    assert engine.take_use().counts.num_cached == 1


CHANGES: dict[str, Any] = {
    "model_identity": "another",
    "chat_template_sha256": "another",
    "version": "another",
    "name": "another",
}


@pytest.mark.parametrize("field", CHANGES)
def test_another_model_template_or_engine_never_hits(tmp_path: Path, field: str) -> None:
    requests = [GenerationRequest("ask")]
    cached(tmp_path)[0].generate(requests, "x")
    inner = FakeEngine(lambda _: "other")
    store = AnswerStore(tmp_path, "fake")  # even with the first model's own file
    setattr(inner, field, CHANGES[field])
    assert CachedEngine(inner, store).generate(requests, "x")[0].text == "other"


@pytest.mark.parametrize(
    "change", [{"prompt": "ask "}, {"stop": ("\n",)}, {"max_new_tokens": 65}], ids=["prompt", "stop", "length"]
)
def test_another_request_never_hits(tmp_path: Path, change: dict[str, Any]) -> None:
    request = GenerationRequest("ask")
    cached(tmp_path)[0].generate([request], "x")
    engine, inner = cached(tmp_path)
    engine.generate([dataclasses.replace(request, **change)], "x")
    assert len(inner.prompts) == 1


def test_each_repeat_of_a_sampled_request_is_kept_by_itself(tmp_path: Path) -> None:
    repeats = [GenerationRequest("ask", temperature=0.7, seed=seed) for seed in range(3)]
    cached(tmp_path)[0].generate(repeats[:2], "x")
    engine, inner = cached(tmp_path)
    engine.generate(repeats, "x")
    assert len(inner.prompts) == 1
    engine.generate([dataclasses.replace(repeats[0], temperature=0.8), GenerationRequest("ask")], "x")
    assert len(inner.prompts) == 3


def test_a_greedy_answer_depends_on_no_seed_and_keeps_its_key(tmp_path: Path) -> None:
    engine, inner = cached(tmp_path)
    engine.generate([GenerationRequest("ask"), GenerationRequest("ask", seed=5)], "x")
    assert len(inner.prompts) == 1
    request = {"prompt": "ask", "stop": [], "max_new_tokens": 64}
    key = sha256_json([1, "generate", "fake", "template", "fake", "1", request])  # as before requests had a seed
    assert set(AnswerStore(tmp_path, "fake").read({key})) == {key}


def test_where_context_ends_and_continuation_begins_matters(tmp_path: Path) -> None:
    cached(tmp_path)[0].loglikelihoods([("a", "bc")], "x")
    engine, _ = cached(tmp_path)
    assert engine.loglikelihoods([("ab", "c")], "x") == [Loglikelihood(-1.0, False)]
    assert engine.take_use().counts.num_cached == 0


@settings(deadline=None, max_examples=30)
@given(prompt=st.text(min_size=1), stop=st.text(min_size=1))
def test_hostile_text_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, prompt: str, stop: str) -> None:
    folder = tmp_path_factory.mktemp("store")
    prompt += "'); DROP TABLE answers; --"
    for asked in (1, 0):
        engine, inner = cached(folder, FakeEngine(lambda text: text[::-1]))
        assert engine.generate([GenerationRequest(prompt, (stop,))], "x")[0].text == prompt[::-1]
        assert len(inner.prompts) == asked


def test_a_damaged_file_is_set_aside_and_everything_is_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = cached(tmp_path)
    answers = first.generate([GenerationRequest("ask")], "x")
    path = next(tmp_path.glob("*.sqlite"))
    first._store.close()  # type: ignore[union-attr]
    path.write_bytes(b"not a database" * 500)
    engine, inner = cached(tmp_path)
    assert engine.generate([GenerationRequest("ask")], "x") == answers
    assert inner.prompts == ["ask"]
    assert len(list(tmp_path.glob("*.damaged-1"))) == 1
    assert "is damaged" in caplog.text
    assert cached(tmp_path)[0].generate([GenerationRequest("ask")], "x") == answers


def test_a_changed_answer_fails_its_checksum_and_is_asked_again(tmp_path: Path) -> None:
    first, _ = cached(tmp_path)
    first.generate([GenerationRequest("ask")], "x")
    first._store.close()  # type: ignore[union-attr]
    with sqlite3.connect(next(tmp_path.glob("*.sqlite"))) as connection:
        connection.execute("UPDATE answers SET answer = replace(answer, 'answer to', 'forged')")
    connection.close()
    for asked in (1, 0):
        engine, inner = cached(tmp_path)
        assert engine.generate([GenerationRequest("ask")], "x")[0].text == "answer to ask"
        assert len(inner.prompts) == asked


def test_a_folder_that_cannot_be_written_costs_the_memory_and_not_the_evaluation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    engine, _ = cached(tmp_path / "file" / "cache")
    assert engine.generate([GenerationRequest("ask")], "x")[0].text == "answer to ask"
    assert "goes on without it" in caplog.text


def test_a_refused_prompt_is_not_kept(tmp_path: Path) -> None:
    engine, _ = cached(tmp_path, FakeEngine({"long": Generation("", 9, 0, False, "too long")}))
    engine.generate([GenerationRequest("long")], "x")
    assert engine.take_use().counts == AnswerCounts(num_asked=1, num_refused=1)
    assert cached(tmp_path)[0].generate([GenerationRequest("long")], "x")[0].text == "answer to long"


def test_cut_and_empty_completions_are_counted(tmp_path: Path) -> None:
    engine = CachedEngine(FakeEngine({"a": Generation("on and on", 1, 64, False), "b": " \n"}), None)
    engine.generate([GenerationRequest("a"), GenerationRequest("b")], "x")
    assert engine.take_use().counts == AnswerCounts(num_asked=2, num_cut=1, num_empty=1)


def test_seconds_of_a_cached_run_are_those_of_the_first(tmp_path: Path) -> None:
    def slow(prompt: str) -> str:
        time.sleep(0.02)
        return prompt

    requests = [GenerationRequest(f"ask {n}") for n in range(10)]
    info = SuiteInfo(suite="s", suite_version="1", items_sha256="0")
    seconds = []
    for _ in range(2):
        engine, _ = cached(tmp_path, FakeEngine(slow))
        started = time.perf_counter()
        engine.generate(requests, "x")
        result = SuiteResult(info, (), time.perf_counter() - started)
        seconds.append(with_use(result, engine.take_use()).seconds)
    assert seconds[0] >= 0.2
    assert seconds[1] == pytest.approx(seconds[0], rel=0.1)


KILLED = """
import sys, time
from pathlib import Path
from evalsuite.engines.cache.answer_store import AnswerStore
from evalsuite.engines.base import GenerationRequest
from evalsuite.engines.cache.cached import CachedEngine
from evalsuite.testing import FakeEngine

def answer(prompt):
    if prompt == "ask 6":
        print("six", flush=True)
        time.sleep(600)
    return f"answer to {prompt}"

engine = CachedEngine(FakeEngine(answer), AnswerStore(Path(sys.argv[1]), "fake"))
engine.generate([GenerationRequest(f"ask {n}") for n in range(10)], "x")
"""


def test_a_killed_evaluation_goes_on_where_it_was(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"six\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    engine, inner = cached(tmp_path)
    answers = engine.generate([GenerationRequest(f"ask {n}") for n in range(10)], "x")
    assert [answer.text for answer in answers] == [f"answer to ask {n}" for n in range(10)]
    assert inner.prompts == [f"ask {n}" for n in range(6, 10)]
