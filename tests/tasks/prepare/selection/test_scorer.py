"""Ratings by a served model, over HTTP, and the rows that they keep."""

import json
import logging
import math
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from pydantic import ValidationError

from evalsuite.core.errors import StageError, UsageError
from tasks.config.prepare import PrepareParams
from tasks.config.train import Answers
from tasks.data.formats import Row
from tasks.paths import ArtifactPaths
from tasks.prepare.lengths import TokenLengths
from tasks.prepare.order import chosen_steps
from tasks.prepare.preparation import run
from tasks.prepare.selection import step
from tasks.prepare.selection.exchanges import Exchange, learnt_exchanges
from tasks.prepare.selection.scorer import MOST_CHARACTERS, Scored, expectation, number, shortened
from tasks.prepare.selection.step import Select
from tasks.prepare.steps import Outcome, StepInputs
from tasks.served.answers import ChatAnswer
from tests.tasks.prepare.project import new_project, pairs, write_rows
from tests.tasks.served.stand_in import Reply, StandIn, says, serving

DIARY = "Anna's diary"


def row_of(at: int, *exchanges: tuple[str, str]) -> Row:
    turns = [
        turn
        for question, answer in exchanges
        for turn in ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
    ]
    return Row(f"f:{at:03}", f"id{at}", "chat", tuple(turns), {})


def rated(complexity: object, quality: object) -> tuple[str, str]:
    """An exchange that ``by_its_text`` rates so."""
    return f"{DIARY} complexity={complexity};", f"quality={quality};"


def by_its_text(prompt: str, _: int) -> str:
    """A scorer that says what stands in the text: of an answer where the prompt has one, else of the question."""
    found = re.search(r"quality=([^;]*);", prompt) or re.search(r"complexity=([^;]*);", prompt)
    assert found
    return found[1]


def selected(rows: list[Row], server: StandIn | str, root: Path, **scorer: Any) -> Outcome:
    """What is kept of them with the best two as the budget."""
    url = server if isinstance(server, str) else server.url
    settings = {"rows": 2, "by": "deita", "scorer": {"base_url": url, "model": "m", "retries": 0, **scorer}}
    given = StepInputs(
        PrepareParams(sources=("data/raw/rows.jsonl",)),
        ArtifactPaths(root),
        TokenLengths(Path("nowhere"), 1024, Answers.ALL),
    )
    return Select.model_validate(settings).run(rows, given)


def numbers(outcome: Outcome) -> list[int]:
    return [int(row.source.removeprefix("f:")) for row in outcome.kept]


def test_the_rows_with_the_largest_product_of_complexity_and_quality_are_kept(tmp_path: Path) -> None:
    ratings = [(6, 1), (3, 4), (5, 2), (2, 5), (4, 4)]  # 6, 12, 10, 10, 16
    with serving(by_its_text) as server:
        outcome = selected([row_of(at, rated(*each)) for at, each in enumerate(ratings)], server, tmp_path)
    assert numbers(outcome) == [1, 4]
    assert [note.detail for note in outcome.dropped] == ["deita 6.000", "deita 10.000", "deita 10.000"]
    assert len(server.seen) == 10
    counts = outcome.counts["scorer"]
    assert (counts["rows_scored"], counts["rows_without_a_score"], counts["ratings_by_expectation"]) == (5, 0, 0)
    assert counts["weights"].startswith("not known")


def test_several_exchanges_are_summed_and_what_is_not_learnt_counts_for_nothing(tmp_path: Path) -> None:
    context = row_of(2, rated(6, 6), rated(1, 1))
    context.messages[1]["weight"] = 0
    rows = [row_of(0, rated(2, 3), rated(4, 5)), row_of(1, rated(4, 5)), context, row_of(3, rated(5, 5))]
    unlearnt = row_of(4, rated(6, 6))
    unlearnt.messages[1]["weight"] = 0
    with serving(by_its_text) as server:
        outcome = selected([*rows, unlearnt], server, tmp_path)
    assert numbers(outcome) == [0, 3]
    assert {note.source: note.detail for note in outcome.dropped} == {
        "f:001": "deita 20.000",
        "f:002": "deita 1.000",
        "f:004": "",
    }
    assert outcome.dropped[-1].reason == "no answer to learn"


