"""Prompts as text and as tokens, the same for every engine."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from evalsuite.engines.scoring import EncodedPair
from evalsuite.errors import UsageError
from evalsuite.files import sha256_json

LongPrompts = Literal["refuse", "unscored"]


class Encoder:
    """A model's tokenizer and context length."""

    def __init__(self, tokenizer: Any, max_positions: int = sys.maxsize, long_prompts: LongPrompts = "refuse") -> None:
        """Wrap a tokenizer.

        Args:
            tokenizer: Of transformers, with a chat template if chat suites are run.
            max_positions: Longest prompt with its completion, in tokens.
            long_prompts: What becomes of a prompt that is longer: ``refuse`` stops with an error, ``unscored`` answers
                with the reason. It is never cut.
        """
        self.tokenizer = tokenizer
        self.max_positions = max_positions
        self.long_prompts = long_prompts
        self.chat_template_sha256 = sha256_json(tokenizer.chat_template)

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Chat messages as the prompt that asks for the assistant's next turn.

        Raises:
            UsageError: The tokenizer has no chat template, or the template refuses the turns.
        """
        from jinja2 import TemplateError

        if not self.tokenizer.chat_template:
            raise UsageError("the model has no chat template; name a Jinja file in model.chat_template")
        turns = [dict(message) for message in messages]
        try:
            text: str = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        except TemplateError as error:
            roles = ", ".join(turn["role"] for turn in turns)
            raise UsageError(
                f"the model's chat template refuses turns by {roles}: {error}; change the items, or name another "
                "template in model.chat_template"
            ) from None
        return text

    def encode(self, text: str) -> list[int]:
        """Token ids; special tokens are added unless the text spells out the first of them."""
        bos = self.tokenizer.bos_token
        ids: list[int] = self.tokenizer(text, add_special_tokens=not (bos and text.startswith(bos)))["input_ids"]
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
