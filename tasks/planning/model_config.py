"""A model's config.json as transformers reads it: defaults filled in, other parts beside the text model told apart."""

import difflib
import reprlib
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from evalsuite.core.errors import UsageError

LARGEST_FIELD, MOST_LAYERS, MOST_EXPERTS = 2**32, 10_000, 2**16
"""Of a config; a larger number is a slip of the pen or meant to keep this program busy."""
LAYERS = frozenset(
    {"num_hidden_layers", "n_layer", "n_layers", "num_layers", "depth", "encoder_layers", "decoder_layers"}
)
"""How families call their number of blocks, of towers too."""
EXPERTS = frozenset({"num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"})
SIZES = frozenset(
    {
        "d_model",
        "decoder_sparse_step",
        "ffn_dim",
        "head_dim",
        "hidden_size",
        "intermediate_size",
        "moe_intermediate_size",
        "n_embd",
        "n_head",
        "n_heads",
        "num_attention_heads",
        "num_experts_per_tok",
        "num_key_value_heads",
        "vocab_size",
    }
)
"""Other fields that are whole numbers from 1 up wherever they stand; transformers divides by most of them."""
NOT_OF_THE_SHAPE = frozenset(
    {"_attn_implementation", "attn_implementation", "auto_map", "dtype", "quantization_config", "torch_dtype"}
)
"""Fields that say how the weights are kept and computed with: kernels that may not be here, code that is not run."""


def as_transformers_reads(fields: Mapping[str, Any]) -> Any:
    """The configuration object of these fields, with its class's defaults for those that are absent.

    Raises:
        UsageError: transformers does not know the model type, or a field is wrong; names it.
    """
    from transformers import CONFIG_MAPPING, AutoConfig

    family = fields.get("model_type")
    if not isinstance(family, str) or family not in CONFIG_MAPPING:
        raise UsageError(_unknown(family, list(CONFIG_MAPPING.keys())))
    for name, value in _numbers(fields):
        _check(name, value)
    kept = {name: value for name, value in fields.items() if name != "model_type" and name not in NOT_OF_THE_SHAPE}
    try:
        with only_errors():
            return AutoConfig.for_model(family, **kept)
    except Exception as error:  # a library of many families, each with failures of its own on a config that is wrong
        raise UsageError(f"transformers cannot read this {family!r} config: {in_one_line(error)}") from None


def text_config_of(config: Any) -> Any:
    """The part of a configuration that describes the text model; the whole where there is no other.

    Raises:
        UsageError: It holds several.
    """
    try:
        return config.get_text_config()
    except ValueError:
        raise UsageError(
            f"a {config.model_type!r} model holds several text models, of which none is a causal model of its own; "
            "give the config.json of a decoder-only language model"
        ) from None


@contextmanager
def only_errors() -> Iterator[None]:
    """Keep transformers from remarks, such as on token ids past a vocabulary, which no count depends on."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def in_one_line(error: Exception) -> str:
    """What an exception says, short enough for a message."""
    return textwrap.shorten(str(error), 300, placeholder=" ...") or type(error).__name__


def _unknown(family: object, known: list[str]) -> str:
    from transformers import __version__

    near = difflib.get_close_matches(str(family), known, n=3)
    return (
        f"model_type {reprlib.repr(family)} is none that transformers {__version__} knows"
        + (f" (near: {', '.join(near)})" if near else "")
        + "; code that comes with a model is not run here: give the config.json of a family that is built in, or the "
        "part of this one that describes its text model, with a model_type of its own"
    )


def _numbers(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every field that is a size, of nested configs too."""
    waiting: list[Mapping[str, Any]] = [fields]
    while waiting:
        for name, value in waiting.pop().items():
            if isinstance(value, Mapping):
                waiting.append(value)
            elif name in LAYERS or name in EXPERTS or name in SIZES:
                # a list has one number for each block; null is the class's default
                yield from ((name, each) for each in (value if isinstance(value, list) else [value]))


def _check(name: str, value: Any) -> None:
    if value is None:
        return
    least = 0 if name in EXPERTS else 1
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"config field {name} = {reprlib.repr(value)} is not a whole number from {least} up")
    most = MOST_LAYERS if name in LAYERS else MOST_EXPERTS if name in EXPERTS else LARGEST_FIELD
    if value > most:
        raise UsageError(f"config field {name} = {reprlib.repr(value)} is larger than that of any model")
