"""What a golden set's metrics read that is no part of the project."""

from collections.abc import Collection, Iterator
from pathlib import Path

from evalsuite.core.errors import RatchetError
from evalsuite.judges.choose import outside_of
from evalsuite.network.outside import ContentFile, Model, Outside, Package
from evalsuite.suites.golden_set.bertscore import MODEL_KEY, REMEDY, REVISION_KEY
from evalsuite.suites.golden_set.items import asked_metrics
from evalsuite.suites.golden_set.scoring import BERT_METRICS
from evalsuite.suites.golden_set.settings import GoldenParams

PACKAGES = {"chrf": "sacrebleu", "rouge_l": "rouge-score"} | dict.fromkeys(BERT_METRICS, "bert-score")
"""Metric -> the distribution that computes it."""


def golden_outside(params: GoldenParams, splits: Collection[str], root: Path = Path()) -> Iterator[Outside]:
    """What scores the metrics that some item of these splits asks for; nothing for a set that cannot be read.

    Args:
        params: The set and its scorers.
        splits: ``dev``, ``test`` or both.
        root: Where the set's path starts.
    """
    try:
        asked = frozenset().union(*(asked_metrics(root / params.path / f"{split}.jsonl") for split in splits))
    except (RatchetError, OSError):  # its own check says so
        return
    yield from scorers_of(params, asked)


def scorers_of(params: GoldenParams, metrics: Collection[str]) -> Iterator[Outside]:
    """What scores these metrics."""
    for package in sorted({PACKAGES[metric] for metric in metrics if metric in PACKAGES}):
        yield Package(package)
    if not set(BERT_METRICS).isdisjoint(metrics):
        yield Model(MODEL_KEY, params.bertscore_model, params.bertscore_revision, REVISION_KEY, REMEDY)
        if params.bertscore_baseline is not None:
            yield ContentFile("evaluation.golden.bertscore_baseline", params.bertscore_baseline)
    if params.judge is not None and "judge" in metrics:
        yield from outside_of(params.judge, "evaluation.golden.judge")
