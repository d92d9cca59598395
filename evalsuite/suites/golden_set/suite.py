"""The domain's golden set: hand-written items, each with its references and its metrics."""

import logging
import time
from collections import Counter
from collections.abc import Collection, Iterable
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Literal

from evalsuite.core.errors import RatchetError, UsageError
from evalsuite.engines.base import Engine, GenerationRequest
from evalsuite.items.repeats import merge_repeats
from evalsuite.items.results import SuiteResult
from evalsuite.judges.base import Judge, RefusalJudge
from evalsuite.judges.choose import chat_judge
from evalsuite.judges.learned import LearnedRefusalJudge
from evalsuite.judges.prompts import PromptName
from evalsuite.network.outside import Outside
from evalsuite.suites.base import SetSize, Suite, chosen_items, result_of
from evalsuite.suites.entry import SuiteContext, SuiteEntry
from evalsuite.suites.golden_set.bertscore import BertScorer
from evalsuite.suites.golden_set.items import (
    GoldenItem,
    allowed_values,
    asked_metrics,
    read_golden_items,
    read_set_manifest,
)
from evalsuite.suites.golden_set.metrics import MetricContext
from evalsuite.suites.golden_set.scoring import REFUSAL_METRICS, Scorers, metric_names, score_items, scorers_of
from evalsuite.suites.golden_set.settings import GoldenParams

logger = logging.getLogger(__name__)

Split = Literal["dev", "test"]


class GoldenSuite(Suite):
    """One split of a golden set."""

    def __init__(
        self,
        folder: Path,
        split: Split,
        max_new_tokens: int,
        bert_scorer: BertScorer,
        judge: Judge | None = None,
        refusal_judge: RefusalJudge | None = None,
        name: str = "golden",
    ) -> None:
        """Read the set; nothing is loaded yet.

        Args:
            folder: Holds dev.jsonl, test.jsonl and manifest.json.
            split: ``dev`` selects epochs, ``test`` is for the gate alone.
            max_new_tokens: Longest answer, in tokens.
            bert_scorer: Scores ``bertscore_f1`` and ``bertscore_pass`` where an item asks for them.
            judge: Scores ``judge``, by the item's rubric.
            refusal_judge: Scores ``refusal_expected`` and ``refusal_not_expected``.
            name: What rules and folders call the suite.

        Raises:
            UsageError: The set is malformed, or asks for a judge that is not given.
        """
        if not folder.is_dir():
            raise UsageError(
                f"no golden set at {folder}; change evaluation.{name}.path, or make one: `ratchet golden new {folder}`"
            )
        self.manifest = read_set_manifest(folder)
        if f"{split}.jsonl" not in self.manifest.files:
            raise UsageError(
                f"{folder / 'manifest.json'} names no {split}.jsonl, which "
                + ("selects the epoch" if split == "dev" else "the gate judges by")
                + f"; write it, then `ratchet golden check {folder} --new-version VERSION`"
            )
        self.name = name
        self.split = split
        self.path = folder / f"{split}.jsonl"
        self.items = read_golden_items(self.path)
        self.max_new_tokens = max_new_tokens
        self.scorers = Scorers(bert_scorer, judge, refusal_judge)
        self.scorers.check(self.items, f"{folder / split}.jsonl")
        self._context = MetricContext(allowed_values=allowed_values(self.items))
        self._weighted = frozenset(m for item in self.items if item.weight != 1.0 for m in item.all_metrics)

    def metric_names(self) -> tuple[str, ...]:
        """Metrics that some item of the split has."""
        return tuple(metric_names(self.items))

    def set_size(self) -> SetSize:
        """Items of the split, of each metric and of each slice."""
        metrics = Counter(metric for item in self.items for metric in item.all_metrics)
        keys = sorted({key for item in self.items for key in item.slices})
        slices = {key: dict(Counter(item.slices[key] for item in self.items if key in item.slices)) for key in keys}
        return SetSize(len(self.items), dict(metrics), slices)

    def run(self, engine: Engine, only: Collection[str] | None = None) -> SuiteResult:
        """Answer every item, or those of ``only``, and score each answer; greedily where an item has no temperature."""
        started = time.perf_counter()
        items = chosen_items(self.name, {item.id: item for item in self.items}, only)
        repeated = [(item, repeat) for item in items for repeat in range(item.repeats)]
        requests = [self._request(engine, item, repeat) for item, repeat in repeated]
        outputs = engine.generate(requests, f"{self.name} {self.split}")
        cut = sum(not output.finished and output.refusal is None for output in outputs)
        if cut:
            logger.warning(
                "%s %s: %d of %d answers were cut at max_new_tokens", self.name, self.split, cut, len(outputs)
            )
        prompts = [request.prompt for request in requests]
        scored = iter(
            score_items([item for item, _ in repeated], outputs, self._context, self.scorers, self._weighted, prompts)
        )
        results = tuple(merge_repeats(list(islice(scored, item.repeats))) for item in items)
        num_sampled = sum(item.temperature > 0.0 for item in self.items)
        return result_of(
            self.name,
            engine,
            results,
            started,
            suite_version=f"{self.manifest.name} {self.manifest.version} {self.split}",
            decoding={
                "greedy": not num_sampled,
                "max_new_tokens": self.max_new_tokens,
                **({"sampled_items": num_sampled} if num_sampled else {}),
            },
            chat_template_sha256=engine.chat_template_sha256,
            scorers={
                metric: self.scorers.version(metric) + (", weighted" if metric in self._weighted else "")
                for metric in metric_names(self.items)
            },
            # An absolute path would tell the machine, and differ on another.
            source="/".join(self.path.parts[-2:]) if self.path.is_absolute() else self.path.as_posix(),
        )

    def _request(self, engine: Engine, item: GoldenItem, repeat: int) -> GenerationRequest:
        prompt = engine.render(item.turns())
        if not item.temperature:
            return GenerationRequest(prompt, (), self.max_new_tokens)
        return GenerationRequest(prompt, (), self.max_new_tokens, item.temperature, item.seed(repeat))


