"""Prompts as text and as tokens, the same for every engine."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from evalsuite.core.errors import UsageError
from evalsuite.core.files import sha256_json
from evalsuite.engines.chat_template import TemplateRefusalError, chat_text
from evalsuite.engines.tree.scoring import EncodedPair

LongPrompts = Literal["refuse", "unscored"]


def encoded(tokenizer: Any, text: str, **options: Any) -> Any:
    """A final text as a tokenizer splits it; special tokens are added unless it spells out the first of them."""
    bos = tokenizer.bos_token
    return tokenizer(text, add_special_tokens=not (bos and text.startswith(bos)), verbose=False, **options)


class Encoder:
    """A model's tokenizer and context length."""

    def __init__(self, tokenizer: Any, max_positions: int = sys.maxsize, long_prompts: LongPrompts = "refuse") -> None:
        """Wrap a tokenizer.

        Args:
            tokenizer: A transformers tokenizer, with a chat template if chat suites are run.
            max_positions: Longest prompt plus completion, in tokens.
            long_prompts: What happens to a longer prompt: ``refuse`` stops with an error, ``unscored`` answers
                with the reason. It is never cut.
        """
        self.tokenizer = tokenizer
        self.max_positions = max_positions
        self.long_prompts = long_prompts
        self.chat_template_sha256 = sha256_json(tokenizer.chat_template)

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Chat messages as the prompt that asks for the assistant's next turn.

        Raises:
            UsageError: The tokenizer has no chat template, it writes today's date, or it refuses the turns.
        """
        try:
            return chat_text(self.tokenizer, messages, ask=True)
        except TemplateRefusalError as error:
            raise UsageError(
                f"the model's {error}; change the items, or name another template in model.chat_template"
            ) from None

    def encode(self, text: str) -> list[int]:
        """Token ids; special tokens are added unless the text spells out the first of them."""
        ids: list[int] = encoded(self.tokenizer, text)["input_ids"]
        return ids

    def encode_pair(self, context: str, continuation: str) -> EncodedPair:
        """Tokens of both, split as in lm-eval's ``TemplateLM._encode_pair`` (0.4.13)."""
        if not context:
            start = self.tokenizer.bos_token_id
            start = self.tokenizer.eos_token_id if start is None else start
            return EncodedPair([start], self.tokenizer(continuation, add_special_tokens=False)["input_ids"])
        spaces = len(context) - len(context.rstrip())
        if spaces:
            continuation = context[-spaces:] + continuation
            context = context[:-spaces]
        whole, first = self.encode(context + continuation), self.encode(context)
        return EncodedPair(first, whole[len(first) :])

    def refusal(self, index: int, num_prompt: int, num_new: int, label: str) -> str | None:
        """Why a prompt is not asked; None where it fits the context with its new tokens.

        Raises:
            UsageError: It is empty, or it does not fit and ``long_prompts`` is ``refuse``.
        """
        if num_prompt == 0:
            raise UsageError(f"{label}: prompt {index} is empty")
        if num_prompt + num_new <= self.max_positions:
            return None
        reason = f"{num_prompt} tokens and up to {num_new} more do not fit the model's context of {self.max_positions}"
        if self.long_prompts == "refuse":
            raise UsageError(
                f"{label}: prompt {index}: {reason}; shorten the item, lower max_new_tokens, or set "
                "evaluation.long_prompts to unscored"
            )
        return reason
