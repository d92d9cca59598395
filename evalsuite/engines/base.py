"""What a suite asks of a model, whatever runs it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

Answer = TypeVar("Answer", contravariant=True)


@dataclass(frozen=True)
class GenerationRequest:
    """One completion, greedy unless it has a temperature."""

    prompt: str
    """Final text: chat template and few-shot examples applied, special tokens spelt out."""
    stop: tuple[str, ...] = ()
    """The completion ends before the first of these strings."""
    max_new_tokens: int = 64
    temperature: float = 0.0
    """0 is greedy; above, each token is drawn from the softmax of logits / temperature."""
    seed: int = 0
    """Seed of the draws; the same request with the same seed gets the same answer."""


@dataclass(frozen=True)
class Generation:
    """What came back."""

    text: str
    """Completion without the stop string and without special tokens."""
    num_prompt_tokens: int
    num_output_tokens: int
    finished: bool
    """False when ``max_new_tokens`` cut it."""
    refusal: str | None = None
    """Why there is no answer, such as a prompt longer than the model's context; the item is unscored."""


@dataclass(frozen=True)
class Loglikelihood:
    """How likely a continuation is."""

    value: float
    """Log-probability in nats, summed over its tokens; minus infinity where it was refused."""
    greedy: bool
    """Whether greedy decoding would give exactly these tokens."""
    refusal: str | None = None
    """See ``Generation``."""


def loglikelihood(value: float, greedy: bool) -> Loglikelihood:
    """What a model said; a value that is not finite is kept as unscored, with the reason."""
    if math.isfinite(value):
        return Loglikelihood(value, greedy)
    return Loglikelihood(-math.inf, False, f"the model gave a log-probability of {value}")


class OnAnswer(Protocol[Answer]):
    """Called with a request's index as soon as its answer is known, in any order."""

    def __call__(self, index: int, answer: Answer, /) -> None:
        """Take the answer."""
        ...


class Engine(Protocol):
    """A model that suites can ask; loglikelihoods for lm-eval's multiple-choice tasks included."""

    name: str
    version: str
    """What decides the answers besides the model: the code's version and the type that it computes in."""
    model_identity: str
    chat_template_sha256: str

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Chat messages as the prompt text that asks for the assistant's next turn."""
        ...

    def generate(
        self, requests: Sequence[GenerationRequest], label: str, on_answer: OnAnswer[Generation] | None = None
    ) -> list[Generation]:
        """Complete each prompt, in the order of ``requests``; ``label`` names the progress bar."""
        ...

    def loglikelihoods(
        self, pairs: Sequence[tuple[str, str]], label: str, on_answer: OnAnswer[Loglikelihood] | None = None
    ) -> list[Loglikelihood]:
        """Score how likely the continuation of each (context, continuation) is."""
        ...
