"""Padded batches through a model's own attention, for architectures whose attention cannot be shared.

Sliding windows, recurrent layers and the like; nothing is computed once for several prompts.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from evalsuite.engines.base import GenerationRequest
from evalsuite.engines.capability import padded_step
from evalsuite.engines.tree.sampling import next_tokens
from evalsuite.engines.tree.scoring import EncodedPair
from evalsuite.engines.tree.stop_strings import Stopper

MAX_ROWS = 64


def decode(
    model: Any,
    prompts: Sequence[Sequence[int]],
    requests: Sequence[GenerationRequest],
    stopper: Stopper,
    batch_tokens: int,
    pads: bool = True,
) -> Iterator[tuple[int, list[int], bool]]:
    """Yield (number, new tokens, whether it ended by itself) of each prompt.

    Without ``pads``, rows of one length alone share a batch: see ``capability.ignores_padding``.
    """
    import torch

    sizes = [len(prompt) + request.max_new_tokens for prompt, request in zip(prompts, requests, strict=True)]
    for batch in _batches(sizes, batch_tokens, None if pads else [len(prompt) for prompt in prompts]):
        ids, mask = _left_padded([prompts[number] for number in batch], model.device)
        new: dict[int, list[int]] = {number: [] for number in batch}
        done: set[int] = set()
        cache = None
        while len(done) < len(batch):
            logits, cache = padded_step(model, ids, mask, cache)
            asked, places = [requests[number] for number in batch], [len(new[number]) for number in batch]
            chosen = next_tokens(logits, asked, places)
            for number, token in zip(batch, chosen, strict=True):
                if number in done:
                    continue
                request, stopped = requests[number], stopper.is_end(token, requests[number])
                if not stopped:
                    new[number].append(token)
                    stopped = stopper.stops(new[number], request)
                if stopped or len(new[number]) >= request.max_new_tokens:
                    done.add(number)
                    yield number, new[number], stopped
            ids = torch.tensor(chosen, device=model.device)[:, None]
            mask = torch.nn.functional.pad(mask, (0, 1), value=1)


def loglikelihoods(
    model: Any, pairs: Sequence[EncodedPair], batch_tokens: int, pads: bool = True
) -> Iterator[tuple[int, tuple[float, bool]]]:
    """Yield each pair's number with (summed log-probability in nats, whether every token is the greedy one).

    ``pads`` is as for ``decode``.
    """
    import torch

    sizes = [4 * (len(pair.context) + len(pair.continuation)) for pair in pairs]
    for batch in _batches(sizes, batch_tokens, None if pads else sizes):
        ids, mask = _left_padded([pairs[n].context + pairs[n].continuation for n in batch], model.device)
        keep = max(len(pairs[number].continuation) for number in batch) + 1
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        output = model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=keep)
        for row, number in enumerate(batch):
            target = torch.tensor(pairs[number].continuation, device=model.device)
            scores = torch.log_softmax(output.logits[row, -len(target) - 1 : -1].float(), dim=-1)
            value = float(scores.gather(-1, target[:, None]).sum())
            yield number, (value, bool((scores.argmax(-1) == target).all()))


def _batches(sizes: Sequence[int], batch_tokens: int, lengths: Sequence[int] | None = None) -> Iterator[list[int]]:
    """Numbers of like size together, the longest first; padded, a batch has at most ``batch_tokens``.

    Where ``lengths`` are given, a batch has numbers of one length.
    """
    batch: list[int] = []
    kinds = [0] * len(sizes) if lengths is None else lengths
    for number in sorted(range(len(sizes)), key=lambda number: (-kinds[number], -sizes[number], number)):
        full = len(batch) == MAX_ROWS or (batch and (len(batch) + 1) * sizes[batch[0]] > batch_tokens)
        if batch and (full or kinds[number] != kinds[batch[0]]):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _left_padded(rows: Sequence[Sequence[int]], device: Any) -> tuple[Any, Any]:
    """Ids and mask of shape (batch, longest), padding on the left."""
    import torch

    longest = max(map(len, rows))
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, longest - len(row) :] = torch.tensor(row)
        mask[number, longest - len(row) :] = 1
    return ids.to(device), mask.to(device)
