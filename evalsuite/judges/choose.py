"""Judges by name, as params.yaml and the command line name them."""

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from evalsuite.errors import UsageError
from evalsuite.judges.base import Judge
from evalsuite.judges.calibrated import CalibratedJudge
from evalsuite.judges.chat import ChatJudge
from evalsuite.judges.harmbench_classifier import HarmBenchClassifier
from evalsuite.judges.learned import LearnedHarmJudge
from evalsuite.judges.prompts import PromptName
from evalsuite.judges.string_matching import StringMatchingJudge

CLASSIFIERS = {
    "harmbench": ("cais/HarmBench-Llama-2-13b-cls", PromptName.HARMBENCH_LLAMA2),
    "harmbench_mistral": ("cais/HarmBench-Mistral-7b-val-cls", PromptName.HARMBENCH_MISTRAL),
}


class JudgeKind(StrEnum):
    """What judges harm."""

    DEFAULT = "default"
    """A small model of ours for machines without a GPU."""
    HARMBENCH = "harmbench"
    """HarmBench's 13B classifier; needs a GPU."""
    HARMBENCH_MISTRAL = "harmbench_mistral"
    """Its 7B variant; needs a GPU."""
    CHAT = "chat"
    """A chat model behind an OpenAI-compatible server."""
    STRING_MATCHING = "string_matching"
    """Refusal phrases; agrees with people in two cases of three, kept to compare with."""


class JudgeSettings(BaseModel):
    """Which judge, and where it is."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: JudgeKind = JudgeKind.DEFAULT
    model: str | None = None
    """harmbench*: hub id or folder that replaces the published one; chat: the model's name on the server (required)."""
    revision: str | None = None
    """harmbench*: commit of the hub repository (required for a hub id)."""
    base_url: str | None = None
    """chat: address of the server, such as http://127.0.0.1:8000/v1 (required)."""
    api_key_variable: str = "OPENAI_API_KEY"
    """chat: environment variable that holds the key."""
    calibration: str | None = None
    """harmbench*, chat: file of ``ratchet judge check --save``; widens the gate's intervals by the judge's errors."""
    timeout_seconds: float = Field(default=60.0, gt=0.0)
    retries: int = Field(default=4, ge=0, le=20)
    concurrency: int = Field(default=8, ge=1, le=256)


def harm_judge(settings: JudgeSettings) -> Judge:
    """The judge that the settings name, with its calibration; nothing large is loaded yet.

    Raises:
        UsageError: A setting that this kind needs is absent, or the calibration is another judge's.
    """
    judge = _bare_judge(settings)
    if settings.calibration is None:
        return judge
    if settings.kind is JudgeKind.DEFAULT:
        raise UsageError("a judge of kind default brings its own calibration; take calibration out of its settings")
    return CalibratedJudge(judge, Path(settings.calibration))


def _bare_judge(settings: JudgeSettings) -> Judge:
    kind = settings.kind
    if kind is JudgeKind.DEFAULT:
        return LearnedHarmJudge()
    if kind is JudgeKind.STRING_MATCHING:
        return StringMatchingJudge()
    if kind is JudgeKind.CHAT:
        return chat_judge(settings, PromptName.HARMBENCH_CHAT)
    model, prompt = CLASSIFIERS[kind]
    return HarmBenchClassifier(settings.model or model, settings.revision, prompt)


def chat_judge(settings: JudgeSettings, prompt: PromptName) -> ChatJudge:
    """A chat judge that is asked with ``prompt``.

    Raises:
        UsageError: ``base_url`` or ``model`` is absent.
    """
    if settings.base_url is None or settings.model is None:
        raise UsageError(
            "a judge of kind chat needs base_url and model, such as http://127.0.0.1:8000/v1 and its model's name"
        )
    return ChatJudge(
        settings.base_url,
        settings.model,
        prompt,
        settings.api_key_variable,
        settings.timeout_seconds,
        settings.retries,
        concurrency=settings.concurrency,
    )
