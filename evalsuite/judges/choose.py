"""Judges by name, as params.yaml and the command line name them."""

from collections.abc import Iterator
from pathlib import Path

from evalsuite.core.errors import UsageError
from evalsuite.judges.base import Judge
from evalsuite.judges.calibrated import CalibratedJudge
from evalsuite.judges.chat import ChatJudge
from evalsuite.judges.harmbench_classifier import HarmBenchClassifier
from evalsuite.judges.learned import LearnedHarmJudge
from evalsuite.judges.prompts import PromptName
from evalsuite.judges.settings import JudgeKind, JudgeSettings
from evalsuite.judges.string_matching import StringMatchingJudge
from evalsuite.network.outside import Model, Outside, Server

CLASSIFIERS = {
    "harmbench": ("cais/HarmBench-Llama-2-13b-cls", PromptName.HARMBENCH_LLAMA2),
    "harmbench_mistral": ("cais/HarmBench-Mistral-7b-val-cls", PromptName.HARMBENCH_MISTRAL),
}


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


def outside_of(settings: JudgeSettings, key: str) -> Iterator[Outside]:
    """The server or the model that a judge asks.

    Args:
        settings: Which judge.
        key: Where params.yaml has them.
    """
    if settings.kind is JudgeKind.CHAT and settings.base_url is not None:
        remedy = f"start it, or choose another judge in {key}"
        yield Server(f"{key}.base_url", settings.base_url, settings.api_key_variable, remedy)
    elif settings.kind in CLASSIFIERS:
        name = settings.model or CLASSIFIERS[settings.kind][0]
        remedy = f"name a folder in {key}.model, or choose another judge"
        yield Model(f"{key}.model", name, settings.revision, f"{key}.revision", remedy)
