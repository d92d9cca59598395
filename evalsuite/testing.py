"""For tests of suites, rules and reports: an engine without a model, and results without a run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from evalsuite.core.files import sha256_json
from evalsuite.engines.base import Generation, GenerationRequest, Loglikelihood, OnAnswer
from evalsuite.items.results import ItemResult, SuiteInfo, SuiteResult, items_sha256


class FakeEngine:
    """An engine (``evalsuite.engines.base.Engine``) that answers from a script, and keeps what it was asked."""

    name = "fake"
    version = "1"
    model_identity = "fake"
    chat_template_sha256 = "template"

    def __init__(
        self,
        answers: Mapping[str, str | Generation] | Callable[[str], str | Generation],
        likelihood: Callable[[str, str], float | Loglikelihood] = lambda _, continuation: -float(len(continuation)),
    ) -> None:
        """Say what it answers.

        Args:
            answers: Prompt -> completion, or a whole ``Generation`` such as a refused one; a prompt that a mapping
                lacks fails the test with a ``KeyError``.
            likelihood: (context, continuation) -> log-probability in nats; longer continuations are less likely unless
                the test says otherwise.
        """
        self.answer = answers if callable(answers) else answers.__getitem__
        self.likelihood = likelihood
        self.prompts: list[str] = []

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The messages' contents, one a line."""
        return "\n".join(message["content"] for message in messages)

    def generate(
        self, requests: Sequence[GenerationRequest], label: str, on_answer: OnAnswer[Generation] | None = None
    ) -> list[Generation]:
        """One answer a request; a completion counts as one token."""
        answers = []
        for index, request in enumerate(requests):
            self.prompts.append(request.prompt)
            found = self.answer(request.prompt)
            answers.append(found if isinstance(found, Generation) else Generation(found, 1, 1, True))
            if on_answer is not None:
                on_answer(index, answers[-1])
        return answers

    def loglikelihoods(
        self, pairs: Sequence[tuple[str, str]], label: str, on_answer: OnAnswer[Loglikelihood] | None = None
    ) -> list[Loglikelihood]:
        """One log-probability a pair; none of the continuations is the greedy one."""
        answers = []
        for index, pair in enumerate(pairs):
            self.prompts.append("".join(pair))
            found = self.likelihood(*pair)
            answers.append(found if isinstance(found, Loglikelihood) else Loglikelihood(found, False))
            if on_answer is not None:
                on_answer(index, answers[-1])
        return answers


def make_item(item_id: str, scores: Mapping[str, float], **fields: Any) -> ItemResult:
    """One item's result.

    Args:
        item_id: Its id, of which the hash is made.
        scores: Metric -> score; these are the metrics that apply unless ``metrics`` says otherwise.
        **fields: Other fields of ``ItemResult``.
    """
    defaults = {"item_hash": sha256_json(item_id), "metrics": tuple(scores)}
    return ItemResult(item_id=item_id, scores=dict(scores), **defaults | fields)


def make_result(items: Iterable[ItemResult], suite: str = "golden", **fields: Any) -> SuiteResult:
    """A suite's result that took a second.

    Args:
        items: In their order.
        suite: The suite's name.
        **fields: Other fields of ``SuiteInfo``.
    """
    found = tuple(items)
    defaults = {"suite_version": "1", "items_sha256": items_sha256(found), "model_identity": "fake"}
    return SuiteResult(info=SuiteInfo(suite=suite, **defaults | fields), items=found, seconds=1.0)
