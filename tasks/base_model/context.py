"""How many tokens a model reads at once, compared with the rows that it would be trained on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalsuite.core.errors import UsageError

POSITIONS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length", "seq_length")
"""Names of the longest input in config.json, over the families of models."""
LONGEST_SANE = 100_000_000
"""Tokenizers without a limit state one of 10^30 tokens."""


def context_tokens(folder: Path) -> int | None:
    """Longest input of a model in tokens, from its config or else its tokenizer; None where neither states it.

    The part of a config that is about text counts, as in ``get_text_config()``.
    """
    config = _object(folder / "config.json")
    parts = [config, *(config[name] for name in ("text_config", "llm_config") if isinstance(config.get(name), dict))]
    for part in reversed(parts):
        found = next((value for name in POSITIONS if (value := _count(part.get(name))) is not None), None)
        if found is not None:
            return found
    return _from_defaults(folder) if config else _count(_tokenizer_limit(folder))


def check_fits(key: str, tokens: int, context: int | None) -> None:
    """Refuse rows that the model cannot read whole.

    Raises:
        UsageError: The rows are too long; names the setting and both numbers.
    """
    if context is not None and tokens > context:
        raise UsageError(
            f"{key} = {tokens} is more than the model's context of {context} tokens, beyond which it was never "
            f"trained; set {key} to at most {context}"
        )


def _from_defaults(folder: Path) -> int | None:
    """What transformers fills in where a config leaves the number out."""
    from transformers import AutoConfig

    try:
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError):
        return None  # told by the stage that loads it
    found = _count(getattr(config.get_text_config(), "max_position_embeddings", None))
    return _count(_tokenizer_limit(folder)) if found is None else found


def _tokenizer_limit(folder: Path) -> Any:
    return _object(folder / "tokenizer_config.json").get("model_max_length")


def _count(value: Any) -> int | None:
    sane = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= LONGEST_SANE
    return int(value) if sane else None


def _object(path: Path) -> Mapping[str, Any]:
    """A JSON file's object; empty where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
