"""Free answers against references, scored by BERTScore alone: a golden set beside the domain's own."""

from pathlib import Path

from pydantic import Field

from evalsuite.core.errors import UsageError
from evalsuite.core.settings import Settings
from evalsuite.suites.entry import SuiteContext, SuiteEntry
from evalsuite.suites.golden_set.scoring import BERT_METRICS, scorers_of
from evalsuite.suites.golden_set.suite import GoldenSuite, bert_scorer


class BertScoreParams(Settings):
    """Free answers against references by BERTScore, with the model of ``evaluation.golden``.

    A golden set's own ``bertscore_f1`` needs no section.
    """

    path: str
    """A golden set (docs/golden_sets.md) with test.jsonl; every item is scored by bertscore_f1 or bertscore_pass."""
    max_new_tokens: int = Field(default=256, ge=1)


def bertscore_suite(params: BertScoreParams, context: SuiteContext) -> GoldenSuite:
    """Free answers, scored by the golden set's own BERTScore model.

    Raises:
        UsageError: The set is malformed, or an item is scored by something else.
    """
    scorer = bert_scorer(context.golden, context.kept)
    suite = GoldenSuite(Path(params.path), "test", params.max_new_tokens, scorer, name=context.name)
    for item in suite.items:
        other = sorted(set(item.all_metrics) - set(BERT_METRICS))
        if other:
            raise UsageError(
                f"{params.path}/test.jsonl: item {item.id!r} is scored by {other[0]!r}; the suite {context.name} takes "
                f"{' and '.join(BERT_METRICS)} alone, others belong into evaluation.golden"
            )
    suite.items = suite.items[: context.limit]
    return suite


SUITE = SuiteEntry(
    "bertscore",
    BertScoreParams,
    bertscore_suite,
    files=("path",),
    takes_limit=True,
    outside=lambda _, context: scorers_of(context.golden, BERT_METRICS),
)
