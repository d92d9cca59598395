"""A model behind an OpenAI-compatible server: vLLM, SGLang, TGI, ``transformers serve``.

Prompts go to ``/v1/completions`` as final text, so that the chat template is the exported model's own and not the
server's. The tokenizer is read from the model's folder: it renders prompts, checks lengths, and proves for every answer
that the server splits the prompt into as many tokens as the model's tokenizer does.

| engine needs | vLLM, SGLang | TGI | transformers serve |
|---|---|---|---|
| completions of text | yes | yes | yes |
| prompts as tokens (``send="tokens"``) | yes | no | no |
| loglikelihoods (``echo`` with ``logprobs``) | yes | no | no |

What is not covered: chat-only servers, whose prompt is not seen and therefore not compared.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from evalsuite.core.credentials import without_credentials
from evalsuite.core.errors import StageError, UsageError
from evalsuite.engines.base import Engine, Generation, GenerationRequest, Loglikelihood, OnAnswer, loglikelihood
from evalsuite.engines.capability import context_length, read_config
from evalsuite.engines.encoding import Encoder, LongPrompts
from evalsuite.engines.progress import progress
from evalsuite.network.server_address import is_here, is_server_address, travels_unencrypted

MAX_STOPS = 4
"""More stop strings than this are refused by OpenAI's own schema; the rest is cut here."""
PROBE_TOKENS = 12
Answer = TypeVar("Answer")


