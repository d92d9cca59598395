"""What the value that lm-eval logs for an item is: a score, checks that can be counted, or nothing of the item's own.

lm-eval logs whatever its aggregation needs: (gold, predicted) for a correlation, a log-probability for a perplexity,
texts for BLEU, -1 for a length that a document does not have (RULER). Only what is averaged over items is an item's
score. Names and directions are those of lm-eval 0.4.13: its registry (``lm_eval/api/metrics.py``) and the
``metric_list`` of its tasks; a test compares them with the installed version.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from evalsuite.core.direction import Direction

FRACTIONS = frozenset(
    {
        "acc",
        "acc_all",
        "acc_bytes",
        "acc_mutual_info",
        "acc_norm",
        "accuracy",
        "anywhere_accuracy",
        "bleu_acc",
        "em",
        "exact",
        "exact_match",
        "is_included",
        "math_verify",
        "numerical_match",
        "pass_at_1",
        "prompt_level_loose_acc",
        "prompt_level_strict_acc",
        "relaxed_accuracy",
        "rouge1_acc",
        "rouge2_acc",
        "rougeL_acc",
    }
)
"""Higher is better; a score lies between 0 and 1, and any other value is not a score."""
PARTS = re.compile(r"(acc|acc_norm|exact_match)_(B1|B2|C1|C2|definició|frase|oracions|text|original)")
"""One question of several about the same document: as the metric that the name begins with."""
LENGTHS = re.compile(r"\d{3,7}")
"""RULER's metrics: a length in tokens. -1 says that the document has another length."""
HIGHER = frozenset(
    {
        "F1-Radgraph",
        "bert",
        "bert_score",
        "bertscore_f1",
        "bertscore_f1_avg",
        "bertscore_f1_max",
        "bertscore_precision",
        "bertscore_recall",
        "bleu",
        "bleu_avg",
        "bleu_diff",
        "bleu_max",
        "bleurt",
        "classification_score",
        "code_sim_score",
        "count_score",
        "eqbench",
        "extraction_rate",
        "f1",
        "f1_abstractive",
        "flexible_f1",
        "fscore",
        "json_validity",
        "mrr",
        "partial_accuracy",
        "pass_at_k",
        "percent_parseable",
        "precision",
        "qa_f1_score",
        "qa_f1_zh_score",
        "r@1",
        "r@2",
        "recall",
        "retrieval_score",
        "retrieval_zh_score",
        "rouge1",
        "rouge1_diff",
        "rouge1_max",
        "rouge2",
        "rouge2_diff",
        "rouge2_max",
        "rougeL",
        "rougeL_avg",
        "rougeL_diff",
        "rougeL_max",
        "rouge_score",
        "rouge_zh_score",
        "schema_compliance",
        "smoothed_bleu_4",
        "verifiable_reward",
        "inst_level_loose_acc",
        "inst_level_strict_acc",
    }
)
"""Means of item scores of any size, and IFEval's lists of checks."""
LOWER = frozenset(
    {
        "difference_male_female",
        "likelihood_diff",
        "pct_female_preferred",
        "pct_invalid",
        "pct_male_preferred",
        "pct_stereotype",
        "perspective_api_toxicity_score",
        "wer",
    }
)
OVER_ALL = {
    "bits_per_byte": Direction.LOWER,
    "brier_score": Direction.LOWER,
    "byte_perplexity": Direction.LOWER,
    "bypass": Direction.HIGHER,
    "chrf": Direction.HIGHER,
    "chrf++": Direction.HIGHER,
    "consistency_rate": Direction.HIGHER,
    "libra_score": Direction.HIGHER,
    "likelihood": Direction.HIGHER,
    "mcc": Direction.HIGHER,
    "pearsonr": Direction.HIGHER,
    "perplexity": Direction.LOWER,
    "ter": Direction.LOWER,
    "word_perplexity": Direction.LOWER,
}
"""Computed from all items at once: no value of an item is a score, whatever it looks like."""
OVER_ALL_NAMES = re.compile(
    r"(acc|accuracy)_(dis)?amb(ig)?|bias_score_(dis)?ambig|(amb|disamb)_bias_score(_.*)?|[a-z_]+_bias|\d_(macro_)?accuracy"
    r"|(non_greedy|options_consistency|per_option)_.*"
)
"""The same, of tasks that have one for every group, prompt or option."""
CHECK_LISTS = frozenset({"inst_level_loose_acc", "inst_level_strict_acc"})
"""IFEval's: an item's value is a list of checks, and all checks of all items are counted together."""
PROBE = (0.0, 1.0, 1.0, 1.0, 0.5)
"""Item scores whose mean is not their median, their largest or an exponential."""
CHECKS_PROBE = ([True], [False, False, False])
"""A quarter of all checks hold, and the mean over items is a half."""


class ItemScore(NamedTuple):
    """A score of one item."""

    score: float
    denominator: float | None = None
    """How many checks there were, where the score counts those that hold; None for a mean over items."""