def test_a_scorer_that_was_down_goes_on_where_it_stopped_and_chooses_the_same(tmp_path: Path) -> None:
    ratings = [rated(1 + at % 6, 1 + at // 6 % 6) for at in range(25)]
    rows = [row_of(at, (f"{at}. {question}", answer)) for at, (question, answer) in enumerate(ratings)]  # 50 prompts
    with serving(by_its_text) as whole:
        wanted = numbers(selected(rows, whole, tmp_path / "whole"))
    with (
        serving(lambda prompt, count: by_its_text(prompt, 0) if count <= 30 else Reply("", 500)) as failing,
        pytest.raises(StageError, match=r"30 of 50 answers are kept.*`ratchet stage prepare`") as stopped,
    ):
        selected(rows, failing, tmp_path)
    assert DIARY not in str(stopped.value)
    with serving(by_its_text) as back:
        assert numbers(selected(rows, back, tmp_path)) == wanted
    assert len(back.seen) == 20
    assert numbers(selected(rows, "http://127.0.0.1:9/v1", tmp_path)) == wanted


def test_a_row_with_a_nonsensical_rating_is_counted_and_never_kept(tmp_path: Path) -> None:
    rows = [row_of(at, rated(6, "great stuff" if at == 3 else 1)) for at in range(10)]
    with serving(by_its_text) as server:
        outcome = selected(rows, server, tmp_path)
        none_left = selected([*rows[2:4], row_of(9, rated(6, 1))], server, tmp_path, max_unscored=0.5)
    assert numbers(outcome) == [0, 1]
    assert [(note.reason, note.detail) for note in outcome.dropped if note.source == "f:003"] == [
        ("without a score", "the answer is no number from 1 to 6")
    ]
    assert outcome.counts["scorer"]["rows_without_a_score"] == 1
    assert numbers(none_left) == [2, 9]


def test_too_many_rows_without_a_score_stop_the_stage_and_none_of_their_texts_is_shown(tmp_path: Path) -> None:
    rows = [row_of(at, rated(6, f"so good {DIARY}" if at < 3 else 1)) for at in range(10)]
    with serving(by_its_text) as server, pytest.raises(UsageError) as stopped:
        selected(rows, server, tmp_path)
    message = str(stopped.value)
    assert "3 of 10 rows (30%) have no score of model 'm'" in message
    assert "the answer is no number from 1 to 6 (3 rows)" in message
    assert "max_unscored is 0.1" in message
    assert DIARY not in message
    assert "so good" not in message


def test_a_model_that_thinks_first_is_told_from_one_that_talks_nonsense(tmp_path: Path) -> None:
    cut = Reply(says("<think> The request asks for", finish_reason="length"))
    with (
        serving(lambda *_: cut) as server,
        pytest.raises(UsageError, match=r"cut off at scorer\.max_tokens \(3 rows\)"),
    ):
        selected([row_of(at, rated(1, 1)) for at in range(3)], server, tmp_path)


def test_the_expectation_over_the_six_numbers_is_the_rating_where_the_server_gives_probabilities(
    tmp_path: Path,
) -> None:
    def reply(prompt: str, _: int) -> Reply:
        said = by_its_text(prompt, 0)
        other = {"token": f" {int(said) + 1}", "logprob": math.log(0.2)}
        top = [{"token": said, "logprob": math.log(0.6)}, other, {"token": "the", "logprob": math.log(0.1)}]
        return Reply(says(said, logprobs={"content": [{"token": said, "top_logprobs": top}]}))

    with serving(reply) as server:
        outcome = selected([row_of(at, rated(3, 1 + at)) for at in range(3)], server, tmp_path)
    assert outcome.counts["scorer"]["ratings_by_expectation"] == 6
    assert outcome.dropped[0].detail == "deita 4.062"  # (3 * 0.6 + 4 * 0.2) / 0.8 = 3.25, and 1.25


def test_an_expectation_is_of_the_number_that_was_said() -> None:
    top = (("4", -0.7), ("5", -1.4))
    space = ((" ", -0.1), ("4", -3.0))
    assert expectation(ChatAnswer("Score: 4", places=((("Score", -0.1),), space, top))) == pytest.approx(
        (4 * math.exp(-0.7) + 5 * math.exp(-1.4)) / (math.exp(-0.7) + math.exp(-1.4))
    )
    assert expectation(ChatAnswer("2", places=(top,))) is None
    assert expectation(ChatAnswer("4", places=((), (("x", -1.0),)))) is None
    assert expectation(ChatAnswer("4", places=((("4", -9e3), ("3", -9.5e3)),))) == 4.0


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("4", 4.0),
        (" **5**\n", 5.0),
        ("Score: 3", 3.0),
        ("Complexity = 2.5", 2.5),
        ("6/6", 6.0),
        ("4 out of 6.", 4.0),
        ("4\n\nThe request has several conditions.", 4.0),
        ("<think>1, or 2? 3.</think>\n\n4", 4.0),
        ("", None),
        ("7", None),
        ("0", None),
        ("-3", None),
        ("10", None),
        ("6.5", None),
        ("45", None),
        ("4 or 5", None),
        ("1\n2\n3\n4\n5\n6", None),
        ("four", None),
        ("\uff14", None),
        ('{"score": 4}', None),
        ("I cannot rate this.", None),
        ("<think>it is a 4", None),
        (None, None),
    ],
)
def test_a_rating_is_one_number_from_1_to_6_and_nothing_else(text: str | None, meant: float | None) -> None:
    assert number(text) == meant


