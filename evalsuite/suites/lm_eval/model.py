"""An engine as lm-eval's model: lm-eval makes the requests, the engine answers them."""

from collections.abc import Mapping, Sequence
from typing import Any

from evalsuite.core.errors import UsageError
from evalsuite.engines.base import Engine, Generation, GenerationRequest
from evalsuite.suites.golden_set.reasoning import final_answer
from evalsuite.suites.perplexity import rolling_loglikelihoods


def engine_lm(engine: Engine, label: str) -> Any:
    """The engine as lm-eval's ``LM``; remembers what it generated, with token counts, by prompt."""
    from lm_eval.api.model import LM

    class EngineLM(LM):  # type: ignore[misc]  # lm-eval is untyped
        def __init__(self) -> None:
            super().__init__()
            self.generations: dict[str, Generation] = {}
            self.refusals: dict[tuple[str, ...], str] = {}

        @property
        def tokenizer_name(self) -> str:
            return engine.chat_template_sha256

        def chat_template(self, chat_template: bool | str = False) -> str | None:
            return None

        def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
            if not add_generation_prompt:
                raise UsageError(f"{label}: a task that continues the assistant's own turn is not supported")
            return engine.render(chat_history)

        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            wanted = [_generation_request(request.args, label) for request in requests]
            answers = engine.generate(wanted, label)
            self.generations.update({w.prompt: a for w, a in zip(wanted, answers, strict=True)})
            self._note(requests, answers)
            return [final_answer(answer.text, w.prompt) for answer, w in zip(answers, wanted, strict=True)]

        def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            pairs = [request.args for request in requests]
            answers = engine.loglikelihoods(pairs, label)
            self._note(requests, answers)
            return [(answer.value, answer.greedy) for answer in answers]

        def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
            texts = [str(request.args[0]) for request in requests]
            found = rolling_loglikelihoods(engine, texts, label)
            self._note(requests, found)
            return [answer.nats for answer in found]

        def _note(self, requests: list[Any], answers: Sequence[Any]) -> None:
            for request, answer in zip(requests, answers, strict=True):
                if answer.refusal is not None:
                    self.refusals[asked_texts(request.args)] = answer.refusal

    return EngineLM()


def asked_texts(arguments: Sequence[Any]) -> tuple[str, ...]:
    """The texts of a request: a prompt, or a context (often the same, or empty) with its continuation."""
    return tuple(str(argument) for argument in arguments if isinstance(argument, str))


def _generation_request(arguments: tuple[str, Mapping[str, Any]], label: str) -> GenerationRequest:
    prompt, options = arguments
    if options.get("do_sample") or options.get("temperature"):
        raise UsageError(f"{label}: the task samples ({dict(options)}); only greedy decoding is supported")
    until = options.get("until", [])
    stops = [until] if isinstance(until, str) else until
    return GenerationRequest(prompt, tuple(stop for stop in stops if stop), int(options.get("max_gen_toks", 256)))
