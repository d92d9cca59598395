"""How well a model still predicts held-out text: what fine-tuning made it forget.

The suite's values are ratios of sums over all texts, ``bits_per_byte`` and ``bits_per_word``, lower better; they do not
depend on the tokenizer. Word perplexity, as lm-eval prints it, is 2 to the power of ``bits_per_word``.
"""

import logging
import math
import re
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from evalsuite.core.errors import UsageError
from evalsuite.core.files import numbered_objects, sha256_json
from evalsuite.core.settings import Settings
from evalsuite.engines.base import Engine
from evalsuite.items.results import ItemResult, SuiteResult
from evalsuite.suites.base import Suite, chosen_items, result_of
from evalsuite.suites.entry import SuiteContext, SuiteEntry

logger = logging.getLogger(__name__)

VERSION = "1"
PIECE = re.compile(r"\s*\S{1,40}")
"""A word with the white space before it; longer runs without white space are cut, so that any text has windows."""
METRICS = ("bits_per_byte", "bits_per_word")


class PerplexityParams(Settings):
    """Held-out text, for what fine-tuning makes a model forget."""

    path: str
    """One object per line: ``text``, optionally ``id``, ``slices``, ``cluster``; nothing of it may be trained on."""
    window_words: int = Field(default=512, ge=2)
    """Most words that the model sees at once; must fit its context, else the text is unscored."""
    stride_words: int = Field(default=256, ge=1)
    """Words that each window after the first predicts."""
    limit: int | None = Field(default=None, ge=1)
    """First N texts; all when absent."""


class Likelihood(NamedTuple):
    """A whole text's log-probability."""

    nats: float
    refusal: str | None
    """Why some window was not asked of the model; ``nats`` then means nothing."""


def windows(text: str, window_words: int, stride_words: int) -> list[tuple[str, str]]:
    """(context, continuation) pairs whose continuations are the text, each with as much context as the window leaves.

    As lm-eval's rolling loglikelihood, but counted in words: every part is predicted once, and all but the first with
    at least ``window_words - stride_words`` words before it.
    """
    pieces = PIECE.findall(text.strip())
    pairs = []
    start = 0
    while start < len(pieces):
        stop = start + (window_words if start == 0 else stride_words)
        before = max(0, stop - window_words) if start else 0
        pairs.append(("".join(pieces[before:start]), "".join(pieces[start:stop])))
        start = stop
    return pairs


def rolling_loglikelihoods(
    engine: Engine, texts: Sequence[str], label: str, window_words: int = 512, stride_words: int = 256
) -> list[Likelihood]:
    """Log-probability of each text, all windows in one call."""
    pairs: list[tuple[str, str]] = []
    owners: list[int] = []
    for number, text in enumerate(texts):
        found = windows(text, window_words, stride_words)
        pairs += found
        owners += [number] * len(found)
    nats: list[list[float]] = [[] for _ in texts]
    refusals: dict[int, str] = {}
    for owner, answer in zip(owners, engine.loglikelihoods(pairs, label) if pairs else [], strict=True):
        nats[owner].append(answer.value)
        if answer.refusal is not None:
            refusals.setdefault(owner, answer.refusal)
    return [
        Likelihood(math.fsum(values) if number not in refusals else 0.0, refusals.get(number))
        for number, values in enumerate(nats)
    ]


class HeldOutText(NamedTuple):
    """One text of the set."""

    id: str
    text: str
    slices: Mapping[str, str]
    cluster: str | None


class PerplexitySuite(Suite):
    """A JSONL file of texts that nobody trains on."""

    def __init__(
        self,
        path: Path,
        window_words: int = 512,
        stride_words: int = 256,
        limit: int | None = None,
        name: str = "perplexity",
    ) -> None:
        """Read the texts; the arguments are those of ``PerplexityParams``, and the suite's name.

        Raises:
            UsageError: The file is absent or malformed, a text is empty, or the stride exceeds the window.
        """
        if not 1 <= stride_words <= window_words:
            raise UsageError(f"{name}: stride_words is {stride_words}, expected 1 to window_words ({window_words})")
        self.name = name
        self.window_words = window_words
        self.stride_words = stride_words
        self.items = tuple(_read(path))[:limit]

    def metric_names(self) -> tuple[str, ...]:
        """Metrics that every text has."""
        return METRICS

    def run(self, engine: Engine, only: Collection[str] | None = None) -> SuiteResult:
        """Score every text, or those of ``only``."""
        started = time.perf_counter()
        texts = chosen_items(self.name, {item.id: item for item in self.items}, only)
        found = rolling_loglikelihoods(
            engine, [item.text for item in texts], self.name, self.window_words, self.stride_words
        )
        results = tuple(_result(item, likelihood) for item, likelihood in zip(texts, found, strict=True))
        return result_of(
            self.name,
            engine,
            results,
            started,
            suite_version=f"perplexity {VERSION}",
            decoding={"window_words": self.window_words, "stride_words": self.stride_words},
            scorers={metric: f"{VERSION}, ratio of sums" for metric in METRICS},
        )


def _result(item: HeldOutText, likelihood: Likelihood) -> ItemResult:
    text = item.text.strip()
    bits = -likelihood.nats / math.log(2)
    good = likelihood.refusal is None and math.isfinite(bits)
    return ItemResult(
        item_id=item.id,
        item_hash=sha256_json([text]),
        cluster=item.cluster,
        slices=dict(item.slices),
        metrics=METRICS,
        scores=dict.fromkeys(METRICS, bits) if good else {},
        denominators={"bits_per_byte": float(len(text.encode())), "bits_per_word": float(len(text.split()))},
        unscored=None if good else likelihood.refusal or "the log-probability is not finite",
        prompt=text,
    )


def _read(path: Path) -> list[HeldOutText]:
    if not path.is_file():
        raise UsageError(f"no held-out texts at {path}; expected one JSON object a line with a text")
    found: list[HeldOutText] = []
    seen: dict[str, int] = {}
    for number, row in numbered_objects(path, "an object with a text"):
        text = row.get("text")
        if not isinstance(text, str) or not text.strip():
            raise UsageError(f"{path}:{number}: text is empty or absent")
        name, slices, cluster = str(row.get("id", number)), row.get("slices") or {}, row.get("cluster")
        if not isinstance(slices, dict) or not all(isinstance(value, str) for value in slices.values()):
            raise UsageError(f"{path}:{number}: slices is not an object of texts")
        if name in seen:
            raise UsageError(f"{path}:{number}: id {name!r} is already that of line {seen[name]}")
        seen[name] = number
        found.append(HeldOutText(name, text, slices, None if cluster is None else str(cluster)))
    if not found:
        raise UsageError(f"{path} has no texts")
    return found


def _make(params: PerplexityParams, context: SuiteContext) -> PerplexitySuite:
    limit = context.least(params.limit)
    return PerplexitySuite(Path(params.path), params.window_words, params.stride_words, limit, context.name)


SUITE = SuiteEntry("perplexity", PerplexityParams, _make, files=("path",), takes_limit=True)
