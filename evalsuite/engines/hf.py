"""A transformers model as an engine: shared beginnings computed once, no padding, exact stop strings."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_json
from evalsuite.core.identity import hash_files, identity_of
from evalsuite.engines.base import Generation, GenerationRequest, Loglikelihood, OnAnswer, loglikelihood
from evalsuite.engines.capability import (
    cache_bytes_per_token,
    check_answers,
    context_length,
    ignores_padding,
    read_config,
)
from evalsuite.engines.encoding import Encoder, LongPrompts
from evalsuite.engines.progress import progress
from evalsuite.engines.tree import plain, scoring
from evalsuite.engines.tree.decoding import Decoder
from evalsuite.engines.tree.scoring import EncodedPair
from evalsuite.engines.tree.segments import segment_attention, supports
from evalsuite.engines.tree.stop_strings import Stopper
from evalsuite.engines.tree.token_tree import TokenTree

MIN_SAVED_TOKENS = 48
"""A shared stretch is read at every step of decoding, so it has to save this many tokens of computing."""
MEMORY_FRACTION = 0.5
"""Share of the free memory that cached tokens may take (fraction 0..1)."""


class HFEngine:
    """Completions and loglikelihoods from one loaded model.

    fp32 on a CPU, whatever the weights' type; on a GPU the weights' own type.
    """

    name = "hf"

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        identity: str,
        batch_tokens: int | None = None,
        long_prompts: LongPrompts = "refuse",
    ) -> None:
        """Wrap a loaded model.

        Args:
            model: A transformers causal language model, or a peft model with the adapter that is to be used; put into
                evaluation mode.
            tokenizer: Its tokenizer, with a chat template if chat suites are run.
            identity: The model's identity, or another stable name for weights that are not an export.
            batch_tokens: Upper bound on cached tokens, new ones included; what half of the free memory holds if absent.
            long_prompts: What happens to a prompt that does not fit the context with its new tokens: ``refuse`` stops
                with an error, ``unscored`` answers with the reason. It is never cut.

        Raises:
            UsageError: The model cannot go on from the keys and values of earlier tokens; says what runs it.
        """
        check_answers(model.config)
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.model_identity = identity
        self.batch_tokens = batch_tokens or _tokens_in_free_memory(model)
        self.long_prompts = long_prompts
        self._encoder = Encoder(tokenizer, context_length(model.config), long_prompts)
        self.chat_template_sha256 = self._encoder.chat_template_sha256
        self.version = f"2 {str(model.dtype).removeprefix('torch.')} {model.device.type}"
        self._stopper = Stopper(tokenizer, model)
        self._adapter = _adapter_of(self.model)

    @classmethod
    def load(
        cls,
        folder: Path,
        identity: str,
        batch_tokens: int | None = None,
        long_prompts: LongPrompts = "refuse",
        adapter: Path | None = None,
    ) -> Self:
        """Load an exported folder on the best device there is, with a peft adapter on it if one is given.

        Raises:
            UsageError: As for a loaded model, before its weights are read; or the adapter is not one of peft.
        """
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        check_answers(read_config(folder))
        cuda = torch.cuda.is_available()
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype="auto" if cuda else torch.float32, local_files_only=True, trust_remote_code=False
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        engine = cls(model.to("cuda" if cuda else "cpu"), tokenizer, identity, batch_tokens, long_prompts)
        return engine if adapter is None else engine.with_adapter(adapter)

    def with_adapter(self, folder: Path) -> Self:
        """Another engine on the same weights in memory, with an unmerged peft adapter; this engine stays as it is.

        Its identity is that of the base and of the adapter's files together.

        Raises:
            UsageError: The folder holds no adapter in safetensors.
        """
        from peft import PeftModel

        if not (folder / "adapter_config.json").is_file() or not (folder / "adapter_model.safetensors").is_file():
            raise UsageError(f"{folder} is not a peft adapter with adapter_config.json and adapter_model.safetensors")
        name = identity_of(hash_files(folder))
        if isinstance(self.model, PeftModel):
            if name not in self.model.peft_config:
                self.model.load_adapter(folder, adapter_name=name, is_trainable=False)
        else:
            self.model = PeftModel.from_pretrained(self.model, folder, adapter_name=name, is_trainable=False).eval()
        other = type(self)(
            self.model,
            self.tokenizer,
            sha256_json([self.model_identity, name]),
            self.batch_tokens,
            self.long_prompts,
        )
        other._adapter = name
        return other

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Chat messages as the prompt that asks for the assistant's next turn; errors as of ``Encoder.render``."""
        return self._encoder.render(messages)

    def generate(
        self, requests: Sequence[GenerationRequest], label: str, on_answer: OnAnswer[Generation] | None = None
    ) -> list[Generation]:
        """Completions in the order of ``requests``.

        Raises:
            UsageError: A prompt is empty, or does not fit the context and ``long_prompts`` is ``refuse``.
        """
        results: dict[int, Generation] = {}
        prompts: dict[int, list[int]] = {}
        with progress(label, len(requests)) as advance:

            def answered(index: int, answer: Generation) -> None:
                results[index] = answer
                if on_answer is not None:
                    on_answer(index, answer)
                advance(1)

            for index, request in enumerate(requests):
                prompt = self._encoder.encode(request.prompt)
                refusal = self._encoder.refusal(index, len(prompt), request.max_new_tokens, label)
                if refusal is None:
                    prompts[index] = prompt
                else:
                    answered(index, Generation("", len(prompt), 0, False, refusal))
            numbers = list(prompts)
            wanted = [requests[index] for index in numbers]
            for number, tokens, stopped in self._complete([prompts[index] for index in numbers], wanted):
                index = numbers[number]
                text, cut = self._stopper.text(tokens, requests[index])
                answered(index, Generation(text, len(prompts[index]), len(tokens), stopped or cut))
        return [results[index] for index in range(len(requests))]

    def loglikelihoods(
        self, pairs: Sequence[tuple[str, str]], label: str, on_answer: OnAnswer[Loglikelihood] | None = None
    ) -> list[Loglikelihood]:
        """How likely each continuation is after its context.

        Tokens are split between context and continuation as in lm-eval's ``TemplateLM._encode_pair`` (0.4.13).

        Raises:
            UsageError: A continuation is empty, or a pair does not fit the context and ``long_prompts`` is ``refuse``.
        """
        import torch

        results: dict[int, Loglikelihood] = {}
        encoded: dict[int, EncodedPair] = {}
        with progress(label, len(pairs)) as advance, torch.inference_mode(), self._active():

            def answered(index: int, answer: Loglikelihood) -> None:
                results[index] = answer
                if on_answer is not None:
                    on_answer(index, answer)
                advance(1)

            for index, (context, continuation) in enumerate(pairs):
                pair = self._encoder.encode_pair(context, continuation)
                # The last token is predicted and never read, so the context may be one longer than the positions.
                num_tokens = len(pair.context) + len(pair.continuation) - 1 if pair.continuation else 0
                refusal = self._encoder.refusal(index, num_tokens, 0, label)
                if refusal is None:
                    encoded[index] = pair
                else:
                    answered(index, Loglikelihood(float("-inf"), False, refusal))
            numbers = list(encoded)
            wanted = [encoded[index] for index in numbers]
            if supports(self.model.config):
                with segment_attention(self.model):
                    for number, (value, greedy) in scoring.loglikelihoods(self.model, wanted, self.batch_tokens):
                        answered(numbers[number], loglikelihood(value, greedy))
            else:
                for number, (value, greedy) in plain.loglikelihoods(self.model, wanted, self.batch_tokens, self._pads):
                    answered(numbers[number], loglikelihood(value, greedy))
        return [results[index] for index in range(len(pairs))]

    def _complete(
        self, prompts: list[list[int]], requests: list[GenerationRequest]
    ) -> Iterator[tuple[int, list[int], bool]]:
        import torch

        with torch.inference_mode(), self._active():
            if not supports(self.model.config):
                yield from plain.decode(self.model, prompts, requests, self._stopper, self.batch_tokens, self._pads)
                return
            tree = TokenTree(prompts, MIN_SAVED_TOKENS)
            with segment_attention(self.model):
                for row, stopped in Decoder(self.model, tree, requests, self._stopper, self.batch_tokens).run():
                    yield row.index, row.tokens, stopped

    @cached_property
    def _pads(self) -> bool:
        return ignores_padding(self.model)

    @contextmanager
    def _active(self) -> Iterator[None]:
        """Compute with this engine's adapter, or with none, whatever other engines on these weights have."""
        from peft import PeftModel

        if not isinstance(self.model, PeftModel):
            yield
        elif self._adapter is None:
            with self.model.disable_adapter():
                yield
        else:
            self.model.set_adapter(self._adapter)
            yield


def _adapter_of(model: Any) -> str | None:
    """The adapter that a peft model computes with; None for any other model."""
    from peft import PeftModel

    return str(model.active_adapter) if isinstance(model, PeftModel) else None


def _tokens_in_free_memory(model: Any) -> int:
    """Cached tokens (keys and values of every layer) that ``MEMORY_FRACTION`` of the free memory holds."""
    import psutil
    import torch

    on_gpu = model.device.type == "cuda"
    free: int = torch.cuda.mem_get_info(model.device)[0] if on_gpu else psutil.virtual_memory().available
    return max(2048, int(MEMORY_FRACTION * free) // cache_bytes_per_token(model))