@drawn(st.text() | st.from_regex(r"[a-z ]*[:=]? ?[0-9./* ]*(</think>)?[\n0-9]*"))
def test_whatever_a_model_says_is_a_number_from_1_to_6_or_none(text: str) -> None:
    found = number(text)
    assert found is None or 1.0 <= found <= 6.0


@pytest.mark.parametrize("sign", [" ", "a", "a ", "1", "*", "\n", "</think>", ".", "[("])
def test_a_huge_answer_is_read_at_once(sign: str) -> None:
    started = time.perf_counter()
    number(sign * 200_000)
    assert time.perf_counter() - started < 0.5


def test_a_document_a_scorer_too_few_and_one_too_many_are_refused(tmp_path: Path) -> None:
    documents = [Row(f"f:{at}", f"id{at}", "text", (), {}, "words") for at in range(3)]
    with pytest.raises(UsageError, match=r"by = deita.*documents have none; use by: perplexity"):
        selected(documents, "http://127.0.0.1:9/v1", tmp_path)
    with pytest.raises(ValidationError, match=r"add scorer: \{base_url"):
        Select.model_validate({"rows": 2, "by": "deita"})
    with pytest.raises(ValidationError, match="scorer has no effect with by: ifd"):
        Select.model_validate({"rows": 2, "scorer": {"base_url": "http://127.0.0.1:9/v1", "model": "m"}})


def params_of(*before: Any, url: str = "https://gpu.example/v1", **scorer: Any) -> PrepareParams:
    select = {"rows": 2, "by": "deita", "scorer": {"base_url": url, "model": "m", **scorer}}
    steps = [*before, {"select": select}, "held_out", "length"]
    return PrepareParams.model_validate({"sources": ["data/raw/rows.jsonl"], "steps": steps})


def test_by_deita_without_a_scorer_is_refused_with_the_key_to_add() -> None:
    steps = [{"select": {"rows": 2, "by": "deita"}}, "held_out", "length"]
    with pytest.raises(UsageError, match=r"prepare\.steps\.select: by: deita asks a served model; add scorer:"):
        chosen_steps(PrepareParams.model_validate({"sources": ["data/raw/rows.jsonl"], "steps": steps}))


