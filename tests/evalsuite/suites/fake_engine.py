"""An engine that answers from a function."""

from collections.abc import Callable, Mapping, Sequence

from evalsuite.engines.base import Generation, GenerationRequest


class FakeEngine:
    """Implements the Engine protocol without a model."""

    name = "fake"
    model_identity = "fake"
    chat_template_sha256 = "template"

    def __init__(self, answer: Callable[[str], str]) -> None:
        """Answer each prompt with ``answer(prompt)``."""
        self.answer = answer
        self.prompts: list[str] = []

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Join the contents."""
        return "\n".join(message["content"] for message in messages)

    def generate(self, requests: Sequence[GenerationRequest], label: str) -> list[Generation]:
        """One answer a request."""
        self.prompts += [request.prompt for request in requests]
        return [Generation(self.answer(request.prompt), 1, 1, True) for request in requests]

    def loglikelihoods(self, pairs: Sequence[tuple[str, str]], label: str) -> list[tuple[float, bool]]:
        """Longer continuations are less likely."""
        return [(-float(len(continuation)), False) for _, continuation in pairs]
