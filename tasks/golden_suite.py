"""The golden suite with the scorers that params.yaml names; for epochs (dev) and for the gate (test)."""

from pathlib import Path

from evalsuite.judges.choose import chat_judge
from evalsuite.judges.learned import LearnedRefusalJudge
from evalsuite.judges.prompts import PromptName
from evalsuite.suites.bertscore import BertScorer
from evalsuite.suites.golden import GoldenSuite, Split
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
        LearnedRefusalJudge(),
    )
