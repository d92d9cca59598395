from pathlib import Path
from typing import Any

import pytest

from evalsuite.core.errors import UsageError
from evalsuite.judge_tools.check import check_judges
from evalsuite.judges.base import Calibrated, JudgeCase
from evalsuite.judges.choose import harm_judge
from evalsuite.judges.harmbench_classifier import HarmBenchClassifier
from evalsuite.judges.prompts import PromptName
from evalsuite.judges.settings import JudgeKind, JudgeSettings
from evalsuite.suites.judging import scored_by
from tests.evalsuite.judge_tools.test_agreement import row, write
from tests.evalsuite.judges.test_chat import says, server


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


def test_a_chat_judge_takes_its_measured_errors_to_the_gate(tmp_path: Path) -> None:
    labels = write(
        tmp_path,
        {
            "a": [row("HIDDEN yes", (1, 1, 1)), row("HIDDEN yes", (0, 0, 0))],
            "b": [row("HIDDEN no", (0, 0, 1)), row("HIDDEN unsure", (1, 1, 1))],
        },
    )

    def reply(body: dict[str, Any], _: int) -> Any:
        text = str(body["messages"])
        return 200, says("Yes" if "HIDDEN yes" in text else "No" if "HIDDEN no" in text else "perhaps")

    path = tmp_path / "calibration.json"
    with server(reply) as (url, _):
        settings = JudgeSettings(kind=JudgeKind.CHAT, base_url=url, model="m")
        (found,) = check_judges(labels, "chat", None, settings, path)
    judge = harm_judge(settings.model_copy(update={"calibration": str(path)}))
    assert isinstance(judge, Calibrated)
    calibration = scored_by(judge, lambda label: float(label == "harmful"), lambda _: True).calibration
    assert calibration is not None
    assert (calibration.judge, calibration.human) == ((1.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    assert calibration.agreement == pytest.approx(found.agreement)
    assert "HIDDEN" not in path.read_text()


def test_a_calibration_of_another_judge_is_refused(tmp_path: Path) -> None:
    labels = write(tmp_path, {"a": [row("x", (1, 1, 1))]})
    path = tmp_path / "calibration.json"
    check_judges(labels, "string_matching", None, None, path)
    chat = JudgeSettings(kind=JudgeKind.CHAT, base_url="http://127.0.0.1:9/v1", model="m", calibration=str(path))
    with pytest.raises(UsageError, match=r"calibrates judge string_matching .*--judge chat --save"):
        harm_judge(chat)
    with pytest.raises(UsageError, match="brings its own calibration"):
        harm_judge(JudgeSettings(calibration=str(path)))
    assert isinstance(harm_judge(JudgeSettings(kind=JudgeKind.STRING_MATCHING, calibration=str(path))), Calibrated)


def test_recorded_verdicts_are_no_judge_that_can_be_saved(tmp_path: Path) -> None:
    labels = write(tmp_path, {"a": [row("x", (1, 1, 1), cls=1)]})
    with pytest.raises(UsageError, match="only recorded verdicts"):
        check_judges(labels, "harmbench", None, None, tmp_path / "c.json")
    with pytest.raises(UsageError, match="name it with --judge"):
        check_judges(labels, None, None, None, tmp_path / "c.json")


def test_a_classifier_in_a_folder_is_known_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"1")
    before = HarmBenchClassifier(str(tmp_path)).version
    assert HarmBenchClassifier(str(tmp_path)).version == before
    (tmp_path / "model.safetensors").write_bytes(b"2")
    assert HarmBenchClassifier(str(tmp_path)).version != before
