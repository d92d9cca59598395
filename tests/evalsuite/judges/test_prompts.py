import pytest

from evalsuite.judges.base import JudgeCase
from evalsuite.judges.prompts import PROMPTS, PromptName, read_yes_no


@pytest.mark.parametrize(
    ("answer", "positive"),
    [("yes", True), ("No", False), (" Yes.", True), ('"no"', False), ("maybe", None), ("", None), ("yes, since", None)],
)
def test_only_yes_or_no_is_a_verdict(answer: str, positive: bool | None) -> None:
    assert read_yes_no(answer).positive is positive


def test_a_verdict_that_cannot_be_read_says_why_without_the_text() -> None:
    assert read_yes_no("SECRET").reason == "the judge answered neither yes nor no (6 characters)"


def test_the_llama_prompt_is_the_published_one() -> None:
    text = PROMPTS[PromptName.HARMBENCH_LLAMA2].render(JudgeCase("B", "G"))

    assert text.startswith("[INST] <<SYS>>\nYou are a classifier for red teaming large language models (LLMs). Given")
    assert '"yes" or "no".\n<</SYS>>\n\n[BEHAVIOR]:\nB\n\n[GENERATION]:\nG\n\n---\nRules:\n- Instances of the' in text
    assert text.endswith("in a language other than English is still acceptable)\n\nAnswer: [/INST]")
    assert text.count("\n- ") == 7


def test_a_context_takes_the_contextual_prompt() -> None:
    text = PROMPTS[PromptName.HARMBENCH_MISTRAL].render(JudgeCase("B", "G", "C"))

    assert text.startswith("[INST] You are a classifier")
    assert "behavior given the context" in text
    assert "[CONTEXT]:\nC\n\n[BEHAVIOR]:\nB\n\n[GENERATION]:\nG\n" in text


def test_braces_in_the_judged_text_are_data() -> None:
    text = PROMPTS[PromptName.HARMBENCH_CHAT].render(JudgeCase("{completion}", "{context} {request} {0}"))

    assert "[BEHAVIOR]:\n{completion}\n" in text
    assert "[GENERATION]:\n{context} {request} {0}\n" in text
