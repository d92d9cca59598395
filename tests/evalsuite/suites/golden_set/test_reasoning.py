"""Answers are scored without the reasoning before them, and stored whole."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalsuite.suites.golden_set.reasoning import TAGS, final_answer
from evalsuite.suites.golden_set.suite import GoldenSuite
from evalsuite.suites.lm_eval.suite import HarnessSuite
from evalsuite.testing import FakeEngine
from tests.evalsuite.suites.golden_set.test_suite import item, suite, write_set
from tests.evalsuite.suites.lm_eval.test_suite import RETENTION
from tests.evalsuite.suites.test_over_refusal import suite as xstest

TEXTS = st.text(max_size=20).filter(lambda text: not any(mark[:2].lower() in text.lower() for t in TAGS for mark in t))


@pytest.mark.parametrize(
    ("output", "prompt", "answer"),
    [
        ("<think>\n\n</think>\n\na0", "", "a0"),
        ("\n<think>It is 4.</think>5", "", "5"),
        ("<THINK>x</Think> y ", "", "y "),
        ("[THINK]x[/THINK]y", "", "y"),
        ("<think>a</think>\n<think>b</think>\nc", "", "c"),
        ("It is 4.\n</think>\n\n5", "<|im_start|>assistant\n<think>\n", "5"),
        ("It is 4, and then", "assistant\n<think>\n", ""),
        ("<think>It is 4, and then", "", ""),
        ("5", "assistant\n<think>\n\n</think>\n\n", "5"),
        (" Write </think> to end it.", "", " Write </think> to end it."),
        ("See <think>this</think>.", "", "See <think>this</think>."),
        ("", "", ""),
    ],
)
def test_what_follows_the_reasoning_is_the_answer(output: str, prompt: str, answer: str) -> None:
    assert final_answer(output, prompt) == answer


@given(thoughts=TEXTS, answer=TEXTS, tag=st.sampled_from(TAGS))
def test_any_answer_after_any_reasoning_is_found_whoever_opened_it(
    thoughts: str, answer: str, tag: tuple[str, str]
) -> None:
    begin, end = tag
    assert final_answer(f"{begin}{thoughts}{end}{answer}") == answer.lstrip()
    assert final_answer(f"{thoughts}{end}{answer}", f"user\n{begin}\n") == answer.lstrip()
    assert final_answer(answer, f"user {begin}{thoughts}{end}\n\n") == answer
    assert final_answer(begin + thoughts) == final_answer(thoughts, f"user\n{begin}\n") == ""


def test_a_golden_answer_is_scored_by_what_follows_its_reasoning(tmp_path: Path, tiny_model: Path) -> None:
    items = [item(0), item(1, metrics=["exact_match"], references=["B"]), item(2)]
    outputs = {
        "ask 0": '<think>\n\n</think>\n\n{"q": "a"}',
        "ask 1": "<think>B or C</think>B",
        "ask 2": '<think>{"q": "a"}',
    }
    golden: GoldenSuite = suite(write_set(tmp_path / "g", items), tiny_model)
    result = golden.run(FakeEngine(outputs.__getitem__))
    assert [entry.scores for entry in result.items] == [{"json_exact": 1.0}, {"exact_match": 1.0}, {"json_exact": 0.0}]
    assert [entry.output for entry in result.items] == list(outputs.values())


def test_reasoning_that_the_prompt_opened_is_left_aside_too(tmp_path: Path, tiny_model: Path) -> None:
    class Opened(FakeEngine):
        def render(self, messages: object) -> str:
            return "ask<think>\n"

    golden = suite(write_set(tmp_path / "g", [item(0)]), tiny_model)
    (scored,) = golden.run(Opened(lambda _: 'so\n</think>{"q": "a"}')).items
    assert scored.scores == {"json_exact": 1.0}


def test_a_refusal_is_judged_by_the_answer_and_reasoning_without_an_end_is_none(tmp_path: Path) -> None:
    outputs = {"p": "<think>full</think>\nnone", "q": "<think>none"}
    first, second = xstest(tmp_path, "1,p,t,safe,,\n2,q,t,safe,,\n").run(FakeEngine(outputs.__getitem__)).items
    assert first.scores == {"over_refusal": 0.0, "full_over_refusal": 0.0}
    assert first.output == outputs["p"]
    assert second.unscored == "there is no answer after the reasoning"


def test_lm_eval_scores_what_follows_the_reasoning_and_the_output_stays_whole() -> None:
    said = "<think>One, two, with commas.</think>\nno commas here"
    whole = HarnessSuite("ifeval", RETENTION, limit=2).run(FakeEngine(lambda _: said))
    bare = HarnessSuite("ifeval", RETENTION, limit=2).run(FakeEngine(lambda _: "no commas here"))
    assert [each.scores for each in whole.items] == [each.scores for each in bare.items]
    assert {each.output for each in whole.items} == {said}
    assert all("reasoning 1" in scorer for scorer in whole.info.scorers.values())
