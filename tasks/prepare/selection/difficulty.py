"""How hard a row's answers are for the base model, with the question and without it."""

import json
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evalsuite.core.errors import MissingArtifactError
from tasks.data.formats import Row
from tasks.objectives.conversation import end_tokens
from tasks.objectives.documents import IGNORED, Example
from tasks.prepare.lengths import TokenLengths
from tasks.prepare.rows import content
from tasks.training.rows.examples import tokenize_all

logger = logging.getLogger(__name__)

BATCH_TOKENS = 2048
"""Padding included. More are slower on a CPU, whose caches they leave."""
DIGITS = 4
"""Of a loss in nats a token; the last digits of a sum differ between machines."""


class Difficulty(NamedTuple):
    """Cross-entropies of the base model on what is learnt of a row, in nats a token."""

    asked: float
    """After everything before it."""
    alone: float
    """After nothing but the first token of the row."""

    @property
    def ifd(self) -> float:
        """Instruction-following difficulty: how little the question helps (Li et al. 2024, arXiv:2308.12032).

        0 where the question gives the answer away, 1 where it is no help, more where it misleads. Not a number where
        nothing is learnt.
        """
        return self.asked / self.alone if self.alone else math.nan

    @property
    def perplexity(self) -> float:
        """Of the answers after their questions; not a number where nothing is learnt."""
        return math.exp(self.asked)


def difficulties(rows: Sequence[Row], lengths: TokenLengths) -> list[Difficulty]:
    """The difficulty of each row, on the best device there is.

    Args:
        rows: Whatever the objective reads; rows of several sequences count as one.
        lengths: Names the base model, the objective, which answers are learnt, and the longest row.

    Raises:
        MissingArtifactError: The base model was not fetched.
    """
    from evalsuite.engines.progress import progress

    pairs = [_sequences(examples, lengths.limit) for examples in _examples(rows, lengths)]
    flat = [(row, kind, each) for row, pair in enumerate(pairs) for kind in (0, 1) for each in pair[kind]]
    sums = [[[0.0, 0], [0.0, 0]] for _ in rows]
    model = _load(lengths.base)
    with progress("difficulty of rows", len(flat)) as advance:
        for batch in _batches([len(each.input_ids) for _, _, each in flat]):
            for at, (nats, count) in zip(batch, _nats(model, [flat[at][2] for at in batch]), strict=True):
                row, kind, _ = flat[at]
                sums[row][kind][0] += nats
                sums[row][kind][1] += count
            advance(len(batch))
    return [Difficulty(*(round(nats / count, DIGITS) if count else math.nan for nats, count in each)) for each in sums]


def _examples(rows: Sequence[Row], lengths: TokenLengths) -> list[list[Example]]:
    """Token ids and labels of each row, as training has them."""
    from transformers import AutoTokenizer

    if not (lengths.base / "manifest.json").is_file():
        raise MissingArtifactError(f"no base model at {lengths.base}; make it with `ratchet stage fetch`")
    tokenizer: Any = AutoTokenizer.from_pretrained(lengths.base, local_files_only=True, trust_remote_code=False)
    lines = [json.dumps({"id": row.source, **content(row, lengths.objective)}) for row in rows]
    ends = end_tokens(lengths.base, tokenizer)
    found: dict[str, list[Example]] = {row.source: [] for row in rows}
    for sequence in tokenize_all(lines, tokenizer, ends, lengths.answers, lengths.objective):
        found[sequence.name].extend(lengths.objective.examples(sequence, lengths.limit))
    return [found[row.source] for row in rows]


def _sequences(examples: Sequence[Example], limit: int) -> tuple[list[Example], list[Example]]:
    """Each example up to ``limit`` tokens, and its learnt tokens alone behind its first token."""
    whole, alone = [], []
    for each in examples:
        ids, labels = each.input_ids[:limit], each.labels[:limit]
        learnt = [token for token, label in zip(ids[1:], labels[1:], strict=True) if label != IGNORED]
        whole.append(Example(ids, labels))
        alone.append(Example([ids[0], *learnt], [IGNORED, *learnt]))
    return whole, alone


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of sequences of about the same length, the longest first: what does not fit in memory fails at once."""
    batch: list[int] = []
    for at in sorted(range(len(lengths)), key=lambda at: (-lengths[at], at)):
        if batch and lengths[batch[0]] * (len(batch) + 1) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch


def _load(folder: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype="auto" if device == "cuda" else torch.float32, local_files_only=True, trust_remote_code=False
    )
    return model.to(device).eval()


def _nats(model: Any, examples: Sequence[Example]) -> list[tuple[float, int]]:
    """Summed cross-entropy in nats, and the number of tokens, of what is learnt of each sequence."""
    import torch

    longest = max(len(each.input_ids) for each in examples)
    ids = torch.zeros((len(examples), longest), dtype=torch.long)
    labels = torch.full_like(ids, IGNORED)
    mask = torch.zeros_like(ids)
    for at, each in enumerate(examples):
        size = len(each.input_ids)
        ids[at, :size], labels[at, :size], mask[at, :size] = (
            torch.tensor(each.input_ids),
            torch.tensor(each.labels),
            1,
        )
    with torch.inference_mode():
        given = {"input_ids": ids.to(model.device), "attention_mask": mask.to(model.device)}
        logits = model(**given, use_cache=False).logits[:, :-1].float()
        wanted = labels[:, 1:].to(logits.device)
        losses = torch.nn.functional.cross_entropy(
            logits.transpose(1, 2), wanted, ignore_index=IGNORED, reduction="none"
        )
    counts = (wanted != IGNORED).sum(dim=1)
    return [(float(nats), int(count)) for nats, count in zip(losses.double().sum(dim=1), counts, strict=True)]
