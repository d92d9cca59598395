"""When a completion ends, and the text that it leaves."""

from collections.abc import Sequence
from typing import Any

from evalsuite.engines.base import GenerationRequest


class Stopper:
    """End tokens and stop strings of one tokenizer, as lm-eval's ``HFLM`` (0.4.13) applies them."""

    def __init__(self, tokenizer: Any, model: Any) -> None:
        """Collect the tokens that end every completion."""
        self._tokenizer = tokenizer
        ends = getattr(model.generation_config, "eos_token_id", None)
        ends = ends if isinstance(ends, list) else [ends]
        self._end_ids = frozenset(token for token in [*ends, tokenizer.eos_token_id] if token is not None)
        self._special = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
        self._special_ids = frozenset(tokenizer.all_special_ids)

    def is_end(self, token: int, request: GenerationRequest) -> bool:
        """Whether a token ends the completion: end of sequence, or a special token that the request names as a stop."""
        return token in self._end_ids or any(self._special.get(stop) == token for stop in request.stop)

    def stops(self, tokens: Sequence[int], request: GenerationRequest) -> bool:
        """Whether the newest token completed a stop string, however many tokens it is spread over."""
        if not request.stop:
            return False
        # Every token that is not special spells at least one byte; the extra ones finish a character that they share.
        longest = max(len(stop.encode("utf-8")) for stop in request.stop) + 8
        tail = [token for token in tokens[-2 * longest :] if token not in self._special_ids][-longest:]
        text = self._tokenizer.decode(tail, skip_special_tokens=True)
        return any(stop in text for stop in request.stop)

    def text(self, tokens: Sequence[int], request: GenerationRequest) -> tuple[str, bool]:
        """The completion before its first stop string, and whether there was one."""
        whole: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        text = whole
        for stop in request.stop:
            text = text.split(stop)[0]
        return text, text != whole