def test_rows_leave_this_machine_only_where_somebody_said_so_or_their_personal_data_is_gone() -> None:
    with pytest.raises(
        UsageError, match=r"https://gpu\.example/v1, which is not on this machine.*personal_data"
    ) as refused:
        chosen_steps(params_of(url="https://ann:hunter2@gpu.example/v1"))
    assert "hunter2" not in str(refused.value)
    chosen_steps(params_of(send_rows=True))
    chosen_steps(params_of("personal_data"))
    chosen_steps(params_of(url="http://[::1]:8000/v1"))


def test_a_warning_says_how_many_rows_leave_for_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def scores(rows: list[Row], *_: Any) -> Scored:
        return Scored([float(at) for at in range(len(rows))], {}, frozenset(), {})

    monkeypatch.setattr(step, "deita_scores", scores)
    rows = [row_of(at, rated(1, 1)) for at in range(3)]
    with caplog.at_level(logging.WARNING):
        selected(rows, "http://127.0.0.1:9/v1", tmp_path)
        assert caplog.text == ""
        selected(rows, "https://ann:hunter2@gpu.example/v1", tmp_path, send_rows=True)
    assert "questions and answers of 3 rows leave this machine for https://gpu.example/v1" in caplog.text
    assert "hunter2" not in caplog.text


def test_exchanges_end_where_the_user_speaks_again() -> None:
    call = {"function": {"name": "look", "arguments": "{}"}}
    turns = (
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "found"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three"},
        {"role": "assistant", "content": "four"},
    )
    row = Row("f:1", "id", "chat", turns, {})
    first = Exchange("one", '{"name": "look", "arguments": "{}"}\ntwo')
    assert learnt_exchanges(row, Answers.ALL) == [first, Exchange("three", "four")]
    assert learnt_exchanges(row, Answers.LAST) == [Exchange("three", "four")]


def test_a_long_text_is_shown_without_its_middle_and_a_template_s_signs_stay_what_they_are(tmp_path: Path) -> None:
    text = "a" * MOST_CHARACTERS + "b" * MOST_CHARACTERS
    assert len(shortened(text)) < MOST_CHARACTERS + 100
    assert shortened(text).endswith("b" * 3000)
    assert "[12,000 characters left out here]" in shortened(text)
    rows = [row_of(at, (f"$answer ${{question}} {at} complexity=1;", "costs $5 quality=1;")) for at in range(3)]
    with serving(by_its_text) as server:
        selected(rows, server, tmp_path)
    assert sum("$answer ${question}" in prompt for prompt in server.questions) == 6
    assert sum("costs $5" in prompt for prompt in server.questions) == 3


def test_the_stage_reports_the_scorer_and_writes_its_key_nowhere(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret-key")
    paths = new_project(tmp_path, tiny_model)
    rows = pairs(20)
    params = write_rows(paths, rows)
    with serving(lambda prompt, _: "5" if re.search(r"question 1\d", prompt) else "2") as server:
        select = {"share": 0.5, "by": "deita", "scorer": {"base_url": server.url, "model": "judge-7b"}}
        steps = PrepareParams.model_validate(
            {"sources": ["data/raw/rows.jsonl"], "steps": [{"select": select}, "held_out", "length"]}
        ).steps
        report = run(params.model_copy(update={"steps": steps}), paths)
    counted = report["steps"][0]["counted"]["scorer"]
    assert (counted["model"], counted["server"], counted["rows_scored"]) == ("judge-7b", server.url, 20)
    sides = [(paths.prepared / f"{side}.jsonl").read_text() for side in ("train", "dev")]
    kept = [json.loads(line) for side in sides for line in side.splitlines()]
    assert {line["messages"][0]["content"] for line in kept} == {f"question {at}" for at in range(10, 20)}
    assert "judge-7b" in (paths.prepared / "report.html").read_text()
    written = [path for path in tmp_path.rglob("*") if path.is_file() and "models" not in path.parts]
    assert all(b"s3cret" not in path.read_bytes() for path in written)
    assert any(path.parent == paths.served_answers for path in written)
