"""What a model is able to do, asked of its configuration, its class, or a few tokens of its own."""

import sys
import textwrap
from pathlib import Path
from typing import Any

from evalsuite.core.errors import UsageError

CONTEXT_LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_target_positions")
"""How families call their number of positions."""
STATE_AS_TOKENS = 256
"""A recurrent layer's state has one size whatever the length; it is shared out over a row of so many tokens."""
SHORT, LONG = 5, 40
"""Tokens of the two rows that padding is tried with; the longer one is past the window of a short convolution."""
TOLERANCE = {4: 1e-3, 8: 1e-3, 2: 5e-2}
"""Bytes of a number -> largest difference that rounding makes, root mean square, as a share of the logits' spread."""
SERVED = "evaluate it through a server that runs it: evaluation.engine.kind vllm, or openai with check_weights: false"


def context_length(config: Any) -> int:
    """Tokens that a prompt and its completion may have together; no bound where the model names none (ALiBi)."""
    text = config.get_text_config()
    found = (getattr(text, name, None) for name in CONTEXT_LENGTHS)
    return next((int(value) for value in found if isinstance(value, int) and value > 0), sys.maxsize)


def why_not_answered(config: Any) -> str | None:
    """Why the engine hf cannot ask a model with this configuration; None where it can.

    Decoding goes on from ``past_key_values``, the keys and values of earlier tokens, so the model's class has to take
    and give them. Those of Mamba and RWKV keep a state of their own instead, encoders and encoder-decoders have none.
    """
    from transformers import AutoModelForCausalLM

    family = str(config.model_type)
    if config.is_encoder_decoder:
        return f"{family!r} is an encoder-decoder model, and only decoder-only models are supported"
    mapping: Any = AutoModelForCausalLM._model_mapping
    if type(config) not in mapping:
        return f"transformers has no causal language model of type {family!r} (AutoModelForCausalLM)"
    found = mapping[type(config)]
    return _why_not_class(config, found[0] if isinstance(found, tuple) else found)


def _why_not_class(config: Any, model_class: Any) -> str | None:
    import inspect
    import typing

    signature = inspect.signature(model_class.forward)
    outputs = typing.get_args(signature.return_annotation) or (signature.return_annotation,)
    fields = {name for each in outputs for name in getattr(each, "__dataclass_fields__", ())}
    name = f"{str(config.model_type)!r} ({model_class.__name__})"
    if "past_key_values" not in signature.parameters or "past_key_values" not in fields:
        return f"{name} keeps no keys and values of earlier tokens (past_key_values), like state-space models"
    if "cross_attentions" in fields and getattr(config, "is_decoder", True) is False:
        return f"{name} is an encoder (is_decoder is false), which would see the tokens that it must predict"
    return None


def read_config(folder: Path) -> Any:
    """The configuration in a model's folder.

    Raises:
        UsageError: transformers cannot read it.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a library of many families, each with failures of its own on a config that is wrong
        reason = textwrap.shorten(str(error), 300, placeholder=" ...") or type(error).__name__
        raise UsageError(
            f"{folder}: transformers cannot read its config.json: {reason}; give a folder that save_pretrained wrote"
        ) from None


def check_answers(config: Any) -> None:
    """Refuse what ``why_not_answered`` has a reason against.

    Raises:
        UsageError: Names the family, why, and what does run it.
    """
    reason = why_not_answered(config)
    if reason is not None:
        raise UsageError(f"the engine hf cannot run this model: {reason}; {SERVED}")


def cache_bytes_per_token(model: Any) -> int:
    """What the model's own cache holds for one more token, measured with two."""
    import torch

    asked = _tokens(model, 2)[None]
    with torch.inference_mode():
        cache = model(input_ids=asked, attention_mask=torch.ones_like(asked), use_cache=True).past_key_values
    held = 0
    for layer in cache.layers:
        for name, value in vars(layer).items():
            tensors = value.values() if isinstance(value, dict) else [value]
            size = sum(each.nbytes for each in tensors if isinstance(each, torch.Tensor))
            held += size // (asked.shape[1] if name in ("keys", "values") else STATE_AS_TOKENS)
    return max(1, held)


def ignores_padding(model: Any) -> bool:
    """Whether rows of several lengths, padded on the left, get the logits that each gets alone.

    Attention masks padding out. Some layers with a state or a compressed cache read it like any other token, and
    nothing in a configuration says so: two rows are tried, and one more token after each.
    """
    import torch

    short, long = _tokens(model, SHORT), _tokens(model, LONG)
    with torch.inference_mode():
        alone = torch.cat([_last_logits(model, [row]) for row in (short, long)])
        together = _last_logits(model, [short, long])
    spread = alone.std()
    difference = ((together - alone) ** 2).mean(-1).sqrt().max() / spread
    return bool(difference <= TOLERANCE.get(model.dtype.itemsize, TOLERANCE[2]))


def _last_logits(model: Any, rows: list[Any]) -> Any:
    """Logits (rows, 2 vocabularies), fp32, after each row and after one token more, which comes from the cache."""
    import torch

    longest = max(map(len, rows))
    ids = torch.stack([torch.nn.functional.pad(row, (longest - len(row), 0)) for row in rows])
    mask = torch.stack([torch.arange(longest, device=row.device) >= longest - len(row) for row in rows]).long()
    found, cache = [], None
    for _ in range(2):
        logits, cache = padded_step(model, ids, mask, cache)
        found.append(logits.float())
        ids, mask = ids[:, -1:], torch.nn.functional.pad(mask, (0, 1), value=1)
    return torch.cat(found, dim=-1)


def padded_step(model: Any, ids: Any, mask: Any, cache: Any) -> tuple[Any, Any]:
    """Logits (rows, vocabulary) of the token after each row, and the cache with ``ids`` in it.

    Args:
        model: A transformers model.
        ids: New tokens (rows, new), padded on the left.
        mask: (rows, all tokens so far): 0 where padded.
        cache: Cache of the tokens before; None at the start.
    """
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    output = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return output.logits[:, -1], output.past_key_values


def _tokens(model: Any, number: int) -> Any:
    """Token ids that differ, from all over the vocabulary."""
    import torch

    size = int(model.config.get_text_config().vocab_size)
    return (torch.arange(1, number + 1, device=model.device) * max(1, size // (number + 2) - 1)) % size
