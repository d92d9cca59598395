"""The golden suite with the scorers that params.yaml names; for epochs (dev) and for the gate (test)."""

import difflib
from pathlib import Path

from evalsuite.errors import UsageError
from evalsuite.judges.choose import chat_judge
from evalsuite.judges.learned import LearnedRefusalJudge
from evalsuite.judges.prompts import PromptName
from evalsuite.suites.bertscore import BertScorer
from evalsuite.suites.golden import GoldenSuite, Split
from evalsuite.suites.golden_items import read_golden_items
from evalsuite.suites.golden_scoring import REFUSAL_METRICS
from tasks.params import GoldenParams


def golden_suite(params: GoldenParams, split: Split) -> GoldenSuite:
    """Read one split; the models that score are loaded when an item first asks for them.

    Raises:
        UsageError: The set is malformed, or a judge's settings lack something.
    """
    baseline = Path(params.bertscore_baseline) if params.bertscore_baseline else None
    return GoldenSuite(
        Path(params.path),
        split,
        params.max_new_tokens,
        BertScorer(params.bertscore_model, params.bertscore_layer, baseline),
        chat_judge(params.judge, PromptName.RUBRIC) if params.judge is not None else None,
        LearnedRefusalJudge() if _asks_for_refusals(Path(params.path) / f"{split}.jsonl") else None,
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


def _asks_for_refusals(path: Path) -> bool:
    """Whether an item is scored by a refusal judge; an absent file is the suite's to name."""
    return path.is_file() and any(
        metric in item.params for item in read_golden_items(path) for metric in REFUSAL_METRICS
    )
