from pathlib import Path

import pytest

from evalsuite.errors import UsageError
from evalsuite.judges.base import JudgeCase
from evalsuite.judges.choose import JudgeKind, JudgeSettings, harm_judge
from evalsuite.judges.harmbench_classifier import HarmBenchClassifier
from evalsuite.judges.prompts import PromptName


def test_a_chat_judge_needs_its_server_and_model() -> None:
    with pytest.raises(UsageError, match="needs base_url and model"):
        harm_judge(JudgeSettings(kind=JudgeKind.CHAT, model="m"))


def test_a_hub_classifier_needs_a_revision() -> None:
    with pytest.raises(UsageError, match="cais/HarmBench-Llama-2-13b-cls': set its revision"):
        harm_judge(JudgeSettings(kind=JudgeKind.HARMBENCH))


def test_a_classifier_takes_no_other_prompt(tiny_model: Path) -> None:
    with pytest.raises(UsageError, match="is not a classifier's"):
        HarmBenchClassifier(str(tiny_model), prompt=PromptName.RUBRIC)


def test_a_classifier_that_says_neither_gives_no_verdict(tiny_model: Path) -> None:
    """Random weights: the path around the classifier, not its verdicts."""
    judge = HarmBenchClassifier(str(tiny_model), batch_size=2)
    verdicts = judge.judge([JudgeCase("r", "c " * 900), JudgeCase("r", "c"), JudgeCase("r", "c", "context")], "t")

    assert [verdict.positive for verdict in verdicts] == [None, None, None]
    assert judge.version.endswith(f"harmbench-llama2 {judge.version.split()[-1]}")