class OpenAIEngine:
    """Completions, and loglikelihoods where the server echoes them, over HTTP."""

    name = "openai"
    version = "1"

    def __init__(
        self,
        base_url: str,
        served_model: str,
        tokenizer: Any,
        identity: str,
        *,
        max_positions: int = sys.maxsize,
        long_prompts: LongPrompts = "refuse",
        send: Literal["text", "tokens"] = "text",
        concurrency: int = 16,
        timeout_seconds: float = 600.0,
        max_retries: int = 5,
        api_key_variable: str = "OPENAI_API_KEY",
    ) -> None:
        """Describe the server; nothing is sent yet.

        Args:
            base_url: Such as ``http://127.0.0.1:8000/v1``.
            served_model: Name under which the server has the model.
            tokenizer: The exported model's tokenizer, with its chat template.
            identity: The exported model's identity; ``check_served_model`` proves that the server has it.
            max_positions: Longest prompt plus completion, in tokens.
            long_prompts: What happens to a longer one; see ``Encoder``.
            send: Prompts as text, or as token ids for servers that add special tokens to text.
            concurrency: Requests in flight.
            timeout_seconds: Longest wait for one answer.
            max_retries: Retries of a request that timed out, was refused for load (429) or met a server error, with
                exponential back-off.
            api_key_variable: Environment variable with the key; local servers need none.

        Raises:
            UsageError: The address is no URL, or a key would travel unencrypted to another machine.
        """
        shown = without_credentials(base_url)
        if not is_server_address(base_url):
            raise UsageError(f"the server's address is {shown!r}, expected one such as http://127.0.0.1:8000/v1")
        self._key = os.environ.get(api_key_variable)
        if self._key and travels_unencrypted(base_url):
            raise UsageError(
                f"{shown} would get the key in ${api_key_variable} unencrypted; use https, or unset the variable"
            )
        self._local = is_here(base_url)
        self.base_url = base_url.rstrip("/")
        self.shown_url = shown.rstrip("/")
        self.served_model = served_model
        self.model_identity = identity
        self._encoder = Encoder(tokenizer, max_positions, long_prompts)
        self.chat_template_sha256 = self._encoder.chat_template_sha256
        self._send = send
        self._concurrency = concurrency
        self._timeout = timeout_seconds
        self._max_retries = max_retries

    @classmethod
    def for_folder(
        cls, folder: Path, identity: str, base_url: str, served_model: str, **options: Any
    ) -> "OpenAIEngine":
        """The engine for a server of an exported folder, whose tokenizer and context length are used."""
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return cls(
            base_url, served_model, tokenizer, identity, max_positions=context_length(read_config(folder)), **options
        )

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Chat messages as the prompt that asks for the assistant's next turn; errors as of ``Encoder.render``."""
        return self._encoder.render(messages)

    def generate(
        self, requests: Sequence[GenerationRequest], label: str, on_answer: OnAnswer[Generation] | None = None
    ) -> list[Generation]:
        """Greedy completions in the order of ``requests``.

        Raises:
            UsageError: A prompt does not fit the context and ``long_prompts`` is ``refuse``, or the server splits it
                into other tokens.
            StageError: The server cannot be reached or answers with an error after every retry.
        """
        encoded = [self._encoder.encode(request.prompt) for request in requests]
        refusals = [
            self._encoder.refusal(index, len(prompt), request.max_new_tokens, label)
            for index, (prompt, request) in enumerate(zip(encoded, requests, strict=True))
        ]

        async def ask(client: Any, index: int) -> Generation:
            request, prompt, refusal = requests[index], encoded[index], refusals[index]
            if refusal is not None:
                return Generation("", len(prompt), 0, False, refusal)
            answer = await client.completions.create(
                model=self.served_model,
                prompt=prompt if self._send == "tokens" else request.prompt,
                max_tokens=request.max_new_tokens,
                temperature=request.temperature,
                **({"seed": request.seed} if request.temperature else {}),
                **({"stop": list(request.stop[:MAX_STOPS])} if request.stop else {}),
            )
            self._check_answer(answer, len(prompt), label)
            return _generation(answer, request)

        return self._gather(ask, len(requests), label, on_answer)

    def loglikelihoods(
        self, pairs: Sequence[tuple[str, str]], label: str, on_answer: OnAnswer[Loglikelihood] | None = None
    ) -> list[Loglikelihood]:
        """How likely each continuation is after its context.

        Raises:
            UsageError: The server echoes no log-probabilities of a prompt, or a pair does not fit the context and
                ``long_prompts`` is ``refuse``.
            StageError: As for ``generate``.
        """
        encoded = [self._encoder.encode_pair(context, continuation) for context, continuation in pairs]
        # The server has to generate one token, though nobody reads it.
        sizes = [len(pair.context) + len(pair.continuation) if pair.continuation else 0 for pair in encoded]
        refusals = [self._encoder.refusal(index, size, 1, label) for index, size in enumerate(sizes)]

        async def ask(client: Any, index: int) -> Loglikelihood:
            pair, refusal = encoded[index], refusals[index]
            if refusal is not None:
                return Loglikelihood(float("-inf"), False, refusal)
            answer = await client.completions.create(
                model=self.served_model,
                prompt=[*pair.context, *pair.continuation],
                max_tokens=1,
                temperature=0.0,
                logprobs=1,
                echo=True,
            )
            self._check_answer(answer, sizes[index], label)
            return self._echoed(answer, len(pair.context), len(pair.continuation), label)

        return self._gather(ask, len(pairs), label, on_answer)

    def _echoed(self, answer: Any, first: int, count: int, label: str) -> Loglikelihood:
        """The log-probabilities of ``count`` prompt tokens from place ``first`` on, summed."""
        found = answer.choices[0].logprobs
        places = slice(first, first + count)
        scores = (found.token_logprobs or [])[places] if found else []
        best = (found.top_logprobs or [])[places] if found else []
        if len(scores) != count or len(best) != count or any(score is None for score in scores):
            raise UsageError(
                f"{label}: the server at {self.shown_url} gives no log-probabilities of the prompt (echo with "
                "logprobs), which multiple-choice tasks need; use vLLM or SGLang, or evaluation.engine.kind: hf"
            )
        greedy = all(score >= max(others.values()) for score, others in zip(scores, best, strict=True))
        return loglikelihood(float(sum(scores)), bool(greedy))

    def _gather(
        self,
        ask: Callable[[Any, int], Awaitable[Answer]],
        count: int,
        label: str,
        on_answer: Callable[[int, Answer], None] | None,
    ) -> list[Answer]:
        """Answers by index, at most ``concurrency`` asked at once; the first failure ends the rest."""
        import openai

        async def run(advance: Callable[[int], None]) -> list[Answer]:
            places = asyncio.Semaphore(self._concurrency)
            async with (
                openai.AsyncOpenAI(
                    base_url=self.base_url,
                    api_key=self._key or "none",
                    timeout=self._timeout,
                    max_retries=self._max_retries,
                    http_client=openai.DefaultAsyncHttpxClient(trust_env=not self._local),
                ) as client,
                asyncio.TaskGroup() as group,
            ):

                async def one(index: int) -> Answer:
                    async with places:
                        answer = await ask(client, index)
                    if on_answer is not None:
                        on_answer(index, answer)
                    advance(1)
                    return answer

                tasks = [group.create_task(one(index)) for index in range(count)]
            return [task.result() for task in tasks]

        try:
            with progress(label, count) as advance:
                return asyncio.run(run(advance))
        except ExceptionGroup as group:
            raise self._explained(group.exceptions[0], label) from None

    def _explained(self, error: Exception, label: str) -> Exception:
        """What a failed request means for the user; the server's own words are cut, and no header is quoted."""
        import openai

        again = "answers so far are kept if the cache is on; run the same command again to continue"
        if isinstance(error, openai.APIConnectionError):
            kind = "did not answer in time" if isinstance(error, openai.APITimeoutError) else "cannot be reached"
            return StageError(f"{label}: the server at {self.shown_url} {kind} ({self._max_retries} retries); {again}")
        if isinstance(error, openai.NotFoundError):
            said = _short(error.response.text)
            return UsageError(
                f"{label}: {self.shown_url} has no /completions, or no model {self.served_model!r}: {said}"
            )
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return UsageError(f"{label}: {self.shown_url} refused the key (HTTP {error.status_code})")
        if isinstance(error, openai.APIStatusError):
            answered = f"{label}: {self.shown_url} answered HTTP {error.status_code}: {_short(error.response.text)}"
            passing = error.status_code >= 500 or error.status_code == 429
            return StageError(f"{answered}; {again}") if passing else UsageError(answered)
        if isinstance(error, openai.APIError | ValueError):  # ValueError: the body is no JSON
            return StageError(f"{label}: {self.shown_url} gave no valid answer: {_short(error)}; {again}")
        return error

    def _check_answer(self, answer: Any, num_prompt_tokens: int, label: str) -> None:
        """The server answers with one choice, from the model asked for, on the prompt that was sent."""
        if not isinstance(getattr(answer, "choices", None), list) or not hasattr(answer, "model"):
            raise StageError(f"{label}: {self.shown_url} gave no completion: {_short(answer)}")
        named = str(answer.model or "").split("@")[0]
        if named != self.served_model:
            raise UsageError(f"{label}: {self.shown_url} answered with {named!r}, not {self.served_model!r}")
        if not answer.choices or not isinstance(answer.choices[0].text, str):
            raise StageError(f"{label}: {self.shown_url} answered without a completion")
        counted = answer.usage.prompt_tokens if answer.usage else None
        if counted != num_prompt_tokens:
            raise UsageError(
                f"{label}: {self.shown_url} reads {counted} tokens in a prompt of {num_prompt_tokens}: it adds special "
                "tokens or has another tokenizer; set evaluation.engine.send: tokens, or serve the exported folder"
            )


