"""Any engine with a memory: every answer is stored the moment it is known, and never computed twice."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from evalsuite.core.files import sha256_json
from evalsuite.engines.base import Engine, Generation, GenerationRequest, Loglikelihood, OnAnswer
from evalsuite.engines.cache.answer_store import AnswerStore, StoredAnswer
from evalsuite.items.answer_counts import AnswerCounts
from evalsuite.items.results import SuiteResult

Answer = TypeVar("Answer", Generation, Loglikelihood)
KEY_VERSION = 1


@dataclass
class Use:
    """What was asked so far."""

    counts: AnswerCounts
    original_seconds: float
    """Seconds that the answers out of the store took when they were computed."""
    store_seconds: float
    """Seconds spent on reading and writing the store."""

    @property
    def saved_seconds(self) -> float:
        """How much longer everything would have taken without a store."""
        return self.original_seconds - self.store_seconds


def with_use(result: SuiteResult, use: Use) -> SuiteResult:
    """A suite's result with what was asked for it, and the seconds that it would have taken without a store."""
    return replace(result, seconds=max(0.0, result.seconds + use.saved_seconds), answers=use.counts)


class CachedEngine:
    """An engine whose answers are looked up first; suites see no difference but the time.

    An answer's key is the model's identity, its chat template, the engine's name and version, and everything in the
    request. Scores are no part of it: scoring is always done anew.
    """

    def __init__(self, inner: Engine, store: AnswerStore | None) -> None:
        """Wrap ``inner``; without a store everything is computed, and still counted."""
        self.name = inner.name
        self.version = inner.version
        self.model_identity = inner.model_identity
        self.chat_template_sha256 = inner.chat_template_sha256
        self._inner = inner
        self._store = store
        self._use = Use(AnswerCounts(), 0.0, 0.0)

    def take_use(self) -> Use:
        """What was asked since the last call."""
        use, self._use = self._use, Use(AnswerCounts(), 0.0, 0.0)
        return use

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """See ``Engine``."""
        return self._inner.render(messages)

    def generate(
        self, requests: Sequence[GenerationRequest], label: str, on_answer: OnAnswer[Generation] | None = None
    ) -> list[Generation]:
        """See ``Engine``."""
        keys = [self._key("generate", _asked(request)) for request in requests]
        answers = self._answer(Generation, keys, requests, self._inner.generate, label, on_answer)
        cut = sum(not answer.finished and answer.refusal is None for answer in answers)
        empty = sum(not answer.text.strip() and answer.refusal is None for answer in answers)
        self._count(num_cut=cut, num_empty=empty)
        return answers

    def loglikelihoods(
        self, pairs: Sequence[tuple[str, str]], label: str, on_answer: OnAnswer[Loglikelihood] | None = None
    ) -> list[Loglikelihood]:
        """See ``Engine``."""
        keys = [self._key("loglikelihood", list(pair)) for pair in pairs]
        return self._answer(Loglikelihood, keys, pairs, self._inner.loglikelihoods, label, on_answer)

    def _key(self, kind: str, request: Any) -> str:
        model = [self.model_identity, self.chat_template_sha256, self.name, self.version]
        return sha256_json([KEY_VERSION, kind, *model, request])

    def _answer(
        self,
        kind: type[Answer],
        keys: Sequence[str],
        requests: Sequence[Any],
        ask: Callable[..., list[Answer]],
        label: str,
        on_answer: OnAnswer[Answer] | None,
    ) -> list[Answer]:
        """Look every key up, ask once for each that is missing, and store each answer as it comes."""
        found: dict[str, Answer] = {}
        started = time.perf_counter()
        for key, stored in (self._store.read(set(keys)) if self._store else {}).items():
            found[key] = kind(**stored.answer)
            self._use.original_seconds += stored.seconds
        self._use.store_seconds += time.perf_counter() - started
        missing = {key: index for index, key in reversed(list(enumerate(keys))) if key not in found}
        asked = sorted(missing.values())
        for index, key in enumerate(keys):
            if key in found and on_answer is not None:
                on_answer(index, found[key])
        last = time.perf_counter()

        def answered(number: int, answer: Answer) -> None:
            nonlocal last
            now = time.perf_counter()
            if self._store is not None and answer.refusal is None:
                self._store.write(keys[asked[number]], StoredAnswer(asdict(answer), now - last))
            last = time.perf_counter()
            self._use.store_seconds += last - now
            if on_answer is not None:
                on_answer(asked[number], answer)

        if asked:
            new = ask([requests[index] for index in asked], label, answered)
            found |= {keys[index]: answer for index, answer in zip(asked, new, strict=True)}
        answers = [found[key] for key in keys]
        refused = sum(answer.refusal is not None for answer in answers)
        self._count(num_asked=len(keys), num_cached=sum(key not in missing for key in keys), num_refused=refused)
        return answers

    def _count(self, **more: int) -> None:
        counts = self._use.counts.model_dump()
        self._use.counts = AnswerCounts(**{name: value + more.get(name, 0) for name, value in counts.items()})


def _asked(request: GenerationRequest) -> dict[str, Any]:
    """What an answer depends on: a greedy one neither on temperature nor on seed."""
    unused = () if request.temperature else ("temperature", "seed")
    return {name: value for name, value in asdict(request).items() if name not in unused}