class NoScore(NamedTuple):
    """Why an item has no score."""

    reason: str


class NotApplicable(NamedTuple):
    """The metric says nothing about the item: it is neither right nor wrong, and no item less that was scored."""


Value = ItemScore | NoScore | NotApplicable


class Aggregation(NamedTuple):
    """How item values become a task's one number."""

    is_mean: bool
    name: str
    counts_checks: bool = False
    """All checks of all items together, an item's value being a list of them."""
    ignores_minus_one: bool = False
    ignores_nan: bool = False


def direction_of(metric: str) -> Direction | None:
    """Which way is better for a metric of lm-eval; None where its tasks do not have it."""
    if metric in OVER_ALL:
        return OVER_ALL[metric]
    if metric in LOWER:
        return Direction.LOWER
    known = metric in FRACTIONS or metric in HIGHER or PARTS.fullmatch(metric) or LENGTHS.fullmatch(metric)
    return Direction.HIGHER if known else None


def logged_value(metric: str, value: Any) -> Value:
    """What a file of samples says of one item, by the metric's name alone.

    Args:
        metric: lm-eval's name, without a filter.
        value: Any JSON value.
    """
    if metric in OVER_ALL or OVER_ALL_NAMES.fullmatch(metric):
        return NoScore(f"lm-eval computes {metric} from all items at once, so that no item has a score of its own")
    if LENGTHS.fullmatch(metric) and value == -1 and not isinstance(value, bool):
        return NotApplicable()
    found = own_value(metric, value, metric in CHECK_LISTS)
    bounded = metric in FRACTIONS or PARTS.fullmatch(metric) or LENGTHS.fullmatch(metric)
    if bounded and isinstance(found, ItemScore) and found.denominator is None and not 0.0 <= found.score <= 1.0:
        return NoScore(f"{metric} of an item is {found.score:g}, expected 0 to 1")
    return found


def own_value(metric: str, value: Any, counts_checks: bool) -> Value:
    """A finite number is a score, truth too; nothing else is, but for a list of truths where checks are counted.

    Elsewhere two truths are a pair of the right and the given answer.
    """
    if isinstance(value, list | tuple):
        if counts_checks and value and all(isinstance(check, bool) for check in value):
            return ItemScore(float(sum(value)), float(len(value)))
        return NoScore(f"{metric} of an item is a list, so it is not a score")
    if value is None:
        return NoScore(f"{metric} has no value for this item")
    number = _number(value)
    if number is None:
        return NoScore(f"{metric} of an item is {_kind(value)}, so it is not a score")
    return ItemScore(number) if math.isfinite(number) else NoScore(f"{metric} of an item is {number}, not finite")


def _number(value: Any) -> float | None:
    if isinstance(value, str):  # NumPy's truth, which JSON has no form for: lm-eval writes it as text
        return {"True": 1.0, "False": 0.0}.get(value)
    try:
        return float(value) if isinstance(value, int | float) or hasattr(value, "__float__") else None
    except OverflowError:
        return math.inf


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "a text"
    return "an object" if isinstance(value, dict) else f"a {type(value).__name__}"


def aggregation_of(aggregate: Callable[[Sequence[float]], Any]) -> Aggregation:
    """Find by trial whether an aggregation is the mean of its items, and what it leaves out.

    Args:
        aggregate: lm-eval's function from item values to the task's number.
    """
    function = getattr(aggregate, "func", aggregate)  # of a partial, what it calls
    name = str(getattr(function, "__name__", "a function of its own"))
    mean = math.fsum(PROBE) / len(PROBE)
    if not _gives(aggregate, PROBE, mean):
        return Aggregation(False, name, counts_checks=_gives(aggregate, CHECKS_PROBE, 0.25))
    return Aggregation(
        True,
        name,
        ignores_minus_one=_gives(aggregate, (-1.0, *PROBE), mean),
        ignores_nan=_gives(aggregate, (math.nan, *PROBE), mean),
    )


def _gives(aggregate: Callable[[Sequence[Any]], Any], values: Sequence[Any], expected: float) -> bool:
    try:
        return math.isclose(float(aggregate(list(values))), expected, rel_tol=1e-9)
    except Exception:  # an aggregation of any task, on values that it may not expect
        return False


def scored_value(metric: str, value: Any, aggregation: Aggregation) -> Value:
    """What one item's value is, where the task's own aggregation is at hand."""
    found = own_value(metric, value, aggregation.counts_checks)
    if isinstance(found, ItemScore) and found.denominator is not None:
        return found
    if not aggregation.is_mean:
        return NoScore(
            f"lm-eval computes {metric} from all items at once ({aggregation.name}), so that no item has a score "
            "of its own"
        )
    number = None if isinstance(value, list | tuple) else _number(value)
    if aggregation.ignores_minus_one and number == -1.0:
        return NotApplicable()
    if aggregation.ignores_nan and number is not None and math.isnan(number):
        return NotApplicable()
    return found
