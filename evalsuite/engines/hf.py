"""A transformers model as an engine: shared beginnings computed once, long batches, exact stop strings."""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalsuite.engines.base import Generation, GenerationRequest
from evalsuite.engines.prefixes import PrefixGroup, group_by_prefix
from evalsuite.errors import UsageError
from evalsuite.files import sha256_json

logger = logging.getLogger(__name__)

MAX_ROWS = 96
COMPACT_FRACTION = 0.25
"""Finished rows leave the batch once they are this share of it (fraction 0..1)."""


@dataclass
class _Row:
    """A completion in progress."""

    index: int
    suffix: list[int]
    group: int
    position: int
    """Position of the next token in the whole sequence."""
    request: GenerationRequest
    tokens: list[int] = field(default_factory=list)


class HFEngine:
    """Greedy completions and loglikelihoods from one loaded model.

    fp32 on a CPU, whatever the weights' type; on a GPU the weights' own type.
    """

    name = "hf"

    def __init__(self, model: Any, tokenizer: Any, identity: str, batch_tokens: int = 32_768) -> None:
        """Wrap a loaded model.

        Args:
            model: A transformers causal language model; put into evaluation mode.
            tokenizer: Its tokenizer, with a chat template if chat suites are run.
            identity: The model's identity, or another stable name for bytes that are no export.
            batch_tokens: Upper bound on cached tokens of one batch, padding and new tokens included.
        """
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.model_identity = identity
        self.batch_tokens = batch_tokens
        self.chat_template_sha256 = sha256_json(tokenizer.chat_template)
        ends = getattr(model.generation_config, "eos_token_id", None)
        ends = ends if isinstance(ends, list) else [ends]
        self._end_ids = {token for token in [*ends, tokenizer.eos_token_id] if token is not None}
        self._max_positions: int = getattr(model.config, "max_position_embeddings", sys.maxsize)

    @classmethod
    def load(cls, folder: Path, identity: str, batch_tokens: int = 32_768) -> "HFEngine":
        """Load an exported folder on the best device there is."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        cuda = torch.cuda.is_available()
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype="auto" if cuda else torch.float32, local_files_only=True, trust_remote_code=False
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        return cls(model.to("cuda" if cuda else "cpu"), tokenizer, identity, batch_tokens)

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Chat messages as the prompt that asks for the assistant's next turn.

        Raises:
            UsageError: The tokenizer has no chat template.
        """
        if not self.tokenizer.chat_template:
            raise UsageError("the model has no chat template; name a Jinja file in model.chat_template")
        text: str = self.tokenizer.apply_chat_template(
            [dict(message) for message in messages], tokenize=False, add_generation_prompt=True
        )
        return text

    def generate(self, requests: Sequence[GenerationRequest], label: str) -> list[Generation]:
        """Greedy completions in the order of ``requests``.

        Raises:
            UsageError: A prompt is empty, or does not fit the model's context with its new tokens; it is never cut.
        """
        import torch

        prompts = [self._encode(request.prompt) for request in requests]
        for index, (prompt, request) in enumerate(zip(prompts, requests, strict=True)):
            self._check_length(index, len(prompt), request.max_new_tokens, label)
        results: dict[int, Generation] = {}
        groups = group_by_prefix(prompts)
        with torch.inference_mode(), progress(label, len(requests)) as advance:
            for batch in self._batches(prompts, requests, groups):
                prefixes = {
                    number: self._prefix_cache(prompts[groups[number].indices[0]][: groups[number].num_shared])
                    for number in sorted({row.group for row in batch})
                    if groups[number].num_shared
                }
                for row, finished in self._decode(batch, prefixes, groups):
                    results[row.index] = self._generation(row, len(prompts[row.index]), finished)
                    advance(1)
        return [results[index] for index in range(len(requests))]

    def loglikelihoods(self, pairs: Sequence[tuple[str, str]], label: str) -> list[tuple[float, bool]]:
        """Log-probability (nats, summed) of each continuation after its context, and whether it is the greedy one.

        Tokens are split between context and continuation as in lm-eval's ``TemplateLM._encode_pair`` (0.4.13).
        """
        import torch

        encoded = [self._encode_pair(context, continuation) for context, continuation in pairs]
        for index, (context, continuation) in enumerate(encoded):
            self._check_length(index, len(context) + len(continuation), 0, label)
        order = sorted(range(len(encoded)), key=lambda index: -sum(map(len, encoded[index])))
        results: dict[int, tuple[float, bool]] = {}
        with torch.inference_mode(), progress(label, len(pairs)) as advance:
            while order:
                longest = sum(map(len, encoded[order[0]]))
                count = max(1, min(MAX_ROWS, self.batch_tokens // (4 * longest)))
                batch, order = order[:count], order[count:]
                keep = max(len(encoded[index][1]) for index in batch) + 1
                ids, mask = self._left_padded([encoded[index][0] + encoded[index][1] for index in batch])
                positions = (mask.cumsum(-1) - 1).clamp(min=0)
                logits = self.model(
                    input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=keep
                ).logits.float()
                for row, index in enumerate(batch):
                    target = torch.tensor(encoded[index][1], device=logits.device)
                    scores = torch.log_softmax(logits[row, -len(target) - 1 : -1], dim=-1)
                    chosen = scores.gather(-1, target[:, None]).sum()
                    results[index] = (float(chosen), bool((scores.argmax(-1) == target).all()))
                    advance(1)
        return [results[index] for index in range(len(pairs))]

    def _encode(self, text: str) -> list[int]:
        bos = self.tokenizer.bos_token
        ids: list[int] = self.tokenizer(text, add_special_tokens=not (bos and text.startswith(bos)))["input_ids"]
        return ids

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        if not context:
            start = self.tokenizer.bos_token_id
            start = self.tokenizer.eos_token_id if start is None else start
            return [start], self.tokenizer(continuation, add_special_tokens=False)["input_ids"]
        spaces = len(context) - len(context.rstrip())
        if spaces:
            continuation = context[-spaces:] + continuation
            context = context[:-spaces]
        whole, first = self._encode(context + continuation), self._encode(context)
        return first, whole[len(first) :]

    def _check_length(self, index: int, num_prompt: int, num_new: int, label: str) -> None:
        if num_prompt == 0:
            raise UsageError(f"{label}: prompt {index} is empty")
        if num_prompt + num_new > self._max_positions:
            raise UsageError(
                f"{label}: prompt {index} has {num_prompt} tokens and may get {num_new} more, the model's context is "
                f"{self._max_positions}; shorten the item or lower max_new_tokens"
            )

    def _batches(
        self, prompts: list[list[int]], requests: Sequence[GenerationRequest], groups: list[PrefixGroup]
    ) -> Iterator[list[_Row]]:
        """Rows of like length together, so that little is padding."""
        rows = [
            _Row(index, prompts[index][group.num_shared :], number, len(prompts[index]), requests[index])
            for number, group in enumerate(groups)
            for index in group.indices
        ]
        rows.sort(key=lambda row: (-groups[row.group].num_shared // 64, -row.position, row.index))
        batch: list[_Row] = []
        for row in rows:
            trial = [*batch, row]
            width = (
                max(groups[entry.group].num_shared for entry in trial)
                + max(len(entry.suffix) for entry in trial)
                + max(entry.request.max_new_tokens for entry in trial)
            )
            if batch and (len(trial) > MAX_ROWS or len(trial) * width > self.batch_tokens):
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _prefix_cache(self, tokens: list[int]) -> Any:
        """Keys and values of a shared beginning, batch of one."""
        import torch

        ids = torch.tensor([tokens], device=self.model.device)
        return self.model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values

    def _joined_cache(self, batch: list[_Row], prefixes: dict[int, Any], groups: list[PrefixGroup]) -> tuple[Any, Any]:
        """One cache for the batch, each row's beginning right-aligned, and its mask (batch, longest beginning)."""
        import torch
        from transformers import DynamicCache

        cache = DynamicCache(config=self.model.config)
        lengths = [groups[row.group].num_shared for row in batch]
        longest = max(lengths)
        device = self.model.device
        mask = torch.zeros((len(batch), longest), dtype=torch.long, device=device)
        for number, length in enumerate(lengths):
            mask[number, longest - length :] = 1
        if longest:
            for layer in range(len(next(iter(prefixes.values())).layers)):
                sample = next(iter(prefixes.values())).layers[layer].keys
                shape = (len(batch), sample.shape[1], longest, sample.shape[3])
                keys, values = sample.new_zeros(shape), sample.new_zeros(shape)
                for number, row in enumerate(batch):
                    if row.group in prefixes:
                        source = prefixes[row.group].layers[layer]
                        keys[number, :, longest - lengths[number] :] = source.keys[0]
                        values[number, :, longest - lengths[number] :] = source.values[0]
                cache.update(keys, values, layer)
        return cache, mask

    def _left_padded(self, rows: list[list[int]]) -> tuple[Any, Any]:
        """Ids and mask of shape (batch, longest), padding on the left."""
        import torch

        longest = max(map(len, rows))
        ids = torch.zeros((len(rows), longest), dtype=torch.long)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for number, row in enumerate(rows):
            ids[number, longest - len(row) :] = torch.tensor(row)
            mask[number, longest - len(row) :] = 1
        return ids.to(self.model.device), mask.to(self.model.device)

    def _decode(
        self, batch: list[_Row], prefixes: dict[int, Any], groups: list[PrefixGroup]
    ) -> Iterator[tuple[_Row, bool]]:
        """Yield each row when it ends, with False where its length limit cut it."""
        import torch

        cache, prefix_mask = self._joined_cache(batch, prefixes, groups)
        ids, suffix_mask = self._left_padded([row.suffix for row in batch])
        mask = torch.cat([prefix_mask, suffix_mask], dim=1)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        alive = list(batch)
        done: set[int] = set()
        while True:
            output = self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            cache = output.past_key_values
            chosen = output.logits[:, -1].argmax(-1)
            for number, (row, token) in enumerate(zip(alive, chosen.tolist(), strict=True)):
                if number in done:
                    continue
                ended = token in self._end_ids
                if not ended:
                    row.tokens.append(token)
                    ended = self._stops(row)
                if ended or len(row.tokens) >= row.request.max_new_tokens:
                    done.add(number)
                    yield row, ended
            if len(done) == len(alive):
                return
            if len(done) >= COMPACT_FRACTION * len(alive):
                keep = torch.tensor([n for n in range(len(alive)) if n not in done], device=mask.device)
                cache.batch_select_indices(keep)
                alive, done = [alive[n] for n in keep.tolist()], set()
                mask, chosen = mask[keep], chosen[keep]
            mask = torch.cat([mask, mask.new_ones((len(alive), 1))], dim=1)
            ids = chosen[:, None]
            positions = (mask.sum(-1) - 1)[:, None]

    def _stops(self, row: _Row) -> bool:
        if not row.request.stop:
            return False
        tail = row.tokens[-(max(map(len, row.request.stop)) + 8) :]
        text = self.tokenizer.decode(tail, skip_special_tokens=True)
        return any(stop in text for stop in row.request.stop)

    def _generation(self, row: _Row, num_prompt_tokens: int, finished: bool) -> Generation:
        text: str = self.tokenizer.decode(row.tokens, skip_special_tokens=True)
        cuts = [text.find(stop) for stop in row.request.stop if stop in text]
        if cuts:
            text, finished = text[: min(cuts)], True
        return Generation(
            text=text, num_prompt_tokens=num_prompt_tokens, num_output_tokens=len(row.tokens), finished=finished
        )


@contextmanager
def progress(label: str, total: int) -> Iterator[Any]:
    """A progress bar on stderr where there is a terminal, a log line a quarter elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(label, total=total)
            yield lambda count: bar.advance(task, count)
        return
    done = 0
    quarter = max(1, total // 4)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if done % quarter == 0 and done < total:
            logger.info("%s: %d of %d", label, done, total)

    yield advance