def golden_suite(params: GoldenParams, split: Split, kept: Path | None = None) -> GoldenSuite:
    """Read one split; the models that score are loaded when an item first asks for them.

    Args:
        params: The set and its scorers.
        split: ``dev`` or ``test``.
        kept: Folder where embeddings of references stay for the next process; they are not kept when None.

    Raises:
        UsageError: The set is malformed, or a judge's settings lack something.
    """
    return GoldenSuite(
        Path(params.path),
        split,
        params.max_new_tokens,
        bert_scorer(params, kept),
        chat_judge(params.judge, PromptName.RUBRIC) if params.judge is not None else None,
        LearnedRefusalJudge() if asked_metrics(Path(params.path) / f"{split}.jsonl") & set(REFUSAL_METRICS) else None,
    )


def golden_outside(params: GoldenParams, split: Split, root: Path = Path()) -> Iterable[Outside]:
    """What scores the metrics that some item of a split asks for; nothing for a set that cannot be read.

    Args:
        params: The set and its scorers.
        split: ``dev`` or ``test``.
        root: Where the set's path starts.
    """
    try:
        return scorers_of(params, asked_metrics(root / params.path / f"{split}.jsonl"))
    except (RatchetError, OSError):  # its own check says so
        return ()


@lru_cache(maxsize=4)
def bert_scorer(params: GoldenParams, kept: Path | None = None) -> BertScorer:
    """The one scorer object of a process for these settings, with the embeddings that it has.

    Raises:
        UsageError: No such model, layer or baseline.
    """
    baseline = Path(params.bertscore_baseline) if params.bertscore_baseline else None
    return BertScorer(params.bertscore_model, params.bertscore_layer, baseline, kept, params.bertscore_revision)


def _make(params: GoldenParams, context: SuiteContext) -> GoldenSuite:
    suite = golden_suite(params, "test", context.kept)
    suite.items = suite.items[: context.limit]
    return suite


SUITE = SuiteEntry(
    "golden",
    GoldenParams,
    _make,
    files=("path", "bertscore_baseline"),
    takes_limit=True,
    outside=lambda params, context: golden_outside(params, "test", context.root),
)
