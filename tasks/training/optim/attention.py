"""Attention within each document of a row, and no work for pairs of tokens that must not see each other."""

from typing import Any

DOCUMENTS = "documents"
"""Name of the attention in transformers' registry, and in what really ran."""
MASKED = "sdpa"
"""transformers' own for a CPU, by a mask over the whole row."""
SPECIAL = ("position_bias", "softcap", "s_aux")
"""Arguments that change the scores; such attention stays transformers' own."""


def choose_attention(model: Any, packing: bool, provable: bool) -> None:
    """Give the model the fastest attention for rows of several documents that this machine has.

    With a mask, a row of eight documents costs eight times the attention of its documents; FlashAttention's kernels and
    ours compute the documents only.

    Args:
        model: As loaded, with the library's default attention.
        packing: Whether rows hold several documents.
        provable: Whether ``check_packing`` can compare the loss before training.
    """
    if not packing:
        return
    if model.device.type == "cuda":
        if has_flash_attention(model):
            model.set_attn_implementation("flash_attention_2")
    elif provable and model.config._attn_implementation == MASKED:
        _register()
        model.set_attn_implementation(DOCUMENTS)


def has_flash_attention(model: Any) -> bool:
    """Whether FlashAttention's kernels are installed, and the model's code calls them."""
    from transformers.utils import is_flash_attn_2_available

    return bool(is_flash_attn_2_available() and getattr(model, "_supports_flash_attn", False))


def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(DOCUMENTS, document_attention)
    AttentionMaskInterface.register(DOCUMENTS, document_mask)


def document_attention(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    dropout: float = 0.0,
    scaling: float | None = None,
    cu_seq_lens_q: Any = None,
    **kwargs: Any,
) -> tuple[Any, None]:
    """Causal attention of each document; one call of transformers' interface for attention.

    Args:
        module: The layer.
        query: (1, heads, tokens, head size).
        key: (1, key heads, tokens, head size).
        value: As ``key``.
        attention_mask: Where there is one, or no ``cu_seq_lens_q``, this is transformers' own sdpa.
        dropout: Of attention weights.
        scaling: Of the scores.
        cu_seq_lens_q: Where documents begin, and the row's end; TRL's collator makes it.
        **kwargs: For transformers' sdpa.

    Returns:
        (1, tokens, heads, head size), and no weights.
    """
    import torch
    from torch.nn.functional import scaled_dot_product_attention
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    special = any(kwargs.get(name) is not None for name in SPECIAL)
    if attention_mask is not None or cu_seq_lens_q is None or special or query.shape[0] != 1:
        output: Any = sdpa_attention_forward(module, query, key, value, attention_mask, dropout, scaling, **kwargs)
        return output[0], None
    lengths = cu_seq_lens_q.diff().tolist()
    shared = query.shape[1] != key.shape[1]
    documents = [
        scaled_dot_product_attention(q, k, v, None, dropout, True, scale=scaling, enable_gqa=shared).transpose(1, 2)
        for q, k, v in zip(query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True)
    ]
    return torch.cat(documents, dim=1), None


def document_mask(*args: Any, **kwargs: Any) -> Any:
    """No mask for a row of documents under plain causal attention; transformers' sdpa mask for all else.

    transformers allows sdpa to skip the mask unless the row is packed or the pattern is special; special ones have a
    ``local_size`` or a function of their own (``use_vmap``).
    """
    from transformers.masking_utils import sdpa_mask

    packed = not kwargs.get("allow_is_causal_skip", True) and kwargs.get("attention_mask") is None
    plain = kwargs.get("local_size") is None and not kwargs.get("use_vmap", False)
    return None if packed and plain else sdpa_mask(*args, **kwargs)
