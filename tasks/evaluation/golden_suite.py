"""The golden suite with the scorers that params.yaml names; for epochs (dev) and for the gate (test)."""

import difflib
from functools import lru_cache
from pathlib import Path

from evalsuite.core.errors import UsageError
from evalsuite.judges.choose import chat_judge
from evalsuite.judges.learned import LearnedRefusalJudge
from evalsuite.judges.prompts import PromptName
from evalsuite.suites.golden_set.bertscore import BertScorer
from evalsuite.suites.golden_set.items import read_golden_items
from evalsuite.suites.golden_set.scoring import BERT_METRICS, REFUSAL_METRICS
from evalsuite.suites.golden_set.suite import GoldenSuite, Split
from tasks.config.golden import GoldenParams
from tasks.config.suites import BertScoreParams


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


def bertscore_suite(params: BertScoreParams, golden: GoldenParams, kept: Path | None = None) -> GoldenSuite:
    """Free answers, scored by the golden set's own BERTScore model.

    Raises:
        UsageError: The set is malformed, or an item is scored by something else.
    """
    suite = GoldenSuite(Path(params.path), "test", params.max_new_tokens, bert_scorer(golden, kept), name="bertscore")
    for item in suite.items:
        other = sorted(set(item.all_metrics) - set(BERT_METRICS))
        if other:
            raise UsageError(
                f"{params.path}/test.jsonl: item {item.id!r} is scored by {other[0]!r}; the suite bertscore takes "
                f"{' and '.join(BERT_METRICS)} alone, others belong into evaluation.golden"
            )
    return suite


@lru_cache(maxsize=4)
def _scorer(model: str, layer: int | None, baseline: str | None, kept: Path | None, revision: str | None) -> BertScorer:
    return BertScorer(model, layer, Path(baseline) if baseline else None, kept, revision)


def bert_scorer(params: GoldenParams, kept: Path | None = None) -> BertScorer:
    """The one scorer object of a process for these settings, with the embeddings that it has.

    Raises:
        UsageError: No such model, layer or baseline.
    """
    return _scorer(
        params.bertscore_model, params.bertscore_layer, params.bertscore_baseline, kept, params.bertscore_revision
    )


def dev_suite(params: GoldenParams, select_metric: str) -> GoldenSuite:
    """The dev split, which selects an epoch by ``select_metric``.

    Raises:
        UsageError: The set is malformed, or no dev item has the metric.
    """
    suite = golden_suite(params, "dev")
    known = suite.metric_names()
    if select_metric not in known:
        near = difflib.get_close_matches(select_metric, known, n=1)
        hint = f" did you mean {near[0]!r}?" if near else ""
        raise UsageError(
            f"train.select_metric = {select_metric!r}: no item of {params.path}/dev.jsonl has it;{hint} metrics there: "
            f"{', '.join(known)}"
        )
    return suite


def asked_metrics(path: Path) -> frozenset[str]:
    """Every metric that an item of a file asks for; none where it is absent, which is the suite's to name.

    Raises:
        UsageError: The file is malformed.
    """
    if not path.is_file():
        return frozenset()
    return frozenset(metric for item in read_golden_items(path) for metric in item.all_metrics)
