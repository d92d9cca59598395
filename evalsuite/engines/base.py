"""What a suite asks of a model, whatever runs it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class GenerationRequest:
    """One greedy completion."""

    prompt: str
    """Final text: chat template and few-shot examples applied, special tokens spelt out."""
    stop: tuple[str, ...] = ()
    """The completion ends before the first of these strings."""
    max_new_tokens: int = 64


@dataclass(frozen=True)
class Generation:
    """What came back."""

    text: str
    """Completion without the stop string and without special tokens."""
    num_prompt_tokens: int
    num_output_tokens: int
    finished: bool
    """False when ``max_new_tokens`` cut it."""


class Engine(Protocol):
    """A model that suites can ask; loglikelihoods for lm-eval's multiple-choice tasks included."""

    name: str
    model_identity: str
    chat_template_sha256: str

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Chat messages as the prompt text that asks for the assistant's next turn."""
        ...

    def generate(self, requests: Sequence[GenerationRequest], label: str) -> list[Generation]:
        """Greedy completions in the order of ``requests``; ``label`` names the progress bar."""
        ...

    def loglikelihoods(self, pairs: Sequence[tuple[str, str]], label: str) -> list[tuple[float, bool]]:
        """(log-probability of the continuation, whether it is the greedy one) for each (context, continuation)."""
        ...
