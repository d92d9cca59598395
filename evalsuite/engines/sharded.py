"""One of several processes that fill the same store of answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evalsuite.core.errors import UsageError
from evalsuite.engines.base import Engine, Generation, GenerationRequest, Loglikelihood, OnAnswer


@dataclass(frozen=True)
class Shard:
    """Number ``index`` of ``count``, from 0."""

    index: int
    count: int


def parse_shard(text: str) -> Shard:
    """``I/N`` with I from 1 to N.

    Raises:
        UsageError: It is not of that form.
    """
    first, slash, second = text.partition("/")
    if slash and first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second):
        return Shard(int(first) - 1, int(second))
    raise UsageError(f"shard {text!r}: expected I/N with I from 1 to N, such as 1/4")


class ShardEngine:
    """Asks the engine below for this shard's requests alone; what it returns for the others is not an answer.

    It exists for its side effect: the engine below stores what it answers. A last run over the same store then finds
    every answer there and scores them all, so that its result is that of one process. The sorted prompts are cut into
    parts of like size in characters, so that prompts with a common beginning stay on one shard.
    """

    def __init__(self, inner: Engine, shard: Shard) -> None:
        """Wrap an engine that stores its answers."""
        self.name = inner.name
        self.version = inner.version
        self.model_identity = inner.model_identity
        self.chat_template_sha256 = inner.chat_template_sha256
        self._inner = inner
        self._shard = shard

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """See ``Engine``."""
        return self._inner.render(messages)

    def generate(
        self, requests: Sequence[GenerationRequest], label: str, on_answer: OnAnswer[Generation] | None = None
    ) -> list[Generation]:
        """Answers to this shard's requests, stored; empty texts for the others."""
        mine = members([request.prompt for request in requests], self._shard)
        answers = [Generation("", 0, 0, True)] * len(requests)
        for index, answer in zip(mine, self._inner.generate([requests[i] for i in mine], label), strict=True):
            answers[index] = answer
        return answers

    def loglikelihoods(
        self, pairs: Sequence[tuple[str, str]], label: str, on_answer: OnAnswer[Loglikelihood] | None = None
    ) -> list[Loglikelihood]:
        """Answers to this shard's pairs, stored; zeros for the others."""
        mine = members(["".join(pair) for pair in pairs], self._shard)
        answers = [Loglikelihood(0.0, False)] * len(pairs)
        for index, answer in zip(mine, self._inner.loglikelihoods([pairs[i] for i in mine], label), strict=True):
            answers[index] = answer
        return answers


def members(prompts: Sequence[str], shard: Shard) -> list[int]:
    """Indices of a shard's prompts; equal prompts are on one shard, and every prompt is on exactly one."""
    total = sum(map(len, prompts)) + len(prompts)
    chosen, before, last, place = [], 0, "", 0
    for index in sorted(range(len(prompts)), key=lambda index: (prompts[index], index)):
        if prompts[index] != last or not before:
            place = before * shard.count // total
        if place == shard.index:
            chosen.append(index)
        before += len(prompts[index]) + 1
        last = prompts[index]
    return sorted(chosen)
