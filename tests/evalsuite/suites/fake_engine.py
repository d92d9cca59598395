"""An engine that answers from a function."""

from collections.abc import Callable, Mapping, Sequence

from evalsuite.engines.base import Generation, GenerationRequest, Loglikelihood, OnAnswer


class FakeEngine:
    """Implements the Engine protocol without a model."""

    name = "fake"
    version = "1"
    model_identity = "fake"
    chat_template_sha256 = "template"

    def __init__(self, answer: Callable[[str], str]) -> None:
        """Answer each prompt with ``answer(prompt)``."""
        self.answer = answer
        self.prompts: list[str] = []

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Join the contents."""
        return "\n".join(message["content"] for message in messages)

    def generate(
        self, requests: Sequence[GenerationRequest], label: str, on_answer: OnAnswer[Generation] | None = None
    ) -> list[Generation]:
        """One answer a request."""
        answers = []
        for index, request in enumerate(requests):
            self.prompts.append(request.prompt)
            answers.append(Generation(self.answer(request.prompt), 1, 1, True))
            if on_answer is not None:
                on_answer(index, answers[-1])
        return answers

    def loglikelihoods(
        self, pairs: Sequence[tuple[str, str]], label: str, on_answer: OnAnswer[Loglikelihood] | None = None
    ) -> list[Loglikelihood]:
        """Longer continuations are less likely."""
        answers = [Loglikelihood(-float(len(continuation)), False) for _, continuation in pairs]
        for index, answer in enumerate(answers):
            self.prompts.append("".join(pairs[index]))
            if on_answer is not None:
                on_answer(index, answer)
        return answers