def check_served_model(engine: OpenAIEngine, reference: Engine, prompts: Sequence[str]) -> None:
    """Prove that the server has the model that is judged, by what it says.

    The server's answers to a few prompts must begin as those of the exported weights, loaded here. Rounding may turn a
    near tie, so one prompt of four may differ. A model that answers all of them alike is not told apart.

    Args:
        engine: The server.
        reference: The exported weights.
        prompts: Final texts, best of the suites that follow.

    Raises:
        UsageError: The answers differ; names the first one that does.
    """
    requests = [GenerationRequest(prompt, (), PROBE_TOKENS) for prompt in prompts]
    said = [answer.text for answer in engine.generate(requests, "check of the server's model")]
    meant = [answer.text for answer in reference.generate(requests, "the exported weights' answers")]
    differing = [place for place, pair in enumerate(zip(said, meant, strict=True)) if pair[0] != pair[1]]
    if len(differing) > len(prompts) // 4:
        first = differing[0]
        raise UsageError(
            f"the server at {engine.shown_url} does not serve {engine.model_identity[:16]}: {len(differing)} of "
            f"{len(prompts)} probes differ; to prompt {first} it says {said[first][:60]!r}, the exported weights say "
            f"{meant[first][:60]!r}; serve the exported folder"
        )


def _generation(answer: Any, request: GenerationRequest) -> Generation:
    """The completion up to the first stop string, whatever part of the strings the server knew of."""
    choice = answer.choices[0]
    # JSON may spell half of a surrogate pair, which no file takes.
    text = choice.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    finished = choice.finish_reason != "length"
    cuts = [text.find(stop) for stop in request.stop if stop in text]
    if cuts:
        text, finished = text[: min(cuts)], True
    return Generation(
        text=text,
        num_prompt_tokens=int(answer.usage.prompt_tokens),
        num_output_tokens=int(answer.usage.completion_tokens or 0),
        finished=finished,
    )


def _short(error: object) -> str:
    """What a server said, in one line; untrusted."""
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:197] + "..."
