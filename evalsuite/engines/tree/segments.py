"""Attention over stretches of cached tokens that several sequences share, without a copy of them for each.

A token attends to the stretches before it one by one; the parts are joined by their log-sum-exp, which is exact
(FlashAttention's online softmax, arXiv:2205.14135; for shared prefixes as in Hydragen, arXiv:2402.05099). Tokens of
many sequences lie side by side in one row, so no position is padding.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

ATTENTION = "ratchet_segments"
ARCHITECTURES = frozenset(
    {"gemma", "granite", "llama", "mistral", "olmo2", "phi3", "qwen2", "qwen3", "smollm3", "starcoder2"}
)
"""Model types whose only use of attention is transformers' attention interface over all earlier tokens (tested)."""


class Step(Protocol):
    """One forward pass: knows which stretches each of its tokens sees."""

    def attend(self, layer: int, query: Any, key: Any, value: Any, scale: float) -> Any:
        """Query (tokens, kv_heads, group, dim), key and value (tokens, kv_heads, dim) -> output like the query."""
        ...


class Part(NamedTuple):
    """Attention over some keys: output (..., dim) and log-sum-exp (...) of the scores."""

    output: Any
    lse: Any


_STEP: ContextVar[Step] = ContextVar("step")


def supports(config: Any) -> bool:
    """Whether a model's attention is plain causal attention, through the interface that can be replaced."""
    layers = getattr(config, "layer_types", None) or ["full_attention"]
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    return config.model_type in ARCHITECTURES and window is None and set(layers) == {"full_attention"}


@contextmanager
def segment_attention(model: Any) -> Iterator[None]:
    """Let a model's layers attend through the current ``Step``."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, _interface)
    before = model.config._attn_implementation
    model.config._attn_implementation = ATTENTION
    try:
        yield
    finally:
        model.config._attn_implementation = before


def forward(model: Any, step: Step, ids: Sequence[int], positions: Sequence[int], kept: Sequence[int]) -> Any:
    """Logits (kept, vocabulary) of the tokens numbered ``kept``; the head is computed for no other."""
    import torch

    def tensor(values: Sequence[int]) -> Any:
        return torch.tensor(values, dtype=torch.long, device=model.device)

    token = _STEP.set(step)
    try:
        output = model(
            input_ids=tensor(ids)[None],
            position_ids=tensor(positions)[None],
            use_cache=False,
            logits_to_keep=tensor(kept),
        )
    finally:
        _STEP.reset(token)
    return output.logits[0]


def _interface(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, scaling: float | None = None, **_: Any
) -> tuple[Any, None]:
    """Transformers' attention interface: (1, heads, tokens, dim) in, (1, tokens, heads, dim) out."""
    _, heads, tokens, dim = query.shape
    kv_heads = key.shape[1]
    grouped = query[0].view(kv_heads, heads // kv_heads, tokens, dim).permute(2, 0, 1, 3)
    scale = dim**-0.5 if scaling is None else scaling
    output = _STEP.get().attend(module.layer_idx, grouped, key[0].transpose(0, 1), value[0].transpose(0, 1), scale)
    return output.reshape(1, tokens, heads, dim), None


def attention(query: Any, key: Any, value: Any, scale: float, causal: bool = False, mask: Any = None) -> Part:
    """Attention with its log-sum-exp.

    Args:
        query: (batch, heads, queries, dim).
        key: (batch, kv_heads, keys, dim).
        value: (batch, kv_heads, keys, dim).
        scale: Factor of the scores.
        causal: Query number i sees keys 0..i.
        mask: Added to the scores, (batch, 1, 1, keys).
    """
    import torch

    if query.device.type == "cpu":
        flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        return Part(*flash(query, key, value, 0.0, causal, attn_mask=mask, scale=scale))
    scores = torch.matmul(query, key.transpose(-1, -2)).float() * scale
    if mask is not None:
        scores = scores + mask.float()
    if causal:
        length = query.shape[-2]
        scores = scores.masked_fill(torch.ones(length, length, device=query.device).triu(1).bool(), float("-inf"))
    lse = scores.logsumexp(-1)
    return Part(torch.matmul((scores - lse[..., None]).exp().to(value.dtype), value), lse)


def add_shared(query: Any, total: Part, rows: Any, key: Any, value: Any, scale: float) -> None:
    """Let the tokens numbered ``rows`` attend to a stretch that they all see, and join that to ``total`` in place.

    Args:
        query: (tokens, kv_heads, group, dim).
        total: Output (tokens, kv_heads, group, dim) and log-sum-exp (tokens, kv_heads, group) so far.
        rows: Token numbers, (rows,).
        key: The stretch, (kv_heads, length, dim).
        value: Of the same shape.
        scale: Factor of the scores.
    """
    import torch

    chosen = query[rows]
    number, heads, group, dim = chosen.shape
    flat = chosen.transpose(0, 1).reshape(1, heads, number * group, dim)
    part = attention(flat, key[None], value[None], scale)
    output = part.output.reshape(heads, number, group, dim).transpose(0, 1)
    lse = part.lse.reshape(heads, number, group).transpose(0, 1)
    before = total.lse[rows]
    joined = torch.logaddexp(before, lse)
    old, new = (before - joined).exp()[..., None], (lse - joined).exp()[..., None]
    total.output[rows] = (total.output[rows] * old + output * new).to(total.output.dtype)
    total.lse[rows] = joined
